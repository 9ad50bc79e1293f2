"""What the gateway wants of upstream before it starts, and what it makes of upstream's CapabilityStatement."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from proxy.app.upstream import (
    Capability,
    definitions_for,
    relationships_wanted,
    tie_breaker_of,
    wires_of,
)
from proxy.decision.case import compile_policies
from proxy.errors import UnusableError, UpstreamError
from proxy.settings import Settings, load_settings
from tests.situations import BASELINE
from tests.stage import NOW, Upstream, configuration, serving, staged, world_of

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def stating(version: str, status: int = 200) -> Respond:
    async def respond(_: web.BaseRequest) -> web.StreamResponse:
        body = orjson.dumps({"resourceType": "CapabilityStatement", "fhirVersion": version})
        return web.Response(body=body, status=status, content_type="application/fhir+json")

    return respond


def settings_of(folder: Path, url: str, **env: str) -> Settings:
    return load_settings(configuration(folder, url, 0, 0), env)


VERSIONS = [("4.0.1", "4.0.1"), ("4.0.0", "4.0.1"), ("4.3.0", "4.3.0"), ("5.0.0", "5.0.0")]


@pytest.mark.parametrize(("stated", "known"), VERSIONS)
async def test_the_fhir_version_is_the_one_that_upstream_states(
    tmp_path: Path, stated: str, known: str
) -> None:
    async with serving(stating(stated)) as url, AsyncExitStack() as stack:
        settings = settings_of(tmp_path, url)
        wires = await wires_of(settings, {}, stack)
        assert (await definitions_for(settings, wires.data)).fhir_version == known


@pytest.mark.parametrize("stated", ["3.0.2", "", "6.0.0", "4", "4.0.1.1"])
async def test_any_other_version_is_refused(tmp_path: Path, stated: str) -> None:
    async with serving(stating(stated)) as url, AsyncExitStack() as stack:
        settings = settings_of(tmp_path, url)
        wires = await wires_of(settings, {}, stack)
        with pytest.raises(UnusableError, match="is not supported"):
            await definitions_for(settings, wires.data)


async def test_nobody_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
        wires = await wires_of(settings, {}, stack)
        with pytest.raises(UnusableError, match="no CapabilityStatement"):
            await definitions_for(settings, wires.data)


async def test_a_server_that_ignores_a_search_is_refused(tmp_path: Path) -> None:
    upstream = Upstream(world_of())

    async def ignoring(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.startswith("/fhir/Consent?"):
            return None
        consent = {"resourceType": "Consent", "id": "c", "status": "active"}
        body = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": consent}]}
        return web.Response(body=orjson.dumps(body), content_type="application/fhir+json")

    upstream.override = ignoring
    async with serving(upstream.respond) as url:
        with pytest.raises(AssertionError, match="ignores the search parameter"):
            async with staged(tmp_path, url):
                raise RuntimeError("it must not start")


AUTH = [
    ({"TYPE": "none"}, ""),
    ({"TYPE": "bearer", "TOKEN__ENV": "SECRET"}, "Bearer s3cret"),
    ({"TYPE": "basic", "USERNAME": "u", "PASSWORD__ENV": "SECRET"}, "Basic dTpzM2NyZXQ="),
]


@pytest.mark.parametrize(("auth", "sent"), AUTH)
async def test_the_gateway_shows_its_own_credentials_to_upstream_alone(
    tmp_path: Path, auth: dict[str, str], sent: str
) -> None:
    heard: list[str] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers.get("authorization", ""))
        return await stating("4.0.1")(request)

    env = {f"PROXY_UPSTREAM__AUTH__{name}": value for name, value in auth.items()}
    async with serving(respond) as url, serving(respond) as elsewhere, AsyncExitStack() as stack:
        wires = await wires_of(settings_of(tmp_path, url, **env), {"SECRET": " s3cret\n"}, stack)
        await wires.data.get("metadata")
        await wires.event_sender(url)("gw-1", b"{}")
        await wires.event_sender(elsewhere)("gw-1", b"{}")
        await wires.outside.fetch(elsewhere)
    assert heard == [sent, sent, "", ""]


async def test_our_capability_statement_is_made_once_a_minute(tmp_path: Path) -> None:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url, AsyncExitStack() as stack:
        wires = await wires_of(settings_of(tmp_path, url), {}, stack)
        capability = Capability(wires.data, "http://public.example.org", "4.0.1", lambda: NOW, {})
        first = await capability()
        assert first == await capability()
    assert [call.target for call in upstream.calls] == ["/fhir/metadata"]
    assert url.encode() not in first


async def test_a_statement_that_cannot_be_used_is_a_failure_of_upstream(tmp_path: Path) -> None:
    async def nothing(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"[]", content_type="application/fhir+json")

    async with serving(nothing) as url, AsyncExitStack() as stack:
        wires = await wires_of(settings_of(tmp_path, url), {}, stack)
        with pytest.raises(UpstreamError):
            await Capability(wires.data, "http://public.example.org", "4.0.1", lambda: NOW, {})()


def test_only_relationships_that_a_rule_names_are_looked_up() -> None:
    wanted = relationships_wanted(compile_policies(BASELINE))
    assert {"care-team", "general-practitioner", "guardian", "self", "author"} <= wanted
    assert "nonsense" not in wanted


async def tie_breaker(folder: Path, respond: Respond, **env: str) -> str:
    async with serving(respond) as url, AsyncExitStack() as stack:
        settings = settings_of(folder, url, **env)
        return await tie_breaker_of(settings, await wires_of(settings, {}, stack))


async def test_searches_are_sorted_by_id_at_last_where_upstream_takes_it(tmp_path: Path) -> None:
    upstream = Upstream(world_of())
    assert await tie_breaker(tmp_path, upstream.respond) == "_id"
    [asked] = [call.target for call in upstream.calls]
    assert asked.startswith("/fhir/Patient?_id=")
    assert "&_sort=birthdate,_id&" in asked


async def test_a_server_that_does_not_is_not_started_on(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"`upstream\.tie_breaker`.*status 400.*`none`"):
        await tie_breaker(tmp_path, stating("4.0.1", 400))


async def test_unless_the_operator_does_without(tmp_path: Path) -> None:
    off = {"PROXY_UPSTREAM__TIE_BREAKER": "none"}
    assert await tie_breaker(tmp_path, stating("4.0.1", 400), **off) == ""


async def test_the_client_reads_what_it_asked_and_upstream_what_settles_the_order(
    tmp_path: Path,
) -> None:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url, staged(tmp_path, url) as stage:
        upstream.calls.clear()
        reply = await stage.ask("Observation?patient=camille&_sort=-date&_count=2", "patient")
        told = {one["relation"]: one["url"] for one in reply.json["link"]}
        assert told["self"].endswith("/Observation?patient=Patient/camille&_sort=-date&_count=2")
        assert any("&_sort=-date,_id&" in one.target for one in upstream.calls)
