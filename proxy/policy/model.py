"""Policy, Rule, Target, PolicySet: what the house says, as values (XACML; the format of `policies/*.yaml`).

One pydantic model is the only source: it validates the files, and printed as JSON Schema it gives editors
completion and hover text. Values inside a list OR, fields AND; an absent field is no constraint, and stands here
as an empty tuple. A list that is written is never empty, so an empty list never means everything. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from proxy.fhir.coding import Coding, Effect
from proxy.policy.break_glass import BreakGlass
from proxy.policy.campaign import Dated
from proxy.policy.labels import Labels
from proxy.policy.redact import Redact
from proxy.policy.target import ResourceType, Target, given
from proxy.policy.terms import (
    KindCode,
    Name,
    Purpose,
    Terms,
    Text,
    Warned,
    Written,
)

CONSENT_TAG = "consent"
"""The tag of denies that come from no rule but from a patient's Consent."""

Unlabelled: TypeAlias = Literal["N", "R", "deny"]
Refusing: TypeAlias = Literal["hide", "tell"]
Combining: TypeAlias = Literal["deny-wins", "most-recent"]
Referring: TypeAlias = Literal["prune", "keep-attachments", "keep"]
TreatingSource: TypeAlias = Literal["CareTeam", "Encounter", "EpisodeOfCare", "Appointment"]
Recipient: TypeAlias = Literal["patient", "privacy-officer"]


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
    warn: Warned = Field(
        default="",
        description="Permit only: what the reader is told with the data; a text, or the name of one in `texts` of terms.yaml.",
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
        if self.effect is Effect.PERMIT and not given(self.target):
            raise ValueError("a permit with an empty target would permit everything; give a target")
        return self


_FOREIGN: dict[Effect, tuple[str, ...]] = {
    Effect.PERMIT: ("tag", "absolute"),
    Effect.DENY: ("lifts", "redact", "notify", "warn"),
}
"""Fields that have no meaning under the other effect."""


class Campaign(Dated):
    """A named, dated exception: rules that are in force only between two instants."""

    rules: tuple[Rule, ...] = Field(
        min_length=1, description="Rules like all others, in force only within the campaign."
    )


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
    references: Referring | None = Field(
        default=None,
        description="References that lead nowhere for the caller, hidden or not there, are taken out (`prune`) or left (`keep`); "
        "`keep-attachments` leaves the addresses of attachments alone. Nowhere stated: `prune`.",
    )
    combine: Combining | None = Field(
        default=None,
        description="How several Consents of one patient combine. Nowhere stated: `deny-wins`.",
    )
    care_team_from: tuple[TreatingSource, ...] = Field(
        default=(),
        min_length=1,
        description="Resource types that prove `relationship: care-team`; no other is looked up. Nowhere stated: `CareTeam`.",
    )
    care_team_grace_days: int | None = Field(
        default=None,
        ge=0,
        le=366,
        description="Days for which an Encounter or EpisodeOfCare that has ended, or an Appointment before and after it, still "
        "proves `care-team`. Nowhere stated: `0`.",
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
    break_glass: BreakGlass | None = Field(
        default=None,
        description="Who may open emergency grants, and what they never open; in one policy of the set.",
    )
    rules: tuple[Rule, ...] = Field(
        default=(), min_length=1, description="The rules; their order never matters."
    )
    campaigns: tuple[Campaign, ...] = Field(
        default=(), min_length=1, description="Dated exceptions, each with rules of its own."
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

    `rules` are sorted by id, those of campaigns among them. `sources[rule id]` is the basis of each rule, `places[rule id]`
    its file and line, `campaigns[rule id]` the campaign within which alone it is in force.
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
    break_glass: BreakGlass | None = None
    places: Mapping[str, tuple[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    campaigns: Mapping[str, Dated] = field(default_factory=lambda: MappingProxyType({}))
    care_team_from: frozenset[str] = frozenset({"CareTeam"})
    care_team_grace_days: int = 0
    references: Referring = "prune"
