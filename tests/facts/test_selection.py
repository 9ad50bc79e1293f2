from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.facts.actors import names_any
from proxy.facts.epochs import Same, instant_of
from proxy.facts.model import Actor, ActorClosure, ConsentDirective, Provision
from proxy.facts.selection import MAX_SILENT, InForce, in_force
from proxy.fhir.coding import PARTICIPATION, Coding, Effect, Identifier
from tests.decision.test_provisions import DR_A, NOW
from tests.facts.consents import Json, actor, deny, label, permit, purpose, r4, read4
from tests.properties.scenes import actors, closures

BADGE = Identifier("urn:badge", "1")
PHYSICIAN, NURSE = (Coding("http://example.org/roles", one) for one in ("physician", "nurse"))
CALLER = replace(DR_A, identifiers=frozenset({BADGE}), former=frozenset({"PractitionerRole/old"}))
OVER = {"period": {"end": "2023"}}


def compiled(*consents: ConsentDirective, now: float = NOW, by_date: bool = False) -> InForce:
    same = Same(consents)
    return in_force(same, instant_of(same, now), by_date=by_date)


def of(*roots: Json) -> InForce:
    return compiled(*(read4(r4(root, own=f"c{n}")) for n, root in enumerate(roots)))


def found(consents: InForce, closure: ActorClosure = CALLER) -> list[str]:
    return [one.directive.reference for one in consents.for_caller(closure)]


FOUND: list[tuple[Actor, bool, bool]] = [
    # who is named                                           permit  deny
    (Actor("Practitioner/a"), True, True),
    (Actor("Practitioner/b"), False, False),
    (Actor("Practitioner/double", identifiers=frozenset({BADGE})), True, True),
    (Actor("Organization/h"), True, True),
    (Actor(identifier=BADGE), True, True),
    (Actor(identifier=Identifier("urn:badge", "2")), False, False),
    (Actor(identifier=Identifier("urn:elsewhere", "2")), False, True),
    (Actor("Practitioner/b", BADGE), True, True),
    (Actor("Practitioner/b", identifiers=frozenset({BADGE})), True, True),
    (Actor("Practitioner/b", dead=True), False, True),
    (Actor("?", dead=True), False, True),
    (Actor(dead=True), False, True),
    (Actor(), True, True),
    (Actor("Group/g"), False, True),
    (Actor("Group/g", members=frozenset({"Practitioner/a"})), True, True),
    (Actor("Group/g", members=frozenset({"Practitioner/b"})), False, False),
    (Actor("Group/g", members=frozenset()), False, False),
    (Actor("HealthcareService/x"), False, True),
    (Actor(role=PHYSICIAN), True, True),
    (Actor(role=NURSE), False, False),
    (Actor(role=Coding("http://example.org/others", "nurse")), False, True),
    (Actor("Practitioner/b", role=NURSE), False, True),
    (Actor("Organization/h", role=Coding(PARTICIPATION, "CST")), False, True),
    (Actor("Practitioner/b", role=Coding(PARTICIPATION, "AUT")), True, True),
]


@pytest.mark.parametrize(("who", "permitted", "denied"), FOUND, ids=str)
def test_a_consent_is_found_by_whom_it_names_and_a_deny_by_whom_it_may_name(
    who: Actor, permitted: bool, denied: bool
) -> None:
    base = read4(r4(permit()))
    for effect, expected in ((Effect.PERMIT, permitted), (Effect.DENY, denied)):
        root = Provision("provision", effect, actors=(who,))
        consents = compiled(replace(base, base=effect, root=root))
        assert bool(found(consents)) is expected


@pytest.mark.parametrize(("who", "permitted", "denied"), FOUND, ids=str)
def test_who_is_not_known_completely_finds_every_consent(
    who: Actor, permitted: bool, denied: bool
) -> None:
    root = Provision("provision", Effect.DENY, actors=(who,))
    consents = compiled(replace(read4(r4(deny())), root=root))
    assert found(consents, replace(CALLER, complete=False))


BELOW = [
    (permit(actor("Practitioner/b"), but=(permit(actor("Practitioner/a")),)), True),
    (permit(actor("Practitioner/b"), but=(deny(actor("Practitioner/a")),)), True),
    (permit(actor("Practitioner/b"), but=(deny(label("R")),)), True),
    (permit(actor("Practitioner/b"), but=(deny(OVER, actor("Practitioner/a")),)), False),
    (permit(actor("Practitioner/b"), but=(deny(OVER, but=(permit(),)),)), False),
    (permit(actor("Practitioner/b"), but=(deny(actor("Practitioner/c")),)), False),
]


@pytest.mark.parametrize(("root", "expected"), BELOW)
def test_a_consent_is_found_by_whom_any_provision_in_force_names(
    root: Json, expected: bool
) -> None:
    assert bool(found(of(root))) is expected


def test_a_thousand_consents_for_others_are_not_looked_at() -> None:
    others = [permit(actor(f"Practitioner/other{n}")) for n in range(1000)]
    consents = of(*others, permit(actor("Practitioner/a")), deny(label("R")))
    assert found(consents) == ["Consent/c1000", "Consent/c1001"]
    assert len(consents.references) == 1002


def test_consents_that_say_the_same_are_one_with_the_first_as_its_name() -> None:
    consents = of(permit(), permit(but=(deny(OVER),)), deny(), permit())
    assert found(consents) == ["Consent/c0", "Consent/c2"]
    assert len(consents.references) == 4


def test_consents_of_different_dates_are_one_only_where_dates_do_not_count() -> None:
    both = [read4(r4(permit(), own=year, dateTime=year)) for year in ("2023", "2024")]
    assert len(found(compiled(*both))) == 1
    assert len(found(compiled(*both, by_date=True))) == 2


def test_of_one_voice_only_so_many_are_told_as_silent() -> None:
    consents = of(*[permit(purpose("HMARKT"))] * (MAX_SILENT + 5), deny())
    assert len(consents.permits) == MAX_SILENT


def test_what_acts_is_that_of_the_instant() -> None:
    consents = (read4(r4(permit(OVER))), read4(r4({"type": "novel"}, own="c2")))
    assert compiled(*consents).references == {"Consent/c2"}
    assert [one.reference for one in compiled(*consents).unknown] == ["Consent/c2"]
    assert compiled(*consents, now=NOW - 2 * 366 * 86_400).references == {
        "Consent/c1",
        "Consent/c2",
    }


def test_a_deny_of_a_role_that_the_caller_had_is_heard() -> None:
    consents = of(deny(actor("PractitionerRole/old")), deny(actor("PractitionerRole/else")))
    assert found(consents) == ["Consent/c0"]


@settings(max_examples=600)
@given(st.lists(actors, min_size=1, max_size=2), closures, st.sampled_from(Effect))
def test_whoever_may_be_meant_finds_the_consent(
    who: list[Actor], closure: ActorClosure, effect: Effect
) -> None:
    """The index leaves out nobody of whom `names_any` says that the provision names or may name them."""
    root = Provision("provision", effect, actors=tuple(who))
    consents = compiled(replace(read4(r4(permit())), base=effect, root=root))
    answer = names_any(who, closure)
    if answer or (answer is None and effect is Effect.DENY):
        assert found(consents, closure)
