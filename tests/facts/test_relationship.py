from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.model import ALWAYS, Actor, ActorClosure, Membership, PatientFacts, Period
from proxy.facts.relationship import (
    Reading,
    closure_of,
    memberships_of_care_team,
    memberships_of_general_practitioner,
    memberships_of_related_person,
    next_boundary,
    patient_of,
    relationships_of,
)  # fmt: skip
from proxy.fhir.coding import Coding, Identifier
from proxy.identity.principal import Principal, PrincipalKind, Situation
from proxy.identity.scopes import parse_scopes
from tests.facts.consents import PARIS, actor, deny, r4, read4
from tests.facts.test_directive import JSON

READING = Reading(PARIS, ("http://fhir.example.org/r4",))
NOW = datetime(2024, 6, 1, tzinfo=PARIS).timestamp()
TEAM: dict[str, Any] = {
    "resourceType": "CareTeam",
    "id": "t",
    "status": "active",
    "subject": {"reference": "Patient/p1"},
    "participant": [{"member": {"reference": "Practitioner/a"}}],
}
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def principal(**more: Any) -> Principal:
    known: dict[str, Any] = {
        "issuer": "i", "subject": "s", "client_id": "c", "token_id": "t", "kind": PrincipalKind.PRACTITIONER,
        "scopes": parse_scopes("user/*.rs"), "expires_at": NOW + 60, "fhir_user": "Practitioner/a",
    }  # fmt: skip
    return Principal(**(known | more))


def in_team(**more: Any) -> bool:
    found = memberships_of_care_team(TEAM | more, READING)
    return any(one.period.covers(NOW) and one.actor.reference == "Practitioner/a" for one in found)


@pytest.mark.parametrize(
    ("more", "member"),
    [
        ({}, True),
        ({"status": "inactive"}, False),
        ({"status": "proposed"}, False),
        ({"status": "suspended"}, False),
        ({"status": "entered-in-error"}, False),
        ({"status": None}, False),
        ({"period": {"end": "2024-05-31"}}, False),
        ({"period": {"start": "2024-06"}}, True),
        ({"period": {"start": "soon"}}, False),
        ({"modifierExtension": [{"url": "x"}]}, False),
        (
            {
                "participant": [
                    {"member": {"reference": "Practitioner/a"}, "period": {"end": "2023"}}
                ]
            },
            False,
        ),
        (
            {
                "participant": [
                    {"member": {"reference": "Practitioner/a"}, "period": {"start": "2024"}}
                ]
            },
            True,
        ),
        (
            {
                "participant": [
                    {"member": {"reference": "Practitioner/a"}, "coveragePeriod": {"end": "2023"}}
                ]
            },
            False,
        ),
        (
            {"participant": [{"member": {"reference": "Practitioner/a"}, "coverageTiming": {}}]},
            False,
        ),
        (
            {
                "participant": [
                    {"member": {"reference": "http://elsewhere.example.org/Practitioner/a"}}
                ]
            },
            False,
        ),
        ({"participant": [{"onBehalfOf": {"reference": "Practitioner/a"}}]}, False),
        ({"participant": []}, False),
        ({"participant": "everybody"}, False),
    ],
    ids=str,
)
def test_a_care_team_proves_only_current_members_of_an_active_team(
    more: dict[str, Any], member: bool
) -> None:
    assert in_team(**more) is member


def test_a_participant_counts_only_within_the_teams_own_period() -> None:
    participant = {
        "member": {"reference": "Practitioner/a"},
        "period": {"start": "2020", "end": "2030"},
    }
    [one] = memberships_of_care_team(
        TEAM | {"period": {"start": "2024", "end": "2024"}, "participant": [participant]}, READING
    )
    assert not one.period.covers(datetime(2023, 12, 31, 23, tzinfo=PARIS).timestamp())
    assert one.period.covers(NOW)


def test_general_practitioners_may_be_persons_roles_and_organisations() -> None:
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": "p1",
        "generalPractitioner": [
            {"reference": "Practitioner/a"}, {"reference": "Organization/h/_history/1"},
            {"identifier": {"system": "urn:oid:1.2", "value": "7"}}, {"identifier": {"value": "7"}}, {"display": "x"},
        ],
    }  # fmt: skip
    actors = [one.actor for one in memberships_of_general_practitioner(patient, READING)]
    assert actors == [
        Actor("Practitioner/a"), Actor("Organization/h"), Actor(None, Identifier("urn:oid:1.2", "7")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ({"reference": "Practitioner/a"}, True),
        ({"reference": "PractitionerRole/r"}, True),
        ({"reference": "Organization/h"}, True),
        ({"identifier": {"system": "urn:rpps", "value": "8"}}, True),
        ({"type": "Practitioner", "identifier": {"system": "urn:rpps", "value": "8"}}, True),
        ({"type": "Patient", "identifier": {"system": "urn:rpps", "value": "8"}}, False),
        ({"identifier": {"value": "8"}}, False),
        ({"reference": "Patient/p2"}, False),
        ({"reference": "RelatedPerson/m"}, False),
        ({"reference": "Group/g"}, False),
        ({"reference": "CareTeam/t"}, False),
        ({"reference": "#a"}, False),
        ({"display": "Dr A"}, False),
    ],
)
def test_only_professionals_and_organisations_treat_whoever_the_record_names(
    node: dict[str, Any], found: bool
) -> None:
    patient: dict[str, Any] = {"id": "p1", "generalPractitioner": [node]}
    team = TEAM | {"participant": [{"member": node}]}
    assert bool(memberships_of_general_practitioner(patient, READING)) is found
    assert bool(memberships_of_care_team(team, READING)) is found


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({}, {"guardian"}),
        ({"active": False}, set()),
        ({"period": {"end": "2023"}}, set()),
        ({"relationship": [{"coding": [{"system": ROLE_CODE, "code": "MTH"}]}]}, set()),
        ({"relationship": [{"text": "guardian"}]}, set()),
        ({"modifierExtension": []}, set()),
    ],
)
def test_a_related_person_is_a_guardian_only_by_code(more: dict[str, Any], kinds: set[str]) -> None:
    person = {
        "resourceType": "RelatedPerson",
        "id": "m",
        "patient": {"reference": "Patient/p1"},
        "relationship": [{"coding": [{"system": ROLE_CODE, "code": "GUARD"}]}],
    }
    found = memberships_of_related_person(person | more, READING)
    assert {one.kind for one in found if one.period.covers(NOW)} == kinds


def test_the_next_boundary_is_when_something_begins_or_ends() -> None:
    periods = [Period(1, 5), Period(None, 9), Period(7, None), ALWAYS]
    assert [next_boundary(periods, now) for now in (0, 2, 6, 8, 10)] == [1, 5, 7, 9, float("inf")]


ROLE: dict[str, Any] = {
    "id": "r",
    "practitioner": {"reference": "Practitioner/a"},
    "organization": {"reference": "Organization/ward"},
    "code": [{"coding": [{"system": "s", "code": "physician"}]}],
}
HOUSES: list[dict[str, Any]] = [
    {"id": "ward", "partOf": {"reference": "Organization/hospital"}},
    {
        "id": "hospital",
        "partOf": {"reference": "Organization/ward"},
        "type": [{"coding": [{"system": "t", "code": "prov"}]}],
        "identifier": [{"system": "urn:finess", "value": "1"}],
    },
    {"id": "insurer", "type": [{"coding": [{"system": "t", "code": "ins"}]}]},
]


def test_the_closure_holds_the_caller_its_roles_and_the_organisations_above_even_in_a_circle() -> (
    None
):
    me: dict[str, Any] = {
        "id": "a",
        "identifier": [
            {"system": "urn:rpps", "value": "8"},
            {"system": "urn:old", "value": "1", "use": "old"},
        ],
    }
    closure = closure_of([ROLE], HOUSES, principal(), READING, NOW, [me])
    assert closure == ActorClosure(
        references=frozenset(
            {"Practitioner/a", "PractitionerRole/r", "Organization/ward", "Organization/hospital"}
        ),
        identifiers=frozenset({Identifier("urn:rpps", "8"), Identifier("urn:finess", "1")}),
        roles=frozenset({Coding("s", "physician")}),
        organization_types=frozenset({Coding("t", "prov")}),
    )


@pytest.mark.parametrize(
    "more",
    [
        {"active": False},
        {"period": {"end": "2023"}},
        {"period": {"start": "2025"}},
        {"period": {"start": []}},
        {"practitioner": {"reference": "Practitioner/b"}},
        {"practitioner": {}},
    ],
)
def test_only_active_roles_of_the_caller_count(more: dict[str, Any]) -> None:
    assert closure_of([ROLE | more], HOUSES, principal(), READING, NOW).references == {
        "Practitioner/a"
    }


def test_an_organisation_that_the_token_names_counts_with_its_parents() -> None:
    who = principal(organization=Identifier("urn:finess", "1"))
    assert {"Organization/hospital", "Organization/ward"} <= closure_of(
        [], HOUSES, who, READING, NOW
    ).references


def test_a_role_that_is_no_longer_held_is_not_the_caller() -> None:
    who = principal(fhir_user="PractitionerRole/r")
    assert closure_of([ROLE], (), who, READING, NOW).references >= {
        "PractitionerRole/r",
        "Organization/ward",
    }
    assert closure_of([ROLE | {"active": False}], (), who, READING, NOW).references == frozenset()


ME = ActorClosure(frozenset({"Practitioner/a", "Organization/h"}))
MEMBER = Membership("care-team", Actor("Organization/h"), Period(None, NOW), "CareTeam/t")


@pytest.mark.parametrize(
    ("facts", "closure", "who", "expected"),
    [
        (PatientFacts("Patient/p1", (), (MEMBER,)), ME, principal(), {"care-team"}),
        (PatientFacts("Patient/p1", (), (MEMBER,)), ActorClosure(), principal(), set()),
        (PatientFacts("Patient/p1", (), None), ME, principal(), None),
        (PatientFacts("Patient/p1", None, (MEMBER,)), ME, principal(), None),
        (PatientFacts("Patient/p1", (), ()), ActorClosure(complete=False), principal(), None),
        (PatientFacts("Patient/p1", (), ()), ME, principal(fhir_user="Patient/p1", kind=PrincipalKind.PATIENT), {"self"}),
        (PatientFacts("Patient/p1", (), ()), ME, principal(fhir_user=None, patient="Patient/p1", kind=PrincipalKind.PATIENT), {"self"}),
            (PatientFacts("Patient/p1", (), ()), ME, principal(fhir_user="Patient/p2", patient="Patient/p1", kind=PrincipalKind.PATIENT), set()),
        (PatientFacts("Patient/p1", (), ()), ME, principal(patient="Patient/p1"), set()),
        (PatientFacts("Patient/p1", (), (MEMBER,)), ActorClosure(), principal(on_behalf_of="Organization/h"), {"delegate"}),
        (PatientFacts("Patient/p1", (read4(r4(deny(actor("Practitioner/a")))),), ()), ME, principal(), {"denied"}),
        (PatientFacts("Patient/p1", (read4(r4({"type": "novel"})),), ()), ME, principal(), None),
    ],
)  # fmt: skip
def test_relationships_are_what_can_be_proven_now(
    facts: PatientFacts, closure: ActorClosure, who: Principal, expected: set[str] | None
) -> None:
    assert relationships_of(facts, closure, who, NOW) == expected


def test_in_a_situation_only_the_roles_in_its_place_are_held_and_they_add_no_profession() -> None:
    place = Situation("1/10", frozenset({Identifier("urn:finess", "1")}))
    elsewhere = Situation("2/10", frozenset({Identifier("urn:finess", "2")}))
    doctor = frozenset({Coding("s", "nurse")})
    there = closure_of([ROLE], HOUSES, principal(situation=place, roles=doctor), READING, NOW)
    assert there.references >= {"PractitionerRole/r", "Organization/ward"}
    assert there.roles == doctor
    away = closure_of([ROLE], HOUSES, principal(situation=elsewhere, roles=doctor), READING, NOW)
    assert away.references == {"Practitioner/a"}
    assert away.former == {"PractitionerRole/r"}  # a deny that names it may mean the person
    assert Identifier("urn:finess", "2") in away.identifiers


DELEGATE = principal(fhir_user="Practitioner/s", delegator=principal())
OWN = ActorClosure(frozenset({"Practitioner/s", "Organization/h"}))


@pytest.mark.parametrize(
    ("closure", "who", "expected"),
    [
        (replace(OWN, behind=ME), DELEGATE, {"delegate"}),
        (replace(OWN, behind=ActorClosure()), DELEGATE, set()),
        (replace(OWN, behind=replace(ME, complete=False)), DELEGATE, set()),
        (OWN, DELEGATE, set()),
        (OWN, replace(DELEGATE, delegator=None), {"care-team"}),
        (replace(OWN, behind=ActorClosure()), replace(DELEGATE, fhir_user="Patient/p1"), set()),
    ],
)
def test_who_acts_for_another_has_that_ones_standing_and_none_of_its_own(
    closure: ActorClosure, who: Principal, expected: set[str]
) -> None:
    facts = PatientFacts("Patient/p1", (), (MEMBER,))
    assert set(relationships_of(facts, closure, who, NOW) or ()) == expected


def test_a_relationship_that_has_ended_is_none() -> None:
    facts = PatientFacts("Patient/p1", (), (MEMBER,))
    assert relationships_of(facts, ME, principal(), NOW + 1) == frozenset()


@given(
    st.dictionaries(
        st.sampled_from(
            [*TEAM, "generalPractitioner", "relationship", "period", "member", "patient"]
        ),
        JSON,
    )
)
def test_no_resource_raises(tree: dict[str, Any]) -> None:
    for kind in ("CareTeam", "Patient", "RelatedPerson", "Group"):
        resource = tree | {"resourceType": kind}
        memberships_of_care_team(resource, READING)
        memberships_of_general_practitioner(resource, READING)
        memberships_of_related_person(resource, READING)
        patient_of(resource, READING)
        closure_of([resource], [resource], principal(), READING, NOW, [resource])
