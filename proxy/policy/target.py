"""Target: what a rule applies to (XACML Target). Values inside a list OR, fields AND; an absent field is no constraint."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from proxy.policy.terms import (
    Confidentiality,
    InteractionCode,
    KindCode,
    Label,
    Name,
    Purpose,
    Relationship,
    Text,
    Written,
)

ConsentVerdict: TypeAlias = Literal["permit", "named", "none", "deny"]
ResourceType = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]


def given(written: Written) -> bool:
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
            if name in self.model_fields_set and not given(getattr(self, name)):
                raise ValueError(f"`{name}` is empty; give a constraint or leave `{name}` out")
        return self
