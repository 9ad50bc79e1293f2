"""Choice elements: `value[x]` stands in JSON as `valueQuantity`, the name with its type (https://hl7.org/fhir/R4/formats.html#choice).

A path may name the choice (`value`) or one spelling of it. `statusReason` is no choice of `status`, but another element: only the
name of a data type makes one.
"""

from collections.abc import Iterator

DATA_TYPES = frozenset(
    """
    Address Age Annotation Attachment Availability Base64Binary Boolean Canonical Code CodeableConcept
    CodeableReference Coding ContactDetail ContactPoint Contributor Count DataRequirement Date DateTime Decimal
    Distance Dosage Duration Expression ExtendedContactDetail HumanName Id Identifier Instant Integer Integer64
    Markdown Meta MonetaryComponent Money Oid ParameterDefinition Period PositiveInt Quantity Range Ratio RatioRange
    Reference RelatedArtifact SampledData Signature SimpleQuantity String Time Timing TriggerDefinition UnsignedInt
    Uri Url UsageContext Uuid VirtualServiceDetail
    """.split()  # noqa: SIM905
)
"""Every type that a choice of R4, R4B or R5 can have, as it stands in names."""


def fits(step: str, name: str) -> bool:
    """Whether a path's step names an element as spelled: itself, or a choice (`value` names `valueQuantity`)."""
    return name == step or (name.startswith(step) and name[len(step) :] in DATA_TYPES)


def choices_of(name: str) -> Iterator[str]:
    """Names of which this one may be a spelling: `value`, `valueCodeable` for `valueCodeableConcept`."""
    return (name[:end] for end in range(1, len(name)) if name[end].isupper())
