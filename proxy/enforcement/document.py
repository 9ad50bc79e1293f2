"""`Composition/x/$document`, composed of reads (https://hl7.org/fhir/R4/composition-operation-document.html; threats T-34; decision 0116).

Laws:
- A document leaves whole, or not at all: as its author wrote it, with every resource that it is made of, each byte for byte.
- It is made of its Composition and of all that this, and what it is made of, refers to on this server; of what may be read by
  the caller, each judged like any read. What leads nowhere for the caller makes the document absent, whatever the reason.
- What is asked of upstream, and what is refused, depends on what the caller may see alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import marks
from proxy.enforcement.references import settled
from proxy.enforcement.single import answer, current, leaves_whole
from proxy.enforcement.supporting import MOST_IDS, by_ids, is_admitted
from proxy.errors import CallerError, OversizedError, Refusal
from proxy.fhir.content import nodes_of, tree_of
from proxy.fhir.document import Part, document_of
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.interaction import Answer, FhirRequest, Interaction
from proxy.fhir.operation import instant
from proxy.fhir.pointers import pointed_at
from proxy.fhir.warning import header_of
from proxy.obligations.disclose import Judged, disclose

MOST_PARTS = 1000
"""Resources of one document."""
MOST_BYTES = 20_000_000
"""Bytes of all of them."""
MOST_SEARCHES = 60
"""Searches by id that one document may take."""
_COMPOSITION = "Composition"
_APART = "relatesTo"
"""What names another document, and is no part of this one."""
_VERSION = "/_history/"


class _Named(NamedTuple):
    """What a reference names: `Type/id`, and the version where it asks for one."""

    target: str
    version: str


async def document(hearing: Hearing) -> Answer:
    """The document of a Composition."""
    composition = await current(hearing)
    found = await _assembled(hearing, composition)
    # References lead to what stands in the same answer first, as in a search.
    beside = FhirRequest(Interaction.SEARCH_TYPE, _COMPOSITION)
    whole = await settled(replace(hearing, request=beside), found)
    if not all(_is_whole(hearing, one) for one in whole):
        raise _absent(hearing, composition, "something in it would be redacted or pruned")
    return _leaving(hearing, whole)


def _leaving(hearing: Hearing, whole: Sequence[Judged]) -> Answer:
    """The Bundle, with the labels of all that is in it."""
    house = hearing.house
    bodies = hearing.disclose_all(whole)
    urls = [f"{house.public_url}/{one.envelope.reference}" for one in whole if one.envelope]
    body = document_of(
        f"urn:uuid:{house.new_id()}",
        instant(hearing.now),
        map(Part, urls, bodies),
        marks([one.decision for one in whole if one.decision]),
    )
    headers = header_of(hearing.record.warned)
    return answer(body, {"x-intermediary": house.public_url, **headers})


def _is_whole(hearing: Hearing, one: Judged) -> bool:
    return one.permitted and not disclose(one, hearing.house.pseudonym_key).altered


def _absent(hearing: Hearing, composition: Judged, why: str) -> CallerError:
    """A document that cannot leave whole is as if there were none (decision 0112)."""
    hearing.withhold(composition)
    return CallerError(Refusal.NOT_FOUND, f"the document would not be whole: {why}")


# ---- what it is made of ------------------------------------------------------------------------------------------------


async def _assembled(hearing: Hearing, composition: Judged) -> list[Judged]:
    """The Composition, and ring by ring what refers to nothing that is missing."""
    held = {f"{_COMPOSITION}/{hearing.request.id}": composition}
    ring, searches, size = [composition], 0, len(bytes(composition.raw))
    while ring:
        if not all(leaves_whole(hearing, one) for one in ring):
            # Before anything is followed: what is redacted must move neither what is asked nor how it is refused.
            raise _absent(hearing, composition, "something in it would be redacted")
        named = _followed(hearing, composition, ring)
        wanted = sorted({one.target for one in named} - held.keys())
        searches += _searches(wanted)
        if len(held) + len(wanted) > MOST_PARTS or searches > MOST_SEARCHES:
            raise CallerError(Refusal.TOO_COSTLY, "the document has more parts than are assembled")
        try:
            found = await _found(hearing, wanted)
        except OversizedError:
            raise _absent(hearing, composition, "something in it is too large") from None
        held |= found
        if not all(_is_held(one, held) for one in named):
            raise _absent(hearing, composition, "a reference in it leads nowhere for the caller")
        ring = list(found.values())
        size += sum(len(bytes(one.raw)) for one in ring)
        if size > MOST_BYTES:
            raise CallerError(Refusal.TOO_COSTLY, "the document is larger than what is assembled")
    return list(held.values())


def _is_held(named: _Named, held: dict[str, Judged]) -> bool:
    """Whether what a reference names is there, in the version that it names: older ones are no part of what is current."""
    one = held.get(named.target)
    envelope = one.envelope if one else None
    return envelope is not None and named.version in ("", envelope.version)


def _searches(wanted: Iterable[str]) -> int:
    return sum(-(-len(ids) // MOST_IDS) for ids in _by_type(wanted).values())


def _by_type(references: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in references:
        rtype, _, rid = one.partition("/")
        found[rtype].append(rid)
    return found


async def _found(hearing: Hearing, wanted: Sequence[str]) -> dict[str, Judged]:
    """Those of them that the caller may read; upstream is not asked for types that the caller may not read at all."""
    found: dict[str, Judged] = {}
    for rtype, ids in sorted(_by_type(wanted).items()):
        known = rtype in hearing.house.definitions.resource_types
        if known and is_admitted(hearing, rtype):
            found |= {one.key: one.judged for one in await by_ids(hearing, rtype, ids)}
    return found


def _followed(hearing: Hearing, composition: Judged, ring: Iterable[Judged]) -> set[_Named]:
    """What these resources refer to on this server; what cannot be told (`UNTOLD`) is found nowhere.

    What the Composition names elsewhere could not be carried.
    """
    named: set[_Named] = set()
    for one in ring:
        for text in _texts(hearing, one, composition):
            target = pointed_at(text, hearing.reader.normal, _bases(hearing))
            if target is not None:
                named.add(_Named(target, text.partition(_VERSION)[2]))
            elif one is composition and not text.startswith("#"):
                raise _absent(hearing, composition, "a reference in it leads to another server")
    return named


def _bases(hearing: Hearing) -> tuple[str, str]:
    return hearing.house.public_url, hearing.house.upstream_url


def _texts(hearing: Hearing, one: Judged, composition: Judged) -> Iterator[str]:
    """Its literal references; what a stored Bundle holds refers to what stands in it."""
    if one.envelope is None or one.envelope.inside:
        return
    try:
        tree = tree_of(bytes(one.raw))
    except UnreadableError:
        raise _absent(hearing, composition, "something in it cannot be read") from None
    if one is composition:
        tree = {name: value for name, value in tree.items() if name != _APART}
    for node in nodes_of(tree):
        text = node.get("reference")
        if isinstance(text, str):
            yield text
