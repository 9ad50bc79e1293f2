from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, INLINE_LABEL, Coding
from proxy.fhir.content import Wanted
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import Envelope, UnreadableError
from proxy.fhir.reader import EnvelopeReader
from tests.stage import SAMPLES
from tests.strategies import json_text, observations

Json = dict[str, Any]
BASES = ("http://gateway.example.org/fhir", "http://upstream.example.org/fhir")
TYPES = definitions_of("4.0.1").resource_types | definitions_of("5.0.0").resource_types
READER = EnvelopeReader(TYPES, BASES, Wanted(["75622-1"], ["F11"]))


def read(resource: Json | bytes) -> Envelope:
    return READER.read(resource if isinstance(resource, bytes) else orjson.dumps(resource))


def observation(**more: Any) -> Json:
    return {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/a"}, **more}


ABOUT: list[tuple[Json, set[str] | None]] = [
    (observation(), {"Patient/a"}),
    (observation(subject={"reference": "Patient/a/_history/3"}), {"Patient/a"}),
    (observation(subject={"reference": "http://upstream.example.org/fhir/Patient/a"}), {"Patient/a"}),
    (observation(subject={"reference": "HTTP://Gateway.Example.Org:80/fhir/Patient/a"}), {"Patient/a"}),
    (observation(subject={"reference": "http://elsewhere.example.org/fhir/Patient/a"}), None),
    (observation(subject={"reference": "http://upstream.example.org/fhirPatient/a"}), None),
    (observation(subject={"reference": "#p"}), None),
    (observation(subject={"reference": "urn:uuid:1"}), None),
    (observation(subject={"reference": "Patient?identifier=1"}), None),
    (observation(subject={"reference": "Patient/.."}), None),
    (observation(subject={"identifier": {"value": "a"}}), None),
    (observation(subject={"display": "Ann"}), None),
    (observation(subject={"reference": ""}), None),
    (observation(subject={"reference": None}), None),
    (observation(subject={"reference": "Group/g"}), None),
    (observation(subject={"reference": "Device/d"}), set()),
    (observation(subject=None), set()),
    (observation(focus=[{"reference": "Patient/b"}]), {"Patient/a", "Patient/b"}),
    (observation(focus=[{"reference": "#x"}]), None),
    (observation(performer=[{"reference": "Patient/b"}]), {"Patient/a"}),
    ({"resourceType": "Patient", "id": "a"}, {"Patient/a"}),
    ({"resourceType": "Patient"}, None),
    ({"resourceType": "Bundle", "id": "b"}, None),
    ({"resourceType": "Binary", "id": "b"}, None),
    ({"resourceType": "Parameters"}, None),
    ({"resourceType": "OperationOutcome", "id": "b"}, None),
    ({"resourceType": "Practitioner", "id": "p"}, set()),
    ({"resourceType": "Provenance", "id": "p", "target": [{"reference": "Patient/a"}]}, {"Patient/a"}),
    ({"resourceType": "Provenance", "id": "p", "target": [{"reference": "Observation/o"}]}, None),
    ({"resourceType": "Appointment", "id": "a", "participant": [{"actor": {"reference": "Patient/a"}}, {"actor": {"reference": "Practitioner/p"}}, {"status": "x"}, {"actor": {"reference": "Patient/b"}}]}, {"Patient/a", "Patient/b"}),
    ({"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": "Patient/a"}}]}, {"Patient/a"}),
    ({"resourceType": "Account", "id": "a", "subject": [{"reference": "Patient/a"}, {"reference": "Patient/b"}]}, {"Patient/a", "Patient/b"}),
    ({"resourceType": "Task", "id": "t", "for": {"reference": "Patient/a"}}, {"Patient/a"}),
    (observation(contained=[{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/b"}}]), {"Patient/a", "Patient/b"}),
    (observation(contained=[{"resourceType": "Condition", "id": "c", "subject": {"reference": "#x"}}]), None),
    (observation(contained=[{"resourceType": "Bundle", "id": "c"}]), None),
    (observation(contained=[{"resourceType": "Patient", "id": "p"}]), {"Patient/a", "Patient/p"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "patients"), ABOUT)
def test_whom_a_resource_is_about(resource: Json, patients: set[str] | None) -> None:
    assert read(resource).patients == patients


UNREADABLE: list[bytes] = [
    b"", b"null", b"[]", b"7", b'"Observation"', b"{}", b'{"resourceType":"Nonsense","id":"x"}', b'{"resourceType":7}',
    b'{"resourceType":"Observation","id":"x"', b'{"resourceType":"Observation","id":"x"}x',
    b'{"resourceType":"Observation","id":7}', b'{"resourceType":"Observation","id":"a/b"}',
    b'{"resourceType":"Observation","id":"a b"}', b'{"resourceType":"Observation","id":"' + b"a" * 65 + b'"}',
    b'{"resourceType":"Observation","id":"x","meta":{"versionId":"1\\n"}}', b'{"resourceType":"Observation","id":"x","meta":[]}',
    b'{"resourceType":"Observation","id":"x","meta":{"security":{"code":"R"}}}',
    b'{"resourceType":"Observation","id":"x","meta":{"security":["R"]}}',
    b'{"resourceType":"Observation","id":"x","subject":"Patient/a"}', b'{"resourceType":"Observation","id":"x","subject":7}',
    b'{"resourceType":"Observation","id":"x","subject":{"reference":7}}', b'{"resourceType":"Observation","id":"x","contained":{}}',
    b'{"resourceType":"Observation","id":"x","contained":[7]}', b'{"resourceType":"Observation","id":"x","contained":[{"resourceType":"Nonsense"}]}',
    b'\xef\xbb\xbf{"resourceType":"Observation","id":"x"}', '{"resourceType":"Observation","id":"x"}'.encode("utf-16"),
    b'{"resourceType":"Observation","contained":[' * 3000,
]  # fmt: skip


@pytest.mark.parametrize("raw", UNREADABLE, ids=lambda raw: raw[:60].decode("latin-1"))
def test_what_is_no_resource_is_unreadable(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        READER.read(raw)
    assert READER.read_all([raw], raw) == [None]


def label(code: str, system: str = CONFIDENTIALITY) -> Json:
    return {"system": system, "code": code}


def inline(code: str) -> Json:
    return {"url": INLINE_LABEL, "valueCoding": label(code)}


LABELS: list[tuple[Json, set[Coding]]] = [
    (observation(), set()),
    (observation(meta={"security": [label("R"), label("HIV", ACT_CODE)]}), {Coding(CONFIDENTIALITY, "R"), Coding(ACT_CODE, "HIV")}),
    (observation(meta={"security": [label("R", "urn:oid:2.16.840.1.113883.5.25")]}), {Coding(CONFIDENTIALITY, "R")}),
    (observation(meta={"security": [label("V", "http://hl7.org/fhir/v3/Confidentiality")]}), {Coding(CONFIDENTIALITY, "V")}),
    (observation(meta={"security": [{"display": "restricted"}]}), {Coding("", "")}),
    (observation(meta={"security": [{}]}), {Coding("", "")}),
    (observation(contained=[{"resourceType": "Condition", "subject": {"reference": "Patient/a"}, "meta": {"security": [label("V")]}}]), {Coding(CONFIDENTIALITY, "V")}),
    (observation(code={"extension": [inline("R")]}), {Coding(CONFIDENTIALITY, "R")}),
    (observation(_status={"extension": [{"url": "urn:x", "extension": [inline("V")]}]}), {Coding(CONFIDENTIALITY, "V")}),
    (observation(code={"extension": [{"url": INLINE_LABEL}]}), {Coding("", "")}),
    (observation(code={"extension": [{"url": INLINE_LABEL, "valueCoding": 7}]}), {Coding("", "")}),
    (observation(contained=[{"resourceType": "Condition", "subject": {"reference": "Patient/a"}, "code": {"extension": [inline("R")]}}]), {Coding(CONFIDENTIALITY, "R")}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "labels"), LABELS)
def test_every_label_is_seen_wherever_it_stands(resource: Json, labels: set[Coding]) -> None:
    assert read(resource).labels == labels


def test_escapes_hide_nothing() -> None:
    escaped = (
        b'{"resource\\u0054ype":"Observ\\u0061tion","id":"o","met\\u0061":{"secur\\u0069ty":[{"c\\u006fde":"\\u0052"}]},'
        b'"c\\u006fde":{"coding":[{"c\\u006fde":"7562\\u0032-1"}],"ext\\u0065nsion":[{"\\u0075rl":"'
        + INLINE_LABEL.replace("inline", "\\u0069nline").replace("/", "\\/").encode()
        + b'","valueCod\\u0069ng":{"code":"V"}}]},"subject":{"ref\\u0065rence":"Patient\\/\\u0061"}}'
    )
    plain = read(escaped)
    assert plain.labels == {Coding("", "R"), Coding("", "V")}
    assert plain.patients == frozenset({"Patient/a"})
    assert Coding("", "75622-1") in plain.codes
    assert READER.read_all([escaped], b'{"entry":[{"resource":' + escaped + b"}]}") == [plain]


def test_wanted_codes_are_found_at_any_depth_and_others_are_not_kept() -> None:
    codes = read(
        observation(
            code={"coding": [{"system": "http://loinc.org", "code": "1-1"}]},
            component=[{"code": {"coding": [{"system": "http://loinc.org", "code": "75622-1"}]}}],
            extension=[{"url": "urn:x", "valueCoding": {"code": "f11.2"}}],
        )
    ).codes
    assert codes == {Coding("http://loinc.org", "75622-1"), Coding("", "f11.2")}


def test_a_reader_that_looks_for_more_finds_more_and_dates_only_when_asked() -> None:
    resource = orjson.dumps(
        observation(code={"coding": [{"code": "new"}]}, effectiveDateTime="2026-05")
    )
    more = READER.wanting(frozenset({"new"}), dates=True)
    assert READER.read(resource).codes == frozenset()
    assert READER.read(resource).date == ""
    assert more.read(resource).codes == {Coding("", "new")}
    assert more.read(resource).date == "2026-05"
    assert more.wanting(frozenset({"new", "75622-1"}), dates=True) is more


def test_two_resources_of_one_matter_share_it_and_no_others() -> None:
    one, two = read(observation()), read(observation(id="p", note=[{"text": "x"}]))
    assert one.matter is two.matter is not None
    others = [
        observation(subject={"reference": "Patient/b"}),
        observation(meta={"security": [label("R")]}),
        observation(meta={"profile": ["urn:x"]}),
        observation(performer=[{"reference": "Practitioner/x"}]),
        observation(focus=[{"reference": "Patient/b"}]),
        {**observation(), "resourceType": "Condition"},
    ]
    assert all(read(other).matter is not one.matter for other in others)
    apart = [
        observation(contained=[{"resourceType": "Medication"}]),
        observation(code={"coding": [{"code": "75622-1"}]}),
        observation(code={"extension": [inline("R")]}),
        {"resourceType": "Patient", "id": "a"},
    ]
    assert all(read(other).matter is None for other in apart)


@given(resources=st.lists(observations(), max_size=5))
def test_many_are_read_as_each_is_read_alone(resources: list[Json]) -> None:
    raws = [orjson.dumps({**one, "id": f"o{n}"}) for n, one in enumerate(resources)]
    whole = b"[" + b",".join(raws) + b"]"
    assert READER.read_all(raws, whole) == [READER.read(raw) for raw in raws]
    assert READER.read_all(raws) == READER.read_all(raws, whole)


@given(content=json_text())
def test_any_content_is_read_or_unreadable_and_nothing_else_happens(content: str) -> None:
    raw = f'{{"resourceType":"Observation","id":"x","subject":{content},"meta":{content}}}'.encode()
    try:
        envelope = READER.read(raw)
    except UnreadableError:
        return
    assert envelope.reference == "Observation/x"


def test_every_sample_can_be_read() -> None:
    for file in sorted(SAMPLES.glob("*.json")):
        for entry in orjson.loads(file.read_bytes())["entry"]:
            assert read(entry["resource"]).id == entry["resource"]["id"]
