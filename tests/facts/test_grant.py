"""Grants: held by one person with one application, for one patient, for a time."""

from dataclasses import replace

import pytest

from proxy.facts.grant import Grant, Holder, by_patient, grants_for, holder_of
from tests.situations import principal_of

HOLDER = Holder("i", "s", "c", "Practitioner/a")
ONE = Grant("g1", HOLDER, "Patient/one", 100.0, 200.0)
TWO = Grant("g2", HOLDER, "Patient/two", 100.0, 150.0)
HELD = by_patient([ONE, TWO])


@pytest.mark.parametrize(
    ("instant", "is_open"), [(99.9, False), (100.0, True), (199.9, True), (200.0, False)]
)
def test_a_grant_is_open_from_its_first_instant_to_before_its_last(
    instant: float, *, is_open: bool
) -> None:
    assert ONE.covers(instant) is is_open
    assert bool(grants_for({"Patient/one"}, HELD, HOLDER, instant)) is is_open


def test_every_patient_needs_a_grant() -> None:
    assert grants_for({"Patient/two", "Patient/one"}, HELD, HOLDER, 120) == (ONE, TWO)
    assert grants_for({"Patient/one", "Patient/two"}, HELD, HOLDER, 160) == ()
    assert grants_for({"Patient/one", "Patient/three"}, HELD, HOLDER, 120) == ()


def test_what_is_about_nobody_is_under_no_grant() -> None:
    assert grants_for((), HELD, HOLDER, 120) == ()


@pytest.mark.parametrize(
    "other",
    [
        replace(HOLDER, issuer="j"),
        replace(HOLDER, subject="t"),
        replace(HOLDER, client_id="d"),
        replace(HOLDER, fhir_user=""),
    ],
)
def test_another_person_or_application_holds_nothing(other: Holder) -> None:
    assert grants_for({"Patient/one"}, HELD, other, 120) == ()


def test_a_holder_is_the_person_and_the_application_of_a_token() -> None:
    who = principal_of("Practitioner/a", None, "TREAT")
    assert holder_of(who) == Holder("i", "Practitioner/a", "c", "Practitioner/a")
    assert holder_of(replace(who, fhir_user=None)) == Holder("i", "Practitioner/a", "c", "")


def test_of_several_grants_for_a_patient_the_first_counts() -> None:
    assert by_patient([ONE, replace(ONE, id="g9")])["Patient/one"] is ONE
