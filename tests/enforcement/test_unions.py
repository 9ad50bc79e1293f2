"""Unions of searches, over random contents: each match once, in order, wherever a page ends."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, OwnError, Refusal, UpstreamError
from proxy.fhir.bundle import EntrySearch, Frame, FrameEntry, Link
from proxy.fhir.envelope import Resource
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Position, Sort, Sorted, Source, collect, visible
from tests.obligations.upstreams import Kept, Live, Upstream, keys, row

BASE = "http://upstream.example.org/fhir"
Found = list[list[int]]
"""Matches of one search, page by page."""


class Server:
    """Upstream: searches `s0`, `s1` ... of several pages; keeps what it was asked."""

    def __init__(self, searches: Sequence[Found]) -> None:
        self.searches = searches
        self.asked: list[str] = []

    async def fetch(self, at: str) -> tuple[Frame, bytes]:
        name, _, page = at.removeprefix("/").partition("?page=")
        self.asked.append(at)
        pages = self.searches[int(name[1:])] or [[]]
        number = int(page or 0)
        link = [Link("next", f"{BASE}/{name}?page={number + 1}")] if number + 1 < len(pages) else []
        entries = [FrameEntry(raw(one), EntrySearch("match")) for one in pages[number]]
        return Frame("Bundle", "searchset", link, entries), b""

    def source(self, bound: int = 1000) -> Source:
        return Source(bound, BASE, self.fetch, sorted_by("none"))


def raw(number: int) -> msgspec.Raw:
    return msgspec.Raw(str(number).encode())


def sorted_by(name: str) -> Sort:
    async def sort(frame: Frame, _: bytes) -> Sorted:
        keys = (bytes(entry.resource).decode() for entry in frame.entry)
        nothing = Judged(b"", None, None)
        return [Candidate(key, nothing, visible=True, mode=name) for key in keys], []

    return sort


def legs_of(searches: Sequence[Found]) -> list[Leg]:
    """Each search gives what no earlier one finds."""

    def keeps(number: int) -> Callable[[Resource], bool]:
        earlier = {one for search in searches[:number] for page in search for one in page}
        return lambda one: int(bytes(one)) not in earlier

    names = [f"s{n}" for n in range(len(searches))]
    return [Leg(one, sorted_by(one), keeps(n), one) for n, one in enumerate(names)]


def expected(searches: Sequence[Found]) -> list[str]:
    flat = [one for search in searches for page in search for one in page]
    return [str(one) for one in dict.fromkeys(flat)]


def paged(found: list[int], sizes: list[int]) -> Found:
    """The matches of a search on pages of these sizes, the rest on a last one."""
    pages, at = [], 0
    for size in sizes:
        pages.append(found[at : at + size])
        at += size
    return [*pages, found[at:]]


SEARCHES = st.lists(
    st.builds(
        paged,
        st.lists(st.integers(0, 12), unique=True, max_size=9),
        st.lists(st.integers(0, 4), max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@given(SEARCHES, st.integers(1, 6))
async def test_a_union_gives_each_match_once_in_the_order_of_its_searches(
    searches: list[Found], ahead: int
) -> None:
    legs = legs_of(searches)
    source = united(Server(searches).source(), legs, ahead)
    found = [one.key async for one in visible(Position(beginning(legs)), source)]
    assert found == expected(searches)


@given(SEARCHES, st.integers(1, 4), st.integers(1, 4))
async def test_pages_of_a_union_hold_together_what_one_page_would(
    searches: list[Found], count: int, ahead: int
) -> None:
    legs = legs_of(searches)
    at: Position | None = Position(beginning(legs))
    found: list[str] = []
    while at is not None:
        page = await collect(at, count, united(Server(searches).source(), legs, ahead))
        assert len(page.matches) <= count
        found += [one.key for one in page.matches]
        at = page.following._replace(at="") if page.following else None
    assert found == expected(searches)


@given(SEARCHES)
async def test_upstream_never_hears_of_the_union(searches: list[Found]) -> None:
    server, legs = Server(searches), legs_of(searches)
    async for _ in visible(Position(beginning(legs)), united(server.source(), legs)):
        pass
    assert not any("_leg" in one for one in server.asked)


async def test_each_search_is_judged_by_its_own() -> None:
    legs = legs_of([[[1]], [[2]]])
    source = united(Server([[[1]], [[2]]]).source(), legs)
    found = [one.mode async for one in visible(Position(beginning(legs)), source)]
    assert found == ["s0", "s1"]


async def test_what_is_included_is_no_match_that_could_belong_elsewhere() -> None:
    class Including(Server):
        async def fetch(self, at: str) -> tuple[Frame, bytes]:
            frame, body = await super().fetch(at)
            entry = [FrameEntry(raw(1), EntrySearch("include"))]
            return msgspec.structs.replace(frame, entry=entry), body

    legs = legs_of([[[1]], [[1]]])
    union = united(Including([[[1]], [[1]]]).source(), legs)
    frame, _ = await union.fetch("s1?_leg=s1")
    assert len(frame.entry) == 1


async def test_a_place_is_in_the_same_search_whichever_others_there_are() -> None:
    searches: list[Found] = [[[1]], [[2]], [[3], [4]]]
    _, *later = legs_of(searches)
    for legs in (legs_of(searches), later, later[1:]):
        found = visible(Position("s2?page=1&_leg=s2"), united(Server(searches).source(), legs))
        assert [one.key async for one in found] == ["4"]


@pytest.mark.parametrize("at", ["s0", "s0?_leg=2", "s0?_leg=", "s0?_leg=x", "", "s0?_leg=s2"])
async def test_a_place_outside_the_union_is_refused(at: str) -> None:
    legs = legs_of([[[1]], [[2]]])
    with pytest.raises(UpstreamError):
        await united(Server([[[1]], [[2]]]).source(), legs).fetch(at)


async def test_a_page_link_that_leads_outside_upstream_is_not_followed() -> None:
    class Elsewhere(Server):
        async def fetch(self, at: str) -> tuple[Frame, bytes]:
            frame, body = await super().fetch(at)
            return msgspec.structs.replace(frame, link=[Link("next", "http://evil.example/")]), body

    legs = legs_of([[[1]]])
    with pytest.raises(UpstreamError):
        await united(Elsewhere([[[1]]]).source(), legs).fetch(beginning(legs))


async def test_many_empty_searches_are_no_long_run_of_hidden_pages() -> None:
    nothing: Found = [[]]
    searches: list[Found] = [*(nothing for _ in range(30)), [[1]]]
    legs = legs_of(searches)
    page = await collect(
        Position(beginning(legs)), 5, united(Server(searches).source(bound=2), legs)
    )
    assert [one.key for one in page.matches] == ["1"]


async def test_a_search_that_does_not_end_ends_in_an_error() -> None:
    searches: list[Found] = [[[n] for n in range(20)]]
    legs = legs_of(searches)
    with pytest.raises(OwnError):
        await collect(Position(beginning(legs)), 50, united(Server(searches).source(bound=3), legs))


# ---- what changes between two pages of a union -------------------------------------------------------------------------


class Several:
    """Upstream: one server a search, each with rows of its own."""

    def __init__(self, servers: Sequence[Live]) -> None:
        self.servers = servers

    async def fetch(self, at: str) -> tuple[Frame, bytes]:
        number, rest = at.removeprefix("/")[1], at.removeprefix("/")[2:]
        frame, body = await self.servers[int(number)].fetch(rest)
        following = frame.next()
        link = (
            []
            if following is None
            else [Link("next", following.replace(BASE, f"{BASE}/s{number}", 1))]
        )
        return msgspec.structs.replace(frame, link=link), body

    def legs(self) -> list[Leg]:
        return [
            Leg(f"s{number}/{server.first}", server.sort, lambda _: True, f"leg-{number}")
            for number, server in enumerate(self.servers)
        ]

    def source(self) -> Source:
        return united(Source(10_000, BASE, self.fetch, sorted_by("none")), self.legs(), 2)


Happening = list[tuple[str, int, int]]
"""What happens to some row of some search."""


def happens(rows: list[list[Candidate]], changes: Happening, name: str) -> None:
    for number, (kind, leg, place) in enumerate(changes):
        of_leg = rows[leg % len(rows)]
        at = place % (len(of_leg) + 1)
        if kind == "gone":
            del of_leg[at : at + 1]
        else:
            of_leg.insert(at, row(f"{name}-{number}", visible=kind == "shown"))


async def walked(
    upstream: Upstream,
    rows: list[list[Candidate]],
    sizes: tuple[int, int],
    changes: list[Happening],
    *,
    whole: bool,
) -> list[list[str]]:
    """The pages of a walk through the union, over all rows or over the visible ones alone."""
    rows = [list(one) for one in rows]

    def left(number: int) -> list[Candidate]:
        return [one for one in rows[number] if whole or one.visible]

    several = Several([upstream(left(number), sizes[0]) for number in range(len(rows))])
    pages: list[list[str]] = []
    at: Position | None = Position(beginning(several.legs()))
    while at is not None:
        source = several.source()
        page = await collect(source.position("", at.place) if pages else at, sizes[1], source)
        pages.append(keys(page.matches))
        at = page.following
        happens(rows, dict(enumerate(changes, 1)).get(len(pages), []), f"new-{len(pages)}")
        for number, server in enumerate(several.servers):
            server.rows = left(number)
    return pages


def numbered(shown: list[list[bool]]) -> list[list[Candidate]]:
    return [
        [row(f"{leg}-{number}", visible=one) for number, one in enumerate(some)]
        for leg, some in enumerate(shown)
    ]


LEGS = st.lists(st.lists(st.booleans(), max_size=10), min_size=1, max_size=4).map(numbered)
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 5))
HAPPENS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["shown", "hidden", "gone"]), st.integers(0, 3), st.integers(0, 12)
        ),
        max_size=4,
    ),
    max_size=6,
)


@pytest.mark.parametrize("upstream", [Live, Kept])
@given(rows=LEGS, sizes=SIZES, changes=HAPPENS)
async def test_what_is_hidden_moves_no_page_of_a_union(
    upstream: Upstream,
    rows: list[list[Candidate]],
    sizes: tuple[int, int],
    changes: list[Happening],
) -> None:
    pages = await walked(upstream, rows, sizes, changes, whole=True)
    assert pages == await walked(upstream, rows, sizes, changes, whole=False)
    given_ = [key for page in pages for key in page]
    assert len(given_) == len(set(given_))
    left = [list(one) for one in rows]
    for number, some in enumerate(changes[: len(pages)], 1):
        happens(left, some, f"new-{number}")
    stayed = {one.key for leg in left for one in leg if one.visible}
    before = [one.key for leg in rows for one in leg if one.visible]
    assert [one for one in given_ if one in stayed.intersection(before)] == [
        one for one in before if one in stayed
    ]


async def test_what_is_gone_from_one_search_takes_nothing_from_the_next() -> None:
    several = Several(
        [Live([row(f"{leg}-{number:02}") for number in range(45)], 50) for leg in range(2)]
    )
    page = await collect(Position(beginning(several.legs())), 40, several.source())
    assert page.following is not None
    several.servers[0].rows.clear()
    source = several.source()
    page = await collect(source.position("", page.following.place), 50, source)
    assert keys(page.matches) == [f"1-{number:02}" for number in range(45)]


async def test_a_page_link_into_a_search_that_is_not_made_now_leads_nowhere() -> None:
    several = Several([Live([row("a"), row("b")], 5), Live([row("c"), row("d")], 5)])
    page = await collect(Position(beginning(several.legs())), 3, several.source())
    assert page.following is not None
    alone = Several(several.servers[:1])
    with pytest.raises(CallerError) as refused:
        alone.source().position("", page.following.place)
    assert refused.value.refusal is Refusal.NOT_FOUND


async def test_what_was_asked_ahead_is_not_asked_again() -> None:
    """One cheap request would else cost upstream eight searches for each search that has a second page."""
    searches: list[Found] = [[[n], [100 + n]] for n in range(12)]
    server = Server(searches)
    source = united(server.source(), legs_of(searches), ahead=8)
    found = [one.key async for one in visible(Position(beginning(legs_of(searches))), source)]
    assert found == expected(searches)
    assert sorted(server.asked) == sorted(set(server.asked))
