from dataclasses import replace
from datetime import datetime

import pytest

from proxy.facts.proofs import KINDS, Kind, Window, kinds_for
from tests.facts.consents import PARIS

NOON = datetime(2024, 6, 1, 12, tzinfo=PARIS).timestamp()
EVERY = frozenset({"CareTeam", "Encounter", "EpisodeOfCare", "Appointment"})


def window(grace: int = 0, ttl: float = 30) -> Window:
    return Window(NOON, PARIS, grace, ttl)


def kind(name: str) -> Kind:
    return next(one for one in KINDS if one.resource_type == name)


@pytest.mark.parametrize(
    ("wanted", "named", "kinds"),
    [
        ({"care-team"}, {"CareTeam"}, ["CareTeam"]),
        ({"care-team"}, {"Encounter", "Appointment"}, ["Encounter", "Appointment"]),
        ({"care-team"}, set(), []),
        ({"guardian"}, EVERY, ["RelatedPerson"]),
        ({"general-practitioner", "care-team"}, {"EpisodeOfCare"}, ["EpisodeOfCare", "Patient"]),
        ({"self"}, EVERY, []),
    ],
)
def test_only_what_is_wanted_and_named_is_looked_up(
    wanted: set[str], named: set[str], kinds: list[str]
) -> None:
    found = kinds_for(frozenset(wanted), frozenset(named))
    assert [one.resource_type for one in found] == kinds


def test_a_grace_asks_for_what_has_ended_lately_besides() -> None:
    [going] = kind("Encounter").filters(window())
    assert dict(going).keys() == {"status"}
    assert "finished" not in dict(going)["status"]
    _, ended = kind("Encounter").filters(window(grace=3))
    assert dict(ended) == {"status": "finished,discharged,completed", "date": "ge2024-05-28"}


def test_appointments_are_asked_for_around_now_and_as_long_as_facts_are_kept() -> None:
    [filters] = kind("Appointment").filters(window())
    assert filters[1:] == (("date", "ge2024-05-24"), ("date", "le2024-06-03"))
    [filters] = kind("Appointment").filters(window(grace=2, ttl=3 * 86_400))
    assert filters[1:] == (("date", "ge2024-05-22"), ("date", "le2024-06-07"))


def test_in_r5_appointments_are_asked_for_whenever_they_are() -> None:
    [filters] = kind("Appointment").filters(replace(window(), fhir_version="5.0.0"))
    assert dict(filters) == {"status": "booked,arrived,checked-in,fulfilled"}


def test_a_search_by_id_names_ids_and_others_name_references() -> None:
    patients = ["Patient/p1", "Patient/p2"]
    assert kind("Patient").parameters(patients, ()) == (("_id", "p1,p2"),)
    assert kind("CareTeam").parameters(patients, (("status", "active"),)) == (
        ("patient", "Patient/p1,Patient/p2"),
        ("status", "active"),
    )
