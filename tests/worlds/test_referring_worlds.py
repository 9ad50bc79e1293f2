"""A reference to what is hidden, and one to what does not exist, are the same to whoever asks: neither is there."""

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.stage import CANARY, Json, Stage, Upstream, names, serving, staged
from tests.worlds.referring import (
    OF_PATIENTS,
    REFERRING,
    Referring,
    canaried,
    hidden,
    referring,
    target_of,
)
from tests.worlds.twins import Shape, heard, loaded, samples, thing

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERED = list(enumerate(REFERRING))
ROWS = [pytest.param(n, row, id=f"{row.rtype}.{row.path}") for n, row in NUMBERED]
MASKED = "data-absent-reason"


@dataclass(frozen=True, slots=True)
class Worlds:
    """A stage, and its worlds: targets hidden; targets never existed; nobody ever referred to them."""

    stage: Stage
    upstream: Upstream
    hidden: Interactions
    dangling: Interactions
    unwritten: Interactions


def _narrated(resource: Json, number: int) -> Json:
    told = copy.deepcopy(resource)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}t{number}-display</div>'
    told["text"] = {"status": "generated", "div": div}
    told.setdefault("extension", []).append({"url": "urn:y", "valueString": f"{CANARY}t{number}-display"})  # fmt: skip
    return told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    things = samples()
    patient = next(one for one in things if one.reference == "Patient/camille")
    base = [one for one in things if one is not patient]
    targets = [thing(hidden(n, row)) for n, row in NUMBERED]
    plain = [thing(referring(n, row, None)) for n, row in NUMBERED]
    # One patient: the one with links refers, whichever row it is.
    links = [_narrated(referring(n, row, canaried(n, row)), n) for n, row in NUMBERED]
    merged = [thing(one) for one in links]
    upstream = Upstream(loaded([*base, *merged, *targets]))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Worlds(
            stage,
            upstream,
            upstream.world,
            loaded([*base, *merged]),
            loaded([*base, patient, *plain]),
        )


def _who(row: Referring) -> str:
    return "patient" if row.rtype in OF_PATIENTS else "care-team-physician"


def _own(number: int, row: Referring) -> str:
    return f"{row.rtype}/camille" if row.rtype == "Patient" else f"{row.rtype}/r{number}"


@pytest.mark.parametrize(("number", "row"), ROWS)
async def test_hidden_and_dangling_are_the_same_bytes_and_the_same_calls(
    worlds: Worlds, number: int, row: Referring
) -> None:
    own, who = _own(number, row), _who(row)
    heard_of = []
    for world in (worlds.hidden, worlds.dangling):
        worlds.upstream.world = world
        worlds.upstream.calls.clear()
        answers = [await heard(worlds.stage, who, Shape(one)) for one in (own, f"{row.rtype}?_id={own.partition('/')[2]}", f"{own}/_history")]  # fmt: skip
        heard_of.append((answers, [call.target for call in worlds.upstream.calls]))
        assert (await worlds.stage.ask(target_of(number, row), who)).status == 404
    assert heard_of[0] == heard_of[1]
    [read], [searched], _ = heard_of[0][0]
    assert read[0] == 200
    assert own.partition("/")[2].encode() in searched[2]
    told = b"".join(body for answer in heard_of[0][0] for _, _, body in answer).decode()
    assert f"{CANARY}t{number}" not in told
    assert f'{target_of(number, row)}"' not in told
    assert "REDACTED" not in told


@pytest.mark.parametrize(("number", "row"), ROWS)
async def test_nothing_is_left_that_nobody_wrote(
    worlds: Worlds, number: int, row: Referring
) -> None:
    own, who = _own(number, row), _who(row)
    if row.rtype == "Patient":
        return
    worlds.upstream.world = worlds.hidden
    pruned = (await worlds.stage.ask(own, who)).json
    assert pruned["resourceType"] == row.rtype
    worlds.upstream.world = worlds.unwritten
    unwritten = (await worlds.stage.ask(own, who)).json
    if MASKED in str(pruned):
        assert row.path.partition(".")[0] in {"modifierExtension", "diagnosis", "payload"}
        return
    shown = {name for name in pruned if pruned[name] != unwritten.get(name)}
    assert shown <= {row.path.partition(".")[0]}
    assert all(_is_row_of_its_own(row) for _ in shown), shown


def _is_row_of_its_own(row: Referring) -> bool:
    """Whether what the reference stood in says something of its own, and so stays."""
    return row.path.startswith(("section", "activity.0.outcome", "item", "investigation", "code"))


async def test_the_place_where_a_reference_must_be_stays_masked(worlds: Worlds) -> None:
    worlds.upstream.world = worlds.hidden
    [number] = [n for n, row in NUMBERED if row.path == "diagnosis.0.diagnosisReference"]
    claim = (await worlds.stage.ask(f"Claim/r{number}", "care-team-physician")).json
    assert claim["diagnosis"][0]["sequence"] == 1
    assert MASKED in str(claim["diagnosis"][0]["diagnosisReference"])


async def test_the_journal_says_what_was_pruned_and_no_target(worlds: Worlds) -> None:
    worlds.upstream.world = worlds.hidden
    worlds.stage.entries()
    await worlds.stage.ask("Observation/r0", "care-team-physician")
    [entry] = worlds.stage.entries()
    assert names([entry], "redacted") == ["Observation/r0"]
    assert [one.redacted for one in entry.touched] == [("Observation.encounter.reference",)]
    assert "t0" not in str(entry.touched)
