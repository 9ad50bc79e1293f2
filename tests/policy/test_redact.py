import pytest
from pydantic import ValidationError

from proxy.policy.redact import KEEP, OPERATORS, Redact

PATHS = [
    ("Patient.telecom", True),
    ("Observation.component.value", True),
    ("*.text", True),
    ("*.text.div", False),
    ("Patient", False),
    ("patient.name", False),
    ("Patient.name[0]", False),
    ("Patient.name.where(use='old')", False),
    ("Patient.name | Patient.telecom", False),
    ("Patient.", False),
    ("%resource.id", False),
    ("Patient.name\n", False),
]


@pytest.mark.parametrize(("path", "good"), PATHS)
def test_a_path_is_element_steps_only(path: str, good: bool) -> None:
    if good:
        assert Redact(remove=(path,)).entries() == (("remove", path, ""),)
    else:
        with pytest.raises(ValidationError):
            Redact(remove=(path,))


def test_redactions_are_listed_by_operator_and_can_be_narrowed_to_a_type() -> None:
    redact = Redact(
        mask=("Patient.name",),
        remove=("*.text", "Observation.note"),
        replace={"Patient.gender": "other"},
    )
    assert redact.entries_for("Patient") == (
        ("mask", "Patient.name", ""),
        ("remove", "*.text", ""),
        ("replace", "Patient.gender", "other"),
    )
    assert {operator for operator, _, _ in redact.entries()} <= set(OPERATORS)
    assert {*OPERATORS, "keep_extensions"} == set(Redact.model_fields)


def test_extensions_that_stay_are_entries_beside_what_is_redacted() -> None:
    redact = Redact(remove=("Patient.name",), keep_extensions=("urn:b", "urn:a"))
    kept = ((KEEP, "Extension.url", "urn:a"), (KEEP, "Extension.url", "urn:b"))
    assert redact.entries() == (*kept, ("remove", "Patient.name", ""))
    assert redact.entries_for("Patient") == (("remove", "Patient.name", ""),)
    assert Redact(keep_extensions=("urn:a",)).entries() == ()
