"""Policy, Rule, Target, PolicySet: what the house says, as values (XACML; the format of `policies/*.yaml`).

One pydantic model is the only source: it validates the files, and printed as JSON Schema it gives editors
completion and hover text. Values inside a list OR, fields AND; an absent field is no constraint, and stands here
as an empty tuple. A list that is written is never empty, so an empty list never means everything. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from proxy.fhir.coding import Coding, Effect
from proxy.policy.labels import Labels
from proxy.policy.terms import (
    Confidentiality,
    InteractionCode,
    KindCode,
    Label,
    Name,
    Purpose,
    Relationship,
    Terms,
    Text,
    Written,
)

CONSENT_TAG = "consent"
"""The tag of denies that come from no rule but from a patient's Consent."""

ConsentVerdict: TypeAlias = Literal["permit", "named", "none", "deny"]
Unlabelled: TypeAlias = Literal["N", "R", "deny"]
Refusing: TypeAlias = Literal["hide", "tell"]
Combining: TypeAlias = Literal["deny-wins", "most-recent"]
Recipient: TypeAlias = Literal["patient", "privacy-officer"]

ElementPath = Annotated[
    str,
    Field(
        pattern=r"^(\*\.[a-z][A-Za-z0-9]*|[A-Z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+)$",
        description="FHIRPath restricted to element steps: `Patient.telecom`, `Observation.component.value`, `*.text`.",
    ),
]
ResourceType = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
OPERATORS = ("remove", "mask", "generalise", "pseudonymise", "shift", "replace")
"""The redaction operators, as `Redact` has them."""


def _given(written: Written) -> bool:
    """Whether the author wrote any constraint at all."""
    return bool(written.model_fields_set)


class PrincipalTarget(Written):
    """Who a rule applies to; every field that is given must match."""

    kind: tuple[KindCode, ...] = Field(
        default=(), min_length=1, description="What sort of principal the token names."
    )
    role: tuple[Name, ...] = Field(
        default=(),
        min_length=1,
        description="Roles by their names in terms.yaml; one of them must be held.",
    )
    relationship: tuple[Relationship, ...] = Field(
        default=(),
        min_length=1,
        description="How the principal stands to the patient (or, `author`, to the resource), proven and in force now.",
    )
    organization_type: tuple[Name, ...] = Field(
        default=(),
        min_length=1,
        description="Types of the principal's organisations, by their names in terms.yaml.",
    )
    client: tuple[Text, ...] = Field(
        default=(),
        min_length=1,
        description="Client ids of the application that asks (`client_id`, `azp`).",
    )


class ResourceTarget(Written):
    """Which resources a rule applies to; every field that is given must match."""

    type: tuple[ResourceType, ...] = Field(
        default=(), min_length=1, description="Resource types, `Observation`."
    )
    label: tuple[Label, ...] = Field(
        default=(),
        min_length=1,
        description="Security labels, `system-alias#CODE`; one of them is among the resource's effective labels.",
    )
    confidentiality_above: Confidentiality | None = Field(
        default=None,
        description="The resource's confidentiality is higher than this one, in the order U<L<M<N<R<V.",
    )


class Target(Written):
    """What a rule applies to (XACML Target)."""

    principal: PrincipalTarget = Field(default=PrincipalTarget(), description="Who asks.")
    purpose: tuple[Purpose, ...] = Field(
        default=(),
        min_length=1,
        description="Purposes of use (v3-ActReason); a purpose covers its descendants, `TREAT` covers `ETREAT`.",
    )
    interaction: tuple[InteractionCode, ...] = Field(
        default=(), min_length=1, description="FHIR interactions, `read`, `search-type`."
    )
    resource: ResourceTarget = Field(default=ResourceTarget(), description="What is asked for.")
    consent: tuple[ConsentVerdict, ...] = Field(
        default=(),
        min_length=1,
        description=(
            "What the patient's Consents say to this request: `permit` (which includes `named`), `named` (permit by a "
            "provision that names the caller), `none` (no Consent of the patient applies), `deny`."
        ),
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        for name in ("principal", "resource"):
            if name in self.model_fields_set and not _given(getattr(self, name)):
                raise ValueError(f"`{name}` is empty; give a constraint or leave `{name}` out")
        return self


class Redact(Written):
    """What a permit takes out of a resource, by operator; paths are element steps only."""

    remove: tuple[ElementPath, ...] = Field(
        default=(), min_length=1, description="Elements that are left out."
    )
    mask: tuple[ElementPath, ...] = Field(
        default=(),
        min_length=1,
        description="Elements whose value is hidden but whose place stays (data-absent-reason `masked`).",
    )
    generalise: tuple[ElementPath, ...] = Field(
        default=(),
        min_length=1,
        description="Dates cut to the year, postcodes to their first two characters.",
    )
    pseudonymise: tuple[ElementPath, ...] = Field(
        default=(),
        min_length=1,
        description="Identifiers replaced by a keyed code that is the same each time.",
    )
    shift: tuple[ElementPath, ...] = Field(
        default=(),
        min_length=1,
        description="Dates moved by a number of days that is the same for one patient.",
    )
    replace: dict[ElementPath, Text] = Field(
        default_factory=dict,
        min_length=1,
        description="Elements whose value is replaced by the one given.",
    )

    def entries(self) -> tuple[tuple[str, str, str], ...]:
        """Give every redaction as operator, path, argument (empty unless `replace`), sorted."""
        plain = ((name, path, "") for name in OPERATORS[:-1] for path in getattr(self, name))
        replaced = (("replace", path, value) for path, value in self.replace.items())
        return tuple(sorted((*plain, *replaced)))

    def entries_for(self, resource_type: str) -> tuple[tuple[str, str, str], ...]:
        """Give the redactions that concern a resource of this type."""
        heads = ("*", resource_type)
        return tuple(entry for entry in self.entries() if entry[1].split(".")[0] in heads)


class Rule(Written):
    """One rule: an effect on a target, and what follows from it."""

    id: Name = Field(
        description="The rule's name, unique in the whole policy set; shown in reasons and in the journal."
    )
    effect: Effect = Field(description="What the rule says where its target matches.")
    description: str = Field(
        default="", description="What the rule means, for those who read the policy."
    )
    source: str = Field(
        default="",
        description="The legal or organisational basis of this rule, if it is not the policy's.",
    )
    target: Target = Field(description="What the rule applies to. All that is given must match.")
    tag: Name = Field(
        default="", description="Deny only: the name under which other rules may lift this deny."
    )
    absolute: bool = Field(default=False, description="Deny only: nothing can lift this deny.")
    lifts: tuple[Name, ...] = Field(
        default=(),
        min_length=1,
        description="Permit only: tags of denies that do not count where this rule matches. `consent` is a Consent's deny.",
    )
    redact: Redact = Field(
        default=Redact(), description="Permit only: what is taken out of the resource."
    )
    notify: tuple[Recipient, ...] = Field(
        default=(),
        min_length=1,
        description="Permit only: who is told of every access under this rule.",
    )

    @model_validator(mode="after")
    def _fits_its_effect(self) -> Self:
        for name in _FOREIGN[self.effect]:
            if name in self.model_fields_set:
                raise ValueError(
                    f"`{name}` has no meaning in a rule with `effect: {self.effect.value}`; leave it out"
                )
        if self.tag == CONSENT_TAG:
            raise ValueError("the tag `consent` stands for denies of a Consent; choose another tag")
        if self.effect is Effect.PERMIT and not _given(self.target):
            raise ValueError("a permit with an empty target would permit everything; give a target")
        return self


_FOREIGN: dict[Effect, tuple[str, ...]] = {
    Effect.PERMIT: ("tag", "absolute"),
    Effect.DENY: ("lifts", "redact", "notify"),
}
"""Fields that have no meaning under the other effect."""


class Policy(Written):
    """One policy file."""

    policy: Name = Field(description="The policy's name, unique in the directory.")
    version: Text = Field(description='The version of its content, `"2026.1"` (in quotes).')
    source: Text = Field(description="The legal or organisational basis, shown in explanations.")
    description: str = Field(default="", description="What the policy is for.")
    unlabelled: Unlabelled | None = Field(
        default=None,
        description="What a resource without a confidentiality label counts as. Nowhere stated: `deny`.",
    )
    refusal: Refusing | None = Field(
        default=None,
        description="A refused patient looks absent (`hide`) or gets one constant 403 (`tell`). Nowhere stated: `hide`.",
    )
    combine: Combining | None = Field(
        default=None,
        description="How several Consents of one patient combine. Nowhere stated: `deny-wins`.",
    )
    universal: tuple[ResourceType, ...] = Field(
        default=(),
        min_length=1,
        description="Types that are never about a patient: only policy decides on them.",
    )
    default_purpose: dict[KindCode, Purpose] = Field(
        default_factory=dict,
        description="Purpose of use where the token names none, by kind of principal. Absent: no purpose.",
    )
    matrix: str = Field(
        default="",
        min_length=1,
        description="CSV file of role by document type, beside this file; a missing cell denies.",
    )
    rules: tuple[Rule, ...] = Field(
        default=(), min_length=1, description="The rules; their order never matters."
    )


@dataclass(frozen=True, slots=True)
class Matrix:
    """Access-rights matrix: which role may consult which type of document (`matrice d'habilitation`).

    `cells[role name, document type]` is whether it may; a pair that is missing is unknown, and denies.
    """

    cells: Mapping[tuple[str, Coding], bool]

    def cell(self, role: str, document_type: Coding) -> bool | None:
        """Give whether a role may consult a type of document; None where the matrix is silent."""
        return self.cells.get((role, document_type))


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force, merged. `digest` is the SHA-256 (hex) of their canonical content.

    `rules` are sorted by id. `sources[rule id]` is the basis of each rule, `places[rule id]` its file and line.
    """

    policies: tuple[Policy, ...]
    rules: tuple[Rule, ...]
    sources: Mapping[str, str]
    universal: frozenset[str]
    unlabelled: Unlabelled
    refusal: Refusing
    combine: Combining
    default_purpose: Mapping[str, str]
    terms: Terms
    labels: Labels
    matrix: Matrix | None
    digest: str
    places: Mapping[str, tuple[str, int]] = field(default_factory=lambda: MappingProxyType({}))
