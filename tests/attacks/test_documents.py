"""Attacks on documents: what the caller may not see in a Composition must move neither the answer nor what is asked for it."""

from pathlib import Path
from typing import Any

import pytest

from proxy.fhir.coding import CONFIDENTIALITY
from tests.attacks.records import ACT_CODE, NURSE, ZED, about, gateway, resource
from tests.stage import Json

LABEL = {
    "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
    "valueCoding": {"system": CONFIDENTIALITY, "code": "R"},
}
MARKED = {"security": [{"system": ACT_CODE, "code": "PROCESSINLINELABEL"}]}


def composition(own: str, *names: str, **more: Any) -> Json:
    """One with a section that the nurse does not see; `names` are what it names."""
    secret = {"extension": [LABEL], "title": "s", "entry": [{"reference": one} for one in names]}
    return resource(
        "Composition",
        own,
        **{
            "meta": MARKED,
            "status": "final",
            "type": {"text": "letter"},
            "subject": {"reference": "Patient/zed"},
            "date": "2026-01-01",
            "author": [{"reference": "Practitioner/dr-martin"}],
            "title": "t",
            "section": [{"title": "open"}, secret],
            **more,
        },
    )


CUT = {
    "nothing": composition("c"),
    "what is seen": composition("c", "Observation/seen"),
    "what is not there": composition("c", "Observation/no-such"),
    "another server": composition("c", "https://elsewhere.example.org/fhir/Observation/1"),
    "no reference": composition("c", "Observation/seen/x"),
    "a type that nobody knows": composition("c", "Nothing/1"),
    "more than is assembled": composition("c", *(f"Observation/no-{n}" for n in range(1200))),
}


@pytest.mark.parametrize("cut", CUT)
async def test_what_is_cut_out_of_a_composition_moves_nothing(tmp_path: Path, cut: str) -> None:
    seen = about("Observation", "seen", status="final", code={"text": "seen"})
    async with gateway(tmp_path, *ZED, seen, CUT[cut]) as (stage, upstream):
        assert (await stage.ask("Composition/c", NURSE)).json["section"] == [{"title": "open"}]
        stage.entries()
        upstream.calls.clear()
        reply = await stage.ask("Composition/c/$document", NURSE)
        assert reply.status == 404
        assert not any(one.target.startswith("/fhir/Observation?") for one in upstream.calls)
        [entry] = stage.entries()
        assert {one.outcome for one in entry.touched} == {"withheld"}
