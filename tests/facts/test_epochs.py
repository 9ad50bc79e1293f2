from math import inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.epochs import Directives, Edges, Same, edges_of, instant_of
from proxy.facts.model import ConsentDirective, Period
from tests.facts.consents import actor, deny, permit, r4, read4

FROM = {"period": {"start": "2024-03-01"}}
UNTIL = {"period": {"end": "2024-06-30"}}


AFTER = nextafter(3.0, inf)


@pytest.mark.parametrize(
    ("now", "beginning"),
    [(0, -inf), (1, 1), (2, 1), (3, 1), (AFTER, AFTER), (4, AFTER), (5, 5), (9, 5)],
)
def test_a_start_belongs_to_what_begins_and_an_end_to_what_ends(
    now: float, beginning: float
) -> None:
    assert Edges((1.0, 5.0), (3.0,)).beginning(now) == beginning


EDGES = st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0]), unique=True).map(sorted).map(tuple)


@given(EDGES, EDGES, st.sampled_from([one / 2 for one in range(10)]))
def test_at_the_beginning_the_same_is_in_force_as_now(
    starts: tuple[float, ...], ends: tuple[float, ...], now: float
) -> None:
    beginning = Edges(starts, ends).beginning(now)
    periods = [Period(start, end) for start in (None, *starts) for end in (None, *ends)]
    assert [one.covers(beginning) for one in periods] == [one.covers(now) for one in periods]
    assert beginning <= now


def test_the_edges_are_those_of_consents_and_of_all_their_provisions() -> None:
    consent = read4(r4(permit(FROM, but=(deny(UNTIL, but=(permit(FROM),)),))))
    edges = edges_of(Same((consent,)))
    assert (len(edges.starts), len(edges.ends)) == (1, 1)
    assert edges.starts[0] < edges.ends[0]


def test_two_instants_are_the_same_where_no_edge_lies_between() -> None:
    consents: Same[Directives] = Same(
        (read4(r4(permit(FROM, but=(deny(actor("Practitioner/a"), UNTIL),)))),)
    )
    [start], [end] = edges_of(consents)
    inside = [instant_of(consents, now) for now in (start, start + 1, end)]
    assert len(set(inside)) == 1
    assert len({*inside, instant_of(consents, start - 1), instant_of(consents, end + 1)}) == 3


def test_facts_are_the_same_only_where_they_are_one_thing() -> None:
    def consents() -> tuple[ConsentDirective, ...]:
        return (read4(r4(permit())),)

    kept = consents()
    assert Same(kept) == Same(kept)
    assert hash(Same(kept)) == hash(Same(kept))
    assert Same(kept) != Same(consents())
    assert Same(kept) != kept
