"""No extension that nobody listed is left in a redacted view, however deep it stands; modifiers withhold it (T-75)."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.model import KEEP, NO_OBLIGATIONS, Decision, Obligations, Redaction
from proxy.fhir.coding import INLINE_LABEL, Effect
from proxy.obligations.disclose import Judged, illegible
from proxy.obligations.extensions import STRUCTURAL, modifiers_in, without_extensions
from proxy.obligations.letter import ABSENT_REASON
from tests.obligations.redacting import applied, patient, shown
from tests.situations import READER

NO_PHONE = "remove Patient.telecom"
PHONE = [{"value": "1"}]
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
CANARY = "CANARY"


def extension(url: str = "urn:unlisted", **more: Any) -> dict[str, Any]:
    return {"url": url, **(more or {"valueString": CANARY})}


@st.composite
def places(draw: st.DrawFn) -> dict[str, Any]:
    """A patient with a telephone and an extension somewhere in it."""
    told: dict[str, Any] = {"extension": [extension(draw(st.sampled_from(["urn:x", "y", "http://a/hiv-status"])))]}  # fmt: skip
    for _ in range(draw(st.integers(0, 3))):
        told = draw(
            st.sampled_from(
                [
                    {"extension": [extension(ABSENT_REASON, **told)]},
                    {"address": [told]},
                    {"name": [{"_given": [told]}]},
                    {"_birthDate": told},
                    {"contained": [{"resourceType": "Person", "id": "c", **told}]},
                ]
            )
        )
    return patient(telecom=PHONE, link=[{"other": {"reference": "#c"}}], **told)


@given(places())
def test_no_unlisted_extension_is_left_at_any_depth(resource: dict[str, Any]) -> None:
    body = applied(resource, NO_PHONE).body
    assert CANARY.encode() not in body
    assert b"hiv-status" not in body


def test_listed_ones_stay_with_their_parts() -> None:
    race = extension(RACE, extension=[extension("text", valueString="x"), extension("detailed", valueCode="y")])  # fmt: skip
    label = extension(INLINE_LABEL, valueCoding={"code": "N"})
    before = patient(telecom=PHONE, extension=[race, extension(), label])
    kept = {**before, "extension": [race, label]}
    tree = without_extensions(before, STRUCTURAL | {RACE})
    assert tree == kept
    assert without_extensions(before, frozenset()) == patient(telecom=PHONE)


def test_a_policy_lists_what_stays() -> None:
    before = patient(telecom=PHONE, extension=[extension(RACE, valueString="x"), extension()])
    assert shown(before, NO_PHONE) == patient()
    told = shown(before, NO_PHONE, f"{KEEP} Extension.url {RACE}")
    assert told == patient(extension=[extension(RACE, valueString="x")])


def test_what_is_not_redacted_keeps_them_all() -> None:
    before = patient(extension=[extension()], modifierExtension=[extension()])
    for redaction in (NO_PHONE, f"{KEEP} Extension.url urn:x"):
        told = applied(before, redaction)
        assert (told.paths, json.loads(told.body)) == ((), before)
    only_narrative = patient(extension=[extension()], text={"div": "<div>x</div>"})
    assert "extension" in shown(only_narrative, "remove *.text")


@pytest.mark.parametrize(
    ("resource", "urls"),
    [
        ({}, []),
        ({"modifierExtension": [extension("urn:m")]}, ["urn:m"]),
        ({"name": [{"modifierExtension": [extension("urn:m"), extension("urn:n")]}]}, ["urn:m", "urn:n"]),
        ({"implicitRules": "http://rules"}, ["http://rules"]),
        ({"contained": [{"modifierExtension": [{}]}]}, [""]),
    ],
)  # fmt: skip
def test_modifiers_are_found(resource: dict[str, Any], urls: list[str]) -> None:
    assert list(modifiers_in(resource)) == urls


MODIFIED = [
    ({"modifierExtension": [extension("urn:m")]}, True),
    ({"name": [{"modifierExtension": [extension("urn:m")]}]}, True),
    ({"implicitRules": "http://rules"}, True),
    ({"extension": [extension("urn:m")]}, False),
]


@pytest.mark.parametrize(("more", "withheld"), MODIFIED)
@pytest.mark.parametrize("redacted", [True, False])
def test_a_modified_resource_is_not_shown_redacted(
    more: dict[str, Any], withheld: bool, redacted: bool
) -> None:
    raw = orjson.dumps(patient(**({"telecom": PHONE} if redacted else {}), **more))
    redactions = frozenset({Redaction("remove", "Patient.telecom")})
    for obligations, shut in (
        (Obligations(redactions), withheld and redacted),
        (Obligations(redactions | {Redaction(KEEP, "Extension.url", "urn:m")}), "implicitRules" in more and redacted),
        (Obligations(frozenset({Redaction(KEEP, "Extension.url", "urn:x")})), False),
        (NO_OBLIGATIONS, False),
    ):  # fmt: skip
        decision = Decision(Effect.PERMIT, (), obligations)
        assert illegible(Judged(raw, READER.read(raw), decision)) is shut
