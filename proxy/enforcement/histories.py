"""history-instance, -type and -system: versions, each judged as it was and by what its instance is now (https://hl7.org/fhir/R4/http.html#history).

Laws (decision 0114):
- A version or a deletion shows only while the newest version of its instance leaves whole to the caller; of a deleted instance that is
  the last one before its deletion. A redacted view has no versions (T-61).
- A version is judged by its own labels and patients and by those of the newest together (T-47, T-49).
- A deletion is as visible as the version that it ended; where that cannot be had, the deletion is withheld (T-50).
- Entries are written anew from the id, the version and the instant; an entry that names two instances names none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Raw, structs

from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of, room
from proxy.enforcement.matching import source_of, target_of
from proxy.enforcement.newest import Looking, Newest
from proxy.enforcement.references import judged_whole
from proxy.enforcement.single import leaves_whole, standing
from proxy.fhir.bundle import NO_RESOURCE, Frame
from proxy.fhir.envelope import Envelope
from proxy.fhir.interaction import Answer, Interaction
from proxy.fhir.versions import Told, told_by
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Sort, Sorted

LEAST_ASKED = 100
"""Entries that upstream is asked for at once, however few a page may hold."""
_NOTHING = Judged(b"", None, None)


class Find(Protocol):
    """The newest versions of instances (`Type/id`); missing where nothing can be learnt."""

    async def __call__(self, references: Collection[str]) -> Mapping[str, Newest]:
        """Those of some instances."""
        ...


class _Row(NamedTuple):
    """An entry of upstream's page."""

    told: Told
    raw: Raw

    @property
    def holds(self) -> bool:
        """Whether it is a version."""
        return not self.told.is_deletion and self.raw is not NO_RESOURCE


async def history(hearing: Hearing) -> Answer:
    """Versions of one instance, deleted or not; absent where its newest version is (T-48)."""
    newest = await standing(hearing)
    own = f"{hearing.request.type}/{hearing.request.id}"

    async def find(references: Collection[str]) -> Mapping[str, Newest]:
        return {own: newest} if own in references else {}

    return await _page(hearing, Looking(hearing), find)


async def histories(hearing: Hearing) -> Answer:
    """Versions of all instances of a type, or of all there are."""
    looking = Looking(hearing)
    return await _page(hearing, looking, looking.newest)


async def _page(hearing: Hearing, looking: Looking, find: Find) -> Answer:
    target = target_of(hearing, hearing.request, max(room(hearing), LEAST_ASKED))
    source = source_of(hearing, "history", _sorting(hearing, looking, find))
    page = await page_of(hearing, target, source)
    whole = hearing.start is None and page.following is None
    return await bundle(hearing, "history", page, len(page.matches) if whole else None)


def _sorting(hearing: Hearing, looking: Looking, find: Find) -> Sort:
    """Judges a page of a history."""
    bases = (hearing.house.upstream_url, hearing.house.public_url)

    async def sort(frame: Frame, body: bytes) -> Sorted:
        rows = [_Row(told_by(entry, bases), entry.resource) for entry in frame.entry]
        newest = await find({row.told.reference for row in rows if _is_asked(hearing, row.told)})
        shown = {name: one for name, one in newest.items() if leaves_whole(hearing, one.judged)}
        over = {name: one.judged.envelope for name, one in newest.items() if one.judged.envelope}
        ended = await _ended(hearing, looking, rows, shown, over)
        versions = iter(
            await judged_whole(
                hearing, [row.raw for row in rows if row.holds], whole=body, over=over
            )
        )
        told = [
            _version(hearing, row.told, next(versions), shown) if row.holds else None
            for row in rows
        ]
        found = [
            one or _deletion(row.told, newest, _is_seen(at, rows, told, shown, ended))
            for at, (row, one) in enumerate(zip(rows, told, strict=True))
        ]
        for one in found:
            if not one.visible and (one.judged.raw or one.judged.envelope):
                hearing.withhold(one.judged)
        return found, []

    return sort


def _is_asked(hearing: Hearing, told: Told) -> bool:
    """Whether an entry is of the instance or the type that is asked for."""
    request = hearing.request
    match request.interaction:
        case Interaction.HISTORY_SYSTEM:
            return bool(told.reference)
        case Interaction.HISTORY_TYPE:
            return told.reference.startswith(f"{request.type}/")
        case _:
            return told.reference == f"{request.type}/{request.id}"


def _version(hearing: Hearing, told: Told, one: Judged, shown: Mapping[str, Newest]) -> Candidate:
    """One version: permitted as it was and as its instance is now, and both shown whole."""
    visible = told.reference in shown and leaves_whole(hearing, one)
    return Candidate(one.envelope.versioned if one.envelope else "", one, visible, told.method)


# ---- deletions -------------------------------------------------------------------------------------------------------


def _deletion(told: Told, newest: Mapping[str, Newest], visible: bool) -> Candidate:
    """An entry that holds nothing; whom it is about the newest version of its instance says."""
    judged = newest[told.reference].judged if told.reference in newest else _NOTHING
    if judged.envelope is None:
        return Candidate("", _NOTHING, False, told.method)
    envelope = structs.replace(
        judged.envelope, version=told.version, last_updated=told.modified, matter=None
    )
    key = f"{told.reference} deleted {told.version or told.modified}"
    return Candidate(key, Judged(b"", envelope, judged.decision), visible, told.method)


def _is_seen(
    at: int,
    rows: Sequence[_Row],
    versions: Sequence[Candidate | None],
    shown: Mapping[str, Newest],
    ended: Mapping[str, bool],
) -> bool:
    """Whether what a deletion ended was seen by the caller: the newest version, or an older one that its instance came back after."""
    told = rows[at].told
    newest = shown.get(told.reference)
    if newest is None:
        return False
    if _is_newest(told, newest):
        return True
    before = _before(at, rows)
    if before is None:
        return ended.get(_path_before(told), False)
    version = versions[before]
    return version is not None and version.visible and _follows(told, version.judged.envelope)


def _is_newest(told: Told, newest: Newest) -> bool:
    """Whether it is the deletion by which its instance is gone now."""
    gone, own = newest.deletion, (told.version, told.modified)
    # One of which neither is told might be any deletion of its instance.
    return gone is not None and any(own) and (gone.version, gone.modified) == own


def _before(at: int, rows: Sequence[_Row]) -> int | None:
    """Where on the page the entry stands that came before it: the next one of the same instance, as the newest stand first."""
    own = rows[at].told.reference
    later = range(at + 1, len(rows))
    return next((one for one in later if rows[one].told.reference == own), None)


def _follows(told: Told, envelope: Envelope | None) -> bool:
    """Whether a deletion is the next version after this one; never where versions are not numbered.

    There what it ended could be told by the page alone, and where upstream's pages end depends on what is hidden.
    """
    if envelope is None or not (told.version.isdecimal() and envelope.version.isdecimal()):
        return False
    return int(told.version) == int(envelope.version) + 1


def _path_before(told: Told) -> str:
    """Where the version is read that a deletion ended; empty where versions are not numbered."""
    if not told.version.isdecimal() or int(told.version) < 2:  # noqa: PLR2004  (the first version deletes nothing)
        return ""
    return f"{told.reference}/_history/{int(told.version) - 1}"


async def _ended(
    hearing: Hearing,
    looking: Looking,
    rows: Sequence[_Row],
    shown: Mapping[str, Newest],
    over: Mapping[str, Envelope],
) -> Mapping[str, bool]:
    """Of the versions that deletions ended and that stand on another page: whether they leave whole, by where they are read."""
    wanted: dict[str, str] = {}
    for at, row in enumerate(rows):
        newest = shown.get(row.told.reference)
        if newest is None or not row.told.is_deletion or _is_newest(row.told, newest):
            continue
        path = _path_before(row.told)
        if path and _before(at, rows) is None:
            wanted[path] = row.told.reference
    if not wanted:
        return {}
    bodies = await looking.versions(wanted)
    judged = await judged_whole(hearing, list(bodies.values()), over=over)
    return {
        path: one.envelope is not None
        and one.envelope.versioned == path
        and leaves_whole(hearing, one)
        for path, one in zip(bodies, judged, strict=True)
    }
