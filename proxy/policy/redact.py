"""Redact: what a permit takes out of a resource, by operator (decisions §7)."""

from typing import Annotated

from pydantic import Field

from proxy.policy.terms import Text, Written

ElementPath = Annotated[
    str,
    Field(
        pattern=r"^(\*\.[a-z][A-Za-z0-9]*|[A-Z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+)$",
        description="FHIRPath restricted to element steps: `Patient.telecom`, `Observation.component.value`, `*.text`.",
    ),
]
KEEP = "keep"
"""What an entry says of an extension that stays, by url; it redacts nothing."""
OPERATORS = ("remove", "mask", "generalise", "pseudonymise", "shift", "replace")
"""The redaction operators, as `Redact` has them."""


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

    keep_extensions: tuple[Text, ...] = Field(
        default=(),
        min_length=1,
        description="Extensions, by url, that stay in what is redacted; all others go, for nobody knows what they repeat.",
    )

    def entries(self) -> tuple[tuple[str, str, str], ...]:
        """Give every redaction as operator, path, argument (empty unless `replace` or `keep`), sorted."""
        plain = ((name, path, "") for name in OPERATORS[:-1] for path in getattr(self, name))
        replaced = (("replace", path, value) for path, value in self.replace.items())
        redacting = sorted((*plain, *replaced))
        kept = ((KEEP, "Extension.url", url) for url in self.keep_extensions if redacting)
        return tuple(sorted((*redacting, *kept)))

    def entries_for(self, resource_type: str) -> tuple[tuple[str, str, str], ...]:
        """Give the redactions that concern a resource of this type."""
        heads = ("*", resource_type)
        return tuple(entry for entry in self.entries() if entry[1].split(".")[0] in heads)
