"""Content negotiation and the headers that may change a request's meaning (FHIR http.html#mime-type, RFC 9110 §12).

Only JSON is served and only forms are taken: what cannot be read cannot be judged (standards REST-6).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from proxy.errors import CallerError, Refusal

# The proxy judges the method it sees; a header that names another one is an attack or a mistake (threats T-137).
_METHOD_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")

# `+` decodes to a space in a form, so a client that forgot to encode it asks for `application/fhir json`.
_JSON_FORMATS = frozenset(
    {"json", "application/json", "application/fhir+json", "application/fhir json"}
)

# From the most to the least specific (RFC 9110 §12.5.1); the first that is present decides.
_JSON_RANGES = ("application/fhir+json", "application/json", "application/*", "*/*")
_NDJSON_RANGES = ("application/fhir+ndjson", "application/ndjson", "application/*", "*/*")

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf"\s*;\s*({_WORD})=(?:({_WORD})|\"([^\"\\]*)\")")
_RANGE = re.compile(rf"\s*({_WORD}/{_WORD})((?:{_PARAMETER.pattern})*)\s*", re.ASCII)
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_FORM = re.compile(
    r"application/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?", re.IGNORECASE
)
_RESOURCE = re.compile(
    r"application/fhir\+json(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?", re.IGNORECASE
)


class Body(Enum):
    """What is posted to a path."""

    FORM = "application/x-www-form-urlencoded"
    JSON = "application/fhir+json"


_BODIES = {Body.FORM: _FORM, Body.JSON: _RESOURCE}
_PREFERENCE = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class _MediaRange:
    """One element of `Accept`, lower case."""

    name: str
    parameters: Mapping[str, str]

    @property
    def is_wanted(self) -> bool:
        """Whether its quality is not zero."""
        quality = self.parameters.get("q", "1")
        return bool(_QUALITY.fullmatch(quality)) and float(quality) > 0


def is_json_format(value: str) -> bool:
    """Whether a value of `_format` asks for JSON (FHIR http.html#parameters)."""
    return value.lower() in _JSON_FORMATS


def accepts_json(accept: str, fhir_version: str = "") -> bool:
    """Whether an `Accept` header allows FHIR JSON in UTF-8, of this FHIR version where it names one."""
    return _accepts(accept, _JSON_RANGES, fhir_version)


def _accepts(accept: str, served: tuple[str, ...], fhir_version: str) -> bool:
    if not accept.strip():
        return True
    ranges = [r for r in map(_range_of, accept.split(",")) if r and _suits(r, fhir_version)]
    for name in served:
        named = [r for r in ranges if r.name == name]
        if named:
            return any(r.is_wanted for r in named)
    return False


def _range_of(text: str) -> _MediaRange | None:
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    parameters = {
        name.lower(): (token or quoted).lower()
        for name, token, quoted in _PARAMETER.findall(found[2])
    }
    return _MediaRange(found[1].lower(), parameters)


def _suits(media_range: _MediaRange, fhir_version: str) -> bool:
    """Whether charset and `fhirVersion` (FHIR http.html#version-parameter, `4.0` for 4.0.1) are ours."""
    wanted = media_range.parameters.get("fhirversion")
    ours = ".".join(fhir_version.split(".")[:2])
    return media_range.parameters.get("charset", "utf-8") == "utf-8" and wanted in (None, ours)


def refuse_headers(headers: Mapping[str, str], repeated: frozenset[str]) -> None:
    """Refuse what would make another hop read another request. Raises CallerError."""
    if repeated:
        raise CallerError(Refusal.MALFORMED, "a header that may stand once was sent twice")
    if any(name in headers for name in _METHOD_OVERRIDES):
        raise CallerError(Refusal.MALFORMED, "the method must not be overridden by a header")
    # Of a coding that is not undone here another hop sees another body (RFC 9112 §6.1).
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise CallerError(Refusal.MALFORMED, "the only transfer coding is chunked")
    if "content-encoding" in headers:
        raise CallerError(Refusal.MEDIA_TYPE, "request bodies must not be encoded")


def refuse_async(headers: Mapping[str, str]) -> None:
    """Refuse an asynchronous request: its answer would be fetched where nothing judges it (T-43). Raises CallerError."""
    if _is_async(headers):
        raise CallerError(Refusal.NOT_SUPPORTED, "asynchronous requests are not supported")


def require_async(headers: Mapping[str, str]) -> None:
    """Refuse an export that does not say that it is asynchronous (Bulk Data Access 2.0, kick-off). Raises CallerError."""
    if not _is_async(headers):
        raise CallerError(Refusal.PARAMETER, "an export is asked for with `Prefer: respond-async`")


def _is_async(headers: Mapping[str, str]) -> bool:
    return "respond-async" in _PREFERENCE.split(headers.get("prefer", "").lower())


def require_ndjson(headers: Mapping[str, str]) -> None:
    """Refuse a client of an export's file that takes no NDJSON. Raises CallerError."""
    if not _accepts(headers.get("accept", ""), _NDJSON_RANGES, ""):
        raise CallerError(Refusal.NOT_ACCEPTABLE, "the client does not accept FHIR NDJSON")


def refuse_body(
    method: str, headers: Mapping[str, str], body: bytes, takes: Body = Body.FORM
) -> None:
    """Refuse a body on anything but POST, and a POST of another media type than the path takes. Raises CallerError."""
    if method != "POST":
        if body:
            raise CallerError(Refusal.MALFORMED, "this method takes no body")
        return
    if not _BODIES[takes].fullmatch(headers.get("content-type", "").strip()):
        raise CallerError(
            Refusal.MEDIA_TYPE,
            "a search is posted as a form in UTF-8, a resource as application/fhir+json",
        )


def is_resource(headers: Mapping[str, str]) -> bool:
    """Whether the body is a resource, and no form that adds to the query."""
    return bool(_BODIES[Body.JSON].fullmatch(headers.get("content-type", "").strip()))
