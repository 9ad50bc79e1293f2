"""Levels of export are what upstream states when the gateway starts."""

from pathlib import Path

import pytest
from aiohttp import web

from proxy.app.exporting import JudgedByLabels
from proxy.enforcement.exporting import Asking, Rehearsed
from proxy.errors import UpstreamError
from proxy.wire.rereading import Switch
from tests.bulk import ASYNC, RECORDS, REGISTRY, policies
from tests.stage import Upstream, bundle, serving, staged, world_of


async def test_an_upstream_that_does_not_say_what_it_can_exports_nothing(tmp_path: Path) -> None:
    upstream = Upstream(world_of(bundle(*RECORDS), samples=False))
    silent = True

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        return web.Response(status=503) if silent and "metadata" in request.raw_path else None

    upstream.override = override
    more = 'time_zone: "Europe/Paris"'
    async with serving(upstream.respond) as upstream.url:
        config = upstream.url + '", fhir_version: "4.0.1'
        async with staged(tmp_path, config, policies=policies(tmp_path), more=more) as stage:
            silent = False
            assert (await stage.ask("/$export", REGISTRY, headers=ASYNC)).status == 501
            assert (await stage.ask("Patient/share", "care-team-physician")).status == 404


async def test_only_the_levels_that_are_stated_are_served(tmp_path: Path) -> None:
    upstream = Upstream(world_of(bundle(*RECORDS), samples=False))

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if "metadata" not in request.raw_path:
            return None
        patient = {
            "type": "Patient",
            "interaction": [{"code": "read"}],
            "operation": [{"name": "export", "definition": "x"}],
        }
        rest = {"mode": "server", "resource": [patient]}
        statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [rest]}
        return web.json_response(statement, content_type="application/fhir+json")

    upstream.override = override
    async with (
        serving(upstream.respond) as upstream.url,
        staged(tmp_path, upstream.url, policies=policies(tmp_path)) as stage,
    ):
        told = [
            (await stage.ask(target, REGISTRY, headers=ASYNC)).status
            for target in ("/Patient/$export", "/$export", "/Group/g/$export")
        ]
        assert told == [202, 501, 501]


async def test_where_labels_are_left_out_nothing_is_exported(tmp_path: Path) -> None:
    upstream = Upstream(world_of(bundle(*RECORDS), samples=False))
    more = 'time_zone: "Europe/Paris"'
    async with serving(upstream.respond) as upstream.url:
        config = upstream.url + '", labels: "by-read'
        async with staged(tmp_path, config, policies=policies(tmp_path), more=more) as stage:
            assert (await stage.ask("/$export", REGISTRY, headers=ASYNC)).status == 501


async def test_a_server_that_begins_to_leave_labels_out_exports_nothing_from_then_on() -> None:
    switch = Switch(False)
    bulk = JudgedByLabels(Rehearsed(), switch)
    assert await bulk.kick_off("$export", Asking()) == ""
    assert [one async for one in bulk.pieces("x", Asking())] == []
    switch.on = True
    with pytest.raises(UpstreamError):
        await bulk.kick_off("$export", Asking())
    with pytest.raises(UpstreamError):
        bulk.pieces("x", Asking())
    assert await bulk.manifest("x", Asking()) is None
    await bulk.cancel("x", Asking())
