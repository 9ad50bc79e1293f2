import json
from datetime import UTC
from typing import Any

import pytest
from fhir.resources.composition import Composition as CompositionR5
from fhir.resources.device import Device as DeviceR5
from fhir.resources.R4B.composition import Composition as CompositionR4B
from fhir.resources.R4B.device import Device as DeviceR4B
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.definitions import definitions_of
from proxy.fhir.parameters import searchable
from proxy.fhir.summary import (
    NOTHING,
    SECTIONS,
    Filled,
    Heading,
    Shown,
    author_of,
    composition_of,
    filled,
    searches,
)

BASE = "https://gateway.example.org/fhir"
ALWAYS = ["11450-4", "48765-2", "10160-0"]
LATER = ["11369-6", "30954-2", "47519-4", "46264-8", "11348-0", "18776-5", "29762-2", "10162-6", "47420-5", "42348-3"]  # fmt: skip


def nobody(_: str) -> str:
    return ""


def concept(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


def shown(rtype: str, number: int = 1, /, **elements: object) -> Shown:
    return Shown(f"{rtype}/{number}", {"resourceType": rtype, **elements})


def codes_of(one: Shown) -> list[str]:
    """The sections that a resource stands in."""
    return [each.section.code for each in filled([one], UTC) if each.entries]


STANDS: list[tuple[str, dict[str, object], list[str]]] = [
    ("Condition", {}, ["11450-4"]),
    ("Condition", {"clinicalStatus": concept("active")}, ["11450-4"]),
    ("Condition", {"clinicalStatus": concept("recurrence")}, ["11450-4"]),
    ("Condition", {"clinicalStatus": concept("resolved")}, ["11348-0"]),
    ("Condition", {"clinicalStatus": concept("remission")}, ["11348-0"]),
    ("Condition", {"verificationStatus": concept("refuted")}, []),
    ("Condition", {"verificationStatus": concept("entered-in-error"), "clinicalStatus": concept("resolved")}, []),
    ("AllergyIntolerance", {"verificationStatus": concept("unconfirmed")}, ["48765-2"]),
    ("AllergyIntolerance", {"verificationStatus": concept("refuted")}, []),
    ("AllergyIntolerance", {"clinicalStatus": concept("resolved")}, []),
    ("MedicationStatement", {"status": "active"}, ["10160-0"]),
    ("MedicationStatement", {"status": "recorded"}, ["10160-0"]),
    ("MedicationStatement", {"status": "stopped"}, []),
    ("MedicationRequest", {"status": "active"}, ["10160-0"]),
    ("MedicationRequest", {"status": "completed"}, []),
    ("MedicationRequest", {}, []),
    ("Immunization", {"status": "completed"}, ["11369-6"]),
    ("Immunization", {"status": "not-done"}, []),
    ("Observation", {"status": "final", "category": [concept("laboratory")]}, ["30954-2"]),
    ("Observation", {"status": "cancelled", "category": [concept("laboratory")]}, []),
    ("Observation", {"status": "final", "category": [concept("vital-signs")]}, []),
    ("Observation", {"status": "final", "category": [concept("social-history")]}, ["29762-2"]),
    ("Observation", {"status": "final", "category": [concept("social-history")], "code": concept("72166-2")}, ["29762-2"]),
    ("Observation", {"status": "final", "code": concept("74013-4")}, ["29762-2"]),
    ("Observation", {"status": "final", "category": [concept("laboratory")], "code": concept("11778-8")}, ["10162-6"]),
    ("DiagnosticReport", {"status": "final"}, ["30954-2"]),
    ("DiagnosticReport", {"status": "entered-in-error"}, []),
    ("Procedure", {"status": "completed"}, ["47519-4"]),
    ("Procedure", {"status": "not-done"}, []),
    ("DeviceUseStatement", {"status": "active"}, ["46264-8"]),
    ("DeviceUsage", {"status": "active"}, ["46264-8"]),
    ("DeviceUsage", {"status": "stopped"}, []),
    ("CarePlan", {"status": "active"}, ["18776-5"]),
    ("CarePlan", {"status": "draft"}, []),
    ("ClinicalImpression", {"status": "completed"}, ["47420-5"]),
    ("Consent", {"status": "active", "scope": concept("adr")}, ["42348-3"]),
    ("Consent", {"status": "active", "category": [concept("acd")]}, ["42348-3"]),
    ("Consent", {"status": "active", "scope": concept("patient-privacy"), "category": [concept("IDSCL")]}, []),
    ("Consent", {"status": "draft", "scope": concept("adr")}, []),
    ("Patient", {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("rtype", "elements", "expected"), STANDS)
def test_a_resource_stands_in_its_section(
    rtype: str, elements: dict[str, object], expected: list[str]
) -> None:
    assert codes_of(shown(rtype, **elements)) == expected


def test_sections_come_in_the_order_of_the_guide_and_three_are_always_there() -> None:
    assert [one.code for one in SECTIONS] == [*ALWAYS, *LATER]
    assert [one.section.code for one in filled([], UTC)] == ALWAYS


def test_the_latest_come_first_and_of_results_there_are_so_many() -> None:
    undated = shown("Procedure", 0, status="completed")
    dated = [shown("Procedure", n, status="completed", performedDateTime=f"202{n}") for n in (1, 3, 2)]  # fmt: skip
    [found] = [one for one in filled([undated, *dated], UTC) if one.entries]
    assert [one.reference for one in found.entries] == [f"Procedure/{n}" for n in (3, 2, 1, 0)]
    many = [shown("DiagnosticReport", n, status="final", issued=f"{1000 + n}") for n in range(300)]
    [results] = [one for one in filled(many, UTC) if one.entries]
    assert [one.reference for one in results.entries] == [f"DiagnosticReport/{n}" for n in range(299, 99, -1)]  # fmt: skip


@given(st.permutations([shown(kind, n, **more) for n, (kind, more, _) in enumerate(STANDS)]))
def test_the_order_in_which_things_are_found_shows_nowhere(found: list[Shown]) -> None:
    assert filled(found, UTC) == filled(sorted(found), UTC)


@pytest.mark.parametrize("version", ["4.0.1", "4.3.0", "5.0.0"])
def test_what_is_searched_can_be_searched(version: str) -> None:
    definitions = definitions_of(version)
    asked = searches(definitions.resource_types)
    assert {rtype for rtype, _ in asked} <= definitions.resource_types
    for rtype, more in asked:
        known = searchable(rtype, version)
        assert {"patient", *(one.name for one in more)} <= known.keys()
    named = {choice.type for section in SECTIONS for choice in section.choices}
    assert named & definitions.resource_types == {rtype for rtype, _ in asked}


@given(st.sampled_from([one for one in STANDS if one[0] == "Observation" and one[2]]))
def test_every_observation_that_is_taken_would_be_found(
    one: tuple[str, dict[str, Any], list[str]],
) -> None:
    elements = one[1]
    held = {
        "category": {c["code"] for each in elements.get("category", []) for c in each["coding"]},
        "code": {c["code"] for c in elements.get("code", {}).get("coding", [])},
    }
    asked = [more for rtype, more in searches(frozenset({"Observation"}))]
    assert any(held[one.name] & set(one.values) for more in asked for one in more)


def heading(version: str, confidentiality: str = "R") -> Heading:
    return Heading(
        base=BASE,
        patient=f"{BASE}/Patient/p",
        author="urn:uuid:b1a6a5c0-0f5e-4d7e-8a57-0d9a2a1d8a11",
        date="2026-11-22T09:00:00.000+00:00",
        confidentiality=confidentiality,
        fhir_version=version,
    )


def made(version: str, found: list[Filled], confidentiality: str = "R") -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        composition_of(heading(version, confidentiality), found, nobody)
    )
    return read  # fmt: skip


@pytest.mark.parametrize(
    ("version", "model", "device"),
    [
        ("4.0.1", CompositionR4B, DeviceR4B),
        ("4.3.0", CompositionR4B, DeviceR4B),
        ("5.0.0", CompositionR5, DeviceR5),
    ],
)
def test_composition_and_author_are_valid(version: str, model: Any, device: Any) -> None:
    found = filled([shown(kind, n, **more) for n, (kind, more, _) in enumerate(STANDS)], UTC)
    read = model.model_validate_json(composition_of(heading(version), found, nobody))
    assert [one.code.coding[0].code for one in read.section] == [*ALWAYS, *LATER]
    assert read.type.coding[0].code == "60591-5"
    assert device.model_validate_json(author_of("name", "1.0", version)).version[0].value == "1.0"


def test_confidentiality_is_the_highest_where_there_is_one() -> None:
    assert made("4.0.1", [])["confidentiality"] == "R"
    assert "confidentiality" not in made("4.0.1", [], "")
    assert "confidentiality" not in made("5.0.0", [])


def test_a_section_without_entries_says_that_nothing_is_known() -> None:
    for section in made("4.0.1", filled([], UTC))["section"]:
        assert "entry" not in section
        [reason] = section["emptyReason"]["coding"]
        assert reason["code"] == "unavailable"
        assert section["emptyReason"]["text"] == NOTHING
        assert NOTHING in section["text"]["div"]


def test_a_section_with_entries_names_each_and_tells_of_each() -> None:
    found = filled([shown("Condition", 1, code={"text": "<Asthma>"}), shown("Condition", 2)], UTC)
    [section] = [one for one in made("4.0.1", found)["section"] if "entry" in one]
    assert [one["reference"] for one in section["entry"]] == [
        f"{BASE}/Condition/1",
        f"{BASE}/Condition/2",
    ]
    assert section["text"]["div"].count("<li>") == 2
    assert "<li>&lt;Asthma&gt;</li>" in section["text"]["div"]
    assert "emptyReason" not in section
