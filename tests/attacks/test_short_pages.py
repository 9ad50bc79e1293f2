"""Attacks by way of servers whose pages are shorter than was asked for: what is hidden must take nobody's place."""

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from proxy.sandbox.http import ask_of, response_of
from tests.attacks.records import PHYSICIAN, ZED, about, gateway, resource
from tests.past import happen
from tests.stage import PUBLIC, Json, Override, Reply, Upstream
from tests.worlds.twins import labelled

SHOWN = [f"b{n}" for n in range(5)]
HIDDEN = ["a0", "a1", "c0", "d0"]


def of_all() -> list[Json]:
    """What is said by people of whom some are hidden."""
    return [
        about("Immunization", f"by-{one}", patient={"reference": "Patient/zed"}, status="completed", vaccineCode={"text": "x"}, performer=[{"actor": {"reference": f"Practitioner/{one}"}}])
        for one in (*SHOWN, *HIDDEN)
    ]  # fmt: skip


def at_most(upstream: Upstream, most: int) -> Override:
    """Upstream with pages of so many entries, whatever is asked for."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        ask = await ask_of(request)
        query = tuple((name, str(most) if name == "_count" else value) for name, value in ask.query)
        return response_of(upstream.world.answer(replace(ask, query=query)))

    return override


def brought(reply: Reply) -> set[str]:
    """The people who are shown."""
    urls = [one["fullUrl"].removeprefix(f"{PUBLIC}/") for one in reply.json["entry"]]
    return {one for one in urls if one.startswith("Practitioner/b")}


@pytest.mark.parametrize("target", ["Patient/zed/$everything", "Patient/zed/$summary"])
async def test_what_comes_with_what_leaves_is_not_crowded_out(tmp_path: Path, target: str) -> None:
    everybody = [resource("Practitioner", one) for one in SHOWN]
    hidden = [resource("Practitioner", one, meta=labelled("V")) for one in HIDDEN]
    async with gateway(tmp_path, *ZED, *of_all(), *everybody) as (stage, upstream):
        upstream.override = at_most(upstream, 2)
        without = await stage.ask(target, PHYSICIAN)
        happen(upstream.world.store, hidden)
        reply = await stage.ask(target, PHYSICIAN)
        assert brought(reply) == brought(without) == {f"Practitioner/{one}" for one in SHOWN}
