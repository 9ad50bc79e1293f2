import pytest

from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.envelope import Envelope, Matter, is_another, is_cut_off

R, N = Coding(CONFIDENTIALITY, "R"), Coding(CONFIDENTIALITY, "N")
HIV = Coding("http://loinc.org", "75622-1")


def envelope(**more: object) -> Envelope:
    elements: dict[str, object] = {
        "type": "Observation",
        "id": "o1",
        "version": "2",
        "last_updated": "2026-01-01T00:00:00Z",
        "labels": frozenset({N}),
        "patients": frozenset({"Patient/a"}),
        "authors": frozenset({"Practitioner/x"}),
        "date": "",
        "codes": frozenset(),
        "profiles": frozenset(),
    }
    return Envelope(**{**elements, **more})  # type: ignore[arg-type]  # (a table of keywords)


def test_a_reference_names_type_and_id_and_the_version_where_there_is_one() -> None:
    assert envelope().reference == "Observation/o1"
    assert envelope().versioned == "Observation/o1/_history/2"
    assert envelope(version="").versioned == "Observation/o1"


def test_an_older_version_is_judged_by_the_labels_codes_and_patients_of_both() -> None:
    current = envelope(
        labels=frozenset({R}), codes=frozenset({HIV}), patients=frozenset({"Patient/b"})
    )
    older = envelope(version="1").under(current)
    assert older.labels == {R, N}
    assert older.codes == {HIV}
    assert older.patients == frozenset({"Patient/a", "Patient/b"})
    assert (older.version, older.authors) == ("1", frozenset({"Practitioner/x"}))


@pytest.mark.parametrize(
    ("own", "others"),
    [(None, frozenset({"Patient/a"})), (frozenset({"Patient/a"}), None), (None, None)],
)
def test_whom_one_version_is_about_cannot_be_told_so_it_cannot_of_the_other(
    own: frozenset[str] | None, others: frozenset[str] | None
) -> None:
    assert envelope(patients=own).under(envelope(patients=others)).patients is None


def test_other_labels_make_another_matter() -> None:
    matter = Matter("Observation", frozenset({N}), frozenset(), frozenset(), frozenset())
    assert envelope(matter=matter).labelled(frozenset({R})).matter is None
    assert envelope(matter=matter).labelled(frozenset({R})).labels == {R}
    assert envelope(matter=matter).under(envelope()).matter is None


def test_the_patients_of_a_matter_stand_in_order() -> None:
    matter = Matter(
        "Observation", frozenset(), frozenset({"Patient/b", "Patient/a"}), frozenset(), frozenset()
    )
    assert matter.sorted_patients == ("Patient/a", "Patient/b")
    nobody = Matter("Observation", frozenset(), None, frozenset(), frozenset())
    assert nobody.sorted_patients == ()


@pytest.mark.parametrize(
    ("body", "another"),
    [
        (b'{"resourceType":"Patient","id":"1"}', False),
        (b'{"resourceType":"Patient","id":"2"}', True),
        (b'{"resourceType":"Person","id":"1"}', True),
        (b'{"resourceType":"OperationOutcome"}', True),
        (b'{"resourceType":"Patient"}', False),
        (b'{"id":"1"}', False),
        (b'{"id":"2"}', True),
        (b'{"resourceType":7,"id":"2"}', False),
        (b'{"resourceType":"Person","id":"2","x":"\xff"}', True),
        (b"[" * 5000, False),
        (b"null", False),
        (b"", False),
    ],
)
def test_what_says_to_be_another_resource_is_one(body: bytes, another: bool) -> None:
    assert is_another(body, "Patient", "1") is another


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        (b"", True),
        (b" \n", True),
        (b'{"resourceType":"Observation","id":"x"', True),
        (b'{"resourceType":"Observation","id":"x"}\n', False),
        (b'{"a":1}{"b":2}', False),
        (b"[]", False),
        (b'{"x":"\xff"}', False),
    ],
)
def test_half_an_answer_is_told_from_a_whole_one(raw: bytes, *, cut: bool) -> None:
    assert is_cut_off(raw) is cut
