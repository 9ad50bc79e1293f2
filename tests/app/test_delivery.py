"""The composition root: what it refuses to start with, and that it stops as it started."""

import asyncio
from pathlib import Path

import aiohttp

from proxy.app import start
from proxy.settings import load_settings
from tests.stage import Upstream, configuration, free_port


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
