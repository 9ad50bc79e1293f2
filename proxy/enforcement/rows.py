"""Rows that go with a pruned reference: nothing is found by what stands in them (FHIR search; threats T-7, T-70; decision 115).

`Encounter?participant-type=PART` reads the row of a participant whom the caller does not see; the row is gone from what leaves, and
what finds it would tell what it said. So such a search is answered from what is left: a token is held against it, and what cannot
be held against it here finds nothing.
"""

import functools
from typing import NamedTuple

from proxy.enforcement.hearing import Hearing
from proxy.fhir.codec import Json
from proxy.fhir.conditions import Condition, holding
from proxy.fhir.content import tree_of
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import SearchParameter
from proxy.fhir.narrative import values_at
from proxy.obligations.disclose import Judged
from proxy.obligations.prune import goes_with, prune

_TOKEN = "token"  # noqa: S105 - a kind of search parameter


class Read(NamedTuple):
    """A filter or sort key that reads elements of rows. `asked`: of a filter that can be held against a resource, its values."""

    paths: tuple[str, ...]
    asked: tuple[str, ...] = ()


def reads_rows(hearing: Hearing) -> list[Read]:
    """What a search reads in rows that may go with a pruned reference."""
    request, version = hearing.request, hearing.house.definitions.fhir_version
    keys = (SearchParameter(one.removeprefix("-"), "sort", ()) for one in request.sort)
    return [
        Read(paths, _asked(hearing, one))
        for one in (*request.parameters, *keys)
        if (paths := _paths_in_rows(request.type, one.name, version))
    ]


def joins_rows(hearing: Hearing) -> bool:
    """Whether an include follows references in rows that may go with another reference."""
    version = hearing.house.definitions.fhir_version
    named = (value.split(":") for one in hearing.request.includes for value in one.values)
    return any(len(one) > 1 and _is_beside(one[0], one[1], version) for one in named)


def found_by_row(hearing: Hearing, judged: Judged) -> bool:
    """Whether a search finds a settled resource, or places it, by what goes with a reference that leads nowhere for the caller."""
    reads = reads_rows(hearing) if judged.astray else []
    if not reads:
        return False
    raw = bytes(judged.raw)
    whole, left = tree_of(raw), tree_of(prune(raw, judged.astray or frozenset()).body)
    return any(_is_gone(one, whole, left) for one in reads)


def _is_gone(read: Read, whole: Json, left: Json) -> bool:
    if all(values_at(whole, path) == values_at(left, path) for path in read.paths):
        return False
    paths = tuple(tuple(path.split(".")) for path in read.paths)
    condition = Condition(("", ""), "", _TOKEN, paths, read.asked)
    return not holding(left, [condition], lambda text: text)


def _asked(hearing: Hearing, parameter: SearchParameter) -> tuple[str, ...]:
    """The values of a plain token; none of what only upstream can tell of."""
    known = hearing.house.definitions.search_param(hearing.request.type, parameter.name)
    is_plain = known is not None and known.kind == _TOKEN and not parameter.modifier
    return parameter.values if is_plain and not any("\\" in v for v in parameter.values) else ()


@functools.cache
def _paths_in_rows(rtype: str, name: str, fhir_version: str) -> tuple[str, ...]:
    """The paths of a parameter that lie in rows which may go; of references other rules tell."""
    tables = definitions_of(fhir_version)
    parameter = tables.search_param(rtype, name)
    if parameter is None or parameter.kind == "reference":
        return ()
    paths = (*parameter.paths, *(path.partition("[")[0] for path in parameter.filtered))
    references = tuple(tables.references.get(rtype, ()))
    return paths if any(goes_with(rtype, path, references) for path in paths) else ()


@functools.cache
def _is_beside(rtype: str, name: str, fhir_version: str) -> bool:
    """Whether what a parameter reads stands in a row that goes with a reference which it does not read."""
    tables = definitions_of(fhir_version)
    parameter = tables.search_param(rtype, name)
    if parameter is None:
        return False
    references = tables.references.get(rtype, ())
    others = [one for one in references if one.removesuffix(".reference") not in parameter.paths]
    return any(goes_with(rtype, path, others) for path in parameter.paths)
