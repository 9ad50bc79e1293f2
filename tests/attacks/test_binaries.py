"""A Binary belongs to whom the documents that hold it belong to (T-78), and is seen by who sees all of them."""

from pathlib import Path
from typing import Any

import pytest

from proxy.fhir.coding import CONFIDENTIALITY
from tests.attacks.records import NURSE, OUTSIDE, PHYSICIAN, ZED, about, gateway, resource
from tests.stage import Json, names

BINARY = "Binary/b"
RESTRICTED = {"securityLabel": [{"coding": [{"system": CONFIDENTIALITY, "code": "R"}]}]}


def binary(**more: Any) -> Json:
    return resource("Binary", "b", contentType="text/plain", data="Q0FOQVJZ", **more)


def document(own: str, *urls: str, **more: Any) -> Json:
    contents = [{"attachment": {"url": url}} for url in urls]
    return about("DocumentReference", own, status="current", content=contents, **more)


def context(reference: str) -> Json:
    return {"securityContext": {"reference": reference}}


OTHER = {"subject": {"reference": "Patient/nobody-we-know"}}
WORLDS: list[tuple[list[Json], bool, bool]] = [
    ([binary(), document("d", BINARY)], True, True),
    ([binary(**context("DocumentReference/d")), document("d", BINARY)], True, True),
    ([binary(), document("d", BINARY, **RESTRICTED)], False, True),
    ([binary(), document("d", BINARY), document("e", "x", BINARY, **RESTRICTED)], False, True),
    ([binary(**context("DocumentReference/e")), document("d", BINARY), document("e", "x", **RESTRICTED)], False, True),
    ([binary(meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]}), document("d", BINARY)], False, True),
    ([binary()], False, False),
    ([binary(), document("d", "Binary/other")], False, False),
    ([binary(), document("d", "http://elsewhere.example.org/Binary/b")], False, False),
    ([binary(**context("DocumentReference/d"))], False, False),
    ([binary(**context("DocumentReference/gone")), document("d", BINARY)], False, False),
    ([binary(**context("Observation/o")), document("d", BINARY)], False, False),
    ([binary(**context("Binary/b"))], False, False),
    ([binary(), {**document("d", BINARY), **OTHER}], False, False),
    ([binary(), document("d", BINARY), {**document("e", BINARY), **OTHER}], False, False),
]  # fmt: skip


@pytest.mark.parametrize(("world", "nurse", "physician"), WORLDS)
async def test_a_binary_is_seen_by_who_sees_every_document_that_holds_it(
    tmp_path: Path, world: list[Json], nurse: bool, physician: bool
) -> None:
    async with gateway(tmp_path, *ZED, *world) as (stage, _):
        absent = await stage.ask("Binary/no-such", NURSE)
        for who, seen in ((NURSE, nurse), (PHYSICIAN, physician), (OUTSIDE, False)):
            reply = await stage.ask(BINARY, who)
            assert (reply.status == 200) is seen
            assert ("Q0FOQVJZ" in reply.body.decode()) is seen
            if not seen:
                assert (reply.status, reply.body) == (absent.status, absent.body)
        if physician:
            stage.entries()
            await stage.ask(BINARY, PHYSICIAN)
            [entry] = stage.entries()
            assert names([entry], "disclosed") == [BINARY]
            assert entry.touched[0].patients == ("Patient/zed",)


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ("user/DocumentReference.rs user/Binary.rs", True),
        ("user/DocumentReference.rs user/Binary.rs?_id=b", True),
        ("user/DocumentReference.rs user/Binary.rs?_id=other", False),
        ("user/DocumentReference.rs patient/Binary.rs", False),
        ("user/Binary.rs", False),
        ("user/DocumentReference.rs?status=superseded user/Binary.rs", False),
    ],
)
async def test_a_binary_is_seen_by_whose_scopes_cover_it_and_its_documents(
    tmp_path: Path, scope: str, seen: bool
) -> None:
    who = {"like": PHYSICIAN, "scope": scope, "patient": "camille"}
    async with gateway(tmp_path, *ZED, binary(), document("d", BINARY)) as (stage, _):
        absent = await stage.ask("Binary/no-such", who)
        reply = await stage.ask(BINARY, who)
        assert (reply.status == 200) is seen
        assert seen or (reply.status, reply.body) == (absent.status, absent.body)
