"""Hidden equals absent in bulk: every step of an export, over two worlds that differ in what is hidden from whom it is made for."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from proxy.audit.entry import Entry
from tests.bulk import ASYNC, CONCEALED, POLICY, RECORDS, REGISTRY, SHARES, consent, observation
from tests.stage import BASELINE, Json, Reply, Stage, Upstream, serving, staged
from tests.worlds.twins import POLICY_BEARING, Thing, labelled, loaded, thing, told_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

_MORE = """
  - id: ward-exports
    description: A ward's server exports everything of those who share it, but no number of a telephone.
    effect: permit
    target:
      principal: {kind: [system], client: [ward]}
      interaction: [export, read, search-type]
      consent: [permit]
      resource: {type: [Patient, Observation, Condition, Encounter]}
    redact: {remove: [Patient.telecom, Observation.note]}
  - id: labels-export
    description: A laboratory's server exports Observations.
    effect: permit
    target:
      principal: {kind: [system], client: [laboratory]}
      interaction: [export]
      consent: [permit]
      resource: {type: [Observation, Patient]}
"""


def _client(name: str, **more: Any) -> dict[str, Any]:
    return {**REGISTRY, "sub": name, "client_id": name, **more}


CALLERS: dict[str, dict[str, Any]] = {
    "registry": dict(REGISTRY),
    "ward": _client("ward"),
    "laboratory": _client("laboratory"),
    "constrained": _client("ward", scope="system/Patient.rs system/Observation.rs?status=final"),
    "narrow": _client("laboratory", scope="system/Observation.rs"),
    "nobody's": _client("stranger"),
}


def _parameters(**values: Any) -> str:
    listed = [
        {"name": name, ("valueReference" if name == "patient" else "valueString"): one}
        for name, several in values.items()
        for one in (several if isinstance(several, list) else [several])
    ]
    return orjson.dumps({"resourceType": "Parameters", "parameter": listed}).decode()


def _patients(*ids: str, **more: Any) -> str:
    return _parameters(patient=[{"reference": f"Patient/{one}"} for one in ids], **more)


_KINDS = "_type=Patient,Observation"
STEPS: list[tuple[str, str]] = [
    *((f"{level}?{query}", "") for level in ("$export", "Patient/$export", "Group/g/$export") for query in ("_type=Observation", _KINDS, "_type=Condition,Encounter")),
    ("$export", ""), ("Patient/$export", ""), ("Group/g/$export", ""), ("Group/secret/$export?_type=Observation", ""), ("Group/none/$export?_type=Observation", ""),
    (f"$export?{_KINDS}&_since=2026-01-01T00:00:00Z", ""), (f"$export?{_KINDS}&_since=2026-11-22T08:30:00Z", ""),
    (f"$export?{_KINDS}&_until=2026-11-22T08:30:00Z", ""), (f"$export?{_KINDS}&_until=2026-01-01T00:00:00Z", ""),
    ("$export?_type=Observation&_since=2026-01-01T00:00:00Z", ""), ("$export?_type=Observation&_until=2026-11-22T08:30:00Z", ""),
    (f"$export?{_KINDS}&_elements=id,Patient.gender,Observation.status,telecom", ""),
    *((f"$export?{_KINDS}&_typeFilter={one}", "") for one in (
        "Observation%3Fstatus%3Dfinal", "Observation%3F_id%3Do1,o3,secret", "Observation%3Fsubject%3DPatient/refuse", "Observation%3Fsubject%3DPatient/none",
        "Observation%3Fencounter%3DEncounter/hidden", "Observation%3Fhas-member%3DObservation/o3", "Patient%3Fgender%3Dfemale", "Patient%3Ftelecom%3D1",
        "Observation%3Fcode%3Dx,Patient%3Fgender%3Dfemale", "Observation%3F_security%3DV", "Observation%3Fdate%3Dge2020",
    )),
    ("Patient/$export", _patients(SHARES, _type="Patient,Observation")), ("Patient/$export", _patients("refuse", _type="Patient,Observation")),
    ("Patient/$export", _patients("none", _type="Patient,Observation")), ("Patient/$export", _patients(SHARES, "refuse", "none", _type="Patient,Observation,Condition")),
    ("Patient/$export", _patients("refuse", "none", "nobody", _type="Observation", _elements="id")), ("Group/g/$export", _patients(SHARES)), ("$export", _patients(SHARES)),
    ("$export?_type=Binary", ""), ("$export?_type=Unicorn", ""), ("$export?organizeOutputBy=Patient", ""), ("$export?includeAssociatedData=LatestProvenanceResources", ""),
]  # fmt: skip


def _things() -> list[Thing]:
    """What the registry may see, and much that it may not, as lines between, before and after those that it sees."""
    rows: list[Json] = [one for one in (*RECORDS, *CONCEALED) if one["resourceType"] != "Group"]
    canary = {"note": [{"text": "CANARY-hidden"}]}
    rows += [observation(f"h{n}", "refuse", **canary) for n in range(40)]
    rows += [
        observation(
            f"s{n}", SHARES, encounter={"reference": "Encounter/hidden" if n % 2 else "Encounter/e"}
        )
        for n in range(20)
    ]
    rows += [
        observation(
            f"m{n}",
            SHARES,
            hasMember=[{"reference": f"Observation/{one}"} for one in ("o1", "o3", "none")],
        )
        for n in range(5)
    ]
    rows += [
        observation("secret", SHARES, meta=labelled("V"), **canary),
        observation("told", SHARES, status="amended"),
        {"resourceType": "Encounter", "id": "hidden", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": f"Patient/{SHARES}"}, "meta": labelled("V"), "language": "CANARY-hidden"},
        {"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": f"Patient/{SHARES}"}},
        {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [{"entity": {"reference": f"Patient/{SHARES}"}}]},
        {"resourceType": "Group", "id": "secret", "type": "person", "actual": True, "meta": labelled("V")},
        {"resourceType": "Patient", "id": "third"}, consent("third", "permit"), observation("t1", "third"),
    ]  # fmt: skip
    return [thing(row) for row in rows]


_JOB = re.compile(r"_job=[A-Za-z0-9_-]+")
_WAIT = 2
"""Polls for which each export is under way."""


@dataclass(slots=True)
class World:
    """One world, and every step of an export in it."""

    upstream: Upstream
    stage: Stage
    polls: dict[str, int] = field(default_factory=dict)

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Each job is under way for some polls, and says how far it is."""
        path = request.raw_path
        if "$export-job" not in path:
            return None
        if path.count("/") == 3 and request.method == "GET":
            self.polls[path] = self.polls.get(path, 0) + 1
            if self.polls[path] <= _WAIT:
                return web.Response(status=202, headers={"X-Progress": "CANARY 40 of 70", "Retry-After": "77"})  # fmt: skip
        return None

    async def told(self, who: Any, target: str, body: str) -> list[object]:
        """Status, headers and body of every step; sealed jobs count by their length."""
        headers = {**ASYNC, **({"Content-Type": "application/fhir+json"} if body else {})}
        self.stage.entries()
        self.upstream.calls.clear()
        reply = await self.stage.ask(target, who, "POST" if body else "GET", headers, body.encode() or None)  # fmt: skip
        told = [_heard(reply)]
        if reply.status == 202:
            told += await self._followed(who, reply.headers["content-location"])
        told.append([one.status for one in self._entries()])
        return told

    async def _followed(self, who: Any, status: str) -> list[object]:
        told: list[object] = []
        while (reply := await self.stage.ask(status, who)).status == 202:
            told.append(_heard(reply))
        told.append(_heard(reply))
        files = [one["url"] for one in reply.json["output"]]
        told += [_heard(await self.stage.ask(one, who)) for one in files]
        told.append(_heard(await self.stage.ask(f"{status}&_type=Basic".replace("-status", "-file"), who)))  # fmt: skip
        for method in ("DELETE", "GET", "DELETE"):
            told.append(_heard(await self.stage.ask(status, who, method)))
        return told

    def _entries(self) -> list[Entry]:
        return self.stage.entries()


def _heard(reply: Reply) -> object:
    status, headers, body = told_by(reply)
    masked = {name: _JOB.sub(_length, value) for name, value in headers.items()}
    return status, masked, _JOB.sub(_length, body.decode())


def _length(found: re.Match[str]) -> str:
    return "_job=" + "." * len(found.group())


@dataclass(slots=True)
class Worlds:
    """W1, and W0 of each caller."""

    folder: Path
    things: list[Thing]
    opened: AsyncExitStack
    whole: World
    without: dict[str, World] = field(default_factory=dict)
    hidden: dict[str, set[str]] = field(default_factory=dict)

    async def of(self, name: str) -> World:
        if name not in self.without:
            shown = await _shown(self.whole, CALLERS[name])
            about = {who for one in self.things if one.reference in shown for who in one.patients}
            kept = [one for one in self.things if one.reference in shown or _stays(one, about)]
            self.hidden[name] = {one.reference for one in self.things} - {one.reference for one in kept}  # fmt: skip
            self.without[name] = await _world_of(self.opened, self.folder / name, kept)
        return self.without[name]


def _stays(one: Thing, about: set[str]) -> bool:
    """What decisions read, and the patients of whom something is shown."""
    kind = one.reference.partition("/")[0]
    return one.reference in about or (
        kind in POLICY_BEARING and one.reference not in {"Group/secret", "Consent/refuse-says"}
    )


async def _shown(world: World, who: Any) -> set[str]:
    """What the caller is given by exports of all there is, type by type."""
    found: set[str] = set()
    for kind in ("Patient", "Observation", "Condition", "Encounter", "Group"):
        reply = await world.stage.ask(f"$export?_type={kind}", who, headers=ASYNC)
        if reply.status != 202:
            continue
        status = reply.headers["content-location"]
        while (reply := await world.stage.ask(status, who)).status == 202:
            pass
        [file] = [one["url"] for one in reply.json["output"]]
        lines = (await world.stage.ask(file, who)).body.splitlines()
        found |= {f"{kind}/{orjson.loads(line)['id']}" for line in lines}
    return found


def _prepare(folder: Path) -> None:
    folder.mkdir()
    (folder / "paging.key").write_text("one key for both worlds, long enough")
    policies = folder / "policies"
    shutil.copytree(BASELINE, policies, ignore=shutil.ignore_patterns("tests", "hospital"))
    (policies / "registry.yaml").write_text(POLICY + _MORE)


async def _world_of(opened: AsyncExitStack, folder: Path, things: list[Thing]) -> World:
    _prepare(folder)
    upstream = Upstream(loaded(things))
    upstream.url = await opened.enter_async_context(serving(upstream.respond))
    more = "paging: {key: {file: paging.key}}"
    settled = staged(
        folder, upstream.url, facts_ttl_s=3600, policies=folder / "policies", more=more
    )
    world = World(upstream, await opened.enter_async_context(settled))
    upstream.override = world.respond
    return world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with AsyncExitStack() as opened:
        things = _things()
        yield Worlds(folder, things, opened, await _world_of(opened, folder / "whole", things))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("target", "body"), STEPS)
async def test_what_is_hidden_might_as_well_not_be_exported(
    worlds: Worlds, caller: str, target: str, body: str
) -> None:
    without = await worlds.of(caller)
    one = await worlds.whole.told(CALLERS[caller], target, body)
    other = await without.told(CALLERS[caller], target, body)
    assert one == other
    assert "CANARY" not in str(one)


async def test_something_is_hidden_from_everybody_and_something_shown(worlds: Worlds) -> None:
    for name in CALLERS:
        await worlds.of(name)
        assert {"Observation/h1", "Observation/secret", "Encounter/hidden"} <= worlds.hidden[name]
        assert ("Observation/o1" in worlds.hidden[name]) is (name == "nobody's")


async def test_an_export_is_polled_as_often_as_upstream_says(worlds: Worlds) -> None:
    told = await worlds.whole.told(REGISTRY, "$export?_type=Observation", "")
    assert [one[0] for one in told if isinstance(one, tuple)][: _WAIT + 3] == [202] * (_WAIT + 1) + [200, 200]  # fmt: skip
