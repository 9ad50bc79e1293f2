"""AuthZEN: the decision is what the gateway really does, and what is told of it is for reviewers."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
import pytest_asyncio

from proxy.audit.event import events_of
from proxy.audit.report import access_report
from proxy.decision.explain import Explanation
from proxy.enforcement.authzen import (
    EVALUATION,
    EVALUATIONS,
    MOST_EVALUATIONS,
    SUBJECTS,
    Evaluation,
    ignored_in,
    leaves,
    merged,
)
from proxy.enforcement.rehearsal import Considered, Rehearsal
from proxy.errors import CallerError, Refusal
from tests.audit.cases import OBSERVER
from tests.office import Office, opened
from tests.stage import SAMPLES, Json, claims_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = sorted(path.stem for path in (SAMPLES / "tokens").glob("*.json"))
RESOURCES = sorted(
    f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
    for path in SAMPLES.glob("*.json")
    for entry in json.loads(path.read_text())["entry"]
)
READ, SEARCHED = RESOURCES[::4], RESOURCES[2::4]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with opened(tmp_path_factory.mktemp("gateway")) as office:
        yield office


def subject_of(who: str | Mapping[str, Any]) -> Json:
    """The subject that a person of the samples is, with the claims of its token."""
    claims = claims_of(who)
    user = claims.get("fhirUser", "")
    rtype, _, own = user.partition("/")
    named = {"type": rtype, "id": own} if own else {"type": "user", "id": claims["sub"]}
    return {**named, "properties": {"claims": claims}}


def question(who: str | Mapping[str, Any], reference: str, action: str = "read") -> Json:
    rtype, _, own = reference.partition("/")
    return {
        "subject": subject_of(who),
        "action": {"name": action},
        "resource": {"type": rtype, "id": own},
    }


async def decisions(office: Office, who: str, references: list[str], action: str) -> list[bool]:
    found: list[bool] = []
    for start in range(0, len(references), MOST_EVALUATIONS):
        part = references[start : start + MOST_EVALUATIONS]
        items = [{"resource": question(who, one)["resource"]} for one in part]
        asked = {"subject": subject_of(who), "action": {"name": action}, "evaluations": items}
        told = (await office.ask(EVALUATIONS, asked)).json["evaluations"]
        assert len(told) == len(part)
        found += [one["decision"] for one in told]
    return found


# ---- the decision equals the gateway's ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", PEOPLE)
async def test_the_decision_on_a_read_is_what_the_gateway_does(office: Office, who: str) -> None:
    told = await decisions(office, who, READ, "read")
    real = [(await office.get(one, who)).status == 200 for one in READ]
    assert dict(zip(READ, told, strict=True)) == dict(zip(READ, real, strict=True))


@pytest.mark.parametrize("who", PEOPLE)
async def test_the_decision_on_a_search_is_what_the_gateway_does(office: Office, who: str) -> None:
    told = await decisions(office, who, SEARCHED, "search-type")
    real: set[str] = set()
    for rtype, group in itertools.groupby(SEARCHED, lambda one: one.partition("/")[0]):
        ids = ",".join(one.partition("/")[2] for one in group)
        reply = await office.get(f"{rtype}?_id={ids}&_count=200", who)
        real |= set(reply.ids) if reply.status == 200 else set()
    assert {one for one, held in zip(SEARCHED, told, strict=True) if held} == real


async def test_both_decisions_occur_for_all_but_insurers(office: Office) -> None:
    """A positive control behind the comparisons above."""
    for who in PEOPLE:
        some = [one for one in RESOURCES if one.startswith(("Patient/", "Practitioner/"))]
        found = set(await decisions(office, who, some, "read"))
        assert found == ({False} if who == "insurer" else {True, False}), who


@pytest.mark.parametrize(("action", "path"), [("history-instance", "_history"), ("vread", "_history/1")])  # fmt: skip
@pytest.mark.parametrize("who", ["care-team-physician", "care-team-nurse", "outside-clinician", "patient"])  # fmt: skip
@pytest.mark.parametrize("reference", ["Patient/camille", "Condition/marcel-hiv", "Patient/ines", "Patient/nobody"])  # fmt: skip
async def test_versions_are_decided_as_the_gateway_does(
    office: Office, who: str, reference: str, action: str, path: str
) -> None:
    asked = question(who, reference, action)
    if action == "vread":
        asked["action"]["properties"] = {"version": "1"}
    told = (await office.ask(EVALUATION, asked)).json
    real = await office.get(f"{reference}/{path}", who)
    held = real.status == 200 and (action == "vread" or reference in real.ids)
    assert told["decision"] == held


async def test_the_purpose_of_use_of_the_context_is_that_of_the_token(office: Office) -> None:
    claims = claims_of("care-team-physician")
    for purpose in ("TREAT", "HRESCH", "HPAYMT"):
        claims["extensions"]["ihe_iua"]["purpose_of_use"] = [purpose]
        real = (await office.get("Patient/camille", claims)).status == 200
        asked = question("care-team-physician", "Patient/camille")
        for written in ([purpose], purpose, [f"http://terminology.hl7.org/CodeSystem/v3-ActReason#{purpose}"]):  # fmt: skip
            told = (await office.ask(EVALUATION, {**asked, "context": {"purposeOfUse": written}})).json  # fmt: skip
            assert told["decision"] == real == (purpose == "TREAT")


# ---- what is told ------------------------------------------------------------------------------------------------


async def test_a_refusal_is_told_with_its_reasons_labels_and_changes(office: Office) -> None:
    reply = await office.ask(EVALUATION, question("care-team-nurse", "Condition/marcel-hiv"))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["cache-control"] == "no-store"
    told = reply.json
    assert told["decision"] is False
    context = told["context"]
    [because] = context["reasons"]
    assert (because["voice"], because["source"]) == ("policy", "restricted-needs-clearance")
    assert context["reason_admin"] == {"404": because["sentence"]}
    assert "meta.security[1]" in {one["origin"] for one in context["labels"]}
    assert [one["sentence"] for one in context["changes"]] == ["the role physician in the token"]
    assert context["resources"] == [
        {"reference": "Condition/marcel-hiv/_history/1", "outcome": "withheld"}
    ]


async def test_what_is_redacted_is_told_with_a_permit(office: Office) -> None:
    told = (await office.ask(EVALUATION, question("care-team-nurse", "Patient/camille"))).json
    assert told["decision"] is True
    assert told["context"]["redacted"] == ["Patient.address", "Patient.telecom"]
    assert "remove Patient.telecom" in told["context"]["redactions"]
    assert list(told["context"]["reason_admin"]) == ["200"]


async def test_what_is_hidden_and_what_is_absent_are_both_false_for_different_reasons(
    office: Office,
) -> None:
    hidden = (await office.ask(EVALUATION, question("outside-clinician", "Patient/camille"))).json
    absent = (await office.ask(EVALUATION, question("outside-clinician", "Patient/nobody"))).json
    assert hidden["decision"] is absent["decision"] is False
    assert hidden["context"]["reasons"]
    assert absent["context"]["resources"] == absent["context"]["reasons"] == []
    assert absent["context"]["reason_admin"] == {"404": "upstream answered with status 404"}


async def test_a_refused_request_is_told_with_the_reasons_of_the_request(office: Office) -> None:
    told = (await office.ask(EVALUATION, question("insurer", "Patient/camille"))).json
    assert told["decision"] is False
    assert {one["source"] for one in told["context"]["reasons"]} >= {"insurers-never"}
    assert list(told["context"]["reason_admin"]) == ["403"]


async def test_nothing_of_a_record_is_told(office: Office) -> None:
    reply = await office.ask(EVALUATION, question("care-team-physician", "Patient/camille"))
    assert reply.json["decision"] is True
    for content in (b"Durand", b"CANARY-", b"birthDate"):
        assert content not in reply.body


async def test_members_that_a_request_has_no_place_for_change_nothing_and_are_named(
    office: Office,
) -> None:
    asked = question("care-team-nurse", "Condition/marcel-hiv")
    plain = (await office.ask(EVALUATION, asked)).json
    asked["resource"]["properties"] = {"security": "N"}
    asked["context"] = {"time": "1985-10-26T01:22-07:00"}
    asked["future"] = {"x": 1}
    told = (await office.ask(EVALUATION, asked)).json
    assert told["context"]["ignored"] == ["resource.properties.security", "context.time"]
    same = {"ignored", "id"}
    assert {k: v for k, v in told["context"].items() if k not in same} == {
        k: v for k, v in plain["context"].items() if k not in same
    }


# ---- what does not exist, and what cannot be read ----------------------------------------------------------------


UNKNOWN: list[tuple[str, Json]] = [
    ("an action that is no interaction", {"action": {"name": "can_read"}}),
    ("a write", {"action": {"name": "create"}}),
    ("an interaction on no resource", {"action": {"name": "capabilities"}}),
    ("a version that is not named", {"action": {"name": "vread"}}),
    ("a version that is none", {"action": {"name": "vread", "properties": {"version": "1/../2"}}}),
    ("a version that is a number", {"action": {"name": "vread", "properties": {"version": 1}}}),
    ("no resource type", {"resource": {"type": "account", "id": "camille"}}),
    ("an unknown resource type", {"resource": {"type": "Nonsense", "id": "camille"}}),
    ("an id that smuggles parameters", {"resource": {"type": "Patient", "id": "camille&_include=*"}}),
    ("two ids", {"resource": {"type": "Patient", "id": "camille,ines"}}),
    ("a path", {"resource": {"type": "Patient", "id": "camille/../ines"}}),
    ("dots", {"resource": {"type": "Patient", "id": ".."}}),
    ("no id", {"resource": {"type": "Patient", "id": ""}}),
    ("an unknown sort of subject", {"subject": {"type": "robot", "id": "x"}}),
    ("an identifier without system", {"subject": {"type": "identifier", "id": "|5"}}),
    ("an identifier that is none", {"subject": {"type": "identifier", "id": "5"}}),
    ("a subject without claims", {"subject": {"type": "Practitioner", "id": "dr-martin"}}),
]  # fmt: skip


@pytest.mark.parametrize("action", ["read", "search-type"])
@pytest.mark.parametrize(("change"), [row[1] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
async def test_what_is_not_known_here_is_a_false_decision_with_a_reason(
    office: Office, change: Json, action: str
) -> None:
    asked = {**question("care-team-physician", "Patient/camille", action), **change}
    reply = await office.ask(EVALUATION, asked)
    assert (reply.status, reply.json["decision"]) == (200, False)
    assert all(reply.json["context"]["reason_admin"].values())


SMUGGLED = ["camille&_include=*", "camille,ines", "camille/../ines", "..", "", "camille?x", "camille%2Fx", "é", "x" * 65]  # fmt: skip


@pytest.mark.parametrize("action", ["read", "search-type", "vread", "history-instance"])
@pytest.mark.parametrize("own", SMUGGLED)
async def test_what_no_id_can_be_never_becomes_a_request(
    office: Office, own: str, action: str
) -> None:
    office.upstream.calls.clear()
    asked = question("care-team-physician", "Patient/camille", action)
    asked["action"]["properties"] = {"version": "1"}
    for change in (
        {"resource": {"type": "Patient", "id": own}},
        {"resource": {"type": own, "id": "camille"}},
    ):
        assert (await office.ask(EVALUATION, asked | change)).json["decision"] is False
    if action == "vread":
        asked["action"]["properties"] = {"version": own}
        assert (await office.ask(EVALUATION, asked)).json["decision"] is False
    assert not office.upstream.calls


CAMILLE = question("care-team-physician", "Patient/camille")


def without(name: str, member: str = "") -> Json:
    rest = {key: value for key, value in CAMILLE.items() if key != name}
    own = {key: value for key, value in CAMILLE[name].items() if key != member}
    return {**rest, name: own} if member else rest


MALFORMED: list[tuple[str, Json | bytes]] = [
    ("nothing", b""),
    ("no JSON", b"{"),
    ("a list", b"[]"),
    ("no subject", without("subject")),
    ("no action", without("action")),
    ("no resource", without("resource")),
    ("a subject without type", without("subject", "type")),
    ("a subject without id", without("subject", "id")),
    ("an action without name", without("action", "name")),
    ("a resource without type", without("resource", "type")),
    ("a resource without id", without("resource", "id")),
    ("a subject that is text", {**CAMILLE, "subject": "alice"}),
    ("an action that is a number", {**CAMILLE, "action": {"name": 123}}),
    ("a context that is a list", {**CAMILLE, "context": []}),
    ("claims that are text", {**CAMILLE, "subject": {"type": "user", "id": "x", "properties": {"claims": "x"}}}),
    ("claims of no issuer", {**CAMILLE, "subject": {"type": "user", "id": "x", "properties": {"claims": {"iss": "https://elsewhere.example.org"}}}}),
    ("claims of the wrong type", {**CAMILLE, "subject": {"type": "user", "id": "x", "properties": {"claims": {"scope": ["user/*.rs"]}}}}),
    ("claims of another", {**CAMILLE, "subject": {**CAMILLE["subject"], "id": "somebody-else"}}),
    ("a purpose that is a number", {**CAMILLE, "context": {"purposeOfUse": 5}}),
    ("a purpose that is empty", {**CAMILLE, "context": {"purposeOfUse": [""]}}),
    ("one member twice", orjson.dumps(CAMILLE)[:-1] + b',"action":{"name":"read"}}'),
    ("nested without end", b'{"subject":' + b"[" * 30_000),
]  # fmt: skip


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize("body", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
async def test_what_cannot_be_read_is_malformed_and_recorded(
    office: Office, body: Json | bytes, path: str
) -> None:
    before = len(office.entries())
    office.upstream.calls.clear()
    reply = await office.ask(path, body)
    assert (reply.status, reply.json["resourceType"]) == (400, "OperationOutcome")
    [entry] = office.entries()[before:]
    assert (entry.outcome, entry.refusal, entry.touched) == ("denied", "malformed", ())
    assert not office.upstream.calls


async def test_what_is_not_called_json_is_malformed(office: Office) -> None:
    for path in (EVALUATION, EVALUATIONS):
        reply = await office.ask(path, CAMILLE, headers={"content-type": "text/plain"})
        assert reply.status == 400


STRANGERS: list[tuple[Any, int]] = [(None, 401), ({"header": "Basic eDp5"}, 401), ("care-team-physician", 403), ("patient", 403)]  # fmt: skip


@pytest.mark.parametrize(("who", "status"), STRANGERS)
@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
async def test_only_reviewers_are_answered(
    office: Office, who: Any, status: int, path: str
) -> None:
    office.upstream.calls.clear()
    assert (await office.ask(path, CAMILLE, who)).status == status
    assert not office.upstream.calls


# ---- subjects ----------------------------------------------------------------------------------------------------


async def test_a_subject_is_named_by_its_type(office: Office) -> None:
    claims = claims_of("care-team-physician")
    names = {
        "user": claims["sub"],
        "client": claims["client_id"],
        "Practitioner": claims["fhirUser"].partition("/")[2],
    }
    assert names.keys() <= SUBJECTS.keys()
    for kind, own in names.items():
        asked = {**CAMILLE, "subject": {"type": kind, "id": own, "properties": {"claims": claims}}}
        told = (await office.ask(EVALUATION, asked)).json
        assert (told["decision"], told["context"]["caller"]) == (True, claims["fhirUser"])


async def test_an_identifier_names_the_professional_who_has_it(office: Office) -> None:
    claims = {key: value for key, value in claims_of("care-team-physician").items() if key != "fhirUser"}  # fmt: skip
    known = (await office.stored("Practitioner/dr-martin"))["identifier"][0]
    for value, expected in ((known["value"], True), ("of-nobody", False)):
        named = {"type": "identifier", "id": f"{known['system']}|{value}"}
        asked = {**CAMILLE, "subject": {**named, "properties": {"claims": claims}}}
        assert (await office.ask(EVALUATION, asked)).json["decision"] is expected


# ---- several -----------------------------------------------------------------------------------------------------


async def test_several_are_answered_in_their_order_with_defaults(office: Office) -> None:
    items: list[Json] = [
        {"resource": {"type": "Patient", "id": "camille"}},
        {"resource": {"type": "Patient", "id": "nobody"}},
        {"resource": {"id": "camille"}},
        {"subject": subject_of("outside-clinician")},
        {"action": {"name": "can_fly"}},
    ]
    reply = await office.ask(EVALUATIONS, {**CAMILLE, "evaluations": items})
    assert [one["decision"] for one in reply.json["evaluations"]] == [True, False, True, False, False]  # fmt: skip
    assert "decision" not in reply.json


async def test_what_is_wrong_with_one_of_several_is_its_own(office: Office) -> None:
    items: list[Any] = [{}, 5, {"subject": "x"}, {"resource": {"type": "Patient", "id": "camille"}}]
    asked = {"subject": CAMILLE["subject"], "action": {"name": "read"}, "evaluations": items}
    told = (await office.ask(EVALUATIONS, asked)).json["evaluations"]
    assert [one["decision"] for one in told] == [False, False, False, True]
    assert [one["context"]["error"]["status"] for one in told[:3]] == [400, 400, 400]


SEMANTICS = [
    ("execute_all", [True, False, True]),
    ("deny_on_first_deny", [True, False]),
    ("permit_on_first_permit", [True]),
]


@pytest.mark.parametrize(("semantic", "expected"), SEMANTICS)
async def test_a_semantic_says_when_to_stop(
    office: Office, semantic: str, expected: list[bool]
) -> None:
    items = [{"resource": {"type": "Patient", "id": one}} for one in ("camille", "nobody", "camille")]  # fmt: skip
    options = {"evaluations_semantic": semantic, "another_option": "value"}
    reply = await office.ask(EVALUATIONS, {**CAMILLE, "evaluations": items, "options": options})
    assert [one["decision"] for one in reply.json["evaluations"]] == expected


async def test_without_evaluations_there_is_one(office: Office) -> None:
    for asked in (CAMILLE, {**CAMILLE, "evaluations": []}):
        told = (await office.ask(EVALUATIONS, asked)).json
        assert told["decision"] is True
        assert "evaluations" not in told


REFUSED = [
    ({"evaluations": [{}] * (MOST_EVALUATIONS + 1)}, 413),
    ({"evaluations": [{}], "options": {"evaluations_semantic": "CANARY-guess"}}, 400),
    ({"evaluations": [{}], "options": []}, 400),
    ({"evaluations": {}}, 400),
]


@pytest.mark.parametrize(("change", "status"), REFUSED)
async def test_what_concerns_all_of_several_refuses_all(
    office: Office, change: Json, status: int
) -> None:
    before = len(office.entries())
    office.upstream.calls.clear()
    reply = await office.ask(EVALUATIONS, {**CAMILLE, **change})
    assert reply.status == status
    assert not office.upstream.calls
    [entry] = office.entries()[before:]
    assert "CANARY-" not in entry.detail


# ---- the record, the wire ----------------------------------------------------------------------------------------


async def test_a_use_is_recorded_once_with_asker_caller_question_and_every_patient(
    office: Office,
) -> None:
    before = len(office.entries())
    items = [{"resource": {"type": "Patient", "id": one}} for one in ("camille", "ines")]
    asked = {**question("outside-clinician", "Patient/camille"), "evaluations": items}
    reply = await office.ask(EVALUATIONS, asked)
    [entry] = office.entries()[before:]
    assert (entry.interaction, entry.outcome, entry.target) == ("operation", "permitted", EVALUATIONS)  # fmt: skip
    assert entry.actor.name == "Olga Officer"
    assert entry.policy_digest
    assert {one["context"]["id"] for one in reply.json["evaluations"]} == {entry.id}
    kept = orjson.loads(entry.form)["evaluations"]
    assert [(one["request"], one["decision"], one["caller"]["fhir_user"]) for one in kept] == [
        ("GET /Patient/camille", False, "Practitioner/dr-outis"),
        ("GET /Patient/ines", True, "Practitioner/dr-outis"),
    ]
    for patient in ("Patient/camille", "Patient/ines"):
        [access] = access_report([entry], patient)
        assert (access.who, access.outcome) == ("Olga Officer", "explained")
    events = events_of(entry, observer=OBSERVER)
    named = {one["what"]["reference"] for event in events for one in event["entity"] if "reference" in one.get("what", {})}  # fmt: skip
    assert named == {"Patient/camille", "Patient/ines"}


async def test_the_question_about_what_does_not_exist_is_kept_too(office: Office) -> None:
    before = len(office.entries())
    await office.ask(EVALUATION, {**CAMILLE, "action": {"name": "can_fly"}})
    [entry] = office.entries()[before:]
    assert orjson.loads(entry.form)["asked"]["action"]["name"] == "can_fly"


async def test_a_request_id_comes_back(office: Office) -> None:
    own = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    reply = await office.ask(EVALUATION, CAMILLE, headers={"x-request-id": own})
    assert reply.headers["x-request-id"] == own
    assert (await office.ask(EVALUATION, CAMILLE)).headers["x-request-id"]


FATES: list[tuple[int, list[str], bool]] = [
    (200, ["disclosed"], True),
    (200, ["redacted"], True),
    (200, ["permitted", "disclosed"], True),
    (200, ["disclosed", "redacted"], True),
    (200, [], False),
    (200, ["permitted"], False),
    (200, ["withheld"], False),
    (200, ["disclosed", "withheld"], False),
    (404, ["disclosed"], False),
    (503, ["disclosed"], False),
]


@pytest.mark.parametrize(("status", "outcomes", "expected"), FATES)
async def test_a_resource_leaves_with_an_answer_that_holds_all_of_it(
    status: int, outcomes: list[str], expected: bool
) -> None:
    told = [Considered("Patient/x", one, (), (), Explanation("permit", ())) for one in outcomes]
    rehearsal = Rehearsal("GET /Patient/x", "x", status, "", "", "", None, tuple(told))
    assert leaves(rehearsal, told) is expected


# ---- defaults ----------------------------------------------------------------------------------------------------


async def test_a_default_lends_required_members_and_nothing_else() -> None:
    defaults = {
        "subject": {"type": "user", "id": "a", "properties": {"x": 1}},
        "action": {"name": "read", "properties": {"y": 1}},
        "resource": {"type": "Patient"},
        "context": {"z": 1},
    }
    item = {"subject": {"id": "b"}, "resource": {"id": "c"}, "action": {"name": "vread"}}
    whole = merged(item, defaults)
    assert (whole.subject.type, whole.subject.id, whole.subject.properties) == ("user", "b", {})
    assert (whole.action.name, whole.action.properties) == ("vread", {})
    assert (whole.resource.type, whole.resource.id, whole.context) == ("Patient", "c", {"z": 1})
    assert merged({**item, "context": {}}, defaults).context == {}


@pytest.mark.parametrize("item", [{}, None, 5, [], {"subject": None}, {"context": 5}])
async def test_an_evaluation_without_its_members_is_malformed(item: object) -> None:
    with pytest.raises(CallerError) as refused:
        merged(item, {"action": {"name": "read"}})
    assert refused.value.refusal is Refusal.MALFORMED


async def test_every_member_that_changes_nothing_is_named() -> None:
    asked = merged(
        {
            "subject": {"type": "t", "id": "i", "properties": {"claims": {}, "role": "admin"}},
            "action": {"name": "read", "properties": {"version": "1"}},
            "resource": {"type": "t", "id": "i", "properties": {"b": 1, "a": 1}},
            "context": {"purposeOfUse": "TREAT", "ip": "x"},
        },
        {},
    )
    assert isinstance(asked, Evaluation)
    assert list(ignored_in(asked)) == [
        "subject.properties.role",
        "action.properties.version",
        "resource.properties.a",
        "resource.properties.b",
        "context.ip",
    ]
