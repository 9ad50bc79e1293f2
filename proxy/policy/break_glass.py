"""Break-glass: who may open an emergency grant, for how long, and what it never opens (decisions §9; v3-ActReason BTG).

The section `break_glass` of one policy file. It opens nothing by itself: what a grant permits is said by rules that name the
relationship `break-glass`, and by Consents that name the purpose BTG. Pure.
"""

from typing import Self

from pydantic import Field, model_validator

from proxy.policy.target import PrincipalTarget, ResourceTarget, given
from proxy.policy.terms import Confidentiality, Label, Text, Written

LONGEST_HOURS = 24
MOST_OPEN = 50


class BreakGlass(Written):
    """The ceremony of break-glass, as a policy sets it."""

    may_open: PrincipalTarget = Field(
        description="Who may open a grant, and use it; by kind, role, organisation or application, without relationship."
    )
    reasons: tuple[Label, ...] = Field(
        min_length=1, description="Codes of reasons that are accepted, `system-alias#CODE`."
    )
    hours: float = Field(
        default=4, gt=0, le=LONGEST_HOURS, description="How long a grant is open, in hours."
    )
    ceiling: Confidentiality = Field(
        default="N", description="A grant opens nothing whose confidentiality is above this one."
    )
    never: tuple[ResourceTarget, ...] = Field(
        default=(),
        min_length=1,
        description="What no grant ever opens, whatever a rule lifts; each entry by type, label or confidentiality.",
    )
    most_open: int = Field(
        default=5, ge=1, le=MOST_OPEN, description="Grants that one person may have open at once."
    )
    justification: int = Field(
        default=20, ge=1, le=200, description="The fewest characters of a justification."
    )
    acr: tuple[Text, ...] = Field(
        default=(),
        min_length=1,
        description="Ways of authentication (`acr` of the token) that are strong enough to open a grant; absent: any.",
    )
    authenticated_within: int | None = Field(
        default=None,
        ge=1,
        le=24 * 60,
        description="Minutes since the person was authenticated (`auth_time` of the token) within which a grant may be opened.",
    )
    trusts_purpose_of: tuple[Text, ...] = Field(
        default=(),
        min_length=1,
        description="Issuers whose word is enough: a purpose of BTG in their tokens counts as a grant, without a ceremony.",
    )

    @model_validator(mode="after")
    def _says_who_and_what(self) -> Self:
        if not given(self.may_open):
            raise ValueError("`may_open` is empty, so everybody could break the glass; say who may")
        if self.may_open.relationship:
            raise ValueError(
                "`may_open` takes no `relationship`: whoever has one needs no break-glass"
            )
        if not all(map(given, self.never)):
            raise ValueError("an entry of `never` is empty; give a type, label or confidentiality")
        return self

    @property
    def seconds(self) -> float:
        """How long a grant is open."""
        return self.hours * 3600
