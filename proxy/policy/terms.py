"""The words of a policy: v3-ActReason purposes, restful-interaction codes, relationships, and `terms.yaml`.

`terms.yaml` gives names to codes: code systems (alias -> URI and its other spellings), roles and organisation
types (name -> codings). Policies then speak only in names. Pure.
"""

import functools
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from proxy.fhir.coding import CONFIDENTIALITY, Coding, folded, system_of
from proxy.fhir.warning import LONGEST, flaw_of

Purpose: TypeAlias = Literal[
    "PurposeOfUse",
    "HMARKT",
    "HOPERAT", "CAREMGT", "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HDM", "HLEGAL",
    "HOUTCOMS", "HPRGRP", "HQUALIMP", "HSYSADMIN", "LABELING", "METAMGT", "MEMADMIN", "MILCDM", "PATADMIN",
    "PATSFTY", "PERFMSR", "RECORDMGT", "SYSDEV", "HTEST", "TRAIN", "MLTRAINING",
    "HPAYMT", "CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG", "REMITADV", "PMTDS",
    "HRESCH", "BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH", "DSRCH", "POARCH", "TRANSRCH",
    "PATRQT", "FAMRQT", "PWATRNY", "SUPNWK",
    "PUBHLTH", "DISASTER", "THREAT",
    "TREAT", "CLINTRL", "COC", "ETREAT", "BTG", "ERTREAT", "POPHLTH", "TREATDS",
]  # fmt: skip
"""Codes of v3-ActReason, tree PurposeOfUse (THO 9.0.0); a purpose covers its descendants."""

InteractionCode: TypeAlias = Literal[
    "read", "vread", "update", "patch", "delete", "create", "history-instance", "history-type", "history-system",
    "search-type", "search-system", "capabilities", "transaction", "batch", "operation", "export",
]  # fmt: skip
"""Codes of http://hl7.org/fhir/restful-interaction, and `export`: Bulk Data Access, in all its steps."""

Relationship: TypeAlias = Literal[
    "self", "care-team", "general-practitioner", "author", "author-organization", "guardian", "trusted-person", "delegate", "denied",
    "break-glass",
]  # fmt: skip
"""How a principal can stand to a patient or to a resource: the dated facts of this gateway, a closed list."""

KindCode: TypeAlias = Literal["practitioner", "patient", "related-person", "system"]
"""What sort of principal a token names (`proxy.identity.principal.PrincipalKind`, without `unknown`)."""

Confidentiality: TypeAlias = Literal["U", "L", "M", "N", "R", "V"]
"""v3-Confidentiality, in the total order U<L<M<N<R<V (DS4P)."""

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*#[^\s#]+$"
"""A code as a policy writes it: `system-alias#CODE`."""
Label = Annotated[str, Field(pattern=LABEL)]
NAME = r"^[a-z0-9][a-z0-9-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1)]


def _conveyed(text: str) -> str:
    if flaw := flaw_of(text):
        raise ValueError(f"the warning {flaw}")
    return text


Warned = Annotated[
    str, Field(min_length=1, json_schema_extra={"maxLength": LONGEST}), AfterValidator(_conveyed)
]
"""A text that goes with an answer, in a header too; or the name of one."""


class Written(BaseModel):
    """What an author writes: frozen, no unknown key, no value converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CodeSystem(Written):
    """One code system: its URI, how else it is spelled, and how else its codes are spelled."""

    system: Text = Field(description="The URI of the code system, as it is compared.")
    also: tuple[Text, ...] = Field(
        default=(), min_length=1, description="Other URIs, OIDs or URNs that mean the same system."
    )
    case_sensitive: bool = Field(
        default=True, description="Whether upper and lower case differ (CodeSystem.caseSensitive)."
    )
    spellings: dict[str, str] = Field(
        default_factory=dict,
        description="Other spellings of codes: spelling as seen to the code that is meant.",
    )

    def code_of(self, spelling: str) -> str:
        """Give the one code that is meant by a spelling."""
        code = spelling if self.case_sensitive else spelling.upper()
        return self.spellings.get(code, code)

    def uris(self) -> frozenset[str]:
        """Give every URI of the system, each also in the spelling that `proxy.fhir.coding` gives it."""
        written = {self.system, *self.also}
        return frozenset(written | {system_of(uri) for uri in written})


class Terms(Written):
    """The content of `terms.yaml`: names for codes."""

    systems: dict[str, CodeSystem] = Field(
        description="Code systems by alias; labels and codes are written `alias#CODE`."
    )
    roles: dict[Name, tuple[Label, ...]] = Field(
        description="Roles by name, each with the codes (`alias#CODE`) that mean it in tokens and PractitionerRole."
    )
    organization_types: dict[Name, tuple[Label, ...]] = Field(
        default_factory=dict,
        description="Organisation types by name, each with the codes of Organization.type that mean it.",
    )

    texts: dict[Name, Warned] = Field(
        default_factory=dict,
        description="Texts by name, for `warn`: printable ASCII without quotes, at most 250 characters.",
    )

    def text(self, written: str) -> str:
        """Give the text that a name stands for; what is no name of a text here stands for itself."""
        return self.texts.get(written, written)

    def has_alias(self, label: str) -> bool:
        """Whether the system of `alias#CODE` (or a bare alias) has a name here."""
        return label.partition("#")[0] in self.systems

    def coding(self, label: str) -> Coding:
        """Give the coding that `alias#CODE` stands for; KeyError if the alias is unknown (never after loading)."""
        alias, _, code = label.partition("#")
        found = self.systems[alias]
        return Coding(system_of(found.system), found.code_of(code))

    def codings(self, label: str) -> frozenset[Coding]:
        """Give the coding that `alias#CODE` stands for, in every spelling of its system."""
        alias, _, code = label.partition("#")
        found = self.systems[alias]
        return frozenset(Coding(uri, found.code_of(code)) for uri in found.uris())

    def role(self, name: str) -> frozenset[Coding]:
        """Give the codings that mean a role; KeyError if the name is unknown (never after loading)."""
        return _all_codings(self, self.roles[name])

    def organization_type(self, name: str) -> frozenset[Coding]:
        """Give the codings that mean an organisation type; KeyError if the name is unknown."""
        return _all_codings(self, self.organization_types[name])

    def normalise(self, coding: Coding) -> Coding:
        """Give the one spelling of a coding: system by its URI, code by its case and its known spellings."""
        found = self._named(coding.system)
        return Coding(system_of(found.system), found.code_of(coding.code)) if found else coding

    def recognises(self, system: str) -> bool:
        """Whether a code system has a name here, however its URI is spelled (`proxy.fhir.coding.folded`)."""
        return self._named(system) is not None

    def _named(self, system: str) -> CodeSystem | None:
        return self._by_uri.get(system) or self._by_folded.get(folded(system))

    @functools.cached_property
    def _by_uri(self) -> dict[str, CodeSystem]:
        return {uri: system for system in self.systems.values() for uri in system.uris()}

    @functools.cached_property
    def _by_folded(self) -> dict[str, CodeSystem]:
        return {folded(uri): system for uri, system in self._by_uri.items()}


def _all_codings(terms: Terms, labels: tuple[str, ...]) -> frozenset[Coding]:
    return frozenset().union(*(terms.codings(label) for label in labels))


ORDER: tuple[Confidentiality, ...] = ("U", "L", "M", "N", "R", "V")
"""The confidentiality codes from lowest to highest."""

CONFIDENTIALITIES = tuple(Coding(CONFIDENTIALITY, code) for code in ORDER)
"""The same as codings, lowest first."""
