"""Upstream leaves labels out of what it gives in Bundles: it is found out, and what is labelled stays hidden (T-53)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.app import label_watch
from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, resource
from tests.forgetful import forgetful
from tests.stage import (
    Json,
    Reply,
    Stage,
    Upstream,
    bundle,
    configuration,
    serving,
    staged,
    world_of,
)
from tests.worlds.twins import labelled, told_by

VALUE = {"status": "final", "code": {"text": "x"}}
LATER = {"encounter": {"reference": "Encounter/secret"}}
CONTENT = {"status": "current", "content": [{"attachment": {"url": "Binary/b"}}]}
WORLD: tuple[Json, ...] = (
    *ZED,
    about("Observation", "open", **VALUE, **LATER),
    about("Observation", "hidden", **VALUE, meta=labelled("V")),
    about(
        "Encounter", "secret", status="finished", meta=labelled("V"), **{"class": {"code": "AMB"}}
    ),
    about("DocumentReference", "masked", **CONTENT, meta=labelled("V")),
    about("Observation", "made", **VALUE, derivedFrom=[{"reference": "DocumentReference/masked"}]),
    resource("Binary", "b", contentType="text/plain", data="Q0FOQVJZ"),
)
ASKED = (
    "Observation?patient=zed",
    "Observation?patient=zed&_total=accurate",
    "Observation?_id=open,hidden,made",
    "Observation?patient=zed&_include=Observation:encounter",
    "Patient?_id=zed&_revinclude=Observation:patient&_revinclude=Encounter:patient",
    "Observation?patient=zed&_count=1",
    "Observation/open",
    "Observation/open/_history",
    "Observation/hidden",
    "Observation/hidden/_history",
    "Observation/made",
    "Patient/zed/$everything",
    "Patient/zed/Observation",
    "DocumentReference?patient=zed",
    "Binary/b",
    "Observation?encounter=Encounter/secret",
)
SECRET = ("Observation/hidden", "Observation/made", "Encounter/secret", "DocumentReference/masked")


@asynccontextmanager
async def gateway(
    folder: Path, labels: str, monkeypatch: pytest.MonkeyPatch, *, forgets: bool
) -> AsyncIterator[tuple[Stage, Upstream]]:
    def configured(*given: object) -> Path:
        path = configuration(*given)  # type: ignore[arg-type]
        path.write_text(
            path.read_text().replace("timeout_s: 60", f"timeout_s: 60, labels: {labels}")
        )
        return path

    monkeypatch.setattr("tests.stage.configuration", configured)
    upstream = Upstream(world_of(bundle(*WORLD)))
    upstream.override = forgetful(upstream) if forgets else None
    async with serving(upstream.respond) as url, staged(folder, url) as stage:
        yield stage, upstream


async def answers(stage: Stage, who: str) -> list[Reply]:
    return [await stage.ask(target, who) for target in ASKED]


async def test_a_server_that_leaves_labels_out_is_not_started_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match=r"security labels out of what it gives by .*search"):
        async with gateway(tmp_path, "in-searches", monkeypatch, forgets=True):
            pass


@pytest.mark.parametrize("who", [NURSE, PHYSICIAN])
async def test_read_one_by_one_it_answers_like_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    async with gateway(tmp_path, "in-searches", monkeypatch, forgets=False) as (stage, _):
        right = await answers(stage, who)
    async with gateway(tmp_path, "by-read", monkeypatch, forgets=True) as (stage, _):
        read = await answers(stage, who)
    for target, one, other in zip(ASKED, right, read, strict=True):
        assert _told(one) == _told(other), target
    shown = {one for reply in read if "entry" in reply.text for one in reply.ids}
    assert "Observation/open" in shown
    assert shown.isdisjoint(SECRET)
    assert not any("Q0FOQVJZ" in reply.text for reply in read)


def _told(reply: Reply) -> object:
    status, headers, body = told_by(reply)
    return status, {k: v for k, v in headers.items() if k != "etag"}, body


async def test_one_that_begins_to_is_read_one_by_one_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_watch, "EVERY_S", 0.05)
    monkeypatch.setattr(label_watch.start_probing, "__defaults__", (0.05,))
    search = "Observation?patient=zed"
    async with gateway(tmp_path, "in-searches", monkeypatch, forgets=False) as (stage, upstream):
        before = await stage.ask(search, PHYSICIAN)
        assert "labels" not in (await _readiness(stage))["degraded"]
        upstream.override = forgetful(upstream)
        for _ in range(200):
            if "proxy_labels_lost 1.0" in await stage.metrics():
                break
            await asyncio.sleep(0.02)
        after = await stage.ask(search, PHYSICIAN)
        assert after.ids == before.ids == ["Observation/open"]
        assert "by-read" in (await _readiness(stage))["degraded"]["labels"]
        assert "proxy_labels_compared 3.0" in await stage.metrics()


async def _readiness(stage: Stage) -> Json:
    async with stage.session.get(f"{stage.gateway.admin_url}/readyz") as answer:
        found: Json = await answer.json()
        return found
