from datetime import datetime
from typing import Any

import pytest
from hypothesis import given

from proxy.facts.activity import (
    DAY,
    members_proven,
    memberships_of_appointment,
    memberships_of_encounter,
    memberships_of_episode,
    patients_of,
    teams_named,
)
from proxy.facts.model import Actor, Membership, Period
from proxy.facts.relationship import Reading
from tests.facts.consents import PARIS
from tests.facts.test_directive import JSON
from tests.facts.test_relationship import NOW, TEAM

READING = Reading(PARIS, ("http://fhir.example.org/r4",))
GRACE = READING._replace(grace_days=3)
Json = dict[str, Any]
P1 = {"reference": "Patient/p1"}
DOCTOR = {"reference": "Practitioner/a"}


def part(**more: Any) -> Json:
    return {"individual": DOCTOR} | more


def encounter(**more: Any) -> Json:
    own = {"resourceType": "Encounter", "id": "e", "status": "in-progress", "subject": P1, "participant": [part()]}  # fmt: skip
    return own | more


def episode(**more: Any) -> Json:
    own = {"resourceType": "EpisodeOfCare", "id": "e", "status": "active", "patient": P1, "careManager": DOCTOR}  # fmt: skip
    return own | more


def invited(actor: Json, **more: Any) -> Json:
    return {"actor": actor, "status": "accepted"} | more


def appointment(**more: Any) -> Json:
    own = {
        "resourceType": "Appointment", "id": "a", "status": "booked", "start": "2024-06-01T10:00:00+02:00",
        "end": "2024-06-01T10:20:00+02:00", "participant": [invited(P1), invited(DOCTOR)],
    }  # fmt: skip
    return own | more


def proves(found: tuple[Membership, ...], now: float = NOW) -> bool:
    names = {one.actor.reference for one in found if one.period.covers(now)}
    assert names <= {"Practitioner/a"}, names
    return bool(names)


BEGUN, OVER = {"start": "2024-05-30"}, {"start": "2024-05-01", "end": "2024-05-30"}
ENCOUNTERS: list[tuple[Json, bool, bool]] = [
    # what it says, whether it proves, and with three days of grace
    ({}, True, True),
    ({"status": "arrived"}, True, True),
    ({"status": "triaged"}, True, True),
    ({"status": "onleave"}, True, True),
    ({"status": "on-hold"}, True, True),
    ({"status": "planned"}, False, False),
    ({"status": "cancelled"}, False, False),
    ({"status": "entered-in-error"}, False, False),
    ({"status": "unknown"}, False, False),
    ({"status": "discontinued"}, False, False),
    ({"status": None}, False, False),
    ({"status": ["in-progress"]}, False, False),
    ({"period": BEGUN}, True, True),
    ({"period": {"start": "2024-06-02"}}, False, False),
    ({"period": OVER}, False, True),
    ({"actualPeriod": OVER}, False, True),
    ({"period": {"start": "later"}}, False, False),
    ({"status": "finished"}, False, False),
    ({"status": "finished", "period": BEGUN}, False, False),
    ({"status": "finished", "period": OVER}, False, True),
    ({"status": "completed", "actualPeriod": OVER}, False, True),
    ({"status": "discharged", "actualPeriod": OVER}, False, True),
    ({"status": "finished", "period": {"end": "2019"}}, False, False),
    ({"participant": [part(period={"end": "2024-05-30"})]}, False, True),
    ({"participant": [part(period={"start": "2024-06-02"})]}, False, False),
    ({"participant": [part(period={"start": "nonsense"})]}, False, False),
    # a part that ended before the whole began never was
    ({"period": {"start": "2024-05-31"}, "participant": [part(period={"end": "2024-05-30"})]}, False, False),
    ({"participant": [part(modifierExtension=[{"url": "x"}])]}, False, False),
    ({"modifierExtension": [{"url": "x"}]}, False, False),
    ({"participant": [{"actor": DOCTOR}]}, True, True),
    ({"participant": [{"individual": {"reference": "http://fhir.example.org/r4/Practitioner/a"}}]}, True, True),
    ({"participant": [{"individual": {"reference": "Location/a"}}]}, False, False),
    ({"participant": [{"actor": {"reference": "Device/a"}}]}, False, False),
    ({"participant": [{"actor": {"reference": "RelatedPerson/a"}}]}, False, False),
    ({"participant": [{"actor": {"reference": "Organization/a"}}]}, False, False),
    ({"participant": [{"actor": {"reference": "CareTeam/a"}}]}, False, False),
    ({"participant": [{}]}, False, False),
    ({"participant": "Practitioner/a"}, False, False),
    ({"serviceProvider": {"reference": "Organization/a"}, "participant": []}, False, False),
]  # fmt: skip


@pytest.mark.parametrize(("more", "now", "with_grace"), ENCOUNTERS)
def test_an_encounter_proves_its_participants_while_it_goes_on(
    more: Json, now: bool, with_grace: bool
) -> None:
    assert proves(memberships_of_encounter(encounter(**more), READING)) is now
    assert proves(memberships_of_encounter(encounter(**more), GRACE)) is with_grace


EPISODES: list[tuple[Json, bool, bool]] = [
    ({}, True, True),
    ({"status": "planned"}, False, False),
    ({"status": "waitlist"}, False, False),
    ({"status": "onhold"}, False, False),
    ({"status": "cancelled"}, False, False),
    ({"status": "entered-in-error"}, False, False),
    ({"status": "finished"}, False, False),
    ({"status": "finished", "period": OVER}, False, True),
    ({"period": OVER}, False, True),
    ({"period": BEGUN}, True, True),
    ({"period": {"start": "soon"}}, False, False),
    ({"modifierExtension": [{"url": "x"}]}, False, False),
    ({"careManager": {"reference": "Organization/a"}}, False, False),
    ({"careManager": None}, False, False),
    ({"managingOrganization": DOCTOR, "careManager": None}, False, False),
]


@pytest.mark.parametrize(("more", "now", "with_grace"), EPISODES)
def test_an_episode_proves_its_manager_while_it_is_active(
    more: Json, now: bool, with_grace: bool
) -> None:
    assert proves(memberships_of_episode(episode(**more), READING)) is now
    assert proves(memberships_of_episode(episode(**more), GRACE)) is with_grace


APPOINTMENTS: list[tuple[Json, bool, bool]] = [
    ({}, True, True),
    ({"status": "arrived"}, True, True),
    ({"status": "checked-in"}, True, True),
    ({"status": "fulfilled"}, True, True),
    ({"status": "proposed"}, False, False),
    ({"status": "pending"}, False, False),
    ({"status": "waitlist"}, False, False),
    ({"status": "cancelled"}, False, False),
    ({"status": "noshow"}, False, False),
    ({"status": "entered-in-error"}, False, False),
    ({"end": None}, False, False),
    ({"start": None}, False, False),
    ({"start": "2024-05-30T10:00:00+02:00", "end": "2024-05-31T10:00:00+02:00"}, False, True),
    ({"start": "2024-06-03T10:00:00+02:00", "end": "2024-06-03T10:30:00+02:00"}, False, True),
    ({"start": "2024-05-20T10:00:00+02:00", "end": "2024-05-20T10:30:00+02:00"}, False, False),
    # an end that is years off opens nothing for years
    ({"end": "2034-06-01T10:00:00+02:00"}, False, False),
    ({"end": "2024-05-01T10:00:00+02:00"}, False, False),
    ({"start": "2024"}, False, False),
    ({"start": "9999-12-31T10:00:00Z", "end": "9999-12-31T23:00:00Z"}, False, False),
    ({"modifierExtension": [{"url": "x"}]}, False, False),
    ({"participant": [invited(P1), invited(DOCTOR, status="needs-action")]}, False, False),
    ({"participant": [invited(P1), invited(DOCTOR, status="tentative")]}, False, False),
    ({"participant": [invited(P1), invited(DOCTOR, status="declined")]}, False, False),
    ({"participant": [invited(P1), {"actor": DOCTOR}]}, False, False),
    ({"participant": [invited(DOCTOR, period={"end": "2024-05"})]}, False, False),
    ({"participant": [invited(DOCTOR, modifierExtension=[{"url": "x"}])]}, False, False),
    ({"participant": [invited({"reference": "Location/a"})]}, False, False),
    ({"participant": [invited({"reference": "HealthcareService/a"})]}, False, False),
]


@pytest.mark.parametrize(("more", "now", "with_grace"), APPOINTMENTS)
def test_an_appointment_proves_who_accepted_it_on_its_days(
    more: Json, now: bool, with_grace: bool
) -> None:
    assert proves(memberships_of_appointment(appointment(**more), READING)) is now
    assert proves(memberships_of_appointment(appointment(**more), GRACE)) is with_grace


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2024-05-31T23:59:59+02:00", False),
        ("2024-06-01T00:00:00+02:00", True),
        ("2024-06-01T23:59:59+02:00", True),
        ("2024-06-02T00:00:00+02:00", False),
    ],
)
def test_the_days_of_an_appointment_are_those_of_the_zone(instant: str, expected: bool) -> None:
    found = memberships_of_appointment(appointment(), READING)
    assert proves(found, datetime.fromisoformat(instant).timestamp()) is expected


def test_an_appointment_without_end_is_on_the_day_it_begins() -> None:
    lasting = appointment()
    del lasting["end"]
    assert proves(memberships_of_appointment(lasting, READING))


def test_what_has_no_end_gets_no_grace_and_an_end_gets_exactly_the_days() -> None:
    [open_] = memberships_of_encounter(encounter(), GRACE)
    assert open_.period == Period()
    [ended] = memberships_of_encounter(encounter(period=OVER), GRACE)
    [plain] = memberships_of_encounter(encounter(period=OVER), READING)
    assert plain.period.end is not None
    assert ended.period == Period(plain.period.start, plain.period.end + 3 * DAY)


def test_an_appointment_is_about_each_patient_who_takes_part() -> None:
    both = [invited(P1), invited({"reference": "Patient/p2"}, status="declined"), invited(DOCTOR)]
    assert patients_of(appointment(participant=both), READING) == {"Patient/p1", "Patient/p2"}
    assert patients_of(appointment(participant=[], subject=P1), READING) == {"Patient/p1"}
    assert patients_of(encounter(), READING) == {"Patient/p1"}
    assert patients_of(episode(), READING) == {"Patient/p1"}
    assert patients_of(encounter(subject={"reference": "Group/g"}), READING) == frozenset()


@pytest.mark.parametrize("element", ["team", "careTeam"])
def test_the_teams_of_an_episode_are_named_and_their_members_put_in_their_place(
    element: str,
) -> None:
    listed = episode(careManager=None, period=BEGUN, **{element: [{"reference": "CareTeam/t"}]})
    [named] = memberships_of_episode(listed, READING)
    assert teams_named([named]) == {"t"}
    [member] = members_proven(named, "Patient/p1", TEAM, READING)
    assert (member.actor, member.source) == (Actor("Practitioner/a"), "EpisodeOfCare/e")
    assert member.period == named.period


@pytest.mark.parametrize(
    "team",
    [
        None,
        TEAM | {"status": "inactive"},
        TEAM | {"subject": {"reference": "Patient/p2"}},
        TEAM | {"subject": {"display": "somebody"}},
        TEAM | {"participant": [{"member": {"reference": "CareTeam/other"}}]},
        TEAM | {"participant": [{"member": {"reference": "RelatedPerson/daughter"}}]},
    ],
)
def test_a_team_that_is_not_this_patients_or_not_active_proves_nothing(team: Json | None) -> None:
    named = Membership("care-team", Actor("CareTeam/t"), Period(), "EpisodeOfCare/e")
    assert list(members_proven(named, "Patient/p1", team, READING)) == []


def test_a_team_of_nobody_in_particular_treats_whom_the_episode_names() -> None:
    named = Membership("care-team", Actor("CareTeam/t"), Period(end=NOW), "EpisodeOfCare/e")
    general = {name: value for name, value in TEAM.items() if name != "subject"}
    [member] = members_proven(named, "Patient/p1", general, READING)
    assert member.period == Period(end=NOW)


@given(JSON, JSON, JSON)
def test_reading_never_raises_and_nonsense_proves_nobody(one: Any, other: Any, third: Any) -> None:
    for resource in (
        encounter(participant=one, period=other, status=third),
        episode(careManager=one, team=other, period=third),
        appointment(participant=one, start=other, end=third),
    ):
        patients_of(resource, READING)
        for read in (memberships_of_encounter, memberships_of_episode, memberships_of_appointment):
            for found in read(resource, GRACE):
                assert found.actor.reference or found.actor.identifier
