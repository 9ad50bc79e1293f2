"""Elements with security labels of their own (DS4P inline labels), asked for by who may see them and who may not."""

from pathlib import Path
from typing import Any

import pytest

from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, INLINE_LABEL
from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, gateway
from tests.stage import Json

FLAG = {"security": [{"system": ACT_CODE, "code": "PROCESSINLINELABEL"}]}


def label(system: str, code: str) -> Json:
    return {"url": INLINE_LABEL, "valueCoding": {"system": system, "code": code}}


RESTRICTED = {"extension": [label(CONFIDENTIALITY, "R"), label(ACT_CODE, "SDV")]}
SHOWN = {"status": "final", "code": {"text": "shown"}, "meta": FLAG}


def observation(own: str, **elements: Any) -> Json:
    return about("Observation", own, **{**SHOWN, **elements})


TOLD = "TOLD-IN-CONFIDENCE"
PLACES: list[Json] = [
    {"valueString": TOLD, "_valueString": RESTRICTED},
    {"note": [{"text": TOLD, **RESTRICTED}, {"text": "plain"}]},
    {"component": [{"code": {"text": "c"}, "valueString": TOLD, "_valueString": RESTRICTED}]},
    {"extension": [{"url": "http://x.example.org", "valueString": TOLD, **RESTRICTED}]},
    {"method": {"text": TOLD, **RESTRICTED}, "text": {"status": "generated", "div": f"<div>{TOLD}</div>"}},
    {"contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"text": TOLD, **RESTRICTED}]}],
     "performer": [{"reference": "#p", "display": TOLD}]},
]  # fmt: skip


@pytest.mark.parametrize("elements", PLACES)
async def test_a_labelled_element_is_cut_out_and_the_rest_leaves(
    tmp_path: Path, elements: Json
) -> None:
    async with gateway(tmp_path, *ZED, observation("zo", **elements)) as (stage, _):
        for target in ("Observation/zo", "Observation?patient=zed"):
            nurse = await stage.ask(target, NURSE)
            text = nurse.body.decode()
            assert nurse.status == 200
            assert TOLD not in text
            assert "SDV" not in text
            assert "shown" in text
            assert "REDACTED" in text
        physician = await stage.ask("Observation/zo", PHYSICIAN)
        assert TOLD in physician.body.decode()
        assert "REDACTED" not in physician.body.decode()


WITHHELD: list[Json] = [
    {"code": {"text": TOLD, **RESTRICTED}},
    {"extension": RESTRICTED["extension"], "valueString": TOLD},
    {"_status": RESTRICTED, "valueString": TOLD},
    {"meta": {**FLAG, **RESTRICTED}, "valueString": TOLD},
    {"meta": {"security": [*FLAG["security"], {"system": CONFIDENTIALITY, "code": "R"}]}, "valueString": TOLD},
    {"valueString": TOLD},
    {"note": [{"text": TOLD, "extension": RESTRICTED["extension"][0]}]},
    {"note": [{"text": TOLD, "_text": RESTRICTED}]},
]  # fmt: skip


@pytest.mark.parametrize("elements", WITHHELD)
async def test_what_cannot_be_cut_out_alone_is_withheld_as_a_whole(
    tmp_path: Path, elements: Json
) -> None:
    async with gateway(tmp_path, *ZED, observation("zo", **elements)) as (stage, _):
        refused = await stage.ask("Observation/zo", NURSE)
        absent = await stage.ask("Observation/no-such", NURSE)
        assert (refused.status, refused.body) == (absent.status, absent.body)
        assert (await stage.ask("Observation?patient=zed", NURSE)).json["total"] == 0


SEARCHES = [
    "Observation?patient=zed",
    "Observation?patient=zed&value-concept=x",
    "Observation?patient=zed&value-string=TOLD",
    "Observation?patient=zed&value-string:exact=OTHER",
    "Observation?patient=zed&value-string:missing=false",
    "Observation?patient=zed&combo-code=x",
    "Observation?patient=zed&_sort=value-string",
    "Observation?patient=zed&_sort=-value-string&_count=1",
    "Observation/za",
    "Observation/za/_history",
]


async def test_no_search_tells_of_what_is_cut(tmp_path: Path) -> None:
    answers = []
    for number, value in enumerate(("TOLD", "OTHER")):
        folder = tmp_path / str(number)
        folder.mkdir()
        hidden = observation("za", valueString=value, _valueString=RESTRICTED)
        plain = observation("zb", valueString="SHOWN", effectiveDateTime="2020")
        async with gateway(folder, *ZED, hidden, plain) as (stage, _):
            told = [await stage.ask(target, NURSE) for target in SEARCHES]
            answers.append([(one.status, one.body) for one in told])
    for target, one, other in zip(SEARCHES, *answers, strict=True):
        assert one == other, target
    assert b"REDACTED" in answers[0][0][1]
