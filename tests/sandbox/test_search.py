import pytest

from proxy.sandbox.index import Index
from proxy.sandbox.model import FhirError
from proxy.sandbox.query import Criterion
from proxy.sandbox.search import FEW, Search
from tests.sandbox import made


def found(search: Search, kind: str, *pairs: tuple[str, str]) -> list[str]:
    return [v.id for v in search.find(search.query(kind, pairs, "http://here/fhir"))]


@pytest.fixture
def search() -> Search:
    return made.small_world().search


def test_without_criteria_everything_is_found_in_order_of_creation(search: Search) -> None:
    assert found(search, "Patient") == ["ann", "bob"]


def test_an_absolute_reference_to_ourselves_is_local(search: Search) -> None:
    assert found(search, "Observation", ("subject", "http://here/fhir/Patient/ann")) == ["obs"]
    assert found(search, "Observation", ("subject", "http://far/fhir/Patient/ann")) == []


def test_a_chain_without_type_tries_all_targets(search: Search) -> None:
    assert found(search, "Observation", ("subject.name", "a")) == ["obs"]
    assert found(search, "Observation", ("patient.organization.name", "clin")) == ["obs"]


def test_a_reverse_chain_may_end_in_a_chain(search: Search) -> None:
    name = "_has:Observation:patient:performer:Practitioner.name"

    assert found(search, "Patient", (name, "hou")) == ["ann"]
    assert found(search, "Patient", (name, "smith")) == []


def test_a_reverse_chain_may_follow_a_chain(search: Search) -> None:
    name = "patient._has:Observation:patient:code"

    assert found(search, "Observation", (name, "1-8")) == ["obs"]


@pytest.mark.parametrize(
    "name", ["_has:Unicorn:subject:code", "_has:Observation:subject", "_has:Observation:unicorn:code", "code.name",
             "subject.unicorn", "_text", "code-value-date"],
)  # fmt: skip
def test_what_leads_nowhere_is_refused(search: Search, name: str) -> None:
    with pytest.raises(FhirError) as refused:
        found(search, "Observation", (name, "x"))
    assert refused.value.status == 400


def test_lacking_a_value_sorts_last_either_way(search: Search) -> None:
    assert found(search, "Patient", ("_sort", "gender")) == ["bob", "ann"]
    assert found(search, "Patient", ("_sort", "-gender")) == ["bob", "ann"]


def test_many_candidates_and_few_give_the_same() -> None:
    store = made.store()
    for i in range(FEW + 10):
        made.put(store, "Patient", f"p{i}", active=True, gender="male" if i % 2 else "female")
    search = Search(Index(store))

    many = search.ids("Patient", [Criterion("gender", "", "", ("male",))])
    both = search.ids(
        "Patient",
        [Criterion("active", "", "", ("true",)), Criterion("gender", "", "", ("male",))],
    )
    few = search.ids(
        "Patient",
        [Criterion("_id", "", "", ("p1", "p2")), Criterion("gender", "", "", ("male",))],
    )

    assert len(many) == (FEW + 10) // 2
    assert both == many
    assert few == {"p1"}
