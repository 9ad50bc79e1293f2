"""The composition root: what it refuses to start with, and that it stops as it started."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from proxy.app.gateway import clock_of, reviewers_of, secret_for, start
from proxy.errors import UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.load import load
from proxy.settings import Reviewers, Settings, load_settings
from tests.stage import NOW, ROOT, Upstream, configuration, free_port, serving, staged, world_of


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url:
        upstream.url = url
        yield upstream


def settings_of(folder: Path, url: str, **env: str) -> Settings:
    return load_settings(configuration(folder, url, free_port(), 0), env)


CLOCKS = [("2026-11-22T09:00:00+00:00", NOW), ("2026-11-22T10:00:00+01:00", NOW), ("2026-11-22T09:00:00", NOW)]  # fmt: skip


@pytest.mark.parametrize(("clock", "instant"), CLOCKS)
def test_a_clock_can_be_fixed(tmp_path: Path, clock: str, instant: float) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    assert clock_of(settings.model_copy(update={"clock": clock}))() == instant


def test_a_clock_that_is_no_instant_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir").model_copy(update={"clock": "noon"})
    with pytest.raises(UnusableError, match="is no instant"):
        clock_of(settings)


def test_a_secret_is_long_and_where_none_is_given_it_is_new_each_time(tmp_path: Path) -> None:
    plain = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    assert secret_for(plain, {}) != secret_for(plain, {})
    named = settings_of(tmp_path, "http://127.0.0.1:1/fhir", PROXY_PAGING__KEY__ENV="KEY")
    assert secret_for(named, {"KEY": "k" * 32}) == b"k" * 32
    for short in ("k" * 31, "", "  "):
        with pytest.raises(UnusableError):
            secret_for(named, {"KEY": short})


async def test_a_gateway_that_cannot_start_leaves_nothing_behind(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = settings_of(tmp_path, upstream.url)
    with pytest.raises(UnusableError):
        await start(settings.model_copy(update={"policies": str(tmp_path / "nowhere")}), {})
    busy = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    with pytest.raises(UnusableError):
        await start(busy, {})
    again = await start(settings_of(tmp_path, upstream.url), {})
    await again.close()


async def test_a_gateway_that_is_closed_answers_no_more(tmp_path: Path, upstream: Upstream) -> None:
    async with staged(tmp_path, upstream.url) as stage:
        port, gateway = stage.port, stage.gateway
        assert (await stage.ask("Patient/camille", "patient")).status == 200
    with pytest.raises(OSError, match=r"onnect"):
        await asyncio.open_connection("127.0.0.1", port)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"{gateway.admin_url}/healthz")


async def test_audit_events_reach_the_repository(tmp_path: Path, upstream: Upstream) -> None:
    env = {"PROXY_AUDIT__REPOSITORY__URL": upstream.url}
    port = free_port()
    gateway = await start(load_settings(configuration(tmp_path, upstream.url, port, 0), env), {})
    try:
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{port}/fhir/Patient/camille")
            assert answer.status == 401
        events = upstream.world.store.everything("AuditEvent")
        for _ in range(100):
            await asyncio.sleep(0 if events else 0.05)
            events = upstream.world.store.everything("AuditEvent")
        assert events
        assert all(b"camille" in (event.body or b"") for event in events.values())
    finally:
        await gateway.close()


def test_reviewers_are_named_by_roles_that_the_terms_know() -> None:
    terms = load(ROOT / "policies" / "baseline").terms
    uri = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
    roles = reviewers_of(Reviewers(roles=("v3-RoleClass#REVIEWER",)), terms)
    assert Coding(uri, "REVIEWER") in roles
    assert {role.code for role in roles} == {"REVIEWER"}
    with pytest.raises(UnusableError, match=r"no code system 'nowhere'"):
        reviewers_of(Reviewers(roles=("nowhere#X",)), terms)
