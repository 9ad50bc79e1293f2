"""What leaves refers to it: resources found by their ids, each judged like any other (https://hl7.org/fhir/R4/references.html).

What a composed answer is about brings with it practitioners, organizations, medications: what stands outside of any patient's
compartment. It comes as far as a search by `_id` of the same caller gives it, and nothing comes for what does not leave.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace

from proxy.decision.decide import decide_request
from proxy.enforcement.emergency import is_trusted
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import INCLUDE, matching, source_of, target_of
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame
from proxy.fhir.composed import argument
from proxy.fhir.content import nodes_of, tree_of
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.obligations.disclose import Judged, disclose
from proxy.obligations.pages import Candidate, Fetch, Position, visible

MOST_IDS = 200
"""Ids in one search."""


def lenient(fetch: Fetch) -> Fetch:
    """A server that does not know a type holds nothing of it; any other refusal is its failure, and nothing is left out silently."""

    async def read(at: str) -> tuple[Frame, bytes]:
        try:
            return await fetch(at)
        except CallerError as error:
            if error.refusal is not Refusal.NOT_FOUND:
                raise UpstreamError("upstream refuses a search that is part of the whole") from None
            return Frame("Bundle", "searchset"), b""

    return read


def is_admitted(hearing: Hearing, rtype: str) -> bool:
    """Whether the caller may search a type at all, or read it where the request is judged as a read."""
    granted = bool(hearing.grants) or is_trusted(hearing.case)
    return decide_request(hearing.case, rtype, granted=granted).permits


async def supporting(hearing: Hearing, leaving: Iterable[Judged]) -> tuple[Candidate, ...]:
    """What these refer to outside of any compartment, as far as the caller may see it; nothing for what does not leave."""
    named: dict[str, set[str]] = defaultdict(set)
    for reference in _references(hearing, leaving):
        rtype, _, rid = reference.partition("/")
        named[rtype].add(rid)
    found: list[Candidate] = []
    for rtype, ids in sorted(_outside(hearing, named).items()):
        found += await by_ids(hearing, rtype, sorted(ids))
    return tuple(found)


def _references(hearing: Hearing, leaving: Iterable[Judged]) -> Iterator[str]:
    """Every literal reference in what leaves."""
    key = hearing.house.pseudonym_key
    for one in leaving:
        for node in nodes_of(tree_of(bytes(disclose(one, key).body))):
            text = node.get("reference")
            target = hearing.reader.normal(text) if isinstance(text, str) else None
            if target is not None:
                yield target


def _outside(hearing: Hearing, named: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of these, the types that are in no compartment and that the caller may search."""
    tables = hearing.house.definitions
    known = tables.resource_types - tables.compartment_patient.keys()
    wanted = frozenset(argument(hearing.request, "_type"))
    known = known & wanted if wanted else known
    return {
        rtype: ids for rtype, ids in named.items() if rtype in known and is_admitted(hearing, rtype)
    }


async def by_ids(hearing: Hearing, rtype: str, ids: list[str]) -> list[Candidate]:
    """The resources of these ids that the caller may see, judged one by one, in the order of their ids."""
    found: dict[str, Candidate] = {}
    for at in range(0, len(ids), MOST_IDS):
        some = tuple(ids[at : at + MOST_IDS])
        by_id = SearchParameter("_id", "", some)
        request = FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=(by_id,))
        heard = replace(hearing, request=request)
        source = source_of(heard, "searchset", matching(heard))
        source = replace(source, fetch=lenient(source.fetch))
        first = Position(target_of(heard, request, len(some)))
        kept = {f"{rtype}/{one}" for one in some}
        # To the last page: what is hidden takes room on upstream's pages, however long they are.
        async with aclosing(visible(first, source)) as matches:
            found |= {one.key: one async for one in matches if one.key in kept}
    return [found[key]._replace(mode=INCLUDE) for key in sorted(found)]
