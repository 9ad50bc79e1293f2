"""FHIR RESTful interactions: a raw HTTP request becomes a `FhirRequest`, or a refusal (https://hl7.org/fhir/R4/http.html)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Interaction(Enum):
    """Codes of http://hl7.org/fhir/restful-interaction that the gateway knows."""

    READ = "read"
    VREAD = "vread"
    HISTORY_INSTANCE = "history-instance"
    SEARCH_TYPE = "search-type"
    CAPABILITIES = "capabilities"


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


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One understood search parameter: `name[:modifier]=value`, values as written, OR-list already split.

    `values` keep FHIR escapes (`\\,`), percent-decoding is done.
    """

    name: str
    modifier: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """A request, understood. `parameters` are filters; result parameters have fields of their own."""

    interaction: Interaction
    type: str = ""
    id: str = ""
    version: str = ""
    parameters: tuple[SearchParameter, ...] = ()
    includes: tuple[SearchParameter, ...] = ()
    """`_include` and `_revinclude`, values `Source:param[:Target]`."""
    count: int | None = None
    sort: tuple[str, ...] = ()
    since: str = ""
    cursor: str = ""
    """A sealed page link (`_page`); then everything else but `type` and `interaction` is empty."""
    head: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, from upstream or to the client: header names lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
