"""Attacks on views: what a client holds when consent changes, what moves when only something hidden does, and odd paths to what is composed."""

from pathlib import Path

import pytest

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, consent, gateway, resource
from tests.stage import authorization, bundle, world_of

CONDITION = about("Condition", "zc")
DENIED = [one for one in ZED if one["resourceType"] != "Consent"] + [consent("zed-denies", "deny")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["Condition/zc", "Condition/zc/_history/1", "Patient/zed"])
async def test_after_a_consent_change_nothing_is_confirmed_to_who_held_it(
    tmp_path: Path, target: str, method: str
) -> None:
    async with gateway(tmp_path, *ZED, CONDITION) as (stage, upstream):
        tag = (await stage.ask(target, PHYSICIAN)).headers["etag"]
        held = {"if-none-match": tag}
        assert (await stage.ask(target, PHYSICIAN, method, held)).status == 304
        upstream.world = world_of(bundle(*DENIED, CONDITION))
        reply = await stage.ask(target, PHYSICIAN, method, held)
        absent = await stage.ask("Condition/no-such", PHYSICIAN, method, held)
        assert (reply.status, reply.body) == (absent.status, absent.body)
        assert reply.status == 404
        assert "etag" not in reply.headers


async def test_a_page_link_to_everything_ends_with_the_consent(tmp_path: Path) -> None:
    conditions = [about("Condition", f"zc{n}") for n in range(4)]
    async with gateway(tmp_path, *ZED, *conditions) as (stage, upstream):
        reply = await stage.ask("Patient/zed/$everything?_count=2", PHYSICIAN)
        assert reply.next
        upstream.world = world_of(bundle(*DENIED, *conditions))
        assert (await stage.ask(reply.next, PHYSICIAN)).status == 404


def patient(phone: str) -> dict[str, object]:
    telecom = [{"system": "phone", "value": phone}]
    return resource("Patient", "zed", telecom=telecom, birthDate="1970-01-01")


async def test_a_view_does_not_move_when_only_what_is_hidden_in_it_does(tmp_path: Path) -> None:
    first = [patient("CANARY-1"), *ZED[1:]]
    async with gateway(tmp_path, *first) as (stage, upstream):
        before = await stage.ask("Patient/zed", NURSE)
        whole = await stage.ask("Patient/zed", PHYSICIAN)
        upstream.world = world_of(bundle(*first), bundle(patient("CANARY-2")))
        after = await stage.ask("Patient/zed", NURSE)
        assert "CANARY" not in before.text + after.text
        assert (after.body, after.headers["etag"]) == (before.body, before.headers["etag"])
        held = {"if-none-match": before.headers["etag"]}
        assert (await stage.ask("Patient/zed", NURSE, "GET", held)).status == 304
        for target in ("Patient/zed/_history/1", "Patient/zed/_history/2"):
            assert (await stage.ask(target, NURSE)).status == 404
        assert (await stage.ask("Patient/zed/_history", NURSE)).ids == []
        moved = await stage.ask("Patient/zed", PHYSICIAN)
        assert moved.headers["etag"] != whole.headers["etag"]


PATHS = [
    "/Patient/zed/%24everything", "/Patient/zed/$everything/", "/Patient/zed//$everything", "/Patient//zed/$everything",
    "/Patient/zed/./$everything", "/Patient/zed/../zed/$everything", "/Patient/zed;a=b/$everything", "/Patient/zed/$everything;x",
    "/Patient/zed/$everything%00", "/Patient/zed/$everything/Observation", "/Patient/zed/Observation/$everything", "/Patient/*/$everything",
    "/patient/zed/$everything", "/Patient/zed/$Everything", "/Patient/zed/everything", "/Patient/zed/Observation/", "/Patient/zed/observation",
    "/Patient/zed//Observation", "/Patient/zed/Observation/zc", "/Patient/zed/Observation/_history", "/Patient/zed/Patient/zed/Observation",
    "/Patient/zed/_search/", "/Patient/zed/*/_search", "/Patient/zed/Observation%2F_search", "/Patient/zed/Observation/_search/", "/Patient/zed%2FObservation",
    "/Patient/zed/Observation,Condition", "/Patient/zed/**", "/Patient/zed/%2A", "/Patient/zed/*/", "/Patient/zed/*/Observation", "/Patient/*/Condition",
    "/Patient/*/*", "/*/zed/*", "/patient/zed/*", "/Patient/zed/*?_type=Medication", "/Patient/zed/*?_type=*", "/Patient/../Patient/zed/Observation",
    "/Organization/zed/*", "/Encounter/../Patient/zed/*", "/Person/zed/Condition", "/Encounter/zed/Patient", "/Encounter/Patient/zed/Condition",
    "/Patient/zed/Observation#x", "/Patient/zed\\Observation", "/Patient/zed/$everything?_type=Condition&_leg=2", "/Patient/zed/Condition?_leg=0",
    "/Observation/$lastn/", "/Observation/%24lastn?patient=zed&category=x", "/Observation/$lastn;x?patient=zed&category=x",
    "/Patient/zed/$everything?_page=AAAA", "/Patient/zed/$everything?_page=../x", "/Bundle/$document", "/Composition/$document?id=x/y",
    "/Composition/x/$document?id=x", "/Composition/x/$document?persist=true", "/Composition/x/%24document", "/Composition/x/$document/", "/Composition//$document",
    "/Composition/x/$document?graph=x", "/Composition/x/_history/1/$document", "/Composition/x;y/$document", "/Patient/zed/$summary/", "/Patient/zed/%24summary",
    "/Patient/zed//$summary", "/Patient/zed/$Summary", "/Patient/zed/$summary?identifier=x", "/Patient/zed/$summary?_type=Condition", "/Patient/zed/$summary/Condition",
    "/Patient/zed/_history/1/$summary", "/Patient/$summary", "/Patient/$summary?_id=zed", "/Patient/zed/$summary?profile=http://example.org/x",
    "/Group/zed/$summary", "/Patient/zed/$summary?graph=x", "/Patient/zed/$summary?_page=AAAA",
]  # fmt: skip


async def test_odd_paths_to_what_is_composed_lead_nowhere(tmp_path: Path) -> None:
    async with gateway(tmp_path, *ZED, CONDITION) as (stage, upstream):
        token = authorization(PHYSICIAN)["Authorization"]
        for path in PATHS:
            for method in ("GET", "HEAD", "POST"):
                upstream.calls.clear()
                head = f"{method} /fhir{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
                kind = (
                    "Content-Type: application/fhir+json\r\nContent-Length: 0\r\n"
                    if method == "POST"
                    else ""
                )
                wire = f"{head}{kind}Connection: close\r\n\r\n"
                answer = await stage.raw(wire.encode("latin-1"))
                assert answer[9:12] in {b"400", b"404", b"405", b"415", b"501"}, (method, path)
                assert b"CANARY" not in answer
                data = [one.target for one in upstream.calls if "_count=500" not in one.target]
                assert data == [], (method, path)


CONDITIONS = [
    "If-None-Match: *", 'If-None-Match: ""', 'If-None-Match: W/"1"', 'If-None-Match: "1", "2", "3"', "If-None-Match:", "If-Match: *",
    "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", "Range: bytes=0-10",
    'If-Range: W/"1"\r\nRange: bytes=0-1', "If-None-Match: \xff", "If-None-Match: " + '"a",' * 500 + '"b"',
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_no_condition_tells_what_is_hidden_from_what_is_absent(
    tmp_path: Path, condition: str
) -> None:
    async with gateway(tmp_path, *DENIED, CONDITION) as (stage, _):
        token = authorization(PHYSICIAN)["Authorization"]
        answers = set()
        for target in ("Condition/zc", "Condition/no-such", "Condition/zc/_history/1"):
            head = f"GET /fhir/{target} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Request-Id: same\r\n"
            answer = await stage.raw(
                f"{head}{condition}\r\nConnection: close\r\n\r\n".encode("latin-1")
            )
            lines = answer.split(b"\r\n")
            answers.add(b"\r\n".join(one for one in lines if not one.startswith(b"Date:")))
        assert len(answers) == 1
        assert next(iter(answers)).startswith(b"HTTP/1.1 404")
