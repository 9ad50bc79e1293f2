from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.model import (
    ALWAYS,
    Actor,
    ConsentDirective,
    Membership,
    PatientFacts,
    Period,
    Provision,
    ProvisionDatum,
)  # fmt: skip
from proxy.fhir.coding import PARTICIPATION, Coding, Effect

ROOT = Provision("provision", Effect.PERMIT)
TYPES = Coding("http://hl7.org/fhir/resource-types", "Observation")


def directive(root: Provision = ROOT, period: Period = ALWAYS) -> ConsentDirective:
    return ConsentDirective("Consent/c", "Patient/p", "active", root.effect, root, period)


def facts(*directives: ConsentDirective, teams: tuple[Period, ...] = ()) -> PatientFacts:
    memberships = tuple(Membership("care-team", Actor("Practitioner/a"), one, "CareTeam/t") for one in teams)  # fmt: skip
    return PatientFacts("Patient/p", directives, memberships)


@pytest.mark.parametrize(
    ("period", "inside", "outside"),
    [
        (ALWAYS, (-inf, 0, inf), ()),
        (Period(5, None), (5, 6), (4.999,)),
        (Period(None, 5), (4, 5), (5.001,)),
        (Period(5, 5), (5,), (4, 6)),
        (Period(6, 5), (), (5, 5.5, 6)),
    ],
)
def test_a_period_is_closed(
    period: Period, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert all(period.covers(one) for one in inside)
    assert not any(period.covers(one) for one in outside)


DETAILED = [
    (replace(ROOT, data_period=Period(1, 2)), True),
    (replace(ROOT, classes=frozenset({TYPES})), True),
    (replace(ROOT, data=(ProvisionDatum("instance", "Observation/o"),)), True),
    (replace(ROOT, actors=(Actor("Practitioner/a", role=Coding(PARTICIPATION, "AUT")),)), True),
    (replace(ROOT, actors=(Actor("Practitioner/a", role=Coding(PARTICIPATION, "IRCP")),)), False),
    (replace(ROOT, actors=(Actor("Practitioner/a"),)), False),
    (replace(ROOT, labels=frozenset({TYPES}), codes=frozenset({TYPES})), False),
    (replace(ROOT, period=Period(1, 2), purposes=frozenset({TYPES})), False),
    (ROOT, False),
]


@pytest.mark.parametrize(("node", "detailed"), DETAILED)
def test_facts_are_detailed_where_any_provision_asks_for_more_of_a_resource(
    node: Provision, detailed: bool
) -> None:
    deep = replace(ROOT, provisions=(ROOT, replace(ROOT, provisions=(node,))))
    assert node.is_detailed is detailed
    assert facts(directive(node)).detailed is detailed
    assert facts(directive(), directive(deep)).detailed is detailed


def test_the_codes_of_every_provision_are_told() -> None:
    def asking(code: str, *below: Provision) -> Provision:
        return replace(ROOT, codes=frozenset({Coding("s", code)}), provisions=below)

    known = facts(directive(asking("a", asking("b"), asking("c"))), directive(asking("d")))
    assert known.codes == {"a", "b", "c", "d"}
    assert facts().codes == frozenset()


def test_every_node_is_told_once_in_the_order_of_the_consent() -> None:
    leaf = [replace(ROOT, path=str(number)) for number in range(4)]
    tree = replace(ROOT, provisions=(replace(leaf[0], provisions=(leaf[1], leaf[2])), leaf[3]))
    assert [node.path for node in tree.nodes()] == ["provision", "0", "1", "2", "3"]


def test_what_is_unknown_asks_for_nothing() -> None:
    unknown = PatientFacts("Patient/p", None, None)
    assert (unknown.detailed, unknown.codes, unknown.edges) == (False, frozenset(), ())
    assert unknown.steady_until(0) == inf


ACTING = [
    (directive(), True),
    (directive(period=Period(5, None)), False),
    (replace(directive(), inert="status draft"), False),
    (replace(directive(), problem="not understood"), True),
    (replace(directive(period=Period(5, None)), problem="not understood"), True),
    (replace(directive(), problem="not understood", inert="status draft"), False),
]


@pytest.mark.parametrize(("one", "acts"), ACTING)
def test_what_cannot_be_computed_acts_always_and_what_is_inert_never(
    one: ConsentDirective, acts: bool
) -> None:
    assert one.acts(0) is acts


edge = st.one_of(st.none(), st.integers(0, 6).map(float))
periods = st.builds(Period, edge, edge)
provisions = st.recursive(
    st.builds(lambda period: replace(ROOT, period=period), periods),
    lambda inner: st.builds(
        lambda period, below: replace(ROOT, period=period, provisions=tuple(below)),
        periods,
        st.lists(inner, max_size=2),
    ),
    max_leaves=3,
)
known_facts = st.builds(
    lambda directives, teams: facts(*directives, teams=tuple(teams)),
    st.lists(st.builds(directive, provisions, periods), max_size=2),
    st.lists(periods, max_size=2),
)


def covered(known: PatientFacts, instant: float) -> list[bool]:
    """All that time decides about these facts."""
    nodes = [node for one in known.directives or () for node in one.root.nodes()]
    return [
        *(one.acts(instant) for one in known.directives or ()),
        *(node.period.covers(instant) for node in nodes),
        *(one.period.covers(instant) for one in known.memberships or ()),
    ]


@given(known_facts, st.integers(-2, 16).map(lambda half: half / 2))
def test_until_the_next_edge_facts_mean_the_same(known: PatientFacts, now: float) -> None:
    until = known.steady_until(now)
    assert until >= now
    instants = [now + step / 4 for step in range(40)]
    between = [one for one in instants if one < until]
    assert all(covered(known, one) == covered(known, now) for one in between)


@given(known_facts)
def test_edges_stand_in_order_and_are_those_of_some_period(known: PatientFacts) -> None:
    assert list(known.edges) == sorted(set(known.edges))
    for first, second in zip(known.edges, known.edges[1:], strict=False):
        assert known.steady_until((first + second) / 2) == second
    if known.edges:
        assert known.steady_until(known.edges[-1] + 1) == inf
        assert known.steady_until(known.edges[0] - 1) == known.edges[0]


def test_facts_that_were_looked_up_alike_are_equal_but_not_the_same() -> None:
    assert facts(directive()) == facts(directive())
    assert facts(directive()) != facts(directive(period=Period(1, 2)))
