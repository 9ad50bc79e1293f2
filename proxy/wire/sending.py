"""Sends what waits in the journal: resources to a FHIR server, notices to a webhook (port `Send` of delivery)."""

from collections.abc import Callable, Mapping

import aiohttp
from yarl import URL

from proxy.audit.deliver import Send
from proxy.errors import UpstreamError
from proxy.wire.credentials import Credentials, is_refusal


def event_sender(session: aiohttp.ClientSession, repository: str, credentials: Credentials) -> Send:
    """Port of delivery: PUT of an AuditEvent under its id, POST where the id is empty; gives the status."""
    return resource_sender(session, repository, credentials, "AuditEvent")


_WRITTEN = {
    "content-type": "application/fhir+json",
    "accept": "application/fhir+json",
    "prefer": "return=minimal",
}


def resource_sender(
    session: aiohttp.ClientSession, repository: str, credentials: Credentials, rtype: str
) -> Send:
    """Port of delivery of resources of one type to a FHIR server."""

    async def send(name: str, body: bytes) -> int:
        method, path = ("PUT", f"/{rtype}/{name}") if name else ("POST", f"/{rtype}")
        url = repository + path
        own = await credentials.headers()
        status = await _sent(session, method, url, body, {**_WRITTEN, **own})
        if is_refusal(status) and credentials.refused(own):
            own = await credentials.headers()
            status = await _sent(session, method, url, body, {**_WRITTEN, **own})
        return status

    return send


def webhook_sender(session: aiohttp.ClientSession, url: str, sign: Callable[[bytes], str]) -> Send:
    """Port of delivery to a webhook: POST of JSON with the id and the signature of the body in headers."""

    async def send(name: str, body: bytes) -> int:
        headers = {
            "content-type": "application/json",
            "x-gateway-notice": name,
            "x-gateway-signature": sign(body),
        }
        return await _sent(session, "POST", url, body, headers)

    return send


async def _sent(
    session: aiohttp.ClientSession, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> int:
    """The status of an answer whose body says nothing to us; `UpstreamError` if there was none."""
    try:
        async with session.request(
            method,
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
        ) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamError(f"the receiver cannot be reached ({type(error).__name__})") from None
