"""FHIR RESTful interactions: a raw HTTP request becomes a `FhirRequest`, or a refusal (https://hl7.org/fhir/R4/http.html).

Laws:
- The answer depends on the shape of the request alone; no upstream call has been made when it is refused.
- The path is a plain grammar in visible ASCII without any percent sign: nothing is decoded, so that no other
  hop can decode it differently (threats T-129 to T-134).
- A path of `paths.SERVED` asked with another method is METHOD (405). A path of `paths.UNSERVED`, whatever the method, is
  NOT_SUPPORTED (501): batch, operations, GraphQL, compartments of other types, search above one type. Any other
  path, an unknown type and an id that cannot exist are NOT_FOUND (404). A method that FHIR does not use is METHOD.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from proxy.errors import CallerError, Refusal
from proxy.fhir import negotiation, query
from proxy.fhir.paths import METHODS, SERVED, UNSERVED, Route


class Interaction(Enum):
    """Codes of http://hl7.org/fhir/restful-interaction that the gateway knows."""

    READ = "read"
    VREAD = "vread"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    SEARCH_TYPE = "search-type"
    CAPABILITIES = "capabilities"
    OPERATION = "operation"
    EVERYTHING = "everything"
    LASTN = "lastn"
    DOCREF = "docref"
    DOCUMENT = "document"
    SUMMARY = "summary"
    EXPORT = "export"
    """Bulk Data Access: the kick-off of an export, the status of its job, and its files."""
    SMART_CONFIGURATION = "smart-configuration"
    """No FHIR interaction: the well-known document of SMART App Launch."""


COMPOSED: Mapping[Interaction, Interaction] = {
    Interaction.EVERYTHING: Interaction.SEARCH_TYPE,
    Interaction.LASTN: Interaction.SEARCH_TYPE,
    Interaction.DOCREF: Interaction.SEARCH_TYPE,
    Interaction.DOCUMENT: Interaction.READ,
    Interaction.SUMMARY: Interaction.SEARCH_TYPE,
}
"""Operations that are composed of searches, or of reads: whoever may make these may have them, and nobody else."""


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What came over the wire, untouched: `target` is the raw request target, header names are lower case.

    A header that came twice is joined with `, ` except where that would be ambiguous: `repeated` names those.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    peer: str = ""
    repeated: frozenset[str] = frozenset()
    certificate: str = ""
    """SHA-256 of the client's certificate (DER), base64url; empty without one."""


@dataclass(frozen=True, slots=True)
class SearchParameter:
    r"""One understood search parameter: `name[:modifier]=value`, values as written, OR-list already split.

    `values` keep FHIR escapes (`\,`), percent-decoding is done.
    """

    name: str
    modifier: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A chained parameter: what it is asked by is searched in other resources first (FHIR search, chaining and `_has`).

    `inner` are those searches, one for each type that the chain may lead to. Forwards, the reference parameter `name` of the
    searched type leads to what they find; in `reverse`, their `tie` leads to the resources that are searched.
    """

    key: str
    value: str
    """As written, percent-decoded."""
    name: str
    inner: "tuple[FhirRequest, ...]"
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """A request, understood. `parameters` are filters; result parameters have fields of their own."""

    interaction: Interaction
    type: str = ""
    id: str = ""
    version: str = ""
    compartment: str = ""
    """What the compartment that is searched belongs to: `Patient/x`, `Encounter/x` …; `type` is then one of its members, or all."""
    parameters: tuple[SearchParameter, ...] = ()
    includes: tuple[SearchParameter, ...] = ()
    """`_include` and `_revinclude`, values `Source:param[:Target]`."""
    count: int | None = None
    links: tuple[Link, ...] = ()
    """Chained filters, which upstream is never asked for."""
    tie: str = ""
    """Of the inner search of a `_has`: the reference parameter by which it leads to what is searched."""
    sort: tuple[str, ...] = ()
    since: str = ""
    summary: str = ""
    """`_summary`: true, text, data or count; empty where everything is asked for."""
    elements: tuple[str, ...] = ()
    """`_elements`: names of elements at top level."""
    total: str = ""
    """`_total`: accurate or estimate; empty where none is asked for."""
    cursor: str = ""
    """A sealed page link (`_page`); then nothing but what the path says stands beside it."""
    head: bool = False
    operation: str = ""
    """The name of an operation, without `$`."""
    arguments: tuple[SearchParameter, ...] = ()
    """Parameters of an operation that are no filters of its type."""
    pairs: tuple[query.Pair, ...] = ()
    """The parameters of an export, as they were given: what performs it reads them."""

    @property
    def judged_as(self) -> Interaction:
        """The interaction that scopes and policies must cover."""
        return COMPOSED.get(self.interaction, self.interaction)

    @property
    def only_counts(self) -> bool:
        """Whether nothing but the total is asked for."""
        return self.count == 0 or self.summary == "count"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, from upstream or to the client: header names lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    more: AsyncGenerator[bytes, None] | None = None
    """The rest of a body too large to be held; what it gives is recorded already. Where it fails, there is no whole answer."""


KICK_OFF, STATUS_OF_EXPORT, FILE_OF_EXPORT = "export", "export-status", "export-file"
"""The operations of an export."""

EVERY_TYPE = "*"
"""The type of a search in all that a compartment holds (`Patient/x/*`)."""
MAX_PATH = 512
"""Characters; the longest path of the grammar below a base is about 260."""

_PATH = re.compile(r"(?:/[A-Za-z0-9_.$*~-]+)+")
_DOTS = re.compile(r"\.+")


def interaction_of(
    raw: RawRequest, base_path: str, types: frozenset[str], fhir_version: str = ""
) -> FhirRequest:
    """Tell which interaction a request is, from its method, path and headers; parameters are not read yet.

    `base_path` is the path of the public base URL (`/fhir`, or empty); `types` are the resource types that exist.
    Raises CallerError (see the laws above).
    """
    negotiation.refuse_headers(raw.headers, raw.repeated)
    path, text = split_target(raw.target)
    request = _routed(raw.method, below_base(path, base_path), types)
    if request.operation != KICK_OFF:
        negotiation.refuse_async(raw.headers)
    takes = negotiation.Body.JSON if request.operation else negotiation.Body.FORM
    negotiation.refuse_body(raw.method, raw.headers, raw.body, takes)
    # `_format` overrides Accept (standards REST-6); its value is judged with the other parameters.
    # The well-known document is JSON whatever Accept says (standards AUTH-25).
    if request.interaction is Interaction.SMART_CONFIGURATION:
        return request
    if request.operation == FILE_OF_EXPORT:
        negotiation.require_ndjson(raw.headers)
        return request
    if not any(name == "_format" for name, _ in pairs_of(raw, text)) and not (
        negotiation.accepts_json(raw.headers.get("accept", ""), fhir_version)
    ):
        raise CallerError(Refusal.NOT_ACCEPTABLE, "the client does not accept FHIR JSON")
    return request


def split_target(target: str) -> tuple[str, str]:
    """Split an origin-form request target into path and raw query; CallerError for any other form."""
    path, _, text = target.partition("?")
    if "#" in text or len(path) > MAX_PATH or not _PATH.fullmatch(path):
        raise CallerError(Refusal.MALFORMED, "the request target is not a plain path and query")
    if any(_DOTS.fullmatch(segment) for segment in path.split("/")):
        raise CallerError(Refusal.MALFORMED, "the path has dot segments")
    return path, text


def pairs_of(raw: RawRequest, text: str) -> tuple[query.Pair, ...]:
    """Read the parameters of URL (`text`) and form together: both count (standards REST-7)."""
    form = b"" if negotiation.is_resource(raw.headers) else raw.body
    pairs = query.pairs_of(text) + query.pairs_of_form(form)
    if len(pairs) > query.MAX_PAIRS:
        raise CallerError(Refusal.TOO_LARGE, "the query and form have too many parameters")
    return pairs


def below_base(path: str, base_path: str) -> str:
    """Cut the base off a path; empty for the base itself; CallerError outside it."""
    base = base_path.rstrip("/")
    if path != base and not path.startswith(f"{base}/"):
        raise CallerError(Refusal.NOT_FOUND, "the path is outside the FHIR base")
    return path[len(base) :]


def _routed(method: str, path: str, types: frozenset[str]) -> FhirRequest:
    if method not in METHODS:
        raise CallerError(Refusal.METHOD, "not a method of the FHIR REST interface")
    for route in SERVED:
        found = route.path.fullmatch(path)
        if found:
            return _request_of(route, method, found.groupdict(), types)
    unserved = UNSERVED.fullmatch(path)
    refusal = Refusal.NOT_SUPPORTED if unserved else Refusal.NOT_FOUND
    raise CallerError(refusal, "the path names no interaction that is served")


def _request_of(
    route: Route, method: str, parts: Mapping[str, str], types: frozenset[str]
) -> FhirRequest:
    if parts.get("type") and parts["type"] not in types | {EVERY_TYPE}:
        raise CallerError(Refusal.NOT_FOUND, "the resource type is unknown")
    if method not in route.methods:
        raise CallerError(Refusal.METHOD, "the method is not served on this path")
    return FhirRequest(
        Interaction(route.code),
        type=parts.get("type")
        or parts.get("group")
        or (EVERY_TYPE if parts.get("compartment") else ""),
        id=parts.get("id") or "",
        compartment=parts.get("compartment") or "",
        version=parts.get("version", ""),
        head=method == "HEAD",
        operation=parts.get("operation", ""),
    )


def path_of(request: FhirRequest) -> str:
    """Write the path of a request below a FHIR base, without a leading slash."""
    instance = "/".join(filter(None, (request.compartment, request.type, request.id)))
    match request.interaction:
        case Interaction.CAPABILITIES:
            return "metadata"
        case (
            Interaction.OPERATION
            | Interaction.EXPORT
            | Interaction.EVERYTHING
            | Interaction.LASTN
            | Interaction.DOCREF
            | Interaction.DOCUMENT
            | Interaction.SUMMARY
        ):
            return "/".join(filter(None, (instance, f"${request.operation}")))
        case Interaction.SMART_CONFIGURATION:
            return ".well-known/smart-configuration"
        case Interaction.VREAD:
            return f"{instance}/_history/{request.version}"
        case Interaction.HISTORY_INSTANCE | Interaction.HISTORY_TYPE | Interaction.HISTORY_SYSTEM:
            return "/".join(filter(None, (instance, "_history")))
        case Interaction.READ | Interaction.SEARCH_TYPE:
            return instance
        case _:
            assert_never(request.interaction)
