from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import OwnError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame, Link
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Page, Position, Sorted, Source, collect, visible

BASE = "http://upstream.example.org/fhir"
NOTHING = Judged(b"", None, None)


def row(key: str, mode: str = "match", *, visible: bool = True) -> Candidate:
    return Candidate(key, NOTHING, visible, mode)


class Server:
    """Upstream pages by target, each with its rows and its next link; counts what is read."""

    def __init__(self, pages: Sequence[Sequence[Candidate]], links: Sequence[str] = ()) -> None:
        self.pages = {f"p{number}": rows for number, rows in enumerate(pages)}
        self.links = links or [f"{BASE}/p{number + 1}" for number in range(len(pages) - 1)]
        self.read: list[str] = []

    async def fetch(self, target: str) -> tuple[Frame, bytes]:
        at = target.removeprefix("/")
        self.read.append(at)
        number = int(at[1:])
        links = [Link("next", self.links[number])] if number < len(self.links) else []
        return Frame("Bundle", "searchset", links), at.encode()

    async def sort(self, _: Frame, body: bytes) -> Sorted:
        rows = self.pages[body.decode()]
        return [one for one in rows if one.mode == "match"], [
            one for one in rows if one.mode != "match"
        ]

    def source(self, bound: int = 20) -> Source:
        return Source(bound, BASE, self.fetch, self.sort)

    async def page(self, start: Position = Position("p0"), count: int = 2, bound: int = 20) -> Page:  # noqa: B008  (a tuple)
        return await collect(start, count, self.source(bound))


def keys(rows: Sequence[Candidate]) -> str:
    return " ".join(one.key for one in rows)


HIDDEN = row("hidden", visible=False)
A, B, C, D = (row(key) for key in "abcd")


async def test_a_page_is_refilled_from_the_following_ones() -> None:
    server = Server([[HIDDEN, A], [HIDDEN, HIDDEN], [B, C]])
    page = await server.page()
    assert keys(page.matches) == "a b"
    assert page.following == Position("/p2", 1)


async def test_no_page_follows_when_nothing_visible_does() -> None:
    server = Server([[A, B], [HIDDEN], [HIDDEN, HIDDEN]])
    page = await server.page()
    assert (keys(page.matches), page.following) == ("a b", None)
    assert server.read == ["p0", "p1", "p2"]


async def test_the_next_page_begins_with_the_first_row_that_had_no_room() -> None:
    server = Server([[HIDDEN, A, HIDDEN, B, HIDDEN, C, D]])
    first = await server.page()
    assert first.following == Position("p0", 5)
    assert keys((await server.page(first.following)).matches) == "c d"


async def test_a_row_that_comes_twice_shows_once() -> None:
    assert keys((await Server([[A, A], [A, B], [B]]).page()).matches) == "a b"


async def test_includes_come_from_pages_with_matches_that_show_and_are_visible() -> None:
    seen, unseen = row("x", "include"), row("y", "include", visible=False)
    server = Server([[HIDDEN, row("z", "include")], [A, seen, unseen], [B, seen]])
    page = await server.page()
    assert keys(page.included) == "x"


async def test_upstream_is_not_read_without_end() -> None:
    server = Server([[HIDDEN]] * 30)
    with pytest.raises(OwnError) as refused:
        await server.page(bound=5)
    assert refused.value.refusal is Refusal.UNAVAILABLE
    assert len(server.read) == 5


@pytest.mark.parametrize("links", [[f"{BASE}/p0"], [f"{BASE}/p1", f"{BASE}/p1"]])
async def test_links_that_go_round_in_a_circle_are_a_failure_of_upstream(links: list[str]) -> None:
    server = Server([[HIDDEN], [HIDDEN], [HIDDEN]], links)
    with pytest.raises(UpstreamError):
        await server.page(Position("/p0"))
    assert len(server.read) == len(links)


async def test_what_is_visible_comes_once_from_where_it_begins() -> None:
    server = Server([[A, HIDDEN, B], [B, HIDDEN], [C]])
    found = [one async for one in visible(Position("p0", 1), server.source())]
    assert keys(found) == "b c"


@pytest.mark.parametrize(
    "link",
    ["http://evil.example.org/fhir/p1", "//evil.example.org/p1", f"{BASE}/../p1", "http://upstream.example.org/p1", f"{BASE}evil/p1", "ftp://upstream.example.org/fhir/p1", f"{BASE}/p1#x"],
)  # fmt: skip
async def test_a_link_that_leads_elsewhere_is_a_failure_of_upstream(link: str) -> None:
    server = Server([[A], [B]], [link])
    with pytest.raises(UpstreamError):
        await server.page()
    assert server.read == ["p0"]


@given(
    shown=st.lists(st.booleans(), max_size=30),
    size=st.integers(1, 5),
    count=st.integers(1, 7),
)
async def test_all_pages_together_hold_every_visible_row_once_in_order(
    shown: list[bool], size: int, count: int
) -> None:
    rows = [row(str(number), visible=shows) for number, shows in enumerate(shown)]
    server = Server([rows[start : start + size] for start in range(0, len(rows), size)] or [[]])
    found: list[list[str]] = []
    at: Position | None = Position("p0")
    while at is not None:
        page = await server.page(at, count, bound=100)
        found.append([one.key for one in page.matches])
        at = page.following
    assert [key for page_ in found for key in page_] == [
        str(n) for n, shows in enumerate(shown) if shows
    ]
    assert all(len(page_) == count for page_ in found[:-1])
