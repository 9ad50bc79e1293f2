"""What constrained scopes ask: conditions for each type they name, and nothing for what cannot be evaluated."""

from proxy.fhir.definitions import definitions_of
from proxy.identity.constrained import conditions_of
from proxy.identity.scopes import parse_scopes

R4 = definitions_of("4.0.1")


def asked(scopes: str) -> set[tuple[str, tuple[str, str]]]:
    found = conditions_of(parse_scopes(scopes), R4, "https://gateway.example.org/fhir")
    return {(one.rtype, one.constraint) for one in found}


def test_scopes_without_constraints_ask_for_nothing() -> None:
    assert asked("user/*.rs patient/Observation.rs") == set()


def test_each_constraint_is_a_condition_on_its_type() -> None:
    assert asked("user/Observation.rs?category=laboratory&status=final") == {
        ("Observation", ("category", "laboratory")),
        ("Observation", ("status", "final")),
    }


def test_a_star_asks_it_of_every_type_that_has_the_parameter() -> None:
    types = {rtype for rtype, _ in asked("user/*.rs?category=laboratory")}
    assert {"Observation", "DiagnosticReport", "Condition"} <= types
    assert "Patient" not in types


def test_what_cannot_be_evaluated_is_left_out_and_so_never_fulfilled() -> None:
    assert asked("user/Observation.rs?date=gt2024&category=laboratory") == {
        ("Observation", ("category", "laboratory"))
    }
