"""What an instance is now: what its own history says, and what it says so badly that nothing is learnt."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from proxy.enforcement import newest
from tests.attacks.records import PHYSICIAN, ZED, gateway
from tests.past import SINCE, Step, happen, told
from tests.stage import Json, Stage, Upstream


def condition(own: str, **more: Any) -> Json:
    return {"resourceType": "Condition", "id": own, "subject": {"reference": "Patient/zed"}, **more}


STEPS: list[Step] = [condition("kept"), condition("gone"), "Condition/gone"]
KEPT, GONE = (
    [("PUT", "Condition/kept", "1")],
    [("DELETE", "Condition/gone", "2"), ("PUT", "Condition/gone", "1")],
)
ITS_HISTORY, ITS_SEARCH = "/Condition/gone/_history?_count=2", "/Condition?_id="


def instead(upstream: Upstream, path: str, status: int, body: Json) -> None:
    """What upstream answers below a path from now on."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.removeprefix("/fhir").startswith(path):
            return None
        kind = "application/fhir+json"
        return web.Response(status=status, body=orjson.dumps(body), content_type=kind)

    upstream.override = override


def past(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "history", "entry": list(entries)}


def held(number: str, own: str = "gone", **more: Any) -> Json:
    resource = condition(own, meta={"versionId": number}, **more)
    return {"resource": resource, "request": {"method": "PUT", "url": f"Condition/{own}"}}


def deleted(number: str, own: str = "gone") -> Json:
    request = {"method": "DELETE", "url": f"Condition/{own}"}
    # the instant is that of the sandbox, so that it is the deletion that the page tells of
    return {"request": request, "response": {"etag": f'W/"{number}"', "lastModified": "2026-11-22T08:59:00.000Z"}}  # fmt: skip


OF_NOE: Json = {"subject": {"reference": "Patient/noe"}}
HISTORIES = [
    ("as it is", 200, past(deleted("2"), held("1")), True),
    ("nothing before the deletion", 200, past(deleted("2")), False),
    ("deleted twice", 200, past(deleted("2"), deleted("1")), False),
    ("nothing at all", 200, past(), False),
    ("of another instance", 200, past(deleted("2", "kept"), held("1", "kept")), False),
    ("partly of another instance", 200, past(deleted("2"), held("1", "kept")), False),
    ("a deletion of another instance", 200, past(deleted("2", "kept"), held("1")), False),
    ("the version after the deletion", 200, past(deleted("2"), held("3")), False),
    ("about somebody else", 200, past(deleted("2"), held("1", **OF_NOE)), False),
    ("no history", 200, {"resourceType": "Condition", "id": "gone"}, False),
    ("a searchset", 200, {**past(deleted("2"), held("1")), "type": "searchset"}, False),
    ("unknown", 404, {"resourceType": "OperationOutcome"}, False),
    ("refused", 400, {"resourceType": "OperationOutcome"}, False),
]


@pytest.mark.parametrize(("name", "status", "body", "shows"), HISTORIES)
async def test_whom_a_deletion_is_about_is_learnt_from_its_own_history_or_it_is_withheld(
    tmp_path: Path, name: str, status: int, body: Json, *, shows: bool
) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, STEPS)
        instead(upstream, ITS_HISTORY, status, body)
        assert await conditions(stage) == (GONE + KEPT if shows else KEPT), name


async def conditions(stage: Stage) -> list[tuple[str, str, str]]:
    return told(await stage.ask(f"Condition/_history?{SINCE}&_count=100", PHYSICIAN))


async def test_what_no_search_finds_is_what_its_own_history_says(tmp_path: Path) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, STEPS)
        for status, body in ((400, {}), (404, {}), (200, {**past(), "type": "searchset"})):
            instead(upstream, ITS_SEARCH, status, body)
            assert await conditions(stage) == GONE + KEPT


async def test_what_a_search_finds_beyond_what_was_asked_for_is_nothing(tmp_path: Path) -> None:
    entries = [{"resource": condition(one, meta={"versionId": "1"})} for one in ("kept", "other")]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, [*STEPS, condition("hidden", **OF_NOE)])
        searched = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        instead(upstream, ITS_SEARCH, 200, searched)
        assert await conditions(stage) == GONE + KEPT


async def test_an_outage_is_an_outage(tmp_path: Path) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, STEPS)
        for path in (ITS_SEARCH, ITS_HISTORY):
            instead(upstream, path, 500, {})
            reply = await stage.ask(f"Condition/_history?{SINCE}", PHYSICIAN)
            assert (reply.status, reply.json["issue"][0]["code"]) == (503, "transient")


async def test_look_ups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Step] = [condition(f"gone-{n}") for n in range(12)]
    steps += [f"Condition/gone-{n}" for n in range(12)]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        assert len(await conditions(stage)) == 24
        monkeypatch.setattr(newest, "MOST_LOOKED_BACK", 11)
        assert (await stage.ask(f"Condition/_history?{SINCE}", PHYSICIAN)).status == 503


async def test_many_current_versions_are_asked_for_in_several_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "MOST_IDS", 3)
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, [condition(f"c{n}") for n in range(30)])
        assert len(await conditions(stage)) == 30
        asked = [call.target for call in upstream.calls if ITS_SEARCH in call.target]
        assert len(asked) == 10


async def test_an_instance_whose_history_fails_is_absent_where_nothing_else_is(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, STEPS)
        instead(upstream, ITS_HISTORY, 501, {})
        for target in ("Condition/gone/_history", "Condition/gone/_history/1"):
            assert (await stage.ask(target, PHYSICIAN)).status == 404
