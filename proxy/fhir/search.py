"""FHIR search: the parameters of a request, understood or refused, and written anew (https://hl7.org/fhir/R4/search.html).

Laws:
- One parser for URL and form; both count (standards REST-7). Nothing is forwarded: upstream and self links get
  `canonical_query`, and reading that again gives the same request.
- A result parameter stands at most once; a filter may be repeated and every occurrence counts (threats T-138).
- What upstream would count, cut or chain is never asked of it: `for_upstream` takes it away, and it is done here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.errors import CallerError, Refusal
from proxy.fhir import negotiation, query
from proxy.fhir.chains import MAX_SEARCHES, Reading, is_chain, link_of, searches_of
from proxy.fhir.composed import TAKES_BODY, pairs_in, require_complete, with_argument, with_types
from proxy.fhir.composed import Reading as Composed
from proxy.fhir.dates import INSTANT
from proxy.fhir.definitions import Definitions, SearchParam
from proxy.fhir.interaction import (
    COMPOSED,
    EVERY_TYPE,
    FhirRequest,
    Interaction,
    RawRequest,
    SearchParameter,
    interaction_of,
    pairs_of,
    path_of,
    split_target,
)
from proxy.fhir.membership import require_searchable
from proxy.fhir.parameters import MAX_VALUES, filter_of, searchable, targets_of

__all__ = [
    "canonical_query",
    "for_upstream",
    "includable",
    "relative_url",
    "request_of",
    "searchable",
    "with_parameters",
]

_COUNT = re.compile("[1-9][0-9]{0,8}")
_CURSOR = re.compile("[A-Za-z0-9._~-]{1,4096}")
_INCLUDE = re.compile("([A-Z][A-Za-z]*):([A-Za-z0-9_-]+)(?::([A-Z][A-Za-z]*))?")
_INCLUDES = ("_include", "_revinclude")
_ELEMENT = re.compile("(?:([A-Z][A-Za-z]*)[.])?([a-z][A-Za-z0-9]*)")
_MOST_ELEMENTS = 50


def request_of(
    raw: RawRequest, base_path: str, public_url: str, definitions: Definitions
) -> FhirRequest:
    """Understand a whole request: interaction, then parameters. Raises CallerError."""
    request = interaction_of(raw, base_path, definitions.resource_types, definitions.fhir_version)
    _, text = split_target(raw.target)
    if request.interaction is Interaction.EXPORT:
        return replace(request, pairs=pairs_of(raw, text))
    pairs = pairs_of(raw, text)
    if request.interaction in TAKES_BODY and raw.method == "POST":
        pairs += pairs_in(raw.body, request.interaction)
    understood = with_parameters(request, pairs, definitions, public_url)
    require_searchable(understood, definitions)
    require_complete(understood)
    return understood


def with_parameters(
    request: FhirRequest, pairs: tuple[query.Pair, ...], definitions: Definitions, public_url: str
) -> FhirRequest:
    """Read the parameters of a request. Raises CallerError: PARAMETER, MALFORMED, NOT_ACCEPTABLE, TOO_LARGE."""
    _refuse_repeated([name for name, _ in pairs if name in _RESULT_READERS])
    for name, value in pairs:
        if name in _RESULT_PARAMETERS[request.interaction]:
            request = _RESULT_READERS[name](request, value, definitions)
        elif request.interaction is Interaction.SEARCH_TYPE:
            request = _with_filter(request, name, value, definitions, public_url)
        elif request.interaction in COMPOSED:
            request = with_argument(request, name, value, Composed(definitions, public_url))
        else:
            raise _refused("the parameter is not known for this interaction")
    if request.cursor and not {name for name, _ in pairs} <= {"_page", "_format"}:
        raise _refused("a page link stands alone")
    _refuse_too_much(request)
    _refuse_contradictions(request)
    return request


def _refuse_too_much(request: FhirRequest) -> None:
    searches = list(searches_of(request))
    if len(searches) > 1 + MAX_SEARCHES:
        raise _refused("chains lead to too many types; name the types")
    if sum(len(one.values) for search in searches for one in search.parameters) > MAX_VALUES:
        raise CallerError(Refusal.TOO_LARGE, "the search has too many values")


def _refuse_contradictions(request: FhirRequest) -> None:
    """FHIR search.html#summary: no includes beside `_summary=text`; which part is asked for is said once."""
    if request.summary == "text" and request.includes:
        raise _refused("`_summary=text` goes without includes")
    if request.summary and request.elements:
        raise _refused("`_summary` and `_elements` exclude each other")


def _refuse_repeated(names: list[str]) -> None:
    if len(names) != len(set(names)):
        raise _refused("a result parameter stands twice")


def _with_filter(
    request: FhirRequest, key: str, value: str, definitions: Definitions, public_url: str
) -> FhirRequest:
    if key == "_type" and request.type == EVERY_TYPE:
        return with_types(request, key, value, Composed(definitions, public_url))
    if key in _INCLUDES:
        include = _include_of(request.type, key, value, definitions)
        return replace(request, includes=(*request.includes, include))
    if is_chain(key):
        link = link_of(key, value, request.type, Reading(definitions, public_url))
        return replace(request, links=(*request.links, link))
    parameter = filter_of(key, value, request.type, definitions, public_url)
    return replace(request, parameters=(*request.parameters, parameter))


def _include_of(
    resource_type: str, key: str, value: str, definitions: Definitions
) -> SearchParameter:
    """Read `Source:param[:Target]`: from the searched type outwards, or from elsewhere towards it."""
    found = _INCLUDE.fullmatch(value)
    if not found:
        raise _refused("an include has the form `Source:param[:Target]`")
    source, name, target = found.groups()
    param = searchable(source, definitions.fhir_version).get(name)
    is_link = param is not None and param.kind == "reference"
    reached = targets_of(source, param, definitions) if param and is_link else frozenset()
    is_outwards = key == "_include"
    # Without `:iterate`, an include starts at a match and a reverse include ends at one.
    fits = source == resource_type if is_outwards else resource_type in reached
    named = reached if is_outwards else reached & {resource_type}
    if not fits or not named or (target and target not in named):
        raise _refused("an include names a type or parameter that is not known here")
    return SearchParameter(key, "", (value,))


def includable(resource_type: str, definitions: Definitions) -> Mapping[str, frozenset[str]]:
    """Give the reference parameters of a type that an include may follow, with the types each can reach."""
    params = searchable(resource_type, definitions.fhir_version)
    return {
        name: targets_of(resource_type, param, definitions)
        for name, param in params.items()
        if param.kind == "reference"
    }


def _with_count(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    # Zero asks for the total only (FHIR search.html#count), which a history has not.
    is_search = request.interaction is Interaction.SEARCH_TYPE
    if not _COUNT.fullmatch(value) and not (is_search and value == "0"):
        raise _refused("`_count` is a number, above zero but in a search")
    return replace(request, count=int(value))


def _with_summary(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    """FHIR search.html#summary; of a statement only the whole, and only a search can be counted."""
    is_search = request.interaction is Interaction.SEARCH_TYPE
    served = _PARTS if is_search else _PARTS - {"count"}
    if request.interaction is Interaction.CAPABILITIES:
        served = frozenset({"false"})
    if value not in served:
        raise _refused("`_summary` has a value that is not served here")
    return replace(request, summary="" if value == "false" else value)


def _with_elements(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    """FHIR search.html#elements: elements at top level, of the type that is asked for."""
    found = [_ELEMENT.fullmatch(one) for one in value.split(",")]
    if len(found) > _MOST_ELEMENTS or not all(
        one and one[1] in {None, request.type} for one in found
    ):
        raise _refused("`_elements` takes names of elements at top level")
    return replace(request, elements=tuple(dict.fromkeys(one[2] for one in found if one)))


def _with_total(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    if value not in {"none", "estimate", "accurate"}:
        raise _refused("`_total` is none, estimate or accurate")
    return replace(request, total="" if value == "none" else value)


def _with_sort(request: FhirRequest, value: str, definitions: Definitions) -> FhirRequest:
    keys = tuple(value.split(","))
    names = [key.removeprefix("-") for key in keys]
    known: Mapping[str, SearchParam] = searchable(request.type, definitions.fhir_version)
    if len(names) != len(set(names)) or not all(name in known for name in names):
        raise _refused("`_sort` takes parameters of the type, each once")
    return replace(request, sort=keys)


def _with_since(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    if not INSTANT.fullmatch(value):
        raise _refused("`_since` is an instant")
    return replace(request, since=value)


def _with_cursor(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    if not _CURSOR.fullmatch(value):
        raise _refused("`_page` is no page link of this gateway")
    return replace(request, cursor=value)


def _with_format(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
    if not negotiation.is_json_format(value):
        raise CallerError(Refusal.NOT_ACCEPTABLE, "`_format` asks for something else than JSON")
    return request


def _dropping(*values: str) -> Callable[[FhirRequest, str, Definitions], FhirRequest]:
    """Make a reader that takes only values which change nothing."""

    def read(request: FhirRequest, value: str, _: Definitions) -> FhirRequest:
        if value not in values:
            raise _refused("a result parameter has a value that is not served")
        return request

    return read


_RESULT_READERS: Mapping[str, Callable[[FhirRequest, str, Definitions], FhirRequest]] = {
    "_count": _with_count,
    "_format": _with_format,
    "_page": _with_cursor,
    "_pretty": _dropping("true", "false"),
    "_elements": _with_elements,
    "_since": _with_since,
    "_sort": _with_sort,
    "_summary": _with_summary,
    "_total": _with_total,
}

_PARTS = frozenset({"true", "text", "data", "count", "false"})
_OF_ALL = frozenset({"_format", "_pretty", "_summary"})
_OF_A_READ = _OF_ALL | {"_elements"}
_OF_A_HISTORY = _OF_A_READ | {"_count", "_page", "_since"}
_RESULT_PARAMETERS: Mapping[Interaction, frozenset[str]] = {
    Interaction.CAPABILITIES: _OF_ALL,
    Interaction.SMART_CONFIGURATION: frozenset(),
    Interaction.OPERATION: frozenset({"_format", "_pretty"}),
    Interaction.EXPORT: frozenset(),
    Interaction.EVERYTHING: frozenset({"_count", "_format", "_page", "_pretty", "_since"}),
    Interaction.LASTN: frozenset({"_format", "_pretty"}),
    Interaction.DOCREF: frozenset({"_count", "_format", "_page", "_pretty"}),
    Interaction.DOCUMENT: frozenset({"_format", "_pretty"}),
    Interaction.SUMMARY: frozenset({"_format", "_pretty"}),
    Interaction.READ: _OF_A_READ,
    Interaction.VREAD: _OF_A_READ,
    Interaction.HISTORY_INSTANCE: _OF_A_HISTORY,
    Interaction.HISTORY_TYPE: _OF_A_HISTORY,
    Interaction.HISTORY_SYSTEM: _OF_ALL | {"_count", "_page", "_since"},
    Interaction.SEARCH_TYPE: _OF_A_READ | {"_count", "_page", "_sort", "_total"},
}


def canonical_query(request: FhirRequest) -> list[query.Pair]:
    """Write the parameters of a request as name-value pairs: for self links, and after `for_upstream` for upstream."""
    pairs = [
        (":".join(filter(None, (p.name, p.modifier))), ",".join(p.values))
        for p in request.parameters + request.arguments + request.includes
    ]
    pairs += [(link.key, link.value) for link in request.links]
    single = {
        "_sort": ",".join(request.sort),
        "_count": "" if request.count is None else str(request.count),
        "_since": request.since,
        "_summary": request.summary,
        "_elements": ",".join(request.elements),
        "_total": request.total,
        "_page": request.cursor,
    }
    return pairs + [(name, value) for name, value in single.items() if value]


def for_upstream(request: FhirRequest, tie_breaker: str = "") -> FhirRequest:
    """The same request without what is done here: chains, counts and parts of resources (threats T-2, T-4, T-8, T-9, T-51).

    `tie_breaker`: what a search is sorted by at last, so that nothing sorts alike: how a server orders equals may depend on what
    is hidden (decision 113).
    """
    bare = replace(request, links=(), tie="", summary="", elements=(), total="")
    sorted_by = {key.removeprefix("-") for key in bare.sort}
    if (
        not tie_breaker
        or tie_breaker in sorted_by
        or bare.interaction is not Interaction.SEARCH_TYPE
    ):
        return bare
    return replace(bare, sort=(*bare.sort, tie_breaker))


def relative_url(request: FhirRequest) -> str:
    """Write path and query of a request below a FHIR base, without a leading slash."""
    text = query.encode_query(canonical_query(request))
    return f"{path_of(request)}?{text}" if text else path_of(request)


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)
