import re

import pytest

from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of, model, r4, r5

PLAIN_PATH = re.compile(r"[a-z]\w*(\.[a-z]\w*)*")
FILTERED_PATH = re.compile(r"[a-z][\w.]*\[\w+=[\w-]+\](\.\w+)*")

WELL_KNOWN_R4 = [
    ("Observation", "code", "token", ("code",)),
    ("Observation", "combo-code", "token", ("code", "component.code")),
    ("Observation", "value-concept", "token", ("valueCodeableConcept",)),
    ("Observation", "value-quantity", "quantity", ("valueQuantity", "valueSampledData")),
    (
        "Observation",
        "date",
        "date",
        ("effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant"),
    ),
    ("Condition", "onset-age", "quantity", ("onsetAge", "onsetRange")),
    ("MedicationRequest", "medication", "reference", ("medicationReference",)),
    ("MedicationRequest", "code", "token", ("medicationCodeableConcept",)),
    ("Patient", "family", "string", ("name.family",)),
    ("Patient", "_id", "token", ("id",)),
    ("Patient", "_lastUpdated", "date", ("meta.lastUpdated",)),
    ("Patient", "_security", "token", ("meta.security",)),
    ("Observation", "code-value-quantity", "composite", ()),
    ("Patient", "deceased", "token", ()),
    ("PlanDefinition", "context-quantity", "quantity", ("useContext.valueQuantity", "useContext.valueRange")),
]  # fmt: skip


@pytest.mark.parametrize(("resource_type", "name", "kind", "paths"), WELL_KNOWN_R4)
def test_a_well_known_parameter_has_its_kind_and_paths(
    resource_type: str, name: str, kind: str, paths: tuple[str, ...]
) -> None:
    param = r4.SEARCH_PARAMS[resource_type][name]

    assert (param.name, param.kind, param.paths) == (name, kind, paths)


def test_a_cast_by_resolve_narrows_the_targets() -> None:
    practitioner = r4.SEARCH_PARAMS["Encounter"]["practitioner"]
    patient = r4.SEARCH_PARAMS["Observation"]["patient"]

    assert (practitioner.paths, practitioner.targets) == (
        ("participant.individual",),
        ("Practitioner",),
    )
    assert (patient.paths, patient.targets) == (("subject",), ("Patient",))


def test_a_parameter_with_a_condition_has_only_filtered_paths() -> None:
    phone = r4.SEARCH_PARAMS["Patient"]["phone"]

    assert (phone.paths, phone.filtered) == ((), ("telecom[system=phone]",))


def test_any_type_is_spelled_out() -> None:
    assert set(r4.REFERENCES["Task"]["focus"]) == r4.RESOURCE_TYPES


def test_reference_elements_include_nested_and_choice_elements() -> None:
    assert r4.REFERENCES["MedicationRequest"]["medicationReference"] == ("Medication",)
    assert r4.REFERENCES["Encounter"]["participant.individual"] == (
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
    )
    assert "provision.data.reference" in r4.REFERENCES["Consent"]
    assert r5.REFERENCES["MedicationRequest"]["medication.reference"] == ("Medication",)
    assert r4.RECURSIONS["Consent"]["provision.provision"] == "provision"


def test_the_r4_patient_compartment_has_66_members() -> None:
    members = r4.COMPARTMENTS["Patient"]

    assert len(members) == 66
    assert members["Observation"] == ("subject", "performer")
    assert "Practitioner" not in members


@pytest.mark.parametrize(
    ("version", "members"),
    [
        ("4.0.1", {"Device": 32, "Encounter": 24, "Patient": 66, "Practitioner": 58, "RelatedPerson": 31}),
        ("4.3.0", {"Device": 32, "Encounter": 24, "Patient": 66, "Practitioner": 58, "RelatedPerson": 31}),
        ("5.0.0", {"Device": 30, "Encounter": 25, "Patient": 73, "Practitioner": 56, "RelatedPerson": 29}),
    ],
)  # fmt: skip
def test_each_version_defines_the_same_five_compartments(
    version: str, members: dict[str, int]
) -> None:
    tables = definitions_of(version)
    assert {owner: len(held) for owner, held in tables.compartments.items()} == members


def test_what_the_versions_say_of_an_encounter() -> None:
    held = {one: definitions_of(one).compartments["Encounter"] for one in FHIR_VERSIONS}
    assert held["4.0.1"] == held["4.3.0"]
    assert held["4.0.1"]["Media"] == ("encounter",)
    assert "Media" not in held["5.0.0"]
    assert held["4.0.1"]["Observation"] == held["5.0.0"]["Observation"] == ("encounter",)


def test_summary_and_mandatory_elements_are_top_level_names() -> None:
    assert r4.MANDATORY["Observation"] == {"status", "code"}
    assert {"status", "code", "subject", "valueQuantity", "id", "meta"} <= r4.SUMMARY["Observation"]
    assert "referenceRange" not in r4.SUMMARY["Observation"]


def test_r4_has_146_concrete_types_and_r5_has_158() -> None:
    assert (len(r4.RESOURCE_TYPES), len(r5.RESOURCE_TYPES)) == (146, 158)


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_the_tables_of_a_version_agree_with_each_other(version: str) -> None:
    tables = definitions_of(version)

    assert tables.fhir_version == version
    assert set(tables.search_params) == tables.resource_types == set(tables.references)
    for owner, members in tables.compartments.items():
        assert owner in tables.resource_types
        for resource_type, names in members.items():
            assert all(tables.search_param(resource_type, name) for name in names)
    for resource_type, params in tables.search_params.items():
        for name, param in params.items():
            assert param.name == name, resource_type
            assert set(param.targets) <= tables.resource_types
            assert all(PLAIN_PATH.fullmatch(path) for path in param.paths)
            assert all(FILTERED_PATH.fullmatch(path) for path in param.filtered)


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_every_compartment_parameter_can_be_evaluated(version: str) -> None:
    tables = definitions_of(version)

    for owner, members in tables.compartments.items():
        for resource_type, names in members.items():
            params = [tables.search_params[resource_type][name] for name in names]
            assert all(p.kind == "reference" and p.paths for p in params), resource_type
            assert all(owner in p.targets for p in params), (owner, resource_type)


def test_the_notation_reads_stars_dashes_and_recursions() -> None:
    types = frozenset({"A", "B"})
    text = "DomainResource\nResource\n _id token id\nA\n of reference of,by * of[x=y]"

    params = model.search_params_of(text, types)

    assert params["A"]["of"] == model.SearchParam(
        "of", "reference", ("of", "by"), ("A", "B"), ("of[x=y]",)
    )
    assert params["A"]["_id"].paths == ("id",)
    rows = "A\n of *\n item.item =item"
    assert model.references_of(rows, types) == {"A": {"of": ("A", "B")}, "B": {}}
    assert model.recursions_of(rows) == {"A": {"item.item": "item"}}


def test_an_unknown_version_has_no_tables() -> None:
    with pytest.raises(KeyError):
        definitions_of("3.0.2")
