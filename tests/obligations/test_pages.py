"""Pages over an upstream of which something is hidden, and whose content changes between two of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import CallerError, OwnError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame, Link
from proxy.obligations import pages
from proxy.obligations.pages import Candidate, Page, Position, Sorted, Source, collect, visible
from tests.obligations.upstreams import BASE, Kept, Live, Upstream, keys, row


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


HIDDEN = row("hidden", visible=False)
A, B, C, D = (row(key) for key in "abcd")


async def test_a_page_is_refilled_from_the_following_ones() -> None:
    server = Server([[HIDDEN, A], [HIDDEN, HIDDEN], [B, C]])
    page = await server.page()
    assert keys(page.matches) == ["a", "b"]
    assert page.following is not None


async def test_no_page_follows_when_nothing_visible_does() -> None:
    server = Server([[A, B], [HIDDEN], [HIDDEN, HIDDEN]])
    page = await server.page()
    assert (keys(page.matches), page.following) == (["a", "b"], None)
    assert server.read == ["p0", "p1", "p2"]


async def test_the_next_page_begins_with_the_first_row_that_had_no_room() -> None:
    server = Server([[HIDDEN, A, HIDDEN, B, HIDDEN, C, D]])
    first = await server.page()
    assert first.following is not None
    assert keys((await server.page(first.following)).matches) == ["c", "d"]


async def test_a_row_that_comes_twice_shows_once() -> None:
    assert keys((await Server([[A, A], [A, B], [B]]).page()).matches) == ["a", "b"]


async def test_includes_come_from_pages_with_matches_that_show_and_are_visible() -> None:
    seen, unseen = row("x", "include"), row("y", "include", visible=False)
    server = Server([[HIDDEN, row("z", "include")], [A, seen, unseen], [B, seen]])
    page = await server.page()
    assert keys(page.included) == ["x"]


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
    first = await server.page(count=1)
    assert first.following is not None
    found = [one async for one in visible(first.following, server.source())]
    assert keys(found) == ["b", "c"]


@pytest.mark.parametrize(
    "link",
    ["http://evil.example.org/fhir/p1", "//evil.example.org/p1", f"{BASE}/../p1", "http://upstream.example.org/p1", f"{BASE}evil/p1", "ftp://upstream.example.org/fhir/p1", f"{BASE}/p1#x"],
)  # fmt: skip
async def test_a_link_that_leads_elsewhere_is_a_failure_of_upstream(link: str) -> None:
    server = Server([[A], [B]], [link])
    with pytest.raises(UpstreamError):
        await server.page()
    assert server.read == ["p0"]


# ---- what changes between two pages ------------------------------------------------------------------------------------


class Change(NamedTuple):
    """Something that happens to the row at a place (counted round the list): `put` before it, with or without showing; gone; or hidden."""

    kind: str
    at: int


def changed(rows: list[Candidate], change: Change, name: str) -> None:
    at = change.at % (len(rows) + 1)
    if change.kind in ("shown", "hidden"):
        rows.insert(at, row(name, visible=change.kind == "shown"))
    elif at < len(rows) and change.kind == "gone":
        del rows[at]
    elif at < len(rows):
        rows[at] = rows[at]._replace(visible=change.kind == "opened")


def sealed(page: Page) -> Position | None:
    """Where the next page begins, as a page link says it."""
    return page.following._replace(at="") if page.following else None


async def walked(
    upstream: Upstream,
    rows: list[Candidate],
    sizes: tuple[int, int],
    changes: list[list[Change]],
    left: Callable[[Candidate], bool],
) -> list[list[str]]:
    """The pages that a walk gives over what is `left` of the rows, with some changes before each but the first."""
    rows = list(rows)
    server = upstream([one for one in rows if left(one)], sizes[0])
    pages: list[list[str]] = []
    at: Position | None = Position(server.first)
    while at is not None and len(pages) < 60:
        page = await collect(at, sizes[1], server.source())
        pages.append(keys(page.matches))
        at = sealed(page)
        for number, change in enumerate(dict(enumerate(changes, 1)).get(len(pages), [])):
            changed(rows, change, f"new-{len(pages)}-{number}")
        server.rows = [one for one in rows if left(one)]
    return pages


def everything(_: Candidate) -> bool:
    return True


def shows(one: Candidate) -> bool:
    return one.visible


def changes(*kinds: str) -> st.SearchStrategy[list[list[Change]]]:
    one = st.builds(Change, st.sampled_from(kinds), st.integers(0, 40))
    return st.lists(st.lists(one, max_size=4), max_size=8)


ROWS = st.lists(st.booleans(), max_size=30).map(
    lambda shown: [row(str(number), visible=one) for number, one in enumerate(shown)]
)
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 7))
OF_LIVE = changes("shown", "hidden", "gone", "closed", "opened")
OF_KEPT = changes("shown", "hidden", "gone", "closed")
"""What was hidden when the list was made, and is not any more, is in the list; what is written then is not."""


TEN = [row(str(number)) for number in range(10)]
AFTER_TWO_HIDDEN = [HIDDEN, row("hidden too", visible=False), A, B]
NEW_AT_THE_END = [[Change("shown", 4)]]
GONE = [[Change("gone", 3), Change("gone", 2)]]
"""The next one, and the one that was given last."""
ALL_GONE = [[Change("gone", at) for at in (3, 2, 1, 0)]]
"""The next one, and all that were given."""


@example(AFTER_TWO_HIDDEN, (2, 1), NEW_AT_THE_END)
@given(ROWS, SIZES, OF_LIVE)
async def test_what_is_hidden_never_moves_a_page(
    rows: list[Candidate], sizes: tuple[int, int], happens: list[list[Change]]
) -> None:
    with_hidden = await walked(Live, rows, sizes, happens, everything)
    assert with_hidden == await walked(Live, rows, sizes, happens, shows)


@example(AFTER_TWO_HIDDEN, (2, 1), NEW_AT_THE_END)
@given(ROWS, SIZES, OF_KEPT)
async def test_nor_where_upstream_pages_over_what_it_found_at_first(
    rows: list[Candidate], sizes: tuple[int, int], happens: list[list[Change]]
) -> None:
    with_hidden = await walked(Kept, rows, sizes, happens, everything)
    assert with_hidden == await walked(Kept, rows, sizes, happens, shows)


@pytest.mark.parametrize("upstream", [Live, Kept])
@example(rows=TEN, sizes=(5, 3), happens=GONE)
@example(rows=TEN, sizes=(5, 3), happens=ALL_GONE)
@given(rows=ROWS, sizes=SIZES, happens=OF_KEPT)
async def test_what_shows_all_the_time_is_given_once_whatever_else_happens(
    upstream: Upstream, rows: list[Candidate], sizes: tuple[int, int], happens: list[list[Change]]
) -> None:
    pages = await walked(upstream, rows, sizes, happens, everything)
    given_ = [key for page in pages for key in page]
    left = list(rows)
    for number, some in enumerate(happens[: len(pages)], start=1):
        for one, change in enumerate(some):
            changed(left, change, f"new-{number}-{one}")
    stayed = {one.key for one in left if one.visible}.intersection(one.key for one in rows)
    assert [key for key in given_ if key in stayed] == [
        one.key for one in rows if one.key in stayed
    ]
    assert len(given_) == len(set(given_))


@given(ROWS, SIZES)
async def test_all_pages_together_hold_every_visible_row_once_in_order(
    rows: list[Candidate], sizes: tuple[int, int]
) -> None:
    pages = await walked(Live, rows, sizes, [], everything)
    assert [key for page in pages for key in page] == [one.key for one in rows if one.visible]
    assert all(len(page) == sizes[1] for page in pages[:-1])


@pytest.mark.parametrize("upstream", [Live, Kept])
@given(total=st.integers(0, 40), sizes=SIZES)
async def test_a_walk_asks_for_no_page_but_those_that_hold_what_it_gives_and_what_follows(
    upstream: Upstream, total: int, sizes: tuple[int, int]
) -> None:
    size, count = sizes
    server = upstream([row(str(number)) for number in range(total)], size)
    at: Position | None = Position(server.first)
    begun = 0
    while at is not None:
        server.asked.clear()
        page = await collect(at, count, server.source())
        last = min(begun + count, max(total - 1, 0))
        assert len(server.asked) == last // size - begun // size + 1
        begun, at = begun + count, sealed(page)


async def test_a_link_that_upstream_has_forgotten_is_no_reason_to_stop() -> None:
    server = Kept([row(str(number)) for number in range(12)], 2)
    first = await collect(Position(server.first), 5, server.source())
    assert first.following is not None
    assert "_getpages" in first.following.place.hint
    server.forgetful = True
    with pytest.raises(CallerError):
        await server.fetch(first.following.place.hint)
    start = first.following._replace(at="")
    server.lists.clear()
    again = Kept(server.rows, 2)
    again.lists = [server.rows]

    async def fetch(target: str) -> tuple[Frame, bytes]:
        return await (server if target == start.place.hint else again).fetch(target)

    page = await collect(start, 5, Source(50, BASE, fetch, server.sort))
    assert keys(page.matches) == ["5", "6", "7", "8", "9"]


async def test_a_hint_of_a_search_that_is_asked_otherwise_now_is_not_used() -> None:
    server = Live([row(str(number)) for number in range(9)], 2)
    page = await collect(Position(server.first), 3, server.source())
    start = sealed(page)
    assert start is not None
    assert start.place.hint
    server.asked.clear()
    await collect(start._replace(target=f"{server.first}&patient=x"), 3, server.source())
    assert server.asked[0] == f"{server.first}&patient=x"
    server.asked.clear()
    await collect(start, 3, server.source())
    assert server.asked[0] == start.place.hint.removeprefix("/")


async def test_a_search_that_upstream_refuses_is_refused() -> None:
    async def fetch(target: str) -> tuple[Frame, bytes]:
        raise CallerError(Refusal.PARAMETER, target)

    first = await collect(Position("s?_count=2"), 2, Live([A, B, C], 2).source())
    assert first.following is not None
    with pytest.raises(CallerError):
        await collect(first.following._replace(at=""), 2, Source(50, BASE, fetch, Live([], 1).sort))


async def test_where_nothing_shows_more_is_asked_for_at_once() -> None:
    rows = [row(str(number), visible=False) for number in range(5000)]
    server = Kept([*rows, A, B], 100)
    page = await collect(Position(server.first), 1, server.source())
    assert keys(page.matches) == ["a"]
    counts = [int(one.rpartition("=")[2]) for one in server.asked]
    assert counts == [100, 200, 400, 800, *[1000] * 4]
    plain = Live([*rows, A, B], 100)
    await collect(Position(plain.first), 1, plain.source())
    assert len(plain.asked) == 51


@pytest.mark.parametrize("came", [3, 4, 5, 6])
async def test_how_far_a_match_is_sought_depends_on_what_is_visible_alone(
    monkeypatch: pytest.MonkeyPatch, came: int
) -> None:
    """Those given are gone, others came in before the next one; beyond a bound it counts as gone, however upstream's pages are cut."""
    monkeypatch.setattr(pages, "_MOVED", 2)
    new = [row(f"new{number}") for number in range(came)]
    hidden = [HIDDEN] * 4
    answers = []
    for cut in ([*new, C, D],), (new[:2], hidden, new[2:], [C, D]), (new[:-1], [new[-1], C], [D]):
        before = Server([[A, B, C, D]])
        first = await before.page()
        assert first.following is not None
        place = first.following._replace(place=first.following.place._replace(hint=""), at="")
        answers.append(keys((await Server(cut).page(place)).matches))
    assert answers == [answers[0]] * 3
