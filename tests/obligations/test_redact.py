import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UnreadableError
from proxy.obligations.redact import Redacted, redact
from tests.obligations.redacting import (
    KEY,
    LABELS,
    MASK,
    applied,
    labels_of,
    observation,
    patient,
    redactions,
    shown,
)

SAMPLES = Path(__file__).parents[2] / "fhir-samples"


class Entry(msgspec.Struct):
    resource: msgspec.Raw


class Transaction(msgspec.Struct):
    entry: list[Entry]


RESOURCES = [
    bytes(entry.resource)
    for file in sorted(SAMPLES.glob("*.json"))
    for entry in msgspec.json.decode(file.read_bytes(), type=Transaction).entry
]


MANDATORY: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "top level": ("Observation.status", ("_status",)),
    "object": ("Observation.code", ("code",)),
    "emptied object": ("Observation.code.text", ("code",)),
    "inside a backbone element": ("Observation.component.code", ("component", 0, "code")),
    "data type": ("Observation.note.text", ("note", 0, "_text")),
}


@pytest.mark.parametrize("name", MANDATORY)
def test_what_must_be_there_is_masked_instead_of_removed(name: str) -> None:
    path, steps = MANDATORY[name]
    found: Any = shown(
        observation(component=[{"code": {"text": "left"}}], note=[{"text": "seen"}]),
        f"remove {path}",
    )
    for step in steps:
        found = found[step]
    assert found == MASK


class TestLabels:
    CASES = (
        ("remove", ["REDACTED"]), ("mask", ["MASKED", "REDACTED"]), ("generalise", ["MASKED", "REDACTED"]),
        ("pseudonymise", ["PSEUDED", "REDACTED"]), ("shift", ["MASKED", "REDACTED"]),
    )  # fmt: skip

    @pytest.mark.parametrize(("operator", "labels"), CASES)
    def test_say_what_was_done(self, operator: str, labels: list[str]) -> None:
        body = applied(patient(birthDate="1970-05-04"), f"{operator} Patient.birthDate").body
        assert labels_of(body) == labels

    def test_stand_once_beside_those_that_were_there(self) -> None:
        security = [
            {"system": LABELS, "code": "REDACTED", "display": "redacted"},
            {"system": "urn:x", "code": "R"},
        ]
        body = applied(
            patient(meta={"security": security}, birthDate="1970"), "remove Patient.birthDate"
        ).body
        assert json.loads(body)["meta"]["security"] == security

    @pytest.mark.parametrize(
        "other",
        [
            {"system": "urn:x", "code": "R"},
            {"system": LABELS, "code": "N"},
            {"system": "urn:x", "code": "REDACTED"},
        ],
    )
    def test_are_added_beside_any_other(self, other: dict[str, str]) -> None:
        before = patient(meta={"security": [other]}, birthDate="1970")
        body = applied(before, "remove Patient.birthDate").body
        assert [one["code"] for one in json.loads(body)["meta"]["security"]] == [
            other["code"],
            "REDACTED",
        ]

    def test_are_added_beside_what_is_no_label(self) -> None:
        before = patient(meta={"security": ["x"]}, birthDate="1970")
        body = applied(before, "remove Patient.birthDate").body
        assert json.loads(body)["meta"]["security"] == ["x", {"system": LABELS, "code": "REDACTED"}]

    def test_come_behind_type_and_id(self) -> None:
        assert list(json.loads(applied(patient(active=True), "remove Patient.id").body)) == [
            "resourceType",
            "meta",
            "active",
        ]
        body = applied(patient(active=True, birthDate="1970"), "remove Patient.birthDate").body
        assert list(json.loads(body)) == ["resourceType", "id", "meta", "active"]


class TestVerbatim:
    RAW = b'{ "resourceType" : "Observation", "id":"o",\n "valueQuantity": {"value": 1.10e0}}'

    def test_a_resource_in_which_nothing_is_found_keeps_its_bytes(self) -> None:
        assert redact(
            self.RAW, redactions("remove Observation.note", "mask Patient.name"), KEY
        ) == Redacted(self.RAW, ())

    @pytest.mark.parametrize(
        "number",
        ["1.10", "0.0", "-0", "1E5", "1e-7", "12345678901234567890123", "0.1000000000000000000001"],
    )
    def test_numbers_keep_their_spelling(self, number: str) -> None:
        raw = b'{"resourceType":"Observation","issued":"x","a":[%s],"unknown":{"b":%s}}' % (
            (number.encode(),) * 2
        )
        body = redact(raw, redactions("remove Observation.issued"), KEY).body
        assert body.count(number.encode()) == 2

    def test_names_keep_their_order_and_unknown_elements_stay(self) -> None:
        names = {
            "zz": 1,
            "_b": {"id": "x"},
            "active": True,
            "b": "y",
            "_c": [None, {"id": "q"}],
            "birthDate": "1970",
            "c": ["1", "2"],
        }
        after = shown(patient(**names), "remove Patient.birthDate")
        assert list(after) == ["resourceType", "id", "zz", "_b", "active", "b", "_c", "c"]

    def test_the_paths_are_those_that_found_something_once_and_sorted(self) -> None:
        texts = (
            "remove Patient.name.given",
            "mask Patient.birthDate",
            "shift Patient.birthDate",
            "remove Patient.photo",
        )
        found = applied(
            patient(birthDate="1970", name=[{"given": ["A"], "family": "B"}]), *texts
        ).paths
        assert found == ("Patient.birthDate", "Patient.name.given")


UNREADABLE = [
    b"", b"{", b"[]", b'"x"', b"{}", b'{"resourceType":1}', b'{"resourceType":"Patient","a":1,"a":2}',
    b'{"resourceType":"Patient","a":"\xff"}', b'{"resourceType":"Patient","a":"\\ud800"}',
    b'{"resourceType":"Patient","a":' + b"[" * 100000 + b"]" * 100000 + b"}",
    b'{"resourceType":"Patient","a":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_whole_is_not_redacted(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        redact(raw, redactions("remove Patient.name"), KEY)


EVERYTHING = redactions(
    "mask Patient.name", "generalise Patient.birthDate", "remove Patient.telecom", "generalise Patient.address.postalCode",
    "remove Patient.address.line", "remove Observation.code", "mask Observation.value", "remove Condition.code",
    "mask Condition.subject", "remove DocumentReference.content", "remove DocumentReference.type", "mask Encounter.class",
    "remove Encounter.participant", "mask AllergyIntolerance.reaction", "remove AllergyIntolerance.patient",
    "remove MedicationRequest.medication", "mask Consent.provision", "remove Consent.category", "mask CareTeam.participant",
    "remove Practitioner.name", "remove Organization.name", "remove Composition.title", "mask Composition.section",
    "remove *.identifier", "replace *.language de", "remove DiagnosticReport.code", "mask Immunization.vaccineCode",
    "remove Procedure.subject", "mask Coverage.beneficiary", "remove Provenance.agent", "mask Group.member",
    "remove RelatedPerson.patient", "mask Observation.component", "remove QuestionnaireResponse.item.linkId",
)  # fmt: skip


@pytest.mark.parametrize("raw", RESOURCES, ids=range(len(RESOURCES)))
def test_redacted_samples_are_valid_and_redacting_again_changes_nothing(raw: bytes) -> None:
    once = redact(raw, EVERYTHING, KEY)
    tree = json.loads(once.body)
    get_fhir_model_class(tree["resourceType"]).model_validate(tree)
    assert redact(once.body, EVERYTHING, KEY) == Redacted(once.body, ())


TOKEN = "Qz7canary9X"
NAMES = st.sampled_from(
    ["name", "value", "valueString", "code", "text", "display", "extension", "given", "note"]
)
LEAVES = st.one_of(st.just(1), st.just(True), st.text(max_size=4), st.just("1970-01-01"))


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    )


HIDING = ("remove", "mask", "generalise", "pseudonymise", "shift", "replace")
WITH_TOKEN = trees(st.one_of(LEAVES, st.just(TOKEN), st.just(f"about {TOKEN.lower()}, again")))


@given(
    operator=st.sampled_from(HIDING),
    value=WITH_TOKEN,
    twin=WITH_TOKEN,
    elsewhere=trees(LEAVES),
    echo=st.booleans(),
)
def test_a_token_at_a_redacted_path_occurs_nowhere(
    operator: str, value: Any, twin: Any, elsewhere: Any, echo: bool
) -> None:
    before = observation(valueString=value, _valueString=twin, hasMember=elsewhere)
    if echo:
        before["specimen"] = {"reference": "Specimen/s", "display": f"of {TOKEN}"}
        before["identifier"] = [{"value": TOKEN}]
    texts = (f"{operator} Observation.value -", "remove Observation.identifier")
    once = applied(before, *texts)
    assert TOKEN.lower() not in once.body.decode().lower()


@given(
    operator=st.sampled_from(["remove", "mask", "generalise", "replace"]),
    value=WITH_TOKEN,
    twin=WITH_TOKEN,
    elsewhere=WITH_TOKEN,
)
def test_redacting_twice_is_redacting_once(
    operator: str, value: Any, twin: Any, elsewhere: Any
) -> None:
    before = observation(valueString=value, _valueString=twin, note=elsewhere, hasMember=elsewhere)
    once = applied(before, f"{operator} Observation.value -", f"{operator} Observation.note.text -")
    again = redact(
        once.body,
        redactions(f"{operator} Observation.value -", f"{operator} Observation.note.text -"),
        KEY,
    )
    assert again.body == once.body


@given(operator=st.sampled_from(HIDING), value=WITH_TOKEN, elsewhere=trees(LEAVES))
def test_nothing_empty_is_left_behind(operator: str, value: Any, elsewhere: Any) -> None:
    once = applied(
        observation(valueString=value, note=elsewhere), f"{operator} Observation.value -"
    )
    assert not [one for one in _nodes(json.loads(once.body)) if one in ({}, []) or one == [None]]


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for inner in (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    ):
        yield from _nodes(inner)
