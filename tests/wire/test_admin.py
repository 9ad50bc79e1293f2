from collections.abc import Mapping

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from proxy.wire.admin import AdminListener, Metrics, method_label
from proxy.wire.server import listen


async def answers(troubles: Mapping[str, str], method: str, path: str) -> tuple[int, str]:
    metrics = Metrics()
    metrics.requests.labels("GET", "200").inc()

    async def ready() -> Mapping[str, str]:
        return troubles

    runner, port = await listen(AdminListener(metrics, ready).respond, "127.0.0.1", 0)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, URL(f"http://127.0.0.1:{port}{path}", encoded=True)) as answer,
        ):
            return answer.status, await answer.text()
    finally:
        await runner.cleanup()


CASES = [
    ({}, "GET", "/healthz", 200, "ok"),
    ({"upstream": "down"}, "GET", "/healthz", 200, "ok"),
    ({}, "GET", "/readyz", 200, '{"ready":true,"troubles":{},"degraded":{}}'),
    (
        {"upstream": "down"},
        "GET",
        "/readyz",
        503,
        '{"ready":false,"troubles":{"upstream":"down"},"degraded":{}}',
    ),
    ({}, "GET", "/metrics", 200, 'proxy_requests_total{method="GET",status="200"} 1.0'),
    ({}, "HEAD", "/healthz", 200, ""),
    ({}, "GET", "/", 404, "not found"),
    ({}, "GET", "/fhir/Patient", 404, "not found"),
    ({}, "POST", "/metrics", 404, "not found"),
    ({}, "DELETE", "/healthz", 404, "not found"),
    ({}, "POST", "/explain", 404, "not found"),
    ({}, "GET", "/%68ealthz", 404, "not found"),
    ({}, "GET", "/healthz?x=1", 200, "ok"),
]


@pytest.mark.parametrize(("troubles", "method", "path", "status", "text"), CASES)
async def test_the_admin_listener_tells_of_health_and_nothing_else(
    troubles: dict[str, str], method: str, path: str, status: int, text: str
) -> None:
    told = await answers(troubles, method, path)
    assert told[0] == status
    assert text in told[1]


@pytest.mark.parametrize(("method", "label"), [("GET", "GET"), ("PATCH", "PATCH"), ("CANARY", "other"), ("", "other"), ("get", "other")])  # fmt: skip
def test_what_a_client_invents_is_no_label_of_a_metric(method: str, label: str) -> None:
    assert method_label(method) == label


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/explain", 202), ("GET", "/explain", 404), ("POST", "/healthz", 404)])  # fmt: skip
async def test_the_reviewer_api_has_one_door(method: str, path: str, status: int) -> None:
    async def ready() -> Mapping[str, str]:
        return {}

    async def review(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=202)

    runner, port = await listen(
        AdminListener(Metrics(), ready, {("POST", "/explain"): review}).respond, "127.0.0.1", 0
    )
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{port}{path}") as answer,
        ):
            assert answer.status == status
    finally:
        await runner.cleanup()
