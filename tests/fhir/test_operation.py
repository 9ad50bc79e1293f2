"""Parameters of an operation: read exactly, or not at all."""

import orjson
import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import Json
from proxy.fhir.coding import ACT_REASON, Coding
from proxy.fhir.operation import (
    MAX_BYTES,
    coding_in,
    instant,
    parameters,
    parameters_of,
    patient_in,
    text_in,
)

KNOWN = {"patient": "valueReference", "note": "valueString"}
BASE = "http://gateway.example.org/fhir"


def test_what_is_written_is_read_back() -> None:
    body = parameters(
        {"note": ("valueString", "x"), "patient": ("valueReference", {"reference": "y"})}
    )
    assert parameters_of(body, KNOWN) == {"note": "x", "patient": {"reference": "y"}}


WRONG: list[tuple[object, Refusal]] = [
    ([], Refusal.MALFORMED),
    ({"resourceType": "Bundle", "parameter": []}, Refusal.MALFORMED),
    ({"resourceType": "Parameters"}, Refusal.MALFORMED),
    ({"resourceType": "Parameters", "parameter": {}}, Refusal.MALFORMED),
    ({"resourceType": "Parameters", "parameter": [], "meta": {}}, Refusal.MALFORMED),
    ({"resourceType": "Parameters", "parameter": ["x"]}, Refusal.MALFORMED),
    ({"resourceType": "Parameters", "parameter": [{"valueString": "x"}]}, Refusal.MALFORMED),
    ({"resourceType": "Parameters", "parameter": [{"name": "other", "valueString": "x"}]}, Refusal.PARAMETER),
    ({"resourceType": "Parameters", "parameter": [{"name": "note", "valueCode": "x"}]}, Refusal.PARAMETER),
    ({"resourceType": "Parameters", "parameter": [{"name": "note", "valueString": "x", "extension": []}]}, Refusal.PARAMETER),
    ({"resourceType": "Parameters", "parameter": [{"name": "note", "valueString": "x"}] * 2}, Refusal.PARAMETER),
    ({"resourceType": "Parameters", "parameter": [{"name": "note", "valueString": "x" * MAX_BYTES}]}, Refusal.TOO_LARGE),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "refusal"), WRONG, ids=range(len(WRONG)))
def test_anything_more_or_else_is_refused(tree: object, refusal: Refusal) -> None:
    with pytest.raises(CallerError) as caught:
        parameters_of(orjson.dumps(tree), KNOWN)
    assert caught.value.refusal is refusal


@pytest.mark.parametrize("reference", ["Patient/a", f"{BASE}/Patient/a"])
def test_a_patient_is_named_relative_or_below_our_own_base(reference: str) -> None:
    assert patient_in({"reference": reference}, BASE) == "Patient/a"


OTHERS: list[Json] = [
    "Patient/a", None, {"reference": "a"}, {"reference": "Group/a"}, {"reference": "Patient/a/_history/1"},
    {"reference": "https://else.example.org/fhir/Patient/a"}, {"reference": "Patient/a b"}, {"reference": "Patient/"},
    {"reference": "Patient/a", "identifier": {"value": "b"}}, {"reference": ["Patient/a"]}, {"reference": "Patient/a\n"},
    {"reference": "Patient/.."},
]  # fmt: skip


@pytest.mark.parametrize("value", OTHERS, ids=str)
def test_whoever_else_is_named_is_no_patient(value: Json) -> None:
    with pytest.raises(CallerError):
        patient_in(value, BASE)


def test_a_coding_has_a_system_and_a_code() -> None:
    told: dict[str, Json] = {
        "system": "http://hl7.org/fhir/v3/ActReason",
        "code": "BTG",
        "display": "x",
    }
    assert coding_in(told) == Coding(ACT_REASON, "BTG")
    others: list[Json] = [
        {"code": "BTG"},
        {"system": "s"},
        "BTG",
        {"system": "s", "code": ""},
        {**told, "userSelected": True},
    ]
    for other in others:
        with pytest.raises(CallerError):
            coding_in(other)


def test_a_text_is_measured_without_its_white_space() -> None:
    assert text_in("  a \n b ", 3, 3) == "a b"
    others: list[Json] = ["a  \t ", "abcd", 123, None, "a\x07b"]
    for other in others:
        with pytest.raises(CallerError):
            text_in(other, 3, 3)


def test_an_instant_is_told_in_utc() -> None:
    assert instant(0.5) == "1970-01-01T00:00:00.500+00:00"
