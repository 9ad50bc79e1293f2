"""CDS Hooks `patient-consent-consult`: what Consents and policy say to an actor, in the shape of the hook."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from proxy.audit.event import events_of
from proxy.audit.report import access_report
from proxy.decision.case import compile_policies
from proxy.decision.consult import Consulted
from proxy.decision.model import Obligations, Redaction
from proxy.enforcement.cds_hooks import (
    CONSULT,
    DISCOVERY,
    HOOK,
    INDICATORS,
    MOST_IDENTIFIERS,
    obligations_of,
)
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding, Effect
from proxy.policy.campaign import Dated
from tests.audit.cases import OBSERVER
from tests.facts.consents import actor, deny, r4
from tests.office import Office, opened
from tests.situations import BASELINE
from tests.stage import Json, bundle

pytestmark = pytest.mark.asyncio(loop_scope="module")

TWIN = {"system": "https://sante.example.org/twins", "value": "one-for-two"}
OLD = {"system": "https://sante.example.org/old", "value": "no-longer", "use": "old"}
SOLO = {"system": "https://sante.example.org/solo", "value": "1"}
EXTRA = bundle(
    {"resourceType": "Patient", "id": "solo", "identifier": [SOLO]},
    r4(deny(actor("Practitioner/dr-blanc")), own="solo-denies", patient="Patient/solo"),
    {"resourceType": "Patient", "id": "castor", "identifier": [TWIN, OLD]},
    {"resourceType": "Patient", "id": "pollux", "identifier": [TWIN]},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with opened(tmp_path_factory.mktemp("gateway"), EXTRA) as office:
        yield office


async def named(office: Office, reference: str) -> Json:
    """The first business identifier of somebody on the server."""
    own = (await office.stored(reference))["identifier"][0]
    return {"system": own["system"], "value": own["value"]}


async def call_of(office: Office, whom: str, who: str, **more: Any) -> Json:
    context = {
        "patientId": [await named(office, whom)],
        "actor": [await named(office, who)],
        "purposeOfUse": "TREAT",
        **more,
    }
    return {
        "hook": HOOK,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": context,
    }


async def card(office: Office, whom: str, who: str, **more: Any) -> Json:
    reply = await office.ask(CONSULT, await call_of(office, whom, who, **more))
    assert reply.status == 200, reply.body
    [told] = reply.json["cards"]
    assert isinstance(told, dict)
    return told


def redacted(told: Json) -> set[str]:
    """Codes of the REDACT obligation of a card."""
    return {
        code["code"]
        for one in told["extension"]["obligations"]
        if one["id"] == {"system": ACT_CODE, "code": "REDACT"}
        for code in one["parameters"].get("codes", [])
    }


# ---- what is answered --------------------------------------------------------------------------------------------


ANSWERS = [
    ("Patient/camille", "Practitioner/dr-martin", "CONSENT_PERMIT"),
    ("Patient/camille", "Practitioner/nurse-nora", "CONSENT_PERMIT"),
    ("Patient/camille", "Practitioner/dr-outis", "CONSENT_DENY"),
    ("Patient/ines", "Practitioner/dr-outis", "CONSENT_PERMIT"),
    ("Patient/denise", "Practitioner/dr-blanc", "CONSENT_DENY"),
    ("Patient/denise", "Organization/clinique-du-parc", "CONSENT_DENY"),
    ("Patient/marcel", "Practitioner/insurer-agent", "CONSENT_DENY"),
    ("Patient/marcel", "Organization/mutuelle-horizon", "CONSENT_DENY"),
    ("Patient/noe", "Practitioner/dr-martin", "NO_CONSENT"),
]


@pytest.mark.parametrize(("patient", "who", "word"), ANSWERS)
async def test_the_card_says_what_consents_and_policy_say(
    office: Office, patient: str, who: str, word: str
) -> None:
    told = await card(office, patient, who)
    assert (told["summary"], told["extension"]["decision"]) == (word, word)
    assert told["indicator"] == INDICATORS[word]
    if word != "CONSENT_PERMIT":
        assert told["extension"]["obligations"] == []


@pytest.mark.parametrize(("patient", "who"), sorted({row[:2] for row in ANSWERS}))
async def test_a_card_has_the_shape_of_the_hook(office: Office, patient: str, who: str) -> None:
    reply = await office.ask(CONSULT, await call_of(office, patient, who))
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["cards"]
    [told] = reply.json["cards"]
    assert told["summary"] in {"CONSENT_PERMIT", "CONSENT_DENY", "NO_CONSENT"}
    assert told["indicator"] in {"info", "warning", "critical"}
    assert isinstance(told["detail"], str)
    assert told["detail"]
    assert set(told["source"]) == {"label", "url"}
    extension = told["extension"]
    assert set(extension) == {"decision", "obligations", "basedOn"}
    for one in extension["obligations"]:
        assert set(one["id"]) == {"system", "code"}
        codes = one["parameters"].get("codes", []) + one["parameters"].get("exceptAnyOfCodes", [])
        assert all(set(code) == {"system", "code"} for code in codes)
    for one in extension["basedOn"]:
        assert "/Consent/" in one["reference"]


async def test_a_permit_obliges_to_redact_what_the_actor_may_not_see(office: Office) -> None:
    physician = await card(office, "Patient/marcel", "Practitioner/dr-martin")
    nurse = await card(office, "Patient/marcel", "Practitioner/nurse-nora")
    assert "HIV" in redacted(nurse)
    assert "HIV" not in redacted(physician)
    assert {"V", "Consent", "Provenance"} <= redacted(physician) & redacted(nurse)
    elements = [one for one in nurse["extension"]["obligations"] if one["id"]["code"] == "remove"]
    [remove] = elements
    assert remove["id"]["system"].endswith("/CodeSystem/obligation")
    assert {"Patient.telecom", "Patient.address"} <= set(remove["parameters"]["paths"])


async def test_the_purpose_of_use_counts_however_it_is_written(office: Office) -> None:
    for stated, word in (
        ("TREAT", "CONSENT_PERMIT"),
        (["TREAT"], "CONSENT_PERMIT"),
        ("HRESCH", "CONSENT_DENY"),
        (["HPAYMT"], "CONSENT_DENY"),
    ):
        told = await card(office, "Patient/camille", "Practitioner/dr-martin", purposeOfUse=stated)
        assert told["summary"] == word


async def test_only_named_types_are_answered_and_content_is_not_looked_at(office: Office) -> None:
    types = "http://hl7.org/fhir/resource-types"
    one = {"class": [{"system": types, "code": "Observation"}], "content": {"resourceType": "Bundle", "entry": []}}  # fmt: skip
    told = await card(office, "Patient/camille", "Practitioner/dr-martin", **one)
    assert told["summary"] == "CONSENT_PERMIT"
    assert "Provenance" not in redacted(told)
    two = {"class": [{"system": types, "code": "Provenance"}]}
    told = await card(office, "Patient/camille", "Practitioner/dr-martin", **two)
    assert told["summary"] == "CONSENT_DENY"


DOUBTS: list[tuple[str, Json]] = [
    ("a class that is no type", {"class": [{"system": "http://loinc.org", "code": "11502-2"}]}),
    ("a type that does not exist", {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Nonsense"}]}),
    ("one strange class among others", {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}, {"system": "x", "code": "Observation"}]}),
    ("a category that is not told apart", {"category": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}),
]  # fmt: skip


@pytest.mark.parametrize("more", [row[1] for row in DOUBTS], ids=[row[0] for row in DOUBTS])
async def test_what_is_not_told_apart_is_denied(office: Office, more: Json) -> None:
    told = await card(office, "Patient/camille", "Practitioner/dr-martin", **more)
    assert (told["summary"], told["extension"]["obligations"]) == ("CONSENT_DENY", [])


async def test_the_category_of_every_privacy_consent_changes_nothing(office: Office) -> None:
    category = [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]  # fmt: skip
    told = await card(office, "Patient/camille", "Practitioner/dr-martin", category=category)
    assert told["summary"] == "CONSENT_PERMIT"


async def test_the_consents_are_named(office: Office) -> None:
    told = await card(office, "Patient/denise", "Practitioner/dr-blanc")
    based = {one["reference"].partition("/Consent/")[2] for one in told["extension"]["basedOn"]}
    assert "denise-denies-dr-blanc/_history/1" in based
    assert "denise-denies-dr-blanc" in told["detail"]


# ---- who ---------------------------------------------------------------------------------------------------------


async def test_nobody_known_is_held_against_every_deny(office: Office) -> None:
    stranger = [{"system": "https://elsewhere.example.org", "value": "1"}]
    for unknown in (stranger, [{"value": "1"}]):
        told = await card(office, "Patient/denise", "Practitioner/dr-martin", actor=unknown)
        assert told["summary"] == "CONSENT_DENY"
    known = await card(office, "Patient/denise", "Practitioner/dr-martin")
    assert known["summary"] == "CONSENT_PERMIT"


async def test_a_deny_of_one_may_mean_who_is_not_known(office: Office) -> None:
    """Of those who are known, it means one; silence is told to the others alone."""
    known = {"dr-blanc": "CONSENT_DENY", "dr-martin": "NO_CONSENT"}
    for who, word in known.items():
        assert (await card(office, "Patient/solo", f"Practitioner/{who}"))["summary"] == word
    stranger = [{"system": "https://elsewhere.example.org", "value": "1"}]
    told = await card(office, "Patient/solo", "Practitioner/dr-martin", actor=stranger)
    assert told["summary"] == "CONSENT_DENY"


async def test_an_actor_of_several_identifiers_is_all_of_them(office: Office) -> None:
    doctor = await named(office, "Practitioner/dr-martin")
    insurer = await named(office, "Organization/mutuelle-horizon")
    for both, word in (([doctor], "CONSENT_PERMIT"), ([doctor, insurer], "CONSENT_DENY"), ([insurer, doctor], "CONSENT_DENY")):  # fmt: skip
        told = await card(office, "Patient/camille", "Practitioner/dr-martin", actor=both)
        assert told["summary"] == word


async def test_an_actor_is_not_two_people(office: Office) -> None:
    two = [await named(office, f"Practitioner/{one}") for one in ("dr-martin", "dr-outis")]
    call = await call_of(office, "Patient/camille", "Practitioner/dr-martin", actor=two)
    assert (await office.ask(CONSULT, call)).status == 404


async def nobody_in_particular(office: Office) -> list[list[Json]]:
    camille = await named(office, "Patient/camille")
    return [
        [TWIN],
        [{"system": OLD["system"], "value": OLD["value"]}],
        [{"system": camille["system"], "value": "of-nobody"}],
        [{"system": "https://elsewhere.example.org", "value": camille["value"]}],
        [{"value": camille["value"]}],
        [{"value": "Patient/camille"}],
        [{"value": "Patient/of-nobody"}],
        [camille, await named(office, "Patient/ines")],
        [camille, TWIN],
        [camille, {"value": "x"}],
    ]


async def test_identifiers_that_name_not_one_patient_alone_are_an_error(office: Office) -> None:
    for patient in await nobody_in_particular(office):
        before = len(office.entries())
        call = await call_of(office, "Patient/camille", "Practitioner/dr-martin", patientId=patient)
        reply = await office.ask(CONSULT, call)
        assert (reply.status, "cards" in reply.json) == (404, False), patient
        [entry] = office.entries()[before:]
        assert (entry.refusal, entry.touched) == ("not-found", ())


async def test_an_identifier_with_signs_of_the_search_language_is_no_search(office: Office) -> None:
    camille = await named(office, "Patient/camille")
    for value in (f"x,{camille['value']}", f"{camille['value']}&_id=ines", f"x|{camille['value']}"):
        patient = [{**camille, "value": value}]
        call = await call_of(office, "Patient/camille", "Practitioner/dr-martin", patientId=patient)
        assert (await office.ask(CONSULT, call)).status == 404


# ---- what cannot be read -----------------------------------------------------------------------------------------


ID = {"system": "urn:x", "value": "1"}
CONTEXT: Json = {"patientId": [ID], "actor": [ID]}
CALL: Json = {"hook": HOOK, "hookInstance": "1", "context": CONTEXT}
MALFORMED: list[tuple[str, Json | bytes]] = [
    ("nothing", b""),
    ("no JSON", b"{"),
    ("a list", b"[]"),
    ("another hook", {**CALL, "hook": "patient-view"}),
    ("a hook that begins like it", {**CALL, "hook": f"{HOOK}-2"}),
    ("no hook", {"hookInstance": "1", "context": CONTEXT}),
    ("no instance", {"hook": HOOK, "context": CONTEXT}),
    ("no context", {"hook": HOOK, "hookInstance": "1"}),
    ("no patient", {**CALL, "context": {"actor": [ID]}}),
    ("no actor", {**CALL, "context": {"patientId": [ID]}}),
    ("an empty list of patients", {**CALL, "context": {**CONTEXT, "patientId": []}}),
    ("an empty list of actors", {**CALL, "context": {**CONTEXT, "actor": []}}),
    ("too many identifiers", {**CALL, "context": {**CONTEXT, "actor": [ID] * (MOST_IDENTIFIERS + 1)}}),
    ("an identifier without value", {**CALL, "context": {**CONTEXT, "actor": [{"system": "x"}]}}),
    ("an identifier of blanks", {**CALL, "context": {**CONTEXT, "actor": [{"system": "x", "value": " "}]}}),
    ("an identifier with more", {**CALL, "context": {**CONTEXT, "actor": [{**ID, "use": "old"}]}}),
    ("one patient, no list", {**CALL, "context": {**CONTEXT, "patientId": ID}}),
    ("a further member", {**CALL, "context": {**CONTEXT, "scope": "adr"}}),
    ("a purpose that is a number", {**CALL, "context": {**CONTEXT, "purposeOfUse": 1}}),
    ("a purpose that is empty", {**CALL, "context": {**CONTEXT, "purposeOfUse": ""}}),
    ("a code without system", {**CALL, "context": {**CONTEXT, "class": [{"code": "Observation"}]}}),
    ("one member twice", orjson.dumps(CALL)[:-1] + b',"hook":"x"}'),
    ("nested without end", b'{"hook":' + b"[" * 30_000),
]  # fmt: skip


@pytest.mark.parametrize("body", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
async def test_what_is_no_call_of_the_hook_is_malformed_and_recorded(
    office: Office, body: Json | bytes
) -> None:
    before = len(office.entries())
    office.upstream.calls.clear()
    reply = await office.ask(CONSULT, body)
    assert (reply.status, reply.json["resourceType"]) == (400, "OperationOutcome")
    [entry] = office.entries()[before:]
    assert (entry.outcome, entry.refusal, entry.touched) == ("denied", "malformed", ())
    assert not office.upstream.calls


async def test_members_of_the_hooks_of_today_and_tomorrow_are_ignored(office: Office) -> None:
    call = await call_of(office, "Patient/camille", "Practitioner/dr-martin")
    call |= {"fhirServer": "https://elsewhere.example.org", "prefetch": {"x": None}, "future": 1}
    assert (await office.ask(CONSULT, call)).json["cards"][0]["summary"] == "CONSENT_PERMIT"


STRANGERS: list[tuple[Any, int]] = [(None, 401), ({"header": "Basic eDp5"}, 401), ("care-team-physician", 403)]  # fmt: skip


@pytest.mark.parametrize(("who", "status"), STRANGERS)
async def test_only_reviewers_are_answered(office: Office, who: Any, status: int) -> None:
    office.upstream.calls.clear()
    assert (await office.ask(CONSULT, CALL, who)).status == status
    assert not office.upstream.calls


# ---- the record, discovery ---------------------------------------------------------------------------------------


async def test_a_use_is_recorded_with_asker_question_patient_and_consents(office: Office) -> None:
    call = await call_of(office, "Patient/denise", "Practitioner/dr-blanc")
    before = len(office.entries())
    reply = await office.ask(CONSULT, call)
    [entry] = office.entries()[before:]
    assert (entry.interaction, entry.outcome, entry.target) == ("operation", "permitted", CONSULT)
    assert entry.actor.name == "Olga Officer"
    assert entry.policy_digest
    assert reply.json["cards"][0]["uuid"] == entry.id
    kept = orjson.loads(entry.form)
    assert (kept["patient"], kept["decision"]) == ("Patient/denise", "CONSENT_DENY")
    assert kept["actor"] == call["context"]["actor"]
    accesses = access_report([entry], "Patient/denise")
    assert {(one.who, one.outcome) for one in accesses} == {("Olga Officer", "explained")}
    touched = {reference for one in entry.touched for reference in one.references}
    assert touched >= {"Patient/denise", "Consent/denise-denies-dr-blanc/_history/1"}
    assert {patient for one in entry.touched for patient in one.patients} == {"Patient/denise"}
    assert events_of(entry, observer=OBSERVER)


async def test_the_service_is_discovered_without_a_token_and_that_is_recorded(
    office: Office,
) -> None:
    before = len(office.entries())
    reply = await office.ask(DISCOVERY, who=None, method="GET")
    [service] = reply.json["services"]
    assert (service["hook"], service["id"]) == (HOOK, CONSULT.rpartition("/")[2])
    assert service["description"]
    [entry] = office.entries()[before:]
    assert (entry.status, entry.target, entry.touched) == (200, DISCOVERY, ())
    assert (await office.ask(DISCOVERY, method="POST")).status == 404


# ---- obligations -------------------------------------------------------------------------------------------------


async def test_obligations_say_what_to_remove_and_what_else_to_redact() -> None:
    answer = Consulted(
        "CONSENT_PERMIT",
        (),
        frozenset(),
        frozenset({Coding(CONFIDENTIALITY, "R")}),
        frozenset({Coding(ACT_CODE, "PSY")}),
        Obligations(
            frozenset(
                {
                    Redaction("remove", "Patient.telecom"),
                    Redaction("remove", "Patient.address"),
                    Redaction("generalise", "Patient.birthDate", "year"),
                }
            ),
            frozenset({("patient", "a"), ("patient", "b"), ("privacy-officer", "a")}),
            frozenset({"no redisclosure"}),
        ),
    )
    redact = {"system": ACT_CODE, "code": "REDACT"}
    own = "http://gateway.example.org/fhir/CodeSystem/obligation"
    assert list(obligations_of(answer, "http://gateway.example.org/fhir")) == [
        {"id": redact, "parameters": {"codes": [{"system": CONFIDENTIALITY, "code": "R"}]}},
        {"id": redact, "parameters": {"exceptAnyOfCodes": [{"system": ACT_CODE, "code": "PSY"}]}},
        {"id": {"system": own, "code": "generalise"}, "parameters": {"paths": ["Patient.birthDate"], "argument": "year"}},
        {"id": {"system": own, "code": "remove"}, "parameters": {"paths": ["Patient.address", "Patient.telecom"]}},
        {"id": {"system": own, "code": "warn"}, "parameters": {"texts": ["no redisclosure"]}},
        {"id": {"system": own, "code": "notify"}, "parameters": {"recipients": ["patient", "privacy-officer"]}},
    ]  # fmt: skip


DATED = {"id": "autumn", "description": "d", "source": "s"}


@pytest.mark.parametrize(
    ("first", "last", "word"),
    [
        ("2026-11-01", "2026-11-30", "CONSENT_PERMIT"),
        ("2026-09-01", "2026-09-30", "CONSENT_DENY"),
    ],
)
async def test_what_a_campaign_permits_is_answered_while_it_lasts(
    tmp_path: Path, first: str, last: str, word: str
) -> None:
    campaign = Dated.model_validate({**DATED, "from": first, "until": last})
    policies = replace(
        BASELINE,
        campaigns={one.id: campaign for one in BASELINE.rules if one.effect is Effect.PERMIT},
    )
    async with opened(tmp_path, EXTRA) as office:
        answering = office.gateway.watch._answering
        answering.exchange(await answering.prepared(compile_policies(policies)))
        told = await card(office, "Patient/camille", "Practitioner/dr-martin")
    assert told["summary"] == word
