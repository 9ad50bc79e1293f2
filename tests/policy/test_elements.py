import pytest

from proxy.policy.elements import exists, patient_types, resource_types

PATHS = [
    ("Patient.telecom", True),
    ("Patient.contact.telecom.value", True),
    ("Observation.component.value", True),
    ("Observation.value.unit", True),
    ("Observation.valueQuantity", False),
    ("Encounter.class", True),
    ("Questionnaire.item.item.item.text", True),
    ("DocumentReference.content.attachment.url", True),
    ("Encounter.actualPeriod", True),  # R5 only
    ("DocumentReference.context.sourcePatientInfo", True),  # R4 only
    ("Patient.telecm", False),
    ("Patient.birthDate.year", False),
    ("Patient.birthDate__ext", False),
    ("Nothing.at", False),
    ("*.text", True),
    ("*.identifier", True),
]


@pytest.mark.parametrize(("path", "there"), PATHS)
def test_a_path_exists_when_the_definition_of_its_type_has_it(path: str, there: bool) -> None:
    assert exists(path) is there


def test_what_can_be_about_a_patient_is_not_universal() -> None:
    about = {
        "Patient",
        "Observation",
        "Consent",
        "Group",
        "Device",
        "Schedule",
        "Binary",
        "Bundle",
        "Provenance",
    }
    directory = {
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
        "Medication",
        "ValueSet",
    }
    assert about <= patient_types()
    assert directory.isdisjoint(patient_types())
    assert about | directory <= resource_types()
