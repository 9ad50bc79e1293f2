"""Attacks on what decides: data that leave through a door that nobody watches, and denies that miss by a spelling."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.attacks.records import (
    NURSE,
    OUTSIDE,
    PHYSICIAN,
    ZED,
    about,
    answering,
    consent,
    gateway,
    resource,
    searchset,
)

VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10"
OF_NOE = resource("Observation", "o", status="final", code={"text": "CANARY"}, subject={"reference": "Patient/noe"})  # fmt: skip


@pytest.mark.parametrize(
    ("rtype", "inner"),
    [
        ("Medication", OF_NOE),
        ("Location", resource("Patient", "noe", name=[{"family": "CANARY"}])),
        ("Organization", resource("Patient", "nobody-knows", name=[{"family": "CANARY"}])),
        ("Questionnaire", OF_NOE),
    ],
)
async def test_what_is_open_to_everyone_carries_no_patient_out(
    tmp_path: Path, rtype: str, inner: dict[str, Any]
) -> None:
    async with gateway(tmp_path) as (stage, upstream):
        carrier = orjson.dumps(resource(rtype, "carrier", contained=[inner]))
        answering(upstream, f"/{rtype}/carrier", carrier)
        absent = await stage.ask(f"{rtype}/none", OUTSIDE)
        for who in (OUTSIDE, "patient", NURSE):
            reply = await stage.ask(f"{rtype}/carrier", who)
            assert (reply.status, reply.body) == (404, absent.body)
        answering(upstream, f"/{rtype}", searchset(carrier))
        assert (await stage.ask(rtype, OUTSIDE)).json["total"] == 0


DENIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # what the resource bears, what the Consent denies
    ({"code": {"coding": [{"system": ICD, "code": "I10"}]}}, {"code": [{"coding": [one]}]})
    for one in (
        {"system": "urn:oid:2.16.840.1.113883.6.3", "code": "I10"},
        {"system": f"{ICD}-cm", "code": "I10"},
        {"system": ICD, "code": "i10"},
        {"code": "I10"},
    )
]
DENIES += [
    ({"meta": {"security": [{"system": system, "code": code}]}}, {"securityLabel": [denied]})
    for system, code, denied in (
        (VISIBILITY, "MASQUE_PT", {"system": VISIBILITY, "code": "masque_pt"}),
        (VISIBILITY, "MASQUE_PT", {"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "MASQUE_PT"}),
        (CONFIDENTIALITY, "R", {
            "system": "https://mos.esante.gouv.fr/NOS/TRE_A08-HL7Confidentiality/FHIR/TRE-A08-HL7Confidentiality",
            "code": "R",
        }),
    )
]  # fmt: skip
IN_2022 = {"dataPeriod": {"start": "2022-01-01", "end": "2022-12-31"}}
DENIES += [
    ({"onsetPeriod": period}, IN_2022)
    for period in (
        {"start": "2021-12-30", "end": "2022-02-01"},
        {"start": "2020", "end": "2025"},
        {"start": "2021-12-30"},
        {"end": "2022-02-01"},
    )
]


@pytest.mark.parametrize(("bears", "denied"), DENIES)
async def test_a_deny_holds_however_it_is_spelled(
    tmp_path: Path, bears: dict[str, Any], denied: dict[str, Any]
) -> None:
    record = (*ZED, about("Condition", "zc", **bears), about("Condition", "open"))
    async with gateway(tmp_path, *record, consent("zed-denies", "deny", **denied)) as (stage, _):
        reply = await stage.ask("Condition/zc", PHYSICIAN)
        assert (reply.status, "CANARY" in reply.text) == (404, False)
        found = await stage.ask("Condition?patient=zed", PHYSICIAN)
        assert found.ids == ["Condition/open"]


async def test_a_denied_label_of_no_system_may_be_any(tmp_path: Path) -> None:
    labelled = about(
        "Condition", "zc", meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    )
    denies = consent("zed-denies", "deny", securityLabel=[{"code": "R"}])
    async with gateway(tmp_path, *ZED, labelled, denies) as (stage, _):
        assert (await stage.ask("Condition/zc", PHYSICIAN)).status == 404


RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"


@pytest.mark.parametrize(
    "denied",
    [
        {"system": RESOURCE_TYPES, "code": "Condition"},
        {"system": RESOURCE_TYPES, "code": "condition"},
        {"system": RESOURCE_TYPES, "code": "Conditions"},
        {"system": RESOURCE_TYPES, "code": "Resource"},
        {"system": "http://hl7.org/fhir/fhir-types", "code": "DomainResource"},
    ],
)
async def test_a_denied_type_that_is_misspelled_or_a_kind_of_types_denies(
    tmp_path: Path, denied: dict[str, str]
) -> None:
    record = (*ZED, about("Condition", "zc"), consent("d", "deny", **{"class": [denied]}))
    async with gateway(tmp_path, *record) as (stage, _):
        assert (await stage.ask("Condition/zc", PHYSICIAN)).status == 404


ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@pytest.mark.parametrize(
    ("purpose", "status"),
    [
        ({"system": ACT_REASON, "code": "TREAT"}, 404),
        ({"system": ACT_REASON, "code": "treat"}, 404),
        ({"system": ACT_REASON, "code": "TREATMENT"}, 404),
        ({"code": "TREATMENT"}, 404),
        ({"system": ACT_REASON, "code": "HRESCH"}, 200),
        ({"code": "HRESCH"}, 200),
        ({"system": "urn:other", "code": "TREATMENT"}, 200),
    ],
)
async def test_a_denied_purpose_that_is_misspelled_denies(
    tmp_path: Path, purpose: dict[str, str], status: int
) -> None:
    record = (*ZED, about("Condition", "zc"), consent("d", "deny", purpose=[purpose]))
    async with gateway(tmp_path, *record) as (stage, _):
        assert (await stage.ask("Condition/zc", PHYSICIAN)).status == status


async def test_a_deny_for_some_time_leaves_other_time_open(tmp_path: Path) -> None:
    record = (*ZED, about("Condition", "zc", onsetPeriod={"start": "2020", "end": "2021-12-31"}))
    async with gateway(tmp_path, *record, consent("d", "deny", **IN_2022)) as (stage, _):
        assert (await stage.ask("Condition/zc", PHYSICIAN)).status == 200


@pytest.mark.parametrize("url", ["{}|1.0.0", "https{}"])
async def test_an_inline_label_counts_whatever_version_its_url_names(
    tmp_path: Path, url: str
) -> None:
    own = (
        "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
    )
    spelled = url.format(own) if url.startswith("{") else url.format(own.removeprefix("http"))
    label = {"url": spelled, "valueCoding": {"system": CONFIDENTIALITY, "code": "V"}}
    labelled = about("Condition", "zc", extension=[label])
    async with gateway(tmp_path, *ZED, labelled) as (stage, _):
        assert (await stage.ask("Condition/zc", PHYSICIAN)).status == 404


@pytest.mark.parametrize("code", ["66214007\\n", "\\t66214007", " 66214007 "])
async def test_white_space_around_a_code_hides_nothing_from_the_labelling(
    tmp_path: Path, code: str
) -> None:
    body = (
        '{"resourceType":"Condition","id":"zc","subject":{"reference":"Patient/zed"},'
        f'"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}"}}]}}}}'
    ).encode()
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        answering(upstream, "/Condition", searchset(body))
        assert (await stage.ask("Condition?patient=zed", NURSE)).json["total"] == 0


@pytest.mark.parametrize(
    "role",
    [
        None,
        resource("PractitionerRole", "r", organization={"reference": "Organization/hopital-saint-aubin"}),
        resource("PractitionerRole", "r", practitioner={"identifier": {"system": "urn:x", "value": "1"}}),
    ],
)  # fmt: skip
async def test_a_role_whose_holder_cannot_be_told_proves_nothing(
    tmp_path: Path, role: dict[str, Any] | None
) -> None:
    denies = consent("zed-denies", "deny", actor=[
        {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
         "reference": {"reference": "Practitioner/dr-martin"}}
    ])  # fmt: skip
    team = resource("CareTeam", "t", status="active", subject={"reference": "Patient/zed"}, participant=[
        {"member": {"reference": "PractitionerRole/r"}}, {"member": {"reference": "Organization/hopital-saint-aubin"}}
    ])  # fmt: skip
    record = (*ZED, team, denies, about("Condition", "zc"), *([role] if role else []))
    who = {"like": PHYSICIAN, "fhirUser": "PractitionerRole/r"}
    async with gateway(tmp_path, *record) as (stage, _):
        reply = await stage.ask("Condition/zc", who)
        assert (reply.status == 200, "CANARY" in reply.text) == (False, False)


@pytest.mark.parametrize(
    ("period", "seen"),
    [
        ({}, True),
        ({"period": {"start": "2026"}}, True),
        ({"period": {"start": "2020", "end": "2021"}}, False),
        ({"period": {"start": "soon"}}, False),
        ({"period": "now"}, False),
    ],
)
async def test_a_permit_names_no_member_of_whom_it_is_in_doubt(
    tmp_path: Path, period: dict[str, Any], seen: bool
) -> None:
    member = {"entity": {"reference": "Practitioner/nurse-nora"}, **period}
    group = resource("Group", "g", type="practitioner", actual=True, member=[member])
    names = consent("names", "permit", actor=[
        {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
         "reference": {"reference": "Group/g"}}
    ])  # fmt: skip
    async with gateway(tmp_path, ZED[0], group, names, about("Condition", "zc")) as (stage, _):
        assert ((await stage.ask("Condition/zc", NURSE)).status == 200) is seen


async def test_a_code_in_small_letters_is_as_sensitive(tmp_path: Path) -> None:
    sensitive = about("Condition", "zc", code={"coding": [{"system": ICD, "code": "f11.2"}]})
    async with gateway(tmp_path, *ZED, sensitive) as (stage, _):
        assert (await stage.ask("Condition/zc", NURSE)).status == 404


NAMES_NURSE = consent("names", "permit", actor=[
    {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
     "reference": {"reference": "Practitioner/nurse-nora"}}
])  # fmt: skip


@pytest.mark.parametrize(
    "record", [(ZED[1], ZED[2]), (NAMES_NURSE,), (ZED[1], ZED[2], NAMES_NURSE)]
)
async def test_a_nurse_learns_no_address_whatever_opens_the_record(
    tmp_path: Path, record: tuple[dict[str, Any], ...]
) -> None:
    home = {"telecom": [{"value": "CANARY-0612345678"}], "address": [{"city": "CANARY-Rennes"}]}
    link = [{"target": {"reference": "Patient/zed"}}]
    persons = (resource("Patient", "zed", **home), resource("Person", "zp", link=link, **home))
    async with gateway(tmp_path, *persons, *record) as (stage, _):
        for target in ("Patient/zed", "Person/zp", "Patient?_id=zed", "Person?_id=zp"):
            reply = await stage.ask(target, NURSE)
            assert (reply.status, "CANARY" in reply.text) == (200, False)
            assert b"REDACTED" in reply.body
        assert (await stage.ask("Person?phone=CANARY-0612345678", NURSE)).status == 400
