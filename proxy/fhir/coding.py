"""Coding and Identifier as comparable values, and the code systems that decisions read.

A Coding is compared by system and code only; display and version never count (standards LBL-1).
Old spellings of one system (OID, URN, retired URL) are one system here (LBL-18).
"""

from enum import Enum
from functools import lru_cache
from typing import NamedTuple


class Coding(NamedTuple):
    """A code in its system, normalised by `coding_of`; system may be empty."""

    system: str
    code: str


class Identifier(NamedTuple):
    """A business identifier: system (normalised URI, may be empty) and value."""

    system: str
    value: str


class Effect(Enum):
    """What a rule or a provision says (XACML Effect; FHIR consent-provision-type)."""

    PERMIT = "permit"
    DENY = "deny"


_THO = "http://terminology.hl7.org/CodeSystem/"
CONFIDENTIALITY = _THO + "v3-Confidentiality"
ACT_CODE = _THO + "v3-ActCode"
ACT_REASON = _THO + "v3-ActReason"
OBSERVATION_VALUE = _THO + "v3-ObservationValue"
PARTICIPATION = _THO + "v3-ParticipationType"
ROLE_CLASS = _THO + "v3-RoleClass"
CONSENT_SCOPE = _THO + "consentscope"
CONSENT_ACTION = _THO + "consentaction"
ORGANIZATION_TYPE = _THO + "organization-type"
INLINE_LABEL = (
    "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
)

# Spellings of one code system, as seen in the field (standards LBL-18).
_SPELLINGS: dict[str, str] = {
    spelling: system
    for system, spellings in {
        CONFIDENTIALITY: (
            "urn:oid:2.16.840.1.113883.5.25", "2.16.840.1.113883.5.25",
            "http://hl7.org/fhir/v3/Confidentiality", "http://hl7.org/fhir/ValueSet/v3-Confidentiality",
            "http://terminology.hl7.org/ValueSet/v3-Confidentiality",
        ),
        ACT_CODE: (
            "urn:oid:2.16.840.1.113883.5.4", "2.16.840.1.113883.5.4", "http://hl7.org/fhir/v3/ActCode",
            "http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy",
            "http://hl7.org/fhir/ValueSet/v3-InformationSensitivityPolicy",
        ),
        ACT_REASON: (
            "urn:oid:2.16.840.1.113883.5.8", "2.16.840.1.113883.5.8", "http://hl7.org/fhir/v3/ActReason",
            "http://terminology.hl7.org/ValueSet/v3-PurposeOfUse", _THO + "v3-PurposeOfUse",
        ),
        OBSERVATION_VALUE: (
            "urn:oid:2.16.840.1.113883.5.1063", "2.16.840.1.113883.5.1063",
            "http://hl7.org/fhir/v3/ObservationValue",
        ),
        PARTICIPATION: ("http://hl7.org/fhir/v3/ParticipationType", "urn:oid:2.16.840.1.113883.5.90"),
    }.items()
    for spelling in spellings
}  # fmt: skip


_EDITIONS = "snomed.info/sct/"
"""SNOMED CT names its editions and versions below its own URI (SNOMED CT URI Standard §2.1); they are one code system."""


@lru_cache(maxsize=8192)
def folded(spelling: str) -> str:
    """The spelling in which URIs of code systems are compared.

    Without `|version`, case, scheme, `www.`, `urn:oid:` and trailing slashes. Two systems that differ in no more than that
    are not known to exist; who compares identifiers, which are the keys to people, compares them exactly.
    """
    bare = spelling.partition("|")[0].strip().casefold()
    bare = (bare.partition("://")[2] or bare).removeprefix("urn:").removeprefix("oid:")
    bare = bare.removeprefix("www.").rstrip("/")
    return _EDITIONS.rstrip("/") if bare.startswith(_EDITIONS) else bare


_FOLDED = {folded(uri): system for uri, system in _SPELLINGS.items()} | {
    folded(system): system for system in _SPELLINGS.values()
}


@lru_cache(maxsize=8192)
def system_of(spelling: str | None) -> str:
    """The one URI of a code system, whatever way it was written; unknown systems keep their spelling."""
    if not spelling:
        return ""
    trimmed = spelling.strip()
    return _FOLDED.get(folded(trimmed), trimmed)


def coding_of(system: str | None, code: str | None) -> Coding:
    """A comparable Coding from the two strings of a FHIR Coding."""
    return Coding(system_of(system), (code or "").strip())


def spelt_alike(code: str) -> str:
    """The spelling in which codes are compared where case may not count: without case and surrounding space."""
    # First to upper case, as code systems without case are compared: `straße` is `STRASSE` there.
    return code.strip().upper().casefold()
