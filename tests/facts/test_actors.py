from typing import Any

import pytest

from proxy.facts.actors import AUTHOR, CUSTODIAN, is_named, names_any, names_caller
from proxy.facts.model import Actor, ActorClosure
from proxy.fhir.coding import PARTICIPATION, Coding, Identifier

RECIPIENT = Coding(PARTICIPATION, "IRCP")
RPPS = Identifier("urn:rpps", "8")
ME = ActorClosure(
    references=frozenset({"Practitioner/a", "Organization/h"}),
    identifiers=frozenset({RPPS}),
    roles=frozenset({Coding("s", "physician")}),
    organization_types=frozenset({Coding("t", "prov")}),
    former=frozenset({"PractitionerRole/old"}),
)
HALF = ActorClosure(frozenset({"Practitioner/a"}), complete=False)


@pytest.mark.parametrize(
    ("actor", "answer"),
    [
        (Actor("Practitioner/a", role=RECIPIENT), True),
        (Actor("Organization/h"), True),
        (Actor("Practitioner/b"), False),
        (Actor("PractitionerRole/old"), None),
        (Actor("PractitionerRole/other"), False),
        (Actor("Group/g", members=frozenset({"PractitionerRole/old"})), None),
        (Actor("Practitioner/double", identifiers=frozenset({RPPS})), True),
        (Actor("Group/g", members=frozenset({"Practitioner/b"}), dead=True), None),
        (Actor("Group/g", members=frozenset({"Practitioner/a"}), dead=True), True),
        (Actor("Device/d"), False),
        (Actor(identifier=RPPS), True),
        (Actor("Practitioner/unlinked", RPPS), True),
        (Actor(identifier=Identifier("urn:rpps", "9")), False),
        (Actor(identifier=Identifier("urn:adeli", "9")), None),
        (Actor("Practitioner/gone", dead=True), None),
        (Actor("?", dead=True), None),
        (Actor("Group/g"), None),
        (Actor("Group/g", members=frozenset({"Practitioner/a"})), True),
        (Actor("Group/g", members=frozenset({"Practitioner/b"})), False),
        (Actor("Group/g", members=frozenset()), False),
        (Actor("CareTeam/t"), None),
        (Actor("HealthcareService/s"), None),
        (Actor(role=RECIPIENT), True),
        (Actor(role=Coding("s", "physician")), True),
        (Actor(role=Coding("s", "nurse")), False),
        (Actor(role=Coding("t", "ins")), False),
        (Actor(role=Coding("unheard-of", "x")), None),
        (Actor(role=Coding("", "")), None),
        (Actor("Practitioner/a", role=Coding("s", "witness")), None),
        (Actor("Practitioner/a", role=AUTHOR), None),
        (Actor("Organization/h", role=CUSTODIAN), None),
    ],
    ids=str,
)
def test_an_actor_is_the_caller_or_not_or_cannot_be_told(actor: Actor, answer: bool | None) -> None:
    assert names_caller(actor, ME) is answer


@pytest.mark.parametrize(
    "actor",
    [
        Actor("Practitioner/b"),
        Actor(role=Coding("s", "nurse")),
        Actor("Group/g", members=frozenset()),
    ],
)
def test_nobody_is_certainly_someone_else_while_the_caller_is_not_known_whole(actor: Actor) -> None:
    assert names_caller(actor, HALF) is None


@pytest.mark.parametrize(
    ("actors", "answer"),
    [
        ([Actor("Practitioner/b"), Actor("Practitioner/a")], True),
        ([Actor("Practitioner/b"), Actor("Group/g")], None),
        ([Actor("Practitioner/b"), Actor("Organization/x", role=CUSTODIAN)], False),
        ([Actor("Organization/x", role=CUSTODIAN)], None),
    ],
)
def test_several_actors_are_alternatives(actors: list[Actor], answer: bool | None) -> None:
    assert names_any(actors, ME) is answer


@pytest.mark.parametrize("empty", [{"reference": None}, {"identifier": None}])
def test_nothing_is_never_named(empty: dict[str, Any]) -> None:
    assert not is_named(Actor(**empty), ME)
    assert not is_named(Actor(), ActorClosure())
