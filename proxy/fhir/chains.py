"""Chained parameters and `_has`: read as searches inside a search (https://hl7.org/fhir/R4/search.html#chaining, #has).

Laws: a chain is read link by link against the same allow-lists as a plain parameter; what cannot be read whole is refused, by
its shape alone. Only Reference elements are followed, so that where a chain leads can be told from a resource itself.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import Definitions, SearchParam
from proxy.fhir.interaction import FhirRequest, Interaction, Link
from proxy.fhir.parameters import filter_of, searchable, targets_of

MAX_DEPTH = 3
"""Links that one parameter may have."""
MAX_SEARCHES = 12
"""Searches inside one request."""
MOST_TYPES = 8
"""Types that one link may lead to where it names none."""

_HAS = "_has:"
_REVERSE = re.compile("_has:([A-Z][A-Za-z]{0,63}):([a-z][A-Za-z0-9-]*):(.+)")


class Reading(NamedTuple):
    """What chains are read against."""

    definitions: Definitions
    public_url: str


def is_chain(key: str) -> bool:
    """Whether a parameter is asked of other resources than those that are searched."""
    return "." in key or key.startswith(_HAS)


def link_of(key: str, value: str, rtype: str, reading: Reading, depth: int = 1) -> Link:
    """Read one chained filter of a search on a type. Raises CallerError: PARAMETER, MALFORMED."""
    if depth > MAX_DEPTH:
        raise _refused("a chain has too many links")
    read = _backwards if key.startswith(_HAS) else _forwards
    return read(key, value, rtype, reading, depth)


def _forwards(key: str, value: str, rtype: str, reading: Reading, depth: int) -> Link:
    """`name[:Type].rest`."""
    head, _, rest = key.partition(".")
    name, colon, target = head.partition(":")
    reached = _reached(rtype, name, reading.definitions)
    types = sorted(reached & {target} if colon else reached)
    if not 0 < len(types) <= MOST_TYPES:
        raise _refused("a chain must name the type that it leads to, one that it can lead to")
    return Link(key, value, name, tuple(_searches(types, rest, value, reading, depth)))


def _backwards(key: str, value: str, rtype: str, reading: Reading, depth: int) -> Link:
    """`_has:Type:name:rest`."""
    found = _REVERSE.fullmatch(key)
    if not found:
        raise _refused("a reverse chain has the form `_has:Type:param:param`")
    source, name, rest = found.groups()
    if rtype not in _reached(source, name, reading.definitions):
        raise _refused("a reverse chain does not lead to the type that is searched")
    inner = _search(source, rest, value, reading, depth)
    return Link(key, value, name, (replace(inner, tie=name),), reverse=True)


def _searches(
    types: list[str], rest: str, value: str, reading: Reading, depth: int
) -> Iterator[FhirRequest]:
    """The search of each type that has such a parameter; the refusal of the last where none has."""
    refused: CallerError | None = None
    read = False
    for rtype in types:
        try:
            yield _search(rtype, rest, value, reading, depth)
            read = True
        except CallerError as error:
            refused = error
    if refused is not None and not read:
        raise refused


def _search(rtype: str, rest: str, value: str, reading: Reading, depth: int) -> FhirRequest:
    """What a link leads to, as a search of its type."""
    search = FhirRequest(Interaction.SEARCH_TYPE, rtype)
    if is_chain(rest):
        return replace(search, links=(link_of(rest, value, rtype, reading, depth + 1),))
    plain = filter_of(rest, value, rtype, reading.definitions, reading.public_url)
    return replace(search, parameters=(plain,))


def _reached(rtype: str, name: str, definitions: Definitions) -> frozenset[str]:
    """The types that a parameter leads to; none where it is not one that can be followed."""
    param = joining(rtype, name, definitions)
    return frozenset() if param is None else targets_of(rtype, param, definitions)


def joining(rtype: str, name: str, definitions: Definitions) -> SearchParam | None:
    """A parameter that reads nothing but Reference elements, all of which are known."""
    param = searchable(rtype, definitions.fhir_version).get(name)
    if param is None or param.kind != "reference" or param.filtered:
        return None
    elements = definitions.references.get(rtype, {})
    return param if all(path in elements for path in param.paths) else None


def searches_of(request: FhirRequest) -> Iterator[FhirRequest]:
    """A request and all the searches inside it."""
    yield request
    for link in request.links:
        for inner in link.inner:
            yield from searches_of(inner)


def _refused(detail: str) -> CallerError:
    return CallerError(Refusal.PARAMETER, detail)
