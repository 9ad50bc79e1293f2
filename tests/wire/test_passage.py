"""The passage of a gateway that only observes: tables of headers, one base URL for the other, bounded answers."""

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from proxy.errors import UpstreamError
from proxy.fhir.interaction import RawRequest
from proxy.wire.client import Reach
from proxy.wire.credentials import Fixed
from proxy.wire.headers import PASSED_DOWN, PASSED_UP
from proxy.wire.passage import Passage
from tests.stage import serving

OURS = "https://gateway.example.org/fhir"
LARGEST = 1000


class Scripted:
    """An upstream that remembers the last request and answers what it is told."""

    url: str
    headers: dict[str, str]
    path: str

    def __init__(self) -> None:
        self.answer: Callable[[], web.Response] = lambda: web.Response(text="{}")

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.path = request.raw_path
        return self.answer()


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    async with serving(scripted.respond) as url:
        scripted.url = url
        yield scripted


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


Asking = Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]


@pytest.fixture
def ask(upstream: Scripted, session: aiohttp.ClientSession) -> Asking:
    async def asking(
        headers: dict[str, str] | None = None, *, forwards: bool = False, own: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        reach = Reach(upstream.url, Fixed({"authorization": own} if own else {}), LARGEST)
        raw = RawRequest("GET", "/fhir/Patient/1?x=%41", headers or {}, b"", "r-1")
        answer = await Passage(session, reach, "/fhir", OURS, forwards).forward(raw)
        return answer.status, dict(answer.headers), answer.body

    return asking


async def test_path_and_query_go_up_as_they_are(ask: Asking, upstream: Scripted) -> None:
    await ask()
    assert upstream.path == "/fhir/Patient/1?x=%41"
    assert upstream.headers["x-request-id"] == "r-1"


async def test_only_headers_of_the_table_go_up(ask: Asking, upstream: Scripted) -> None:
    passed = dict.fromkeys(PASSED_UP, "value")
    await ask({**passed, "cookie": "c", "x-forwarded-for": "1", "authorization": "Bearer t"})
    assert passed.items() <= upstream.headers.items()
    assert upstream.headers.keys().isdisjoint({"cookie", "x-forwarded-for", "authorization"})


@pytest.mark.parametrize(
    ("forwards", "own", "expected"),
    [(True, "", "Bearer t"), (False, "Basic own", "Basic own"), (False, "", None)],
)
async def test_credentials_are_the_gateways_own_unless_the_operator_forwards(
    ask: Asking, upstream: Scripted, forwards: bool, own: str, expected: str | None
) -> None:
    await ask({"authorization": "Bearer t"}, forwards=forwards, own=own)
    assert upstream.headers.get("authorization") == expected


async def test_only_headers_of_the_table_come_down(ask: Asking, upstream: Scripted) -> None:
    more = {name: "x" for name in PASSED_DOWN if name != "content-type"}
    upstream.answer = lambda: web.Response(text="{}", headers={**more, "set-cookie": "c=1"})
    _, headers, _ = await ask()
    assert headers.keys() == PASSED_DOWN


async def test_upstreams_base_becomes_ours_in_text_and_headers(
    ask: Asking, upstream: Scripted
) -> None:
    theirs = upstream.url
    text = f'{{"a":"{theirs}/Patient/1","b":"{theirs}","c":"{theirs}?x","d":"{theirs}x"}}'
    upstream.answer = lambda: web.Response(text=text, headers={"location": f"{theirs}/Patient/1"})
    _, headers, body = await ask()
    expected = f'{{"a":"{OURS}/Patient/1","b":"{OURS}","c":"{OURS}?x","d":"{theirs}x"}}'
    assert (headers["location"], body.decode()) == (f"{OURS}/Patient/1", expected)


@pytest.mark.parametrize("status", [200, 301, 404, 422, 500])
async def test_the_status_is_upstreams_and_redirects_are_not_followed(
    ask: Asking, upstream: Scripted, status: int
) -> None:
    upstream.answer = lambda: web.Response(status=status, headers={"location": "/elsewhere"})
    assert (await ask())[0] == status


async def test_an_answer_that_is_too_large_is_none(ask: Asking, upstream: Scripted) -> None:
    upstream.answer = lambda: web.Response(body=b"x" * LARGEST)
    assert len((await ask())[2]) == LARGEST
    upstream.answer = lambda: web.Response(body=b"x" * (LARGEST + 1))
    with pytest.raises(UpstreamError, match="larger"):
        await ask()
