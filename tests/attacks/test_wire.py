"""Attacks on the wires: bodies that break while they are read, answers that grow, answers that cannot be read."""

import gzip
from pathlib import Path

import orjson
import pytest

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, answering, gateway, searchset
from tests.stage import authorization

FORM = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"


async def test_a_body_that_does_not_unpack_is_refused_in_our_words_and_recorded(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as (stage, _):
        stage.entries()
        token = authorization(PHYSICIAN)["Authorization"]
        head = f"POST /fhir/Observation/_search HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        wire = f"{head}{FORM}Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"
        heard = await stage.raw(wire.encode())
        assert heard.startswith(b"HTTP/1.1 400 ")
        assert b"OperationOutcome" in heard
        assert b"aiohttp" not in heard.lower()
        [entry] = stage.entries()
        assert (entry.outcome, entry.refusal) == ("denied", "malformed")


async def test_what_unpacks_beyond_the_limit_cannot_be_judged(tmp_path: Path) -> None:
    body = orjson.dumps(about("Condition", "zc", note=[{"text": "a" * 70_000_000}]))
    packed = gzip.compress(body, 1)
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        answering(upstream, "/Condition/zc", packed, **{"Content-Encoding": "gzip"})
        reply = await stage.ask("Condition/zc", PHYSICIAN)
        assert reply.status == 404
        assert stage.entries()[-1].findings


async def test_a_resource_that_cannot_be_judged_is_as_absent_as_any_hidden_one(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        absent = await stage.ask("Condition/none", PHYSICIAN)
        unreadable = b'{"resourceType":"Condition","id":"zc","subject":"Patient/noe"}'
        answering(upstream, "/Condition/zc", unreadable)
        reply = await stage.ask("Condition/zc", PHYSICIAN)
        assert (reply.status, reply.body) == (404, absent.body)
        assert stage.entries()[-1].refusal == "not-found"


TWICE = b'{"resourceType":"Patient","id":"zed","gender":"female","gender":"female","telecom":[{"value":"CANARY"}]}'


@pytest.mark.parametrize("deep", [TWICE, TWICE.replace(b'"gender":"female",', b'"x":' + b"[" * 99 + b"]" * 99 + b",", 2)])  # fmt: skip
async def test_one_resource_that_cannot_be_redacted_is_withheld_alone(
    tmp_path: Path, deep: bytes
) -> None:
    other = b'{"resourceType":"Patient","id":"camille","telecom":[{"value":"CANARY"}]}'
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        answering(upstream, "/Patient/zed", deep)
        assert (await stage.ask("Patient/zed", NURSE)).status == 404
        answering(upstream, "/Patient?", searchset(deep, other))
        stage.entries()
        reply = await stage.ask("Patient?_id=zed,camille", NURSE)
        assert (reply.status, reply.ids, "CANARY" in reply.text) == (
            200,
            ["Patient/camille"],
            False,
        )
        [entry] = stage.entries()
        assert entry.actor.subject == "nurse-nora"
        assert [one.outcome for one in entry.touched] == ["withheld", "redacted"]
