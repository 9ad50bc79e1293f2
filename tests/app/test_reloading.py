"""Hot reload, end to end: a change comes into force whole or not at all, and no request is judged by two sets."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from proxy.app import reloading
from proxy.app.proving import proven
from proxy.app.reloading import Result
from proxy.audit.policy_change import POLICIES
from proxy.errors import OwnError
from proxy.fhir.interaction import RawRequest
from proxy.policy.load import load
from tests.policy import packs
from tests.stage import BASELINE, Stage, Upstream, serving, staged, world_of

PHYSICIAN = "care-team-physician"
PAGE = "Observation?patient=camille&_count=2"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream
    folder: Path

    @property
    def digest(self) -> str:
        return self.stage.gateway.watch._answering.compiled.policies.digest

    async def looked(self) -> Result | None:
        """Two looks: what changed is believed at the second."""
        first = await self.stage.gateway.watch.look()
        assert first is None
        return await self.stage.gateway.watch.look()

    async def readiness(self) -> tuple[int, dict[str, object]]:
        url = f"{self.stage.gateway.admin_url}/readyz"
        async with self.stage.session.get(url) as answer:
            return answer.status, await answer.json()

    def changes(self) -> list[tuple[str, str, str]]:
        found = [one for one in self.stage.entries() if one.interaction == POLICIES]
        return [(one.outcome, one.detail, one.policy_digest) for one in found]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


SMALL_TERMS = (BASELINE / "terms.yaml").read_text()
SMALL = """\
policy: small
version: "1"
source: house rule
unlabelled: N
default_purpose: {practitioner: TREAT, patient: PATRQT}
rules:
  - id: team
    effect: permit
    target: {principal: {role: [physician], relationship: [care-team]}, consent: [permit]}
"""
SMALL_LABELS = (BASELINE / "labels.yaml").read_text()
SMALL_CASES = """\
description: the team reads
principals:
  doctor: {kind: practitioner, role: [physician], relationship: [care-team]}
  gp: {kind: practitioner, role: [physician], relationship: [general-practitioner]}
resources: {observation: {type: Observation}, patient: {type: Patient}}
interactions: [read, search-type]
consents: [permit, none]
expect:
  - {principal: [doctor], resource: [observation, patient], consent: [permit]}
"""
DENY = """\
  - id: closed
    effect: deny
    absolute: true
    target: {resource: {type: [Observation]}}
"""
GP = """\
  - id: gp
    effect: permit
    target: {principal: {role: [physician], relationship: [general-practitioner]}, consent: [permit]}
"""


def write_small(folder: Path, policy: str = SMALL, cases: str = SMALL_CASES) -> Path:
    return packs.write(folder, policy=policy, terms=SMALL_TERMS, labels=SMALL_LABELS, cases=cases)


def with_deny(folder: Path) -> None:
    write_small(
        folder, SMALL + DENY, SMALL_CASES.replace("[observation, patient], c", "[patient], c")
    )


def with_gp(folder: Path) -> None:
    write_small(folder, SMALL + GP, SMALL_CASES.replace("[doctor], r", "[doctor, gp], r"))


@asynccontextmanager
async def small(tmp_path: Path, pause_s: int = 0, ttl_s: int = 300) -> AsyncIterator[Scene]:
    """A gateway with two rules; facts are kept long, so that only the reload can refresh them."""
    folder = write_small(tmp_path / "policies")
    upstream = Upstream(world_of())
    more = f"policies_reload_s: {pause_s}"
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, facts_ttl_s=ttl_s, policies=folder, more=more) as stage,
    ):
        yield Scene(stage, upstream, folder)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came to that")


def holds(scene: Scene, digest: str) -> bool:
    return scene.digest == digest


async def seen(scene: Scene, who: str = PHYSICIAN) -> int:
    return len((await scene.stage.ask(PAGE, who)).ids)


async def test_a_deny_that_is_added_acts_on_the_next_request(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        before = scene.digest
        assert await seen(scene) == 2
        with_deny(scene.folder)
        assert await scene.looked() is Result.LOADED
        assert await seen(scene) == 0
        assert scene.digest == load(scene.folder).digest != before


async def test_a_permit_that_is_removed_closes_page_links_made_before(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        link = (await scene.stage.ask(PAGE, PHYSICIAN)).next
        assert link
        assert (await scene.stage.ask(link, PHYSICIAN)).status == 200
        with_deny(scene.folder)
        assert await scene.looked() is Result.LOADED
        scene.upstream.calls.clear()
        assert (await scene.stage.ask(link, PHYSICIAN)).status == 404
        assert not scene.upstream.calls


async def test_what_a_new_rule_asks_for_is_looked_up_although_facts_are_kept(
    tmp_path: Path,
) -> None:
    """The facts that were kept know nothing of general practitioners; they must not be believed."""
    async with small(tmp_path) as scene:
        assert await seen(scene, "general-practitioner") == 0
        with_gp(scene.folder)
        assert await scene.looked() is Result.LOADED
        assert await seen(scene, "general-practitioner") == 2


async def test_a_kind_of_search_that_was_not_proven_is_proven_first(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        scene.upstream.calls.clear()
        with_deny(scene.folder)
        assert await scene.looked() is Result.LOADED
        assert not scene.upstream.calls, "only files are read"
        with_gp(scene.folder)
        assert await scene.looked() is Result.LOADED
        asked = [call.target for call in scene.upstream.calls]
        assert any("Patient?_id=" in target for target in asked)


async def test_while_upstream_fails_such_a_change_waits(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        before = scene.digest

        async def down(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=503)

        scene.upstream.override = down
        with_gp(scene.folder)
        assert await scene.looked() is Result.POSTPONED
        assert scene.digest == before
        scene.upstream.override = None
        assert await scene.stage.gateway.watch.look() is Result.LOADED
        assert (await scene.readiness())[1]["degraded"] == {}


BROKEN: dict[str, Callable[[Path], object]] = {
    "a slip of the pen": lambda folder: edit(folder / "policy.yaml", "effect: permit", "effect: pemrit"),
    "no YAML": lambda folder: (folder / "policy.yaml").write_text("{"),
    "no UTF-8": lambda folder: (folder / "policy.yaml").write_bytes(b"\xff\xfe"),
    "an empty file": lambda folder: (folder / "policy.yaml").write_text(""),
    "a name nobody knows": lambda folder: edit(folder / "policy.yaml", "[physician]", "[wizard]"),
    "a test that fails": lambda folder: edit(folder / "policy.yaml", "[care-team]", "[care-team, general-practitioner]"),
    "a broken test": lambda folder: (folder / "tests/cases.yaml").write_text("description: 1\n"),
    "no tests": lambda folder: (folder / "tests/cases.yaml").unlink(),
    "no labels": lambda folder: (folder / "labels.yaml").unlink(),
    "no policy": lambda folder: (folder / "policy.yaml").unlink(),
    "no directory": shutil.rmtree,
    "a matrix that is none": lambda folder: edit(folder / "policy.yaml", "rules:", "matrix: m.csv\nrules:"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_set_never_replaces_a_good_one(tmp_path: Path, name: str) -> None:
    async with small(tmp_path) as scene:
        before = scene.digest
        answer = await scene.stage.ask(PAGE, PHYSICIAN)
        BROKEN[name](scene.folder)
        scene.stage.entries()
        assert await scene.looked() is Result.REFUSED
        assert (await scene.stage.ask(PAGE, PHYSICIAN)).ids == answer.ids != []
        entries = scene.stage.entries()
        assert [one.policy_digest for one in entries] == [before, before]
        assert entries[0].outcome == "denied"
        assert entries[0].detail.startswith("policies refused: ")
        status, told = await scene.readiness()
        assert (status, told["ready"]) == (200, True)
        assert "a change is refused, the last good set is in force" in str(told["degraded"])
        figures = await scene.stage.metrics()
        assert 'proxy_policy_reloads_total{result="refused"} 1.0' in figures
        assert "proxy_policies_refused 1.0" in figures


async def test_what_is_refused_is_said_once_and_repaired_by_the_next_change(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        (scene.folder / "policy.yaml").write_text("{")
        assert await scene.looked() is Result.REFUSED
        assert [await scene.stage.gateway.watch.look() for _ in range(3)] == [None] * 3
        write_small(scene.folder)
        assert await scene.looked() is Result.UNCHANGED
        assert (await scene.readiness())[1]["degraded"] == {}
        assert "proxy_policies_refused 0.0" in await scene.stage.metrics()
        assert [outcome for outcome, *_ in scene.changes()] == ["denied"]


async def test_the_journal_says_which_policies_are_in_force_from_when_on(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        before = scene.digest
        with_deny(scene.folder)
        await scene.looked()
        after = scene.digest
        assert scene.changes() == [
            ("permitted", f"policies changed: {before} until now, {after} from now on", after)
        ]


async def test_what_cannot_be_recorded_does_not_come_into_force(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        before, answering = scene.digest, scene.stage.gateway.watch._answering

        class Broken:
            async def record(self, entry: object) -> None:
                raise OwnError("the journal is full")

        house = answering.house
        object.__setattr__(house, "journal", Broken())
        with_deny(scene.folder)
        assert await scene.looked() is Result.POSTPONED
        assert scene.digest == before
        object.__setattr__(house, "journal", scene.stage.gateway.journal)
        assert await scene.stage.gateway.watch.look() is Result.LOADED


async def test_what_outlasts_a_change_names_the_policies_then_in_force(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        lasting = scene.stage.gateway.watch._answering.lasting
        raw = RawRequest("", "", {}, b"", "r")
        assert lasting.record_of(raw).policy_digest == scene.digest
        with_deny(scene.folder)
        await scene.looked()
        assert lasting.record_of(raw).policy_digest == scene.digest == load(scene.folder).digest


async def test_comments_change_nothing_but_where_rules_stand(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        link = (await scene.stage.ask(PAGE, PHYSICIAN)).next or ""
        (scene.folder / "policy.yaml").write_text("# a remark\n" + SMALL)
        assert await scene.looked() is Result.UNCHANGED
        assert scene.changes() == []
        assert (await scene.stage.ask(link, PHYSICIAN)).status == 200
        assert scene.stage.gateway.watch._answering.compiled.policies.places["team"][1] == 8


async def test_half_a_file_is_never_believed(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        watch, policy = scene.stage.gateway.watch, scene.folder / "policy.yaml"
        for size in (10, 60, len(SMALL) - 30):
            policy.write_text(SMALL[:size])
            assert await watch.look() is None
        policy.write_text(SMALL)
        assert [await watch.look() for _ in range(3)] == [None] * 3
        assert scene.changes() == []


async def test_a_file_that_changes_while_it_is_loaded_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small(tmp_path) as scene:
        before, real = scene.digest, proven

        def written_meanwhile(directory: Path) -> object:
            found = real(directory)
            write_small(scene.folder)
            return found

        with_deny(scene.folder)
        monkeypatch.setattr(reloading, "proven", written_meanwhile)
        assert await scene.looked() is None
        assert scene.digest == before
        monkeypatch.setattr(reloading, "proven", real)
        assert await scene.looked() is None
        assert scene.digest == before, "what stands there is what was in force"


async def test_requests_under_way_end_under_the_set_they_began_with(tmp_path: Path) -> None:
    async with small(tmp_path) as scene:
        before, arrived, go = scene.digest, asyncio.Event(), asyncio.Event()

        async def slow(request: web.BaseRequest) -> web.StreamResponse | None:
            if "/Observation" in request.raw_path:
                arrived.set()
                await go.wait()
            return None

        scene.upstream.override = slow
        asked = asyncio.ensure_future(scene.stage.ask(PAGE, PHYSICIAN))
        await asyncio.wait_for(arrived.wait(), 5)
        with_deny(scene.folder)
        assert await scene.looked() is Result.LOADED
        go.set()
        answer = await asked
        assert len(answer.ids) == 2
        scene.upstream.override = None
        link = answer.next or ""
        assert (await scene.stage.ask(link, PHYSICIAN)).status == 404
        entries = [one for one in scene.stage.entries() if one.interaction == "search-type"]
        assert [one.policy_digest for one in entries] == [before, scene.digest]


async def test_under_load_no_request_fails_and_none_is_judged_by_two_sets(tmp_path: Path) -> None:
    """The directory is watched; each answer is that of the digest which its entry names."""
    async with small(tmp_path, pause_s=1) as scene:
        done, statuses = asyncio.Event(), set[int]()

        async def ask() -> None:
            while not done.is_set():
                statuses.add((await scene.stage.ask(PAGE, PHYSICIAN)).status)

        asking = [asyncio.ensure_future(ask()) for _ in range(4)]
        sets = {scene.digest: 2}
        for write, count in ((with_deny, 0), (write_small, 2)):
            write(scene.folder)
            wanted = load(scene.folder).digest
            sets[wanted] = count
            await until(partial(holds, scene, wanted))
            await asyncio.sleep(0.2)
        done.set()
        await asyncio.gather(*asking)
        entries = [one for one in scene.stage.entries() if one.interaction == "search-type"]
    assert statuses == {200}
    disclosed = {
        (one.policy_digest, sum(len(group.references) for group in one.touched if group.outcome in {"disclosed", "redacted"}))
        for one in entries
    }  # fmt: skip
    assert disclosed == set(sets.items())


async def test_a_watch_that_ended_unforeseen_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> str:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(reloading, "fingerprint", broken)
    async with small(tmp_path, pause_s=1) as scene:
        await until(lambda: bool(scene.stage.gateway.watch.degraded()))
        assert "no longer watched" in json.dumps((await scene.readiness())[1])
        assert await seen(scene) == 2
