"""Grants that ran out get an end in the journal, once, whoever is looking."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.app import expiring
from proxy.audit.entry import Entry, GrantAct
from tests.emergencies import open_glass, set_clock, values
from tests.stage import NOW, Stage, Upstream, serving, staged, world_of

DOCTOR = "outside-clinician"
PATIENCE_S = 5.0


async def ended(stage: Stage) -> list[Entry]:
    """The entries that note an end, once there is one."""
    found: list[Entry] = []
    async with asyncio.timeout(PATIENCE_S):
        while not found:
            await asyncio.sleep(0.02)
            found = [
                one
                for one in stage.gateway.journal.file.entries()
                if any(note.act is GrantAct.EXPIRED for note in one.grants)
            ]
    return found


async def test_a_grant_that_ran_out_is_noted_once_and_never_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch)
    monkeypatch.setattr(expiring.start_expiry, "__defaults__", (0.02,))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(Upstream(world_of()).respond))
        stage = await stack.enter_async_context(staged(tmp_path, url))
        grant = values(await open_glass(stage, DOCTOR))["grant"]
        clock.now = NOW + 4 * 3600 - 1
        await asyncio.sleep(0.2)
        acts = [note.act for one in stage.entries() for note in one.grants]
        assert acts == [GrantAct.STARTED]
        clock.now = NOW + 4 * 3600
        [entry] = await ended(stage)
        await asyncio.sleep(0.2)
        assert await ended(stage) == [entry]
    [note] = entry.grants
    assert (note.id, note.patient) == (grant, "Patient/noe")
    assert (entry.interaction, entry.actor.kind, entry.outcome) == (
        "operation",
        "system",
        "permitted",
    )


async def test_what_ran_out_while_nothing_ran_is_noted_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch)
    async with serving(Upstream(world_of()).respond) as url:
        async with staged(tmp_path, url) as stage:
            await open_glass(stage, DOCTOR)
        clock.now = NOW + 86_400
        async with staged(tmp_path, url) as stage:
            assert len(await ended(stage)) == 1
