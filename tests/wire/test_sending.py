"""What waits in the journal goes out under its id, with the credentials of its receiver and no others."""

import pytest
from aiohttp import web

from proxy.errors import UpstreamError
from proxy.wire.client import session_of
from proxy.wire.credentials import Bearer, Fixed, Renewed
from proxy.wire.sending import event_sender, webhook_sender
from tests.stage import serving


async def test_an_event_goes_under_its_id_or_as_a_new_one() -> None:
    heard: list[tuple[str, str, str]] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append((request.method, request.raw_path, request.headers.get("x-own", "")))
        return web.Response(status=201)

    async with session_of(1, 2) as session, serving(respond) as url:
        send = event_sender(session, url, Fixed({"x-own": "1"}))
        assert [await send("gw-1", b"{}"), await send("", b"{}")] == [201, 201]
    assert heard == [("PUT", "/fhir/AuditEvent/gw-1", "1"), ("POST", "/fhir/AuditEvent", "1")]
    async with session_of(1, 1) as session:
        with pytest.raises(UpstreamError):
            await event_sender(session, "http://127.0.0.1:1", Fixed())("gw-1", b"{}")


async def test_a_webhook_hears_the_id_and_the_signature_and_none_of_our_credentials() -> None:
    heard: list[tuple[str, bytes, str, str, bool]] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        named, signed = (request.headers[f"x-gateway-{one}"] for one in ("notice", "signature"))
        body = await request.read()
        heard.append((request.method, body, named, signed, "authorization" in request.headers))
        return web.Response(status=302, headers={"location": "http://127.0.0.1:1/"})

    async with session_of(1, 2) as session, serving(respond) as url:
        send = webhook_sender(session, url, lambda body: f"signed {body.decode()}")
        assert await send("gw-1", b"{}") == 302
    assert heard == [("POST", b"{}", "gw-1", "signed {}", False)]
    async with session_of(1, 1) as session:
        with pytest.raises(UpstreamError):
            await webhook_sender(session, "http://127.0.0.1:1", lambda _: "")("gw-1", b"{}")


async def test_refused_credentials_are_renewed_and_the_event_is_sent_once_more() -> None:
    heard: list[str] = []
    tokens = iter(["first", "second"])

    async def obtain() -> Bearer:
        return Bearer(next(tokens))

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers["authorization"])
        return web.Response(status=201 if heard[-1] == "Bearer second" else 401)

    async with session_of(1, 2) as session, serving(respond) as url:
        send = event_sender(session, url, Renewed(obtain, lambda: 1.0))
        assert await send("gw-1", b"{}") == 201
    assert heard == ["Bearer first", "Bearer second"]
