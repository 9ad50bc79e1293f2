import pytest

from proxy.facts.epochs import Directives, Edges, Same, edges_of, instant_of
from proxy.facts.model import ConsentDirective
from tests.facts.consents import actor, deny, permit, r4, read4

FROM = {"period": {"start": "2024-03-01"}}
UNTIL = {"period": {"end": "2024-06-30"}}


@pytest.mark.parametrize(
    ("now", "epoch"),
    [(0, (0, 0)), (1, (1, 0)), (2, (1, 0)), (3, (1, 0)), (3.5, (1, 1)), (5, (2, 1))],
)
def test_a_start_belongs_to_what_begins_and_an_end_to_what_ends(
    now: float, epoch: tuple[int, int]
) -> None:
    assert Edges((1.0, 5.0), (3.0,)).epoch(now) == epoch


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
