from typing import Any

import pytest

from proxy.facts.caller import MAX_ABOVE, caller_of
from proxy.facts.lookup import Budget
from proxy.facts.model import ActorClosure
from proxy.facts.relationship import Reading
from proxy.fhir.coding import Identifier
from proxy.identity.principal import Principal, PrincipalKind
from tests.facts.consents import PARIS
from tests.facts.test_gather import PEOPLE, Json, Upstream
from tests.facts.test_relationship import NOW, principal

READING = Reading(PARIS, ("http://fhir.example.org/r4",))
RPPS = Identifier("urn:rpps", "8")
FINESS = Identifier("urn:finess", "1")
PERSON = {"resourceType": "Practitioner", "id": "a", "identifier": [{"system": "urn:rpps", "value": "8"}]}  # fmt: skip


async def found(upstream: Upstream, who: Principal, lookups: int = 20) -> ActorClosure:
    return (await caller_of(who, Budget(upstream, lookups), READING, NOW)).value


def by_identifiers(*identifiers: Identifier, **more: Any) -> Principal:
    return principal(fhir_user=None, identifiers=frozenset(identifiers), **more)


NOBODY = [
    principal(fhir_user="Patient/p1", kind=PrincipalKind.PATIENT),
    principal(fhir_user="RelatedPerson/m", kind=PrincipalKind.RELATED_PERSON),
    principal(fhir_user="Device/d", kind=PrincipalKind.SYSTEM),
    by_identifiers(RPPS, kind=PrincipalKind.SYSTEM),
    by_identifiers(RPPS, kind=PrincipalKind.UNKNOWN),
    by_identifiers(Identifier("", "8")),
    by_identifiers(),
]


@pytest.mark.parametrize("who", NOBODY, ids=lambda who: f"{who.kind.value} {who.fhir_user}")
async def test_who_is_no_professional_is_what_the_token_says_and_looked_up_nowhere(
    who: Principal,
) -> None:
    upstream = Upstream(*PEOPLE)
    closure = await found(upstream, who)
    assert closure.complete
    assert closure.references == ({who.fhir_user} if who.fhir_user else frozenset())
    assert closure.identifiers == who.identifiers
    assert upstream.asked == []


async def test_an_identifier_that_nobody_has_makes_nobody() -> None:
    closure = await found(Upstream(*PEOPLE), by_identifiers(Identifier("urn:rpps", "9")))
    assert closure.complete
    assert closure.references == frozenset()


async def test_an_answer_with_another_identifier_is_not_believed() -> None:
    upstream = Upstream(*PEOPLE)
    upstream.ignoring = {"Practitioner"}
    closure = await found(upstream, by_identifiers(Identifier("urn:rpps", "9")))
    assert closure.references == frozenset()


async def test_two_identifiers_of_one_person_are_one_person() -> None:
    both = PERSON | {"identifier": [*PERSON["identifier"], {"system": "urn:adeli", "value": "7"}]}
    closure = await found(Upstream(both), by_identifiers(RPPS, Identifier("urn:adeli", "7")))
    assert closure.complete
    assert closure.references == {"Practitioner/a"}


async def test_two_identifiers_of_two_persons_are_nobody_in_particular() -> None:
    other = {"resourceType": "Practitioner", "id": "b", "identifier": [{"system": "urn:adeli", "value": "7"}]}  # fmt: skip
    closure = await found(Upstream(PERSON, other), by_identifiers(RPPS, Identifier("urn:adeli", "7")))  # fmt: skip
    assert not closure.complete
    assert "Practitioner/a" not in closure.references


async def test_an_identifier_means_itself_in_the_search() -> None:
    upstream = Upstream()
    await found(upstream, by_identifiers(Identifier("urn:a|b", "8,9")))
    assert upstream.asked == [("Practitioner", {"identifier": r"urn:a\|b|8\,9"})]


async def test_the_role_that_the_token_names_leads_to_all_the_others() -> None:
    second = {"resourceType": "PractitionerRole", "id": "r2", "practitioner": {"reference": "Practitioner/a"}}  # fmt: skip
    closure = await found(Upstream(*PEOPLE, second), principal(fhir_user="PractitionerRole/r"))
    assert {"PractitionerRole/r", "PractitionerRole/r2", "Practitioner/a"} <= closure.references


@pytest.mark.parametrize("practitioner", [None, {"display": "Dr A"}, {"reference": "#a"}])
async def test_a_role_of_nobody_known_proves_itself_at_most(practitioner: Json | None) -> None:
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": practitioner}
    upstream = Upstream({name: value for name, value in role.items() if value is not None})
    closure = await found(upstream, principal(fhir_user="PractitionerRole/r"))
    assert closure.references <= {"PractitionerRole/r"}


async def test_a_role_that_is_not_there_is_not_the_callers() -> None:
    closure = await found(Upstream(), principal(fhir_user="PractitionerRole/gone"))
    assert "PractitionerRole/gone" not in closure.references


@pytest.mark.parametrize("failing", ["Practitioner", "PractitionerRole", "Organization"])
async def test_what_could_not_be_looked_up_leaves_the_caller_incomplete_and_is_not_kept(
    failing: str,
) -> None:
    upstream = Upstream(*PEOPLE)
    upstream.failing = {failing}
    answer = await caller_of(principal(), Budget(upstream, 20), READING, NOW)
    assert (answer.value.complete, answer.keep) == (False, False)


@pytest.mark.parametrize("lookups", range(5))
async def test_a_budget_that_ends_early_leaves_the_caller_incomplete(lookups: int) -> None:
    closure = await found(Upstream(*PEOPLE), principal(), lookups)
    assert closure.complete is (lookups == 4)


async def test_an_organisation_that_the_token_names_brings_those_above_it() -> None:
    upstream = Upstream(
        {"resourceType": "Organization", "id": "ward", "identifier": [{"system": "urn:finess", "value": "1"}], "partOf": {"reference": "Organization/top"}},
        {"resourceType": "Organization", "id": "top", "type": [{"coding": [{"system": "t", "code": "prov"}]}]},
    )  # fmt: skip
    closure = await found(upstream, principal(fhir_user="Device/d", kind=PrincipalKind.SYSTEM, organization=FINESS))  # fmt: skip
    assert {"Organization/ward", "Organization/top"} <= closure.references
    assert {one.code for one in closure.organization_types} == {"prov"}


async def test_an_organisation_with_another_identifier_is_not_believed() -> None:
    upstream = Upstream({"resourceType": "Organization", "id": "other"})
    upstream.ignoring = {"Organization"}
    closure = await found(upstream, principal(fhir_user="Device/d", kind=PrincipalKind.SYSTEM, organization=FINESS))  # fmt: skip
    assert closure.references == {"Device/d"}


def tower(height: int) -> list[Json]:
    houses: list[Json] = [
        {"resourceType": "Organization", "id": f"o{n}", "partOf": {"reference": f"Organization/o{n + 1}"}}
        for n in range(height)
    ]  # fmt: skip
    del houses[-1]["partOf"]
    role = PEOPLE[0] | {"organization": {"reference": "Organization/o0"}}
    return [role, PERSON, *houses]


@pytest.mark.parametrize("height", [1, MAX_ABOVE - 1, MAX_ABOVE + 1])
async def test_parents_are_followed_and_too_many_are_unknown(height: int) -> None:
    closure = await found(Upstream(*tower(height)), principal())
    assert closure.complete is (height < MAX_ABOVE)
    if closure.complete:
        assert f"Organization/o{height - 1}" in closure.references


async def test_organisations_in_a_circle_end() -> None:
    one, other = (
        {"resourceType": "Organization", "id": own, "partOf": {"reference": f"Organization/{above}"}}
        for own, above in (("x", "y"), ("y", "x"))
    )  # fmt: skip
    role = PEOPLE[0] | {"organization": {"reference": "Organization/x"}}
    closure = await found(Upstream(role, PERSON, one, other), principal())
    assert closure.complete
    assert {"Organization/x", "Organization/y"} <= closure.references


@pytest.mark.parametrize(
    "employer",
    [
        {"identifier": {"system": "urn:finess", "value": "1"}},
        {"display": "an insurer, perhaps"},
        {"reference": "https://elsewhere.example/fhir/Organization/x"},
        {"reference": "Organization/gone"},
    ],
)
async def test_an_employer_that_cannot_be_told_leaves_the_caller_incomplete(employer: Json) -> None:
    closure = await found(Upstream(PEOPLE[0] | {"organization": employer}, PERSON), principal())
    assert not closure.complete


def house(own: str, *values: str) -> Json:
    identifiers = [{"system": "urn:finess", "value": value} for value in values]
    return {"resourceType": "Organization", "id": own, "identifier": identifiers}


HEARD = list[tuple[str, str]]


async def heard_of(upstream: Upstream, who: Principal) -> tuple[ActorClosure, HEARD]:
    heard: HEARD = []
    budget = Budget(upstream, 20, lambda kind, about: heard.append((kind.value, about)))
    return (await caller_of(who, budget, READING, NOW)).value, heard


async def test_two_organisations_of_one_identifier_are_none_in_particular() -> None:
    who = principal(fhir_user="Device/d", kind=PrincipalKind.SYSTEM, organization=FINESS)
    closure, heard = await heard_of(Upstream(house("x", "1"), house("y", "1", "2")), who)
    assert not closure.complete
    assert closure.references == {"Device/d"}
    assert heard == [("incomplete-closure", "one identifier of the caller is that of Organization/x, Organization/y")]  # fmt: skip


async def test_an_organisation_that_upstream_finds_by_another_identifier_does_not_make_two() -> (
    None
):
    upstream = Upstream(house("x", "1"), house("y", "2"))
    upstream.ignoring = {"Organization"}
    who = principal(fhir_user="Device/d", kind=PrincipalKind.SYSTEM, organization=FINESS)
    closure, heard = await heard_of(upstream, who)
    assert closure.complete
    assert closure.references == {"Device/d", "Organization/x"}
    assert heard == []


TROUBLED = [
    (by_identifiers(RPPS), [*PEOPLE, PERSON | {"id": "b"}], "Practitioner/a, Practitioner/b"),
    (principal(), [PEOPLE[0] | {"organization": {"display": "x"}}, PERSON], "the organization of PractitionerRole/r cannot be told"),
    (principal(), [PEOPLE[0] | {"organization": {"reference": "Organization/gone"}}, PERSON], "an organisation is not there: Organization/gone"),
    (principal(fhir_user="PractitionerRole/v"), [{"resourceType": "PractitionerRole", "id": "v"}], "who holds PractitionerRole/v cannot be told"),
    (principal(), tower(MAX_ABOVE + 2), "organisations above each other"),
]  # fmt: skip


@pytest.mark.parametrize(("who", "there", "about"), TROUBLED, ids=lambda one: str(one)[:30])
async def test_why_a_caller_is_not_known_completely_is_told(
    who: Principal, there: list[Json], about: str
) -> None:
    closure, heard = await heard_of(Upstream(*there), who)
    assert not closure.complete
    [(kind, words)] = heard
    assert kind == "incomplete-closure"
    assert about in words


async def test_roles_that_have_ended_are_known_as_former() -> None:
    ended = PEOPLE[0] | {"id": "old", "active": False}
    others = PEOPLE[0] | {"id": "x", "active": False, "practitioner": {"reference": "Practitioner/z"}}  # fmt: skip
    closure = await found(Upstream(*PEOPLE, ended, others), principal())
    assert closure.former == {"PractitionerRole/old"}
    assert "PractitionerRole/old" not in closure.references
