"""What is private of professionals, credentials for other systems, and documents in which such things stand (T-84, T-236, T-68)."""

from pathlib import Path
from typing import Any

import pytest

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, gateway, resource
from tests.stage import Json

PRIVATE = {
    "birthDate": "1970-01-31",
    "address": [{"use": "home", "line": ["1 rue CANARY"]}],
    "photo": [{"contentType": "image/png", "data": "Q0FOQVJZ", "title": "CANARY"}],
}
PERSON = resource("Practitioner", "p", active=True, name=[{"family": "Seen"}], **PRIVATE)
ENDPOINT = resource(
    "Endpoint", "e", status="active", connectionType={"code": "dicom-wado-rs"}, address="https://pacs.example.org",
    payloadType=[{"text": "x"}], header=["Authorization: Bearer CANARY"],
)  # fmt: skip
VALUE = {"status": "final", "code": {"text": "x"}}
ASKED = (
    "Practitioner/p",
    "Practitioner?_id=p",
    "Endpoint/e",
    "Endpoint?_id=e",
    "Observation?_id=o&_include=Observation:performer",
    "Practitioner/p/_history",
)


@pytest.mark.parametrize("who", [PHYSICIAN, NURSE, "patient", "legal-guardian"])
async def test_nobody_is_shown_what_is_private(tmp_path: Path, who: str) -> None:
    told = about("Observation", "o", **VALUE, performer=[{"reference": "Practitioner/p"}])
    async with gateway(tmp_path, *ZED, PERSON, ENDPOINT, told) as (stage, _):
        replies = [await stage.ask(target, who) for target in ASKED]
    text = "".join(reply.text for reply in replies)
    for hidden in ("CANARY-", "rue CANARY", "1970-01-31", "Q0FOQVJZ", "Bearer CANARY"):
        assert hidden not in text
    assert replies[0].json["name"] == [{"family": "Seen"}]
    assert replies[2].json["address"] == "https://pacs.example.org"


@pytest.mark.parametrize("parameter", ["address=rue", "address-city=x", "_lastUpdated=gt2020"])
async def test_no_search_reads_it(tmp_path: Path, parameter: str) -> None:
    async with gateway(tmp_path, *ZED, PERSON) as (stage, _):
        assert (await stage.ask(f"Practitioner?{parameter}", PHYSICIAN)).status == 400


def document(*resources: Json, **more: Any) -> Json:
    entries = [{"resource": one} for one in resources]
    return resource("Bundle", "b", type="collection", entry=entries, **more)


@pytest.mark.parametrize(
    ("who", "inner", "shown"),
    [
        (PHYSICIAN, resource("Practitioner", "in", name=[{"family": "x"}]), True),
        (PHYSICIAN, {**PERSON, "id": "in"}, False),
        (PHYSICIAN, {**ENDPOINT, "id": "in"}, False),
        (NURSE, resource("Patient", "zed"), True),
        (NURSE, resource("Patient", "zed", telecom=[{"value": "0155501234"}]), False),
        (PHYSICIAN, resource("Patient", "zed", telecom=[{"value": "0155501234"}]), True),
    ],
)
async def test_a_bundle_leaves_whole_where_nothing_in_it_is_redacted_and_else_is_absent(
    tmp_path: Path, who: str, inner: Json, shown: bool
) -> None:
    held = document(about("Observation", "in-o", **VALUE), inner)
    async with gateway(tmp_path, *ZED, held) as (stage, upstream):
        reply, absent = await stage.ask("Bundle/b", who), await stage.ask("Bundle/no-such", who)
        assert (reply.status == 200) is shown
        if shown:
            async with stage.session.get(f"{upstream.url}/Bundle/b") as answer:
                assert reply.body == await answer.read()
        else:
            assert (reply.status, reply.body) == (absent.status, absent.body)
        assert ("Bundle/b" in (await stage.ask("Bundle", who)).ids) is shown
