"""One entry that cannot be read among others: it is withheld, and the rest is answered as if it did not exist."""

from pathlib import Path
from urllib.parse import unquote

import orjson
import pytest
from aiohttp import web

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, answering, gateway, searchset

GOOD = tuple(orjson.dumps(about("Condition", own)) for own in ("za", "zc"))
START = b'{"resourceType":"Condition","id":"zb","subject":{"reference":"Patient/zed"},"language":"x-CANARY",'
POISON = {
    "half a surrogate pair": START + b'"x":"\\ud800"}',
    "no UTF-8": START + b'"x":"\xff\xfe"}',
    "nested without end": START + b'"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a number that is none": START + b'"x":01}',
    "a bare word": START + b'"x":NaN}',
    "a raw control character": START + b'"x":"\x00"}',
    "two patients in one": START + b'"subject":{"reference":"Patient/other"}}',
    "two references in one": START.replace(b'"Patient/zed"', b'"Patient/zed","reference":"Patient/other"') + b'"x":1}',
}  # fmt: skip


@pytest.mark.parametrize("kind", POISON)
async def test_a_page_with_a_poisoned_entry_is_the_page_without_it(
    tmp_path: Path, kind: str
) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        told = []
        stage.entries()
        for entries in (GOOD, (GOOD[0], POISON[kind], GOOD[1]), (POISON[kind], *GOOD)):
            answering(upstream, "/Condition", searchset(*entries))
            told += [await stage.ask("Condition?patient=zed", who) for who in (PHYSICIAN, NURSE)]
        assert told[0].status == 200
        assert told[0].json["total"] == 2
        for one, same in zip(told[2:], [*told[:2], *told[:2]], strict=True):
            assert (one.status, one.body) == (same.status, same.body)
        last = stage.entries()[-1]
        assert [one.outcome for one in last.touched].count("withheld") == 1


async def test_huge_numbers_are_numbers(tmp_path: Path) -> None:
    body = START + b'"x":[1e999999999,' + b"9" * 100_000 + b"]}"
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        answering(upstream, "/Condition", searchset(body))
        reply = await stage.ask("Condition?patient=zed", PHYSICIAN)
        assert body in reply.body


@pytest.mark.parametrize("kind", POISON)
async def test_a_poisoned_consent_makes_its_own_patient_unknown_and_no_other(
    tmp_path: Path, kind: str
) -> None:
    other = orjson.dumps({**about("Condition", "zo"), "subject": {"reference": "Patient/camille"}})
    page = searchset(GOOD[0], other)
    poison = searchset(
        POISON[kind].replace(b'"Condition"', b'"Consent"').replace(b"subject", b"patient")
    )

    async with gateway(tmp_path, *ZED) as (stage, upstream):

        async def override(request: web.BaseRequest) -> web.StreamResponse | None:
            target = unquote(request.raw_path)
            if target.startswith("/fhir/Consent") and "Patient/zed" in target:
                # whoever else is asked about with zed gets nothing of use either, and must be asked about alone
                return web.Response(body=poison, content_type="application/fhir+json")
            if target.startswith("/fhir/Condition"):
                return web.Response(body=page, content_type="application/fhir+json")
            return None

        upstream.override = override
        reply = await stage.ask("Condition", PHYSICIAN)
        assert reply.status == 200
        assert [one["resource"]["id"] for one in reply.json["entry"]] == ["zo"]
