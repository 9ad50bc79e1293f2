"""The reviewer API: reviewers alone are told, each use is recorded, nothing of it is on the public port."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from proxy.audit.entry import Entry
from proxy.audit.event import events_of
from proxy.audit.record import Record
from proxy.audit.report import access_report
from proxy.enforcement.authzen import EVALUATION
from proxy.enforcement.cds_hooks import CONSULT
from proxy.enforcement.consultation import LONGEST_QUESTION
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.review import MOST_AT_ONCE, Review
from proxy.errors import OwnError
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import RawRequest
from proxy.identity.principal import Principal
from tests.audit.cases import OBSERVER
from tests.office import OFFICER, Office, opened
from tests.situations import principal_of
from tests.stage import ROOT, Json, Reply, authorization, claims_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
ASKED: Json = {"claims": claims_of("outside-clinician"), "request": "GET /Patient?_id=camille,ines"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with opened(tmp_path_factory.mktemp("gateway")) as office:
        yield office


async def test_a_reviewer_is_told_what_a_caller_would_get_and_why(office: Office) -> None:
    reply = await office.ask("/explain", ASKED)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["cache-control"] == "no-store"
    told = reply.json
    assert (told["status"], told["caller"]) == (200, "Practitioner/dr-outis")
    fates = {one["reference"].split("/_")[0]: one["outcome"] for one in told["resources"]}
    assert fates == {"Patient/camille": "withheld", "Patient/ines": "disclosed"}
    [camille] = [one for one in told["resources"] if "camille" in one["reference"]]
    assert camille["explanation"]["changes"] == [
        {
            "kind": "consent",
            "sentence": "a Consent of Patient/camille that permits this and names Practitioner/dr-outis",
        }
    ]


async def test_who_explained_whom_is_recorded_once_with_every_patient(office: Office) -> None:
    before = len(office.entries())
    await office.ask("/explain", ASKED)
    [entry] = office.entries()[before:]
    assert (entry.interaction, entry.outcome, entry.status) == ("operation", "permitted", 200)
    assert (entry.method, entry.target) == ("POST", "/explain")
    assert entry.actor.name == "Olga Officer"
    form = orjson.loads(entry.form)
    assert form["request"] == "GET /Patient?_id=camille,ines"
    assert form["caller"]["fhir_user"] == "Practitioner/dr-outis"
    for patient in ("Patient/camille", "Patient/ines"):
        [access] = access_report([entry], patient)
        assert (access.who, access.outcome) == ("Olga Officer", "explained")
    events = events_of(entry, observer=OBSERVER)
    assert [event["subtype"][0]["code"] for event in events] == ["operation", "operation"]
    named = {one["what"]["reference"] for event in events for one in event["entity"] if "reference" in one.get("what", {})}  # fmt: skip
    assert named == {"Patient/camille", "Patient/ines"}


REFUSED: list[tuple[str, Any, Json | bytes, int]] = [
    ("nobody", None, ASKED, 401),
    ("a token of another", {**OFFICER, "signed": "elsewhere"}, ASKED, 401),
    ("an expired token", {**OFFICER, "exp": 1}, ASKED, 401),
    ("no token", {"header": "Basic eDp5"}, ASKED, 401),
    ("a physician", "care-team-physician", ASKED, 403),
    ("the patient", "patient", ASKED, 403),
    ("no JSON", OFFICER, b"{", 400),
    ("no body", OFFICER, b"", 400),
    ("one claim twice", OFFICER, b'{"claims":{},"claims":{},"request":"GET /Patient"}', 400),
    ("a claim that is nested without end", OFFICER, b'{"claims":{"a":' + b"[" * 20_000, 400),
    (
        "a claim that is nested too deeply",
        OFFICER,
        {"claims": {"a": orjson.Fragment(b"[" * 40 + b"]" * 40)}, "request": "GET /Patient"},
        400,
    ),
    ("no claims", OFFICER, {"request": "GET /Patient"}, 400),
    ("no request", OFFICER, {"claims": {}}, 400),
    ("more than that", OFFICER, {**ASKED, "now": 1}, 400),
    ("claims that are none", OFFICER, {**ASKED, "claims": []}, 400),
    ("claims of no issuer", OFFICER, {**ASKED, "claims": {"iss": "x", "sub": "x"}}, 400),
    ("a request that is none", OFFICER, {**ASKED, "request": "Patient"}, 400),
    ("a physician with a body that is none", "care-team-physician", b"{", 403),
]


@pytest.mark.parametrize(
    ("who", "body", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_everybody_else_is_refused_and_that_is_recorded(
    office: Office, who: Any, body: Json | bytes, status: int
) -> None:
    before = len(office.entries())
    office.upstream.calls.clear()
    reply = await office.ask("/explain", body, who)
    assert reply.status == status
    assert reply.json["resourceType"] == "OperationOutcome"
    [entry] = office.entries()[before:]
    assert (entry.interaction, entry.outcome, entry.touched) == ("operation", "denied", ())
    assert not office.upstream.calls


async def test_only_a_post_on_the_admin_listener_explains(office: Office) -> None:
    for method in ("GET", "PUT"):
        assert (await office.ask("/explain", ASKED, method=method)).status == 404
    for path in ("/explain", "/fhir/explain", "/fhir/$explain"):
        url = URL(office.public + path)
        async with office.session.post(url, headers=authorization(OFFICER), json=ASKED) as answer:
            reply = Reply(answer.status, answer.headers, await answer.read())
        assert reply.status in {404, 501}
        assert b"reasons" not in reply.body


async def test_what_cannot_be_recorded_is_not_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: object, entry: Entry) -> None:
        raise OwnError("the disk is full")

    monkeypatch.setattr(type(office.gateway.journal), "record", full)
    reply = await office.ask("/explain", ASKED)
    assert (reply.status, b"camille" in reply.body) == (503, False)


async def test_a_question_that_is_too_large_is_refused_and_recorded(office: Office) -> None:
    before = len(office.entries())
    assert (await office.ask("/explain", b" " * (LONGEST_QUESTION + 1))).status == 413
    [entry] = office.entries()[before:]
    assert (entry.status, entry.target) == (413, "/explain")


async def test_the_whole_question_is_kept_however_long(office: Office) -> None:
    before = len(office.entries())
    long = f"GET /Patient?_id={'x' * 20_000}"
    assert (await office.ask("/explain", {**ASKED, "request": long})).status == 200
    [entry] = office.entries()[before:]
    assert orjson.loads(entry.form)["request"] == long


async def test_those_who_review_do_not_starve_those_who_are_served(office: Office) -> None:
    gate = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.path.endswith("/Patient"):
            await gate.wait()
        return None

    office.upstream.override = slow
    asked = [asyncio.ensure_future(office.ask("/explain", ASKED)) for _ in range(MOST_AT_ONCE + 1)]
    first, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    gate.set()
    replies = await asyncio.gather(*asked)
    office.upstream.override = None
    assert [task.result().status for task in first] == [503]
    assert sorted(reply.status for reply in replies) == [200] * MOST_AT_ONCE + [503]


CURL = re.compile(
    r"http://127\.0\.0\.1:8081(/[a-z0-9/-]+)\s(?:\\\n\s+)?-d '([^']+)'$", re.MULTILINE
)
QUESTIONS = CURL.findall((ROOT / "docs" / "operations.md").read_text())


@pytest.mark.parametrize(("path", "body"), QUESTIONS, ids=[one[0] for one in QUESTIONS])
async def test_the_questions_of_the_manual_are_answered(
    office: Office, path: str, body: str
) -> None:
    reply = await office.ask(path, body.encode())
    assert reply.status == 200
    assert json.loads(reply.body)


async def test_the_manual_asks_in_every_form() -> None:
    assert {path for path, _ in QUESTIONS} == {"/explain", EVALUATION, CONSULT}


async def test_every_entry_says_which_policies_were_in_force(office: Office) -> None:
    before = len(office.entries())
    await office.ask("/explain", {**ASKED, "request": "GET /Nonsense/x"})
    await office.ask("/explain", b"{")
    digests = {entry.policy_digest for entry in office.entries()[before:]}
    assert len(digests) == 1
    assert "" not in digests


class Hall:
    """A house of which a review needs little: somebody comes, and it is written down."""

    def __init__(self, caller: Principal) -> None:
        self.caller = caller
        self.entries: list[Entry] = []
        self.journal = self

    def record_of(self, raw: RawRequest) -> Record:
        return Record("id", 1.0, raw)

    async def identify(self, _: RawRequest) -> Principal:
        return self.caller

    async def record(self, entry: Entry) -> None:
        self.entries.append(entry)


@pytest.mark.parametrize("undecided", ["", "chose no situation of practice"])
async def test_who_may_do_nothing_does_not_review_either(undecided: str) -> None:
    role = Coding("urn:x", "reviewer")
    caller = replace(
        principal_of("Practitioner/p", role, "TREAT"), roles=frozenset({role}), undecided=undecided
    )
    hall: Any = Hall(caller)
    review = Review(hall, Enforcement(hall), frozenset({role}), lambda _: caller)
    answer = await review.answer(RawRequest("POST", "/nothing", {}, b"", "r"))
    assert answer.status == (403 if undecided else 404)
    assert [one.detail for one in hall.entries] == [undecided or "no consultation has this path"]
