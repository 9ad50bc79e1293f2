"""Values of claims (RFC 7519, FHIR Coding and Identifier): found where they stand, and read as what they must be.

Laws: a value of the wrong type is an error, never skipped (standards AUTH-17, T-171); errors name the claim and nothing of its
value. A reader takes one value and raises `WrongError`; `read` turns that into CallerError BAD_TOKEN.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import orjson

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Coding, Identifier, coding_of, folded, spelt_alike
from proxy.identity.issuer import ClaimPath

T = TypeVar("T")

URI_SYSTEM = "urn:ietf:rfc:3986"

_ID = r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}"
_PATIENT_ID = re.compile(_ID)
_FHIR_USER = re.compile(rf"(Patient|PractitionerRole|Practitioner|RelatedPerson)/{_ID}")
# HL7 v2 CX with an OID as assigning authority: `543797436^^^&1.2.840.113619.6.197&ISO`.
_CX = re.compile(r"([^^&]+)\^\^\^[^^&]*&([0-9]+(?:\.[0-9]+)+)&ISO")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`]+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_TEXT = 4096
_MAX_LIST = 64

ACCESS_MODES = "https://mos.esante.gouv.fr/NOS/TRE_R248-ModeAcces/FHIR/TRE-R248-ModeAcces"
"""The French access modes; two OIDs mean them (TRE_R248 and, in VIHF, JDV_J38)."""
_ACCESS_MODES = frozenset(
    map(folded, (ACCESS_MODES, "1.2.250.1.213.1.1.4.336", "1.2.250.1.213.1.1.4.248"))
)
_MODE_PURPOSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "normal": frozenset({"TREAT"}),
        "bris_de_glace": frozenset({"BTG", "ETREAT"}),
        "centre_15": frozenset({"ETREAT"}),
    }
)
"""What an access mode is as a v3-ActReason; the French code stays beside it."""


class WrongError(Exception):
    """A claim that is not what it must be; the message names no value."""


def bad_claim(path: Sequence[str], wrong: str) -> CallerError:
    """The refusal of a token for one of its claims."""
    return CallerError(Refusal.BAD_TOKEN, f"claim `{'.'.join(path)}` {wrong}")


# ---- finding the values ----------------------------------------------------------------------------------------------


def find(payload: Mapping[str, object], steps: Sequence[str]) -> tuple[object, ...]:
    """Give the value at a path as a tuple of one, or nothing; whatever stands above it must be an object."""
    found: object = payload
    for depth, step in enumerate(steps):
        if not isinstance(found, Mapping):
            raise bad_claim(steps[:depth], "must be an object")
        if step not in found:
            return ()
        found = found[step]
    return (found,)


def read(
    payload: Mapping[str, object], path: ClaimPath, reader: Callable[[object], T]
) -> Iterator[T]:
    """Give the value at a path as a reader reads it, or nothing; CallerError BAD_TOKEN where it cannot."""
    for value in find(payload, path.steps):
        try:
            yield reader([value] if path.lone and not isinstance(value, list) else value)
        except WrongError as wrong:
            raise bad_claim(path.steps, str(wrong)) from None


# ---- readers of one value --------------------------------------------------------------------------------------------


def text_of(value: object) -> str:
    """Read a string that is not empty, of printable characters."""
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or _CONTROL.search(value):
        raise WrongError("must be a string of printable characters")
    return value


def scopes_of(value: object) -> str:
    """Read the one string of scopes (T-171: an array of scopes is no scope)."""
    if not isinstance(value, str):
        raise WrongError("must be one string of scopes separated by spaces")
    return value


def patient_of(value: object) -> str:
    """Read a FHIR id as `Patient/id`."""
    if _PATIENT_ID.fullmatch(text_of(value)) is None:
        raise WrongError("must be one FHIR id")
    return f"Patient/{value}"


def coding_from(value: object) -> Coding:
    """Read a Coding object, `system#code`, or a bare code (AUTH-22)."""
    match value:
        case {"code": code, **members}:
            system = members.get("system")
            return coding_of(None if system is None else text_of(system), text_of(code))
        case str():
            system, hash_sign, code = text_of(value).rpartition("#")
            if hash_sign and not (system and code):
                raise WrongError("must be codes or `system#code`")
            return coding_of(system, code)
        case _:
            raise WrongError("must hold Codings with a code")


def codings_of(value: object) -> frozenset[Coding]:
    """Read an array of Codings."""
    return frozenset(map(coding_from, array_of(value)))


def purposes_of(value: object) -> frozenset[str]:
    """Read purposes of use as codes of v3-ActReason; one of another system stays visible as `system#code` and equals none."""
    return frozenset().union(*map(_purpose, codings_of(value)))


def _purpose(coding: Coding) -> frozenset[str]:
    system, code = coding
    if system in {"", ACT_REASON}:
        return frozenset({code})
    if folded(system) in _ACCESS_MODES:
        mode = spelt_alike(code)
        return _MODE_PURPOSES.get(mode, frozenset()) | {f"{ACCESS_MODES}#{mode}"}
    return frozenset({f"{system}#{code}"})


def organization_of(value: object) -> Identifier:
    """Read the URI of an organisation."""
    return Identifier(URI_SYSTEM, text_of(value))


def patient_identifier_of(value: object) -> Identifier:
    """Read a CX with an OID, or any other identifier as it stands."""
    return cx_of(text_of(value)) or Identifier("", text_of(value))


def cx_of(text: str) -> Identifier | None:
    """Give the identifier that an HL7 v2 CX with an OID as assigning authority means; None for any other text."""
    written = _CX.fullmatch(text)
    return Identifier(f"urn:oid:{written[2]}", written[1]) if written else None


def uri_of(value: object) -> str:
    """Read an absolute URI."""
    if _URI.fullmatch(text_of(value)) is None:
        raise WrongError("must be an absolute URI")
    return text_of(value)


def oid_of(value: object) -> str:
    """Read an OID as a URN."""
    if _OID.fullmatch(text_of(value)) is None:
        raise WrongError("must be a `urn:oid:`")
    return text_of(value)


def uris_of(value: object) -> tuple[str, ...]:
    """Read an array of absolute URIs."""
    return tuple(map(uri_of, array_of(value)))


def array_of(value: object) -> list[object]:
    """Read an array of no more elements than anybody has roles or purposes."""
    if not isinstance(value, list):
        raise WrongError("must be an array")
    if len(value) > _MAX_LIST:
        raise WrongError(f"must have {_MAX_LIST} elements at most")
    return value


def version_one_of(value: object) -> str:
    """Read the one version that there is."""
    if value != "1":
        raise WrongError('must be "1"')
    return "1"


def object_text_of(value: object) -> str:
    """Read an object as its JSON text, members in order."""
    if not isinstance(value, dict):
        raise WrongError("must be an object")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


# ---- what a reference means ------------------------------------------------------------------------------------------


def reference_of(fhir_user: str, bases: Sequence[str]) -> str | None:
    """Give `Type/id` of a fhirUser that is relative or under one of our base URLs; None for anybody else's (T-181)."""
    for base in bases:
        if fhir_user.startswith(f"{base}/"):
            fhir_user = fhir_user[len(base) + 1 :]
            break
    return fhir_user if _FHIR_USER.fullmatch(fhir_user) else None
