"""The composition root: what it refuses to start with, and that it stops as it started."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from proxy.app import start
from proxy.errors import UnusableError
from tests.app.settled import settings_of
from tests.stage import Upstream, staged


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
