"""The address of an attachment leads to a hidden Binary, or to none: it goes, with what tells of the content (T-79)."""

from pathlib import Path
from typing import Any

import pytest

from proxy.fhir.coding import CONFIDENTIALITY
from tests.attacks.records import NURSE, OUTSIDE, PHYSICIAN, ZED, about, gateway, resource
from tests.stage import PUBLIC, Json, Reply, Stage, Upstream, bundle, world_of

RESTRICTED = {"securityLabel": [{"coding": [{"system": CONFIDENTIALITY, "code": "R"}]}]}
TITLE = "CANARY-title"


def attachment(url: str, **more: Any) -> Json:
    return {"contentType": "application/pdf", "url": url, "title": TITLE, "hash": "CANARYhash", "size": 4242, **more}  # fmt: skip


def document(own: str, *urls: str, **more: Any) -> Json:
    contents = [{"attachment": attachment(url)} for url in urls]
    return about("DocumentReference", own, status="current", content=contents, **more)


BINARY = resource("Binary", "b", contentType="text/plain", data="Q0FOQVJZ")
MASKED = document("masked", "Binary/b", **RESTRICTED)
SPELLINGS = ("Binary/b", "Binary/b/_history/1", f"{PUBLIC}/Binary/b", "{up}/Binary/b", "/Binary/b")
ASKED = ("DocumentReference/d", "DocumentReference?_id=d", "DocumentReference/d/_history")


async def told(stage: Stage, upstream: Upstream, who: str) -> tuple[list[Reply], list[str]]:
    upstream.calls.clear()
    replies = [await stage.ask(one, who) for one in ASKED]
    paths = [f"{one.method} {one.target.partition('?')[0]}" for one in upstream.calls]
    return replies, sorted(paths)


@pytest.mark.parametrize("url", SPELLINGS)
async def test_hidden_and_dangling_are_the_same_bytes_and_cost(tmp_path: Path, url: str) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        shown = document("d", url.replace("{up}", upstream.url))
        found = []
        for world in ((shown, BINARY, MASKED), (shown,)):
            upstream.world = world_of(bundle(*ZED, *world))
            found.append(await told(stage, upstream, NURSE))
        hidden, dangling = found
        assert [(one.status, one.body) for one in hidden[0]] == [(one.status, one.body) for one in dangling[0]]  # fmt: skip
        assert hidden[1] == dangling[1]
        for reply in hidden[0]:
            assert reply.status == 200
            assert "Binary/b" not in reply.text
            assert TITLE not in reply.text
            assert "CANARYhash" not in reply.text
            assert "4242" not in reply.text
            assert "application/pdf" in reply.text
            assert "REDACTED" not in reply.text


async def test_what_leads_somewhere_leaves_byte_for_byte(tmp_path: Path) -> None:
    shown = document("d", "Binary/b", "https://elsewhere.example.org/x.pdf", "urn:oid:1.2.3")
    async with gateway(tmp_path, *ZED, shown, BINARY) as (stage, upstream):
        [reply, *_], _ = await told(stage, upstream, NURSE)
        async with stage.session.get(f"{upstream.url}/DocumentReference/d") as answer:
            assert reply.body == await answer.read()
        assert (await stage.ask("Binary/b", NURSE)).status == 200


async def test_who_sees_the_binary_sees_where_it_is(tmp_path: Path) -> None:
    async with gateway(tmp_path, *ZED, document("d", "Binary/b"), BINARY, MASKED) as (stage, _):
        for who, shows in ((PHYSICIAN, True), (NURSE, False)):
            reply = await stage.ask("DocumentReference/d", who)
            assert ('"Binary/b"' in reply.text) is shows
            assert ((await stage.ask("Binary/b", who)).status == 200) is shows
        assert (await stage.ask("DocumentReference/d", OUTSIDE)).status == 404


async def test_no_search_finds_by_an_address_that_is_not_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path, *ZED, document("d", "Binary/b"), BINARY, MASKED) as (stage, _):
        search = "DocumentReference?location=Binary/b"
        assert (await stage.ask(search, NURSE)).ids == []
        assert "DocumentReference/d" in (await stage.ask(search, PHYSICIAN)).ids


async def test_the_same_holds_wherever_an_attachment_stands(tmp_path: Path) -> None:
    report = about(
        "DiagnosticReport",
        "r",
        status="final",
        code={"text": "x"},
        presentedForm=[attachment("Binary/b"), attachment("urn:other", title="kept")],
    )
    async with gateway(tmp_path, *ZED, report, BINARY, MASKED) as (stage, _):
        reply = await stage.ask("DiagnosticReport/r", NURSE)
        assert reply.json["presentedForm"] == [
            {"contentType": "application/pdf"},
            {**attachment("urn:other", title="kept")},
        ]
