import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.policy.labels import LabelFile, labels_from
from proxy.policy.parse import parse
from proxy.policy.terms import Terms
from tests.policy.packs import LABELS, TERMS

ICD = "http://hl7.org/fhir/sid/icd-10"
READY = labels_from(
    parse("labels.yaml", LABELS, LabelFile).content, parse("terms.yaml", TERMS, Terms).content
)
RESTRICTED = {Coding(CONFIDENTIALITY, "R")}

CODES = [
    ("B20", RESTRICTED),
    ("B20.1", set()),
    ("B21", RESTRICTED),
    ("B21.9", RESTRICTED),
    ("B2", set()),
    ("I10", set()),
]


@pytest.mark.parametrize(("code", "labels"), CODES)
def test_a_code_brings_its_labels_and_a_star_means_every_code_that_begins_so(
    code: str, labels: set[Coding]
) -> None:
    assert READY.labels_of([Coding(ICD, code)]) == labels


def test_the_same_code_in_another_system_that_has_a_name_brings_nothing() -> None:
    assert READY.labels_of([Coding("http://snomed.info/sct", "B20")]) == frozenset()


UNNAMED = ["", "urn:elsewhere", "https://terms.example.org/cim-10-fr", ICD + "-xx|2026"]


@pytest.mark.parametrize("system", UNNAMED)
@pytest.mark.parametrize(
    ("code", "labels"),
    [*CODES, (" b20", RESTRICTED), ("b21.9", RESTRICTED)],
)
def test_a_code_of_a_system_that_nobody_named_is_taken_for_the_listed_one(
    system: str, code: str, labels: set[Coding]
) -> None:
    assert READY.labels_of([Coding(system, code)]) == labels
    told = list(READY.rules_of([Coding(system, code)]))
    assert frozenset().union(*(added for _, _, added in told)) == labels


SPELLED = [ICD + "/", ICD + "|2019", "HTTP://HL7.ORG/fhir/sid/ICD-10", ICD.replace("http", "https")]


@pytest.mark.parametrize("system", SPELLED)
def test_a_named_system_is_known_in_every_spelling_of_its_uri(system: str) -> None:
    assert READY.terms.recognises(system)
    assert READY.terms.normalise(Coding(system, "B20")) == Coding(ICD, "B20")


KNOWN = [
    (Coding(CONFIDENTIALITY, "R"), True),
    (Coding("urn:oid:2.16.840.1.113883.5.25", "R"), True),
    (Coding(CONFIDENTIALITY, "HIV"), False),
    (Coding("urn:fr", "anything"), True),
    (Coding("urn:elsewhere", "R"), False),
    (Coding("", "R"), False),
]


@pytest.mark.parametrize(("label", "known"), KNOWN)
def test_a_label_is_known_by_itself_or_by_its_system(label: Coding, known: bool) -> None:
    assert READY.knows(label) is known


codings = st.builds(
    Coding, st.sampled_from([ICD, "urn:fr", "x"]), st.sampled_from(["B20", "B21", "B21.3", "Z", ""])
)


@given(st.lists(codings), st.lists(codings))
def test_more_codes_never_bring_fewer_labels(some: list[Coding], more: list[Coding]) -> None:
    assert READY.labels_of(some) | READY.labels_of(more) == READY.labels_of([*more, *some])


@pytest.mark.parametrize(("code", "labels"), CODES)
def test_the_rules_of_a_code_are_those_that_label_it(code: str, labels: set[Coding]) -> None:
    told = list(READY.rules_of([Coding(ICD, code)]))
    assert frozenset().union(*(added for _, _, added in told)) == labels
    assert {one for _, one, _ in told} == ({Coding(ICD, code)} if labels else set())
    assert bool(told) == bool(labels)
