"""Handling instructions: labels that oblige or forbid something to whoever holds the data (v3-ActCode ObligationPolicy, RefrainPolicy).

`labels.yaml` says which of them the house fulfils, for whom and by what; one that is not fulfilled for a caller denies
(LBL-19: a custodian that cannot comply does not release). Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from proxy.fhir.coding import ACT_CODE, Coding
from proxy.policy.redact import Redact
from proxy.policy.terms import Label, Name, Terms, Text, Warned, Written

_CUSTODIAN = """
ObligationPolicy ANONY AOD AUDIT AUDTR CPLYPOL CPLYCC CPLYCD CPLYCUI CPLYJPP CPLYJSP CPLYOPP CPLYOSP DECLASSIFYLABEL DEID
DOWNGRDLABEL DRIVLABEL ENCRYPT ENCRYPTR ENCRYPTT ENCRYPTU HUAPRV LABEL MASK MINEC PERSISTLABEL PRIVMARK CUIMark PSEUD REDACT
UPGRDLABEL RefrainPolicy NOAUTH NODSCLCD NODSCLCDS NOLIST NOMOU NOORGPOL NOPAT NOVIP ORCON
"""
_RECIPIENT = """
DELAU NOCOLLECT NOINTEGRATE NOPERSISTP NORDSCLCD NORDSCLCDS NORDSCLW NORELINK NOREUSE
"""
_RETIRED = {"NORDSLCD": "NORDSCLCD"}

BINDING = frozenset(_RECIPIENT.split())
"""Instructions for the recipient: they go on binding after disclosure, and stand in the label of a Bundle. The others tell of the patient's
privacy choices, and never do (DS4P, LBL-8)."""
INSTRUCTIONS = BINDING | frozenset(_CUSTODIAN.split())
"""`PROCESSINLINELABEL` is not among them: the gateway always fulfils it."""


class Agreement(Written):
    """Recipients who have agreed to follow an instruction."""

    client: tuple[Text, ...] = Field(
        default=(), min_length=1, description="Client ids of applications."
    )
    organization_type: tuple[Name, ...] = Field(
        default=(), min_length=1, description="Types of the caller's organisations, by name."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("`agreement` names nobody; give a client or an organisation type")
        return self


class Fulfilment(Written):
    """By what an instruction is fulfilled; all that is given must hold."""

    house: str = Field(
        default="", min_length=1, description="What the house always does, in words."
    )
    consent: Literal["permit"] | None = Field(
        default=None, description="`permit`: a Consent of the patient permits this disclosure."
    )
    agreement: Agreement | None = Field(default=None, description="Who has agreed to follow it.")
    redact: Redact = Field(default=Redact(), description="What is taken out of the resource.")
    warn: Warned = Field(
        default="", description="What the reader is told; a text, or the name of one in terms.yaml."
    )

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("an entry of `fulfilled_by` is empty; say by what it is fulfilled")
        return self


class Handling(Written):
    """One instruction, and how the house fulfils it."""

    label: Label = Field(description="The instruction, `alias#CODE` of v3-ActCode.")
    source: Text = Field(description="Where the duty comes from.")
    fulfilled_by: tuple[Fulfilment, ...] = Field(
        min_length=1, description="The first that fits the caller counts; none that fits denies."
    )


Fulfilments: TypeAlias = Mapping[Coding, tuple[Fulfilment, ...]]


def instruction(label: Coding) -> Coding | None:
    """The instruction that a normalised label is, in its present spelling; None for any other label."""
    if label.system != ACT_CODE:
        return None
    code = _RETIRED.get(label.code, label.code)
    return Coding(ACT_CODE, code) if code in INSTRUCTIONS else None


def fulfilments_from(handling: Iterable[Handling], terms: Terms) -> Fulfilments:
    """How each instruction is fulfilled; every alias is known to `terms`."""
    return {terms.coding(one.label): one.fulfilled_by for one in handling}
