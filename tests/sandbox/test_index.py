import pytest

from proxy.fhir.definitions import r4
from proxy.sandbox.index import Index
from proxy.sandbox.model import FhirError
from tests.sandbox import made

GENDER = r4.SEARCH_PARAMS["Patient"]["gender"]


def test_an_index_follows_every_change() -> None:
    store = made.store()
    made.put(store, "Patient", "a", gender="male")
    index = Index(store).of("Patient", GENDER)
    assert index.ids(["male"]) == {"a"}

    made.put(store, "Patient", "a", gender="female")
    made.put(store, "Patient", "b", gender="male")
    assert (index.ids(["male"]), index.ids(["female"])) == ({"b"}, {"a"})

    store.delete("Patient", "b")
    assert index.ids(["male", "female"]) == {"a"}
    assert set(index.values) == {"a"}


def test_an_index_follows_a_rollback() -> None:
    store = made.store()
    made.put(store, "Patient", "a", gender="male")
    index = Index(store).of("Patient", GENDER)

    def fail() -> None:
        with store.atomic():
            made.put(store, "Patient", "a", gender="female")
            made.put(store, "Patient", "b", gender="male")
            raise FhirError(400, "invalid", "on purpose")

    with pytest.raises(FhirError):
        fail()
    assert (index.ids(["male"]), index.ids(["female"])) == ({"a"}, set())


def test_the_index_of_a_parameter_is_built_once() -> None:
    index = Index(made.store())

    assert index.of("Patient", GENDER) is index.of("Patient", GENDER)


def test_what_cannot_be_evaluated_has_no_index() -> None:
    with pytest.raises(FhirError) as refused:
        Index(made.store()).of("Observation", r4.SEARCH_PARAMS["Observation"]["code-value-date"])
    assert refused.value.status == 400


def test_reference_parameters_are_those_with_paths() -> None:
    names = {param.name for param in Index(made.store()).reference_params("Observation")}

    assert {"subject", "patient", "encounter"} <= names
    assert "code" not in names
