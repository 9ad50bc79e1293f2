"""Attacks on histories of odd servers: version ids that are no numbers, deletions of which little is told."""

import re
import shutil
from pathlib import Path

import pytest
from aiohttp import web

from proxy.enforcement import histories
from proxy.sandbox.http import ask_of, response_of
from tests.attacks.records import OUTSIDE, PHYSICIAN, ZED, gateway, resource
from tests.emergencies import open_glass
from tests.past import SINCE, Step, happen
from tests.stage import BASELINE, Json, Override, Reply, Upstream, serving, staged, world_of
from tests.worlds.twins import labelled

OF_ZED = {"subject": {"reference": "Patient/zed"}}
_VERSION = re.compile(rb'("versionId":"|W/\\")(\d+)')


def condition(own: str, *labels: str) -> Json:
    return resource("Condition", own, **OF_ZED, **({"meta": labelled(*labels)} if labels else {}))


def rewritten(upstream: Upstream, *ways: tuple[re.Pattern[bytes], bytes]) -> Override:
    """Upstream's answers with other words in them."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        given = response_of(upstream.world.answer(await ask_of(request)))
        assert isinstance(given, web.Response)
        assert isinstance(given.body, bytes)
        body = given.body
        for pattern, words in ways:
            body = pattern.sub(words, body)
        return web.Response(body=body, status=given.status, headers={"Content-Type": "application/fhir+json"})  # fmt: skip

    return override


def entries(reply: Reply) -> list[str]:
    """Methods and instances."""
    assert reply.status == 200
    told = [one["request"] for one in reply.json.get("entry", [])]
    return [f"{one['method']} {one['url']}" for one in told]


CAME_BACK: list[Step] = [condition("c"), "Condition/c", condition("c")]


@pytest.mark.parametrize("asked", [1, 2, 3, 100])
async def test_where_versions_are_no_numbers_no_page_end_decides_what_shows(
    tmp_path: Path, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "LEAST_ASKED", asked)
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, [*CAME_BACK, condition("gone"), "Condition/gone"])
        upstream.override = rewritten(upstream, (_VERSION, rb"\1v-\2"))
        shown: list[str] = []
        target: str | None = f"Condition/_history?_count=1&{SINCE}"
        while target:
            reply = await stage.ask(target, PHYSICIAN)
            shown += entries(reply)
            target = reply.next
        # The newest deletion is known by its own history; what an older one ended cannot be told.
        assert shown == ["DELETE Condition/gone", "PUT Condition/gone", "PUT Condition/c", "PUT Condition/c"]  # fmt: skip


async def test_a_deletion_of_which_nothing_is_told_is_not_taken_for_the_newest(
    tmp_path: Path,
) -> None:
    steps: list[Step] = [condition("c", "V"), "Condition/c", condition("c"), "Condition/c"]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        whole = await stage.ask("Condition/c/_history", PHYSICIAN)
        assert entries(whole) == ["DELETE Condition/c", "PUT Condition/c"]
        upstream.override = rewritten(upstream, (re.compile(rb',"response":\{[^}]*\}'), b""))
        for target in ("Condition/c/_history", "Condition/c/_history?_count=1"):
            shown = entries(await stage.ask(target, PHYSICIAN))
            assert shown == ["PUT Condition/c"], target


UNDONE = ["/Condition?", "/Condition/gone-hidden/_history"]
"""What some servers do not do: search a type, tell the history of one instance."""


@pytest.mark.parametrize("status", [405, 501])
@pytest.mark.parametrize("undone", UNDONE)
async def test_what_a_server_does_not_do_never_tells_that_something_is_hidden(
    tmp_path: Path, undone: str, status: int
) -> None:
    shown: list[Step] = [resource("Location", "l")]
    of_noe = {"subject": {"reference": "Patient/noe"}}
    hidden: list[Step] = [
        resource("Condition", "hidden", **of_noe),
        resource("Condition", "gone-hidden", **of_noe),
        "Condition/gone-hidden",
    ]

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        told = request.raw_path.removeprefix("/fhir")
        own = "_count=500" not in told
        return web.Response(status=status) if own and told.startswith(undone) else None

    async with gateway(tmp_path, *ZED) as (stage, upstream):
        upstream.override = override
        replies = []
        for steps in (shown, hidden):
            happen(upstream.world.store, steps)
            replies.append(await stage.ask(f"_history?{SINCE}", PHYSICIAN))
        absent, present = replies
        assert entries(absent) == ["PUT Location/l"]
        assert (present.status, present.body) == (absent.status, absent.body)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_grant_is_used_by_who_learns_that_there_are_no_entries(
    tmp_path: Path, *, deleted: bool
) -> None:
    """200 with nothing, where others hear 404, tells that there is or was something: whoever is under the grant hears of it."""
    steps: list[Step] = [resource("Condition", "c", subject={"reference": "Patient/noe"})]
    steps += ["Condition/c"] if deleted else []
    target = "Condition/c/_history?_since=2100-01-01T00:00:00Z"
    policies = tmp_path / "policies"
    shutil.copytree(BASELINE, policies)
    opened = policies / "break-glass.yaml"
    opened.write_text(opened.read_text().replace("[read, vread, ", "[read, vread, history-instance, "))  # fmt: skip
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url, staged(tmp_path, url, policies=policies) as stage:
        happen(upstream.world.store, steps)
        assert (await stage.ask(target, OUTSIDE)).status == 404
        assert (await open_glass(stage, OUTSIDE)).status == 200
        stage.entries()
        assert entries(await stage.ask(target, OUTSIDE)) == []
        [entry] = stage.entries()
        assert [one.act.value for one in entry.grants] == ["used"]
        assert {one.why for one in entry.notices} == {"break-glass-use"}
