"""HTTP of the embedded server: aiohttp requests become `Ask`, `Answer` becomes an aiohttp response."""

import asyncio
from urllib.parse import parse_qsl, unquote

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import MEDIA_TYPE, SOFTWARE, Answer, Ask, FhirError, failed

BASE_PATH = "/fhir"
MAX_BODY = 64 * 1024 * 1024
_ACCEPTED = ("json", "*/*", "application/*", "text/html")


async def ask_of(request: web.BaseRequest) -> Ask:
    """Read a request below the base path; FhirError 404 outside of it."""
    path, _, query = request.raw_path.partition("?")
    if path != BASE_PATH and not path.startswith(BASE_PATH + "/"):
        raise FhirError(404, "not-found", f"the FHIR server is at {BASE_PATH}")
    segments = tuple(unquote(s) for s in path.removeprefix(BASE_PATH).split("/") if s)
    return Ask(
        "GET" if request.method == "HEAD" else request.method,
        segments,
        tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
        {name.lower(): value for name, value in request.headers.items()},
        await request.read() if request.can_read_body else b"",
        f"{request.scheme}://{request.host}{BASE_PATH}",
    )


def _require_json(ask: Ask) -> None:
    """Refuse with 406 a client that takes no JSON; `_format` outweighs `Accept`."""
    accept = ask.headers.get("accept", "")
    wanted = next((value for name, value in ask.query if name == "_format"), accept)
    if wanted and not any(media in wanted for media in _ACCEPTED):
        raise FhirError(406, "not-supported", "only application/fhir+json is served")


def response_of(answer: Answer) -> web.Response:
    """Write an answer."""
    headers = {"Server": SOFTWARE, **answer.headers}
    if answer.body:
        headers.setdefault("Content-Type", MEDIA_TYPE)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def server_of(interactions: Interactions) -> web.Server:
    """Give the aiohttp server that answers with these interactions."""

    async def answer(request: web.BaseRequest) -> web.Response:
        try:
            ask = await ask_of(request)
            _require_json(ask)
        except FhirError as failure:
            return response_of(failed(failure))
        return response_of(interactions.answer(ask))

    return web.Server(answer, request_factory=_request)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """Make a request that may have a large body; aiohttp's own limit is 1 MB."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)
