"""The guards: each place where a refusal or a withholding protects something hidden, how it is taken away, and where that shows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from proxy.enforcement import (
    chained,
    compartments,
    hearing,
    inheritance,
    leaving,
    matching,
    newest,
    references,
    rows,
    several,
    single,
)
from proxy.enforcement import (
    everything as whole_record,
)
from proxy.enforcement.hearing import Hearing
from proxy.errors import Refusal
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.membership import owner_of, ways_into
from proxy.obligations import (
    cuts,
    disclose,
    echoes,
    extensions,
    guard,
    includes,
    operators,
    pages,
    prune,
    redact,
    shadows,
)
from proxy.obligations.cursor import Cursor
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Page, Position, Source
from proxy.obligations.places import Place
from tests.worlds.callers import ALWAYS
from tests.worlds.removals import (
    Patch,
    Removal,
    giving,
    judging,
    listed,
    permitting_within,
    swapped,
)

PHYSICIAN, NURSE, BOUND = "care-team-physician", "care-team-nurse", "bound-nurse"
CALLERS: dict[str, Any] = {
    PHYSICIAN: ALWAYS[PHYSICIAN],
    NURSE: ALWAYS[NURSE],
    BOUND: {"like": NURSE, "scope": "user/Patient.rs user/Observation.rs?performer=Patient/ines"},
}
"""Who asks; the last holds a scope that speaks of what is redacted for nurses."""


class Guard(NamedTuple):
    """One guard: the function that it is, how it is taken away, who asks, and what each tells that the worlds differ then."""

    name: str
    removal: Removal
    caller: str
    targets: tuple[str, ...]


def _kept(*given: Any, **_: Any) -> Any:
    return given[0]


# ---- what is taken away where one function says nothing --------------------------------------------------------------------


def _what_was_narrowed_is_believed(patch: Patch) -> None:
    stands = matching._stands

    def believed(one: Judged, request: Any, mode: str) -> bool:
        return stands(one, request, mode) or bool(request.parameters)

    patch.setattr(matching, "_stands", believed)
    judging(lambda heard: bool(heard.request.parameters))(patch)


async def _as_upstream_pages(start: Position, count: int, source: Source) -> Page:
    """A page has a successor whenever upstream, rather than what is visible, goes on."""
    frame, body = await source.fetch(start.target)
    found, others = await source.sort(frame, body)
    begun = start.place.given
    room = found[begun : begun + count]
    left = len(found) > begun + count
    following = Position(start.target, Place(given=begun + count)) if left else None
    shown = tuple(one for one in room if one.visible)
    return Page(shown, tuple(one for one in others if one.visible), following)


def _hidden_too(found: Sequence[Candidate], _: set[str]) -> list[Candidate]:
    return list(found)


async def _upstreams_total(hearing: Hearing, *_: Any) -> int | None:
    body = orjson.loads(await hearing.ask(f"{hearing.request.type}?_total=accurate"))
    return int(body["total"])


def _marks_of_all_that_was_read(patch: Patch) -> None:
    """A Bundle is as confidential as what was withheld from it."""
    judge, marks = Hearing.judge, leaving.marks
    withheld: list[Judged] = []
    heard_now: list[object] = []

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        found = await judge(self, resources, **rest)
        if heard_now[-1:] != [self.record]:
            heard_now.append(self.record)
            withheld.clear()
        withheld.extend(one for one in found if not one.permitted)
        return found

    def marked(shown: Any) -> frozenset[Coding]:
        return marks(shown) | ({Coding(CONFIDENTIALITY, "V")} if withheld else frozenset())

    patch.setattr(Hearing, "judge", judged)
    patch.setattr(leaving, "marks", marked)


def _tags_of_what_is_stored(patch: Patch) -> None:
    single_ = single._single

    def tagged(hearing: Hearing, judged: Judged) -> Any:
        patch.setattr(single, "view_tag", lambda *_: f'W/"{hash(bytes(judged.raw))}"')
        return single_(hearing, judged)

    patch.setattr(single, "_single", tagged)


def _links_as_long_as_they_come(patch: Patch) -> None:
    """A link holds whichever page of upstream the next match was found on, and shows how long its link is."""

    def seal(cursor: Cursor, key: bytes, nonce: bytes) -> str:
        del key, nonce
        return f"{cursor.place.hint.encode().hex()}{'A' * cursor.place.given}"

    patch.setattr(leaving, "seal", seal)
    patch.setattr(pages, "held", lambda _: 0)
    patch.setattr(several, "LEAST_ASKED", 2)


def _old_versions_have_their_own_labels(patch: Patch) -> None:
    judge, leaves_whole = Hearing.judge, single.leaves_whole

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        return await judge(self, resources, whole=rest.get("whole"))

    def whole(hearing: Hearing, one: Judged) -> bool:
        return one.envelope is None or leaves_whole(hearing, one)

    giving(single.standing, newest.Newest(Judged(b"", None, None)))(patch)
    patch.setattr(single, "leaves_whole", whole)
    patch.setattr(Hearing, "judge", judged)


def _nothing_leads_nowhere(heard: Hearing, given: Sequence[Judged]) -> Any:
    async def told() -> list[Judged]:
        return [one._replace(astray=frozenset()) for one in given]

    return told()


def _with_all_of_meta(tree: Any, meta: Any) -> Any:
    return {**tree, "meta": {**tree.get("meta", {}), **meta}}


def _every_way(heard: Hearing, request: Any) -> Any:
    return list(ways_into(request.type, owner_of(request), heard.house.definitions))


_FIRST = "Observation?_id=run-a0,seen-0,seen-1,seen-2&_count=1"
"""The first of what it finds is hidden."""
_without_echoes = echoes.without_echoes


def _echoes_of_nothing(tree: Any, _: echoes.Echoes) -> Any:
    return _without_echoes(tree, echoes.Echoes(frozenset(), frozenset(), frozenset()))


_ALWAYS_TRUE, _ALWAYS_FALSE = True, False

GUARDS: tuple[Guard, ...] = (
    # what is asked
    Guard("guard.guard", giving(guard.guard, None), NURSE, ("Patient?address-city=Elsewhere", "Observation?subject:Patient.address-city=Elsewhere")),
    Guard("guard.redactable", giving(guard.redactable, frozenset()), NURSE, ("Patient?address-city=Elsewhere", "Observation?performer=Patient/ines")),
    Guard("guard._overlaps", giving(guard._overlaps, _ALWAYS_FALSE), NURSE, ("Patient?address-city=Elsewhere",)),
    Guard("guard._paths_read", giving(guard._paths_read, ("id",)), NURSE, ("Patient?address-city=Elsewhere",)),
    Guard("guard._keys_of", giving(guard._keys_of, ()), NURSE, ("Patient?address-city=Elsewhere", "Observation?_sort=date")),
    Guard("guard._hides_identifier", giving(guard._hides_identifier, _ALWAYS_FALSE), NURSE, ("Observation?subject:identifier=urn:x|strawberry",)),
    Guard("guard.reads_cut", giving(guard.reads_cut, _ALWAYS_FALSE), NURSE, ("Observation?value-string=another", "Observation?patient=camille&_sort=value-string")),
    Guard("guard.fulfillable", swapped(guard.fulfillable, lambda conditions, _: frozenset(conditions)), BOUND, ("Observation/g-performed", "Observation")),
    Guard("guard._reads_hidden", giving(guard._reads_hidden, _ALWAYS_FALSE), BOUND, ("Observation/g-performed",)),
    Guard("compartments.guarded", giving(compartments.guarded, None), NURSE, ("Patient/ines/Observation", "Observation/$lastn?patient=camille&category=laboratory", "DocumentReference/$docref?patient=camille&start=2026-05")),
    Guard("compartments._open_ways", swapped(compartments._open_ways, _every_way), NURSE, ("Patient/ines/Observation",)),
    Guard("everything._require_dates_shown", giving(whole_record._require_dates_shown, None), NURSE, ("Patient/camille/$everything?start=2026-05-01&_type=Observation",)),
    # what is judged
    Guard("hearing.judge", judging(lambda _: True), PHYSICIAN, ("Observation/run-a0", "Observation?patient=noe", "Observation/run-a0/_history", "Observation/_history?_count=9", "Patient/noe/Observation", "Patient/noe/$everything", "Patient/noe/$summary", "Observation/$lastn?patient=noe&category=laboratory", "DocumentReference/$docref?patient=marcel")),
    Guard("narrow.narrow", _what_was_narrowed_is_believed, PHYSICIAN, ("Observation?patient=noe",)),
    Guard("chained._reached", permitting_within(chained, "_reached"), PHYSICIAN, ("Patient?_has:Observation:patient:_id=run-a0", "Encounter?_has:Observation:encounter:_id=run-a0,gap-1-0")),
    Guard("hearing.judge over the current version", _old_versions_have_their_own_labels, PHYSICIAN, ("Observation/relabelled/_history/1",)),
    Guard("inheritance.heirs", swapped(inheritance._heir, _kept), PHYSICIAN, ("Observation/g-derived",)),
    Guard("hearing._UPSTREAM_STATUS", listed(hearing._UPSTREAM_STATUS, 410, Refusal.UNAVAILABLE), PHYSICIAN, ("Observation/g-gone",)),
    Guard("disclose.illegible", giving(disclose.illegible, _ALWAYS_FALSE), NURSE, ("Observation/g-uncuttable",)),
    # what leaves of it
    Guard("disclose.disclose", swapped(disclose.disclose, lambda one, _: disclose.Disclosed(one.raw, ())), NURSE, ("Observation/g-note",)),
    Guard("disclose._redacted", swapped(disclose._redacted, lambda one, _: disclose.Disclosed(one.raw, ())), NURSE, ("Observation/g-note",)),
    Guard("disclose.applying", giving(disclose.applying, frozenset()), NURSE, ("Observation/g-note", "Observation/cut")),
    Guard("redact.redact", swapped(redact.redact, lambda raw, *_: redact.Redacted(raw, ())), NURSE, ("Observation/g-note",)),
    Guard("redact._hide", swapped(redact._hide, _kept), NURSE, ("Observation/g-note",)),
    Guard("redact._operated", swapped(redact._operated, _kept), NURSE, ("Observation/g-note",)),
    Guard("redact._untold", swapped(redact._untold, _kept), NURSE, ("Observation/g-told", "Observation/g-named")),
    Guard("redact._with_meta", swapped(redact._with_meta, _with_all_of_meta), NURSE, ("Observation/g-moved",)),
    Guard("operators._remove", listed(operators.OPERATORS, "remove", _kept), NURSE, ("Observation/g-note",)),
    Guard("operators._mask", listed(operators.OPERATORS, "mask", _kept), NURSE, ("Observation/g-masked",)),
    Guard("operators._generalise", listed(operators.OPERATORS, "generalise", _kept), NURSE, ("Observation/g-general",)),
    Guard("cuts.without_parts", swapped(cuts.without_parts, lambda tree, _: (tree, [])), NURSE, ("Observation/cut",)),
    Guard("shadows.without_narratives", swapped(shadows.without_narratives, _kept), NURSE, ("Observation/g-narrative",)),
    Guard("shadows.without_repeats", swapped(shadows.without_repeats, _kept), NURSE, ("Observation/g-repeat",)),
    Guard("shadows.hidden_of", giving(shadows.hidden_of, shadows.Hidden(frozenset())), NURSE, ("Observation/g-repeat",)),
    Guard("extensions.without_extensions", swapped(extensions.without_extensions, _kept), NURSE, ("Observation/g-beside",)),
    Guard("extensions.modifiers_in", giving(extensions.modifiers_in, ()), NURSE, ("Observation/g-modified",)),
    Guard("shadows.without_orphans", swapped(shadows.without_orphans, lambda tree, _: (tree, [])), NURSE, ("Observation/g-orphan",)),
    Guard("shadows.without_telling", swapped(shadows.without_telling, _kept), NURSE, ("Observation/g-told", "Observation/g-named")),
    Guard("prune.prune", swapped(prune.prune, lambda raw, _: prune.Pruned(raw, ())), PHYSICIAN, ("Observation/g-led",)),
    Guard("echoes.without_echoes", swapped(echoes.without_echoes, _kept), PHYSICIAN, ("Observation/g-echo",)),
    Guard("echoes.Echoes.of", swapped(echoes.without_echoes, _echoes_of_nothing), PHYSICIAN, ("Observation/g-echo",)),
    Guard("echoes._extension", swapped(echoes._extension, _kept), PHYSICIAN, ("Observation/g-echo",)),
    Guard("references.settled", swapped(references.settled, _nothing_leads_nowhere), PHYSICIAN, ("Observation/g-led", "Bundle/g-bundle")),
    Guard("references.found_by_astray", giving(references.found_by_astray, _ALWAYS_FALSE), PHYSICIAN, ("Observation?has-member=Observation/run-a0",)),
    Guard("rows.reads_rows", giving(rows.reads_rows, []), PHYSICIAN, ("Encounter?participant-type=PART",)),
    Guard("references.judged_whole", giving(references.is_delicate, _ALWAYS_FALSE), PHYSICIAN, ("Bundle?_id=g-bundle", "Bundle/g-bundle/_history", "Bundle/_history")),
    # what is told beside it
    Guard("pages.collect", swapped(pages.collect, _as_upstream_pages), PHYSICIAN, (_FIRST,)),
    Guard("pages._new", swapped(pages._new, _hidden_too), PHYSICIAN, ("Observation?patient=camille&_summary=count",)),
    Guard("includes.related", swapped(includes.related, lambda _, included, *rest: list(included)), PHYSICIAN, ("Observation?_include=Observation:subject", "Observation?patient=camille,noe&_include=Observation:performer")),
    Guard("several._total", swapped(several._total, _upstreams_total), PHYSICIAN, ("Observation?patient=camille",)),
    Guard("several._tied", swapped(several._tied, lambda _, page: page), PHYSICIAN, ("Observation?_include=Observation:subject",)),
    Guard("leaving.marks", _marks_of_all_that_was_read, PHYSICIAN, (_FIRST,)),
    Guard("validators.view_tag", _tags_of_what_is_stored, NURSE, ("Patient/camille",)),
    Guard("single.leaves_whole", giving(single.leaves_whole, _ALWAYS_TRUE), NURSE, ("Observation/g-moved/_history", "Observation/g-moved/_history/2")),
    Guard("cursor.seal", _links_as_long_as_they_come, PHYSICIAN, ("Observation?_id=run-a0,seen-0,seen-1,seen-2&_count=1",)),
)  # fmt: skip
