"""Observing: answers as upstream gives them, and a journal that tells what enforcement would have done."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from proxy.audit.agent import Observer
from proxy.audit.entry import Entry, Would
from proxy.audit.event import events_of
from proxy.audit.journal_file import JournalFile
from proxy.audit.observed import observed_report
from proxy.audit.report import access_report
from proxy.decision import voices
from tests.stage import PUBLIC, Stage, Upstream, authorization, serving, staged, world_of

OBSERVING = "mode: observe\nobserve_acknowledged: answers leave unfiltered"
MASKED = "DocumentReference/camille-doc-surgery"


@pytest.fixture
def upstream() -> Upstream:
    return Upstream(world_of())


@pytest_asyncio.fixture
async def stage(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Stage]:
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, more=OBSERVING) as stage,
    ):
        upstream.url = url
        yield stage


async def seen(
    stage: Stage, target: str, who: str = "care-team-physician", method: str = "GET"
) -> Entry:
    await stage.ask(target, who, method)
    [entry] = stage.entries()
    return entry


async def direct(upstream: Upstream, stage: Stage, target: str) -> bytes:
    """What upstream itself says, its base URL replaced by ours."""
    async with stage.session.get(f"{upstream.url}/{target}") as answer:
        body = await answer.read()
        return body.replace(b'"' + upstream.url.encode(), b'"' + PUBLIC.encode())


def unnamed(body: bytes) -> bytes:
    """A body without the id that a Bundle is given each time anew."""
    return re.sub(rb'"resourceType":"Bundle","id":"[^"]*"', b"", body)


@pytest.mark.parametrize(
    "target",
    [MASKED, "Patient/noe", "DocumentReference?patient=camille", "Patient?_id=noe", "x/y"],
)
async def test_what_enforcement_would_hide_leaves_as_upstream_gives_it(
    stage: Stage, upstream: Upstream, target: str
) -> None:
    answer = await stage.ask(target, "care-team-physician")
    assert unnamed(answer.body) == unnamed(await direct(upstream, stage, target))


async def test_upstream_links_lead_back_to_the_gateway(stage: Stage, upstream: Upstream) -> None:
    first = orjson.loads((await stage.ask("Observation?_count=1", "care-team-physician")).body)
    following = {link["relation"]: link["url"] for link in first["link"]}["next"]
    assert following.startswith(PUBLIC)
    assert upstream.url not in orjson.dumps(first).decode()
    assert (await stage.ask(following, "care-team-physician")).status == 200


@pytest.mark.parametrize(
    "who",
    [
        None,
        {"like": "care-team-physician", "exp": 1},
        {"like": "care-team-physician", "signed": "elsewhere"},
    ],
)
async def test_who_is_not_named_is_refused_even_so(
    stage: Stage, upstream: Upstream, who: str | None
) -> None:
    upstream.calls.clear()
    assert (await stage.ask("Patient/camille", who)).status == 401
    assert upstream.calls == []
    [entry] = stage.entries()
    assert (entry.status, entry.would) == (401, None)


@pytest.mark.parametrize(
    ("target", "status"),
    [("../admin", 400), ("Patient/..%2f..", 400), ("./Patient", 400)],
)
async def test_no_path_reaches_past_the_base(
    stage: Stage, upstream: Upstream, target: str, status: int
) -> None:
    upstream.calls.clear()
    assert (await stage.ask(target, "care-team-physician")).status == status
    assert upstream.calls == []


async def test_a_path_outside_the_base_does_not_go_up(stage: Stage, upstream: Upstream) -> None:
    upstream.calls.clear()
    asked = b"GET /admin/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    token = authorization("care-team-physician")["Authorization"].encode()
    answer = await stage.raw(asked + b"Authorization: " + token + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")
    assert upstream.calls == []


async def test_a_write_goes_up_with_its_conditions_and_without_the_token(
    stage: Stage, upstream: Upstream
) -> None:
    body = orjson.dumps({"resourceType": "Basic", "id": "b", "code": {"text": "x"}})
    sent = {"content-type": "application/fhir+json", "if-match": 'W/"1"', "cookie": "c=1"}
    upstream.calls.clear()
    await stage.ask("Basic/b", "care-team-physician", "PUT", sent, body)
    [put] = [call for call in upstream.calls if call.method == "PUT"]
    assert put.headers["if-match"] == 'W/"1"'
    assert "authorization" not in put.headers
    assert "cookie" not in put.headers


async def test_the_entry_says_what_left_and_what_would_have(stage: Stage) -> None:
    hidden = await seen(stage, MASKED)
    assert (hidden.status, hidden.outcome, hidden.refusal) == (200, "permitted", "")
    assert hidden.would == Would(404, "not-found", "withheld")
    assert [one.outcome for one in hidden.touched] == ["withheld"]
    shown = await seen(stage, "Patient/camille")
    assert shown.would == Would(200)


async def test_the_audit_event_tells_the_truth_of_what_left(stage: Stage) -> None:
    entry = await seen(stage, MASKED)
    events = events_of(entry, observer=Observer(PUBLIC, "gateway"))
    assert [event["outcome"] for event in events] == ["0"]
    assert MASKED in str(events)
    [access] = access_report([entry], "Patient/camille")
    assert access.outcome == "disclosed"


async def test_a_flow_that_breaks_changes_nothing_of_the_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(voices, "effective_labels", breaks)
    answer = await stage.ask("Observation/none-such-yet", "care-team-physician")
    assert answer.status == 404
    assert (await stage.ask("Condition?patient=camille", "care-team-physician")).status == 200
    told = [entry.would for entry in stage.entries()]
    assert told[-1] == Would(503, "unavailable", "unforeseen ValueError")


async def test_a_journal_that_fails_fails_the_answer(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "journal.db").rename(tmp_path / "elsewhere.db")
    assert (await stage.ask("Patient/camille", "care-team-physician")).status == 503


async def test_an_upstream_that_is_down_is_told_as_ever(stage: Stage, upstream: Upstream) -> None:
    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=500, text="stack trace")

    upstream.override = broken
    answer = await stage.ask("Patient/camille", "care-team-physician")
    assert answer.status == 500  # unfiltered, as upstream says it
    [entry] = stage.entries()
    assert (entry.outcome, entry.would and entry.would.status) == ("failed", 503)


async def test_the_report_counts_by_rule_what_would_have_been_withheld(
    stage: Stage, tmp_path: Path
) -> None:
    for target in (MASKED, MASKED, "Patient/camille", "Patient/camille/$graphql"):
        await stage.ask(target, "care-team-physician")
    told = observed_report(JournalFile(tmp_path / "journal.db").entries())
    assert (told.requests, told.unchanged) == (4, 1)
    [masked] = told.withheld
    assert (masked.requests, masked.resources, masked.what) == (2, 2, "read DocumentReference")
    assert masked.why == "masked-from-professionals"
    [refused] = told.refused
    assert refused.what.startswith("501")


async def test_an_observing_gateway_says_so(stage: Stage) -> None:
    assert "proxy_observing 1.0" in await stage.metrics()


@pytest.mark.parametrize("target", ["metadata", ".well-known/smart-configuration"])
async def test_what_the_gateway_is_it_says_itself(
    stage: Stage, upstream: Upstream, target: str
) -> None:
    upstream.calls.clear()
    answer = await stage.ask(target, None)
    assert answer.status in {200, 404}
    assert {call.target for call in upstream.calls} <= {"/fhir/metadata"}
    [entry] = stage.entries()
    assert entry.would is None


async def test_the_break_glass_ceremony_is_the_gateways_own(
    stage: Stage, upstream: Upstream
) -> None:
    upstream.calls.clear()
    sent = {"content-type": "application/fhir+json"}
    await stage.ask("$break-glass", "care-team-physician", "POST", sent, b"{}")
    asked = {call.target.partition("?")[0].split("/")[2] for call in upstream.calls}
    assert asked <= {"Practitioner", "PractitionerRole", "Organization"}  # who the caller is
    [entry] = stage.entries()
    assert (entry.status, entry.would) == (400, None)


@pytest.mark.parametrize(
    ("method", "target"),
    [("PUT", "Observation/o"), ("POST", "Observation"), ("POST", ""), ("PATCH", "Observation/o")],
)
async def test_what_is_written_does_not_stand_in_the_journal(
    stage: Stage, method: str, target: str
) -> None:
    body = b'{"resourceType":"Observation","valueString":"CANARY"}'
    kind = {"Content-Type": "application/fhir+json"}
    await stage.ask(target, "care-team-physician", method, kind, body)
    [entry] = stage.entries()
    assert "CANARY" not in str(entry)
