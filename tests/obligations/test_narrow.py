import pytest

from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.obligations.narrow import narrow
from tests.obligations.cases import DEFINITIONS, case_of, search

PATIENT = "Patient/p"


def added(
    target: str, scopes: str = "patient/*.rs", patient: str | None = PATIENT, *universal: str
) -> list[SearchParameter]:
    request = search(target)
    case = case_of(scopes=scopes, patient=patient, universal=frozenset(universal))
    after = narrow(request, case, DEFINITIONS)
    assert after.parameters[: len(request.parameters)] == request.parameters
    return list(after.parameters[len(request.parameters) :])


LIMITS = [
    ("Observation?code=a", SearchParameter("patient", "", (PATIENT,))),
    ("Encounter", SearchParameter("patient", "", (PATIENT,))),
    ("Patient?gender=male", SearchParameter("_id", "", ("p",))),
    ("Schedule", None),
    ("Practitioner?name=a", None),
]


@pytest.mark.parametrize(("target", "limit"), LIMITS)
def test_a_search_is_limited_to_the_patient_of_the_token(
    target: str, limit: SearchParameter | None
) -> None:
    assert added(target) == [limit] * (limit is not None)


@pytest.mark.parametrize(
    "scopes", ["user/*.rs", "patient/*.rs user/Observation.rs", "system/*.rs patient/*.rs"]
)
def test_a_scope_beyond_one_patient_is_not_limited(scopes: str) -> None:
    assert added("Observation", scopes) == []


def test_nothing_is_limited_without_a_patient_or_for_universal_types() -> None:
    assert added("Observation", "patient/*.rs", None) == []
    assert added("Observation", "patient/*.rs", PATIENT, "Observation") == []


def test_a_limit_that_stands_already_is_not_added_again() -> None:
    assert added(f"Observation?patient={PATIENT}") == []


def test_a_limit_stands_beside_what_the_caller_asks_for() -> None:
    assert added("Observation?patient=Patient/q") == [SearchParameter("patient", "", (PATIENT,))]


@pytest.mark.parametrize(
    "interaction", [one for one in Interaction if one is not Interaction.SEARCH_TYPE]
)
def test_only_searches_are_limited(interaction: Interaction) -> None:
    request = FhirRequest(interaction, "Observation", "o")
    assert narrow(request, case_of(scopes="patient/*.rs", patient=PATIENT), DEFINITIONS) == request


CODE = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
LABORATORY = SearchParameter("category", "", (CODE.partition("=")[2],))
OF_PATIENT = SearchParameter("patient", "", (PATIENT,))
CONSTRAINED: list[tuple[str, list[SearchParameter]]] = [
    (f"user/Observation.rs?{CODE}", [LABORATORY]),
    (f"user/Observation.rs?{CODE} user/Condition.rs", [LABORATORY]),
    (f"user/Observation.rs?{CODE}&status=final", [LABORATORY, SearchParameter("status", "", ("final",))]),
    (f"patient/Observation.rs?{CODE}", [LABORATORY, OF_PATIENT]),
    (f"user/Observation.rs?{CODE} user/Observation.rs", []),
    (f"user/Observation.rs?{CODE} user/Observation.rs?status=final", []),
    (f"user/Observation.r?{CODE} user/Observation.s", []),
    (f"user/Condition.rs?{CODE} user/Observation.rs", []),
    (f"patient/Observation.rs?{CODE} user/Observation.rs?status=final", []),
]  # fmt: skip


@pytest.mark.parametrize(("scopes", "limits"), CONSTRAINED)
def test_a_search_is_limited_to_the_constraints_of_the_only_scope_that_covers_it(
    scopes: str, limits: list[SearchParameter]
) -> None:
    assert added("Observation?code=a", scopes) == limits


def test_a_constraint_that_cannot_be_evaluated_limits_nothing() -> None:
    assert added("Observation?code=a", "user/Observation.rs?novel=x") == []
