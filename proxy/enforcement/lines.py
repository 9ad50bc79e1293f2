"""The lines of an export's file, judged while they stream: decoded, judged in batches, recorded, then given (BULK-1, T-42).

A line that cannot be judged is withheld like any other, and the operator hears of it: were the file to fail for it, a hidden one
would show.

INVARIANT: a line is given only after the journal entry of its batch is durable; each batch is an entry of its own, so that
no entry grows with the file. The parts in which lines leave are cut by what leaves alone: where a part ends would otherwise
tell how many hidden lines lie between.
"""

import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

from proxy.audit.record import standing_of
from proxy.enforcement.exporting import Asking
from proxy.enforcement.findings import report
from proxy.enforcement.hearing import OK, Hearing
from proxy.enforcement.references import settled
from proxy.enforcement.wished import is_wished
from proxy.errors import OwnError, ProxyError
from proxy.fhir.interaction import Interaction
from proxy.fhir.kickoff import Wish
from proxy.fhir.ndjson import Lines
from proxy.obligations.disclose import Judged

MOST_LINES = 256
"""Lines that are judged at once, and so the resources that one journal entry names."""
MOST_BYTES = 1_048_576
"""Bytes of lines that are gathered at most before they are judged, beside the last of them."""
PART = 65_536
"""Bytes of every part that leaves, but the last."""


class File(NamedTuple):
    """What a file holds: resources of a type that are wished for.

    `told`: the warnings that its reader has been given; `patients`: whose lines alone it holds; `None`: everybody's.
    """

    rtype: str
    told: frozenset[str]
    wish: Wish
    patients: frozenset[str] | None


async def lines_of(
    hearing: Hearing, urls: Sequence[str], file: File, asking: Asking
) -> AsyncGenerator[bytes, None]:
    """What leaves of some files of upstream, in parts.

    `ProxyError` where it cannot be had whole, and that is recorded.
    """
    places, begun = hearing.house.exports.places, False
    places.take()
    try:
        async with aclosing(_batches(hearing, urls, asking)) as batches:
            kept, noticed = b"", set[tuple[str, str]]()
            async for batch in batches:
                kept += await _given(hearing, batch, file, noticed)
                while len(kept) > PART:
                    yield kept[:PART]
                    begun, kept = True, kept[PART:]
            yield kept
    except ProxyError as error:
        if begun:
            await _failed(hearing, error)
        raise
    finally:
        places.give_back()


async def _batches(
    hearing: Hearing, urls: Sequence[str], asking: Asking
) -> AsyncGenerator[list[bytes], None]:
    """The lines of all files, in batches; the last may be empty, so that an empty file is recorded as one."""
    exports, batch, size = hearing.house.exports, list[bytes](), 0
    for url in urls:
        lines = Lines(exports.line_bytes)
        async with aclosing(exports.upstream.pieces(url, asking)) as pieces:
            async for piece in pieces:
                for line in lines.fed(piece):
                    batch.append(line)
                    size += len(line)
                    if len(batch) >= MOST_LINES or size >= MOST_BYTES:
                        yield batch
                        batch, size = [], 0
        batch += lines.last()
    yield batch


async def _given(
    hearing: Hearing, batch: Sequence[bytes], file: File, noticed: set[tuple[str, str]]
) -> bytes:
    """What leaves of a batch, once that is recorded. `noticed`: whom the file has given notice already."""
    now = await renewed(hearing)
    elements = file.wish.elements_of(file.rtype)
    if elements:
        now.request = replace(now.request, type=file.rtype, elements=elements)
    judged = _of_type(now, file.rtype, await now.judge(batch))
    shown = await settled(now, [one for one in judged if _leaves(one)])
    for one in (*judged, *shown):
        if not _leaves(one):
            now.withhold(one)
    wished = [
        one for one in shown if _leaves(one) and is_wished(now, one, file.wish, file.patients)
    ]
    leaving = now.disclose_all(wished)
    if not now.record.warned <= file.told:
        raise OwnError("a line calls for a warning that the file was not begun with")
    now.record.tell_once(noticed)
    await now.house.journal.record(now.record.entry(OK))
    return b"".join(itertools.chain.from_iterable((bytes(body), b"\n") for body in leaving))


def _of_type(hearing: Hearing, rtype: str, judged: Sequence[Judged]) -> list[Judged]:
    """Each line; one that is no resource of the type that the file is of cannot be judged, for nobody asked for it."""
    known = [
        one if one.envelope is None or one.envelope.type == rtype else Judged(one.raw, None, None)
        for one in judged
    ]
    report(
        (new for one, new in zip(judged, known, strict=True) if new is not one), hearing.record.find
    )
    return known


def _leaves(one: Judged) -> bool:
    return one.permitted and one.envelope is not None and bool(one.envelope.id)


async def renewed(hearing: Hearing) -> Hearing:
    """The same request now: the instant, the facts and the caller's case of this moment, and a record of its own."""
    house, case = hearing.house, hearing.case
    record = house.record_of(hearing.raw)
    if record.recorded - hearing.now > house.exports.file_s:
        raise OwnError("a file of an export takes longer than export.file_s")
    record.request, record.principal = hearing.request, case.principal
    closure = await house.facts.closure(case.principal, record.find)
    opened = house.cases.open(
        case.compiled, case.principal, closure, Interaction.EXPORT.value, case.zone, record.recorded
    )
    record.standing = standing_of(opened)
    return replace(hearing, record=record, case=opened, facts={})


async def _failed(hearing: Hearing, error: ProxyError) -> None:
    """Records that a file broke off; where nothing of it has left yet, the request's own entry says so."""
    record = hearing.house.record_of(hearing.raw)
    record.request, record.principal = hearing.request, hearing.case.principal
    record.error = error
    await hearing.house.journal.record(record.entry(503))
