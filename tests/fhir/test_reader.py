import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, INLINE_LABEL, Coding, coding_of
from proxy.fhir.content import Wanted, inline_labels, nodes_of
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import UNTOLD, Envelope, UnreadableError
from proxy.fhir.links import reference_of
from proxy.fhir.reader import EnvelopeReader
from tests.stage import SAMPLES
from tests.strategies import json_text, observations

Json = dict[str, Any]
BASES = ("http://gateway.example.org/fhir", "http://upstream.example.org/fhir")
TYPES = definitions_of("4.0.1").resource_types | definitions_of("5.0.0").resource_types
FEW = ("Observation", "Condition", "Patient", "Binary")
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
    ({"resourceType": "Patient", "id": "a", "contained": [{"resourceType": "Organization", "id": "o"}]}, {"Patient/a"}),
    ({"resourceType": "Patient", "id": "a", "contained": [{"resourceType": "Condition", "subject": {"reference": "Patient/b"}}]}, {"Patient/a", "Patient/b"}),
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
    ({"resourceType": "NutritionOrder", "id": "n", "patient": {"reference": "Patient/a"}}, {"Patient/a"}),
    ({"resourceType": "NutritionOrder", "id": "n", "subject": {"reference": "Patient/a"}}, {"Patient/a"}),
    ({"resourceType": "Patient", "id": "a", "link": [{"other": {"reference": "Patient/b"}, "type": "seealso"}]}, {"Patient/a"}),
    ({"resourceType": "Person", "id": "p", "link": [{"target": {"reference": "Patient/a"}}, {"target": {"reference": "Patient/b"}}]}, {"Patient/a", "Patient/b"}),
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


DATED: list[tuple[Json, str]] = [
    ({"effectiveDateTime": "2026-05"}, "2026-05"),
    ({"effectiveDateTime": "2026-05", "issued": "2026-06-01T00:00:00Z"}, "2026-05"),
    ({"effectivePeriod": {"start": "2022", "end": "2024-03-01"}}, "2022/2024-03-01"),
    ({"effectivePeriod": {"start": "2022"}}, "2022/9999"),
    ({"effectivePeriod": {"end": "2022"}}, "0001/2022"),
    ({"effectivePeriod": {}, "issued": "2026-06-01T00:00:00Z"}, "2026-06-01T00:00:00Z"),
    ({"effectiveTiming": {"code": {}}, "meta": {"lastUpdated": "2026-07-01T00:00:00Z"}}, "2026-07-01T00:00:00Z"),
    ({}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("more", "date"), DATED)
def test_the_clinical_date_is_the_first_that_is_there_and_a_period_is_whole(
    more: Json, date: str
) -> None:
    dated = READER.wanting(frozenset(), dates=True)
    assert dated.read(orjson.dumps(observation(**more))).date == date
    assert READER.read(orjson.dumps(observation(**more))).date == ""


def test_dates_are_looked_for_without_losing_codes_and_by_a_reader_of_its_own() -> None:
    dated = READER.wanting(frozenset(), dates=True)
    assert dated is not READER
    assert dated.wanting(frozenset(), dates=False) is dated
    assert READER.wanting(frozenset({"f11.9"}), dates=False) is READER
    more = dated.wanting(frozenset({"new"}), dates=False)
    raw = orjson.dumps(
        observation(effectiveDateTime="2026", code={"coding": [{"code": "F11.9"}, {"code": "NEW"}]})
    )
    assert more.read(raw).date == "2026"
    assert more.read(raw).codes == {Coding("", "F11.9"), Coding("", "NEW")}
    assert dated.read(raw).codes == {Coding("", "F11.9")}


# ---- many at once, and each alone --------------------------------------------------------------------------------------


def escaped(text: str, places: set[int]) -> str:
    """A JSON string with some characters written as `\\uXXXX`."""
    return '"' + "".join(
        f"\\u{ord(one):04x}" if place in places or one in '"\\' or ord(one) < 32 else one
        for place, one in enumerate(text)
    ) + '"'  # fmt: skip


words = st.one_of(
    st.sampled_from(["code", "75622-1", "F11", "f11.2", " F11 ", "R", "V", "Patient/a", "Patient/b", "Group/g", "#p", "#", "2026", INLINE_LABEL, CONFIDENTIALITY, "http://loinc.org", 'a"b', "back\\slash", "é"]),
    st.text(st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=4),
)  # fmt: skip
tame = words.map(lambda text: escaped(text, set()))
strings = st.one_of(
    tame,
    tame,
    tame,
    st.builds(escaped, words, st.sets(st.integers(0, 40), max_size=3)),
)
SPACE = st.sampled_from(["", "", " ", "\n\t"])
KNOWN_KEYS = st.sampled_from(["code", "system", "url", "valueCoding", "extension", "coding", "reference", "text"])  # fmt: skip


def written(pairs: list[tuple[str, str]], space: str) -> str:
    return "{" + ",".join(f"{space}{key}{space}:{space}{value}" for key, value in pairs) + "}"


keys = st.one_of(
    KNOWN_KEYS.map(lambda key: f'"{key}"'),
    st.builds(escaped, KNOWN_KEYS, st.sets(st.integers(0, 5), max_size=2)),
    strings,
)
content = st.recursive(
    st.one_of(strings, json_text()),
    lambda inner: st.one_of(
        st.builds(written, st.lists(st.tuples(keys, inner), max_size=4), SPACE),
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
    ),
    max_leaves=6,
)
CODE_KEYS = st.sampled_from(['"code"', '"code"', '"c\\u006fde"'])
codings = st.builds(
    lambda system, key, code, space: written([('"system"', system), (key, code)], space),
    strings, CODE_KEYS, strings, SPACE,
)  # fmt: skip


def hidden_code(code: str, place: int) -> str:
    """A coding whose key has a letter that is escaped."""
    return "[" + written([(escaped("code", {place}), escaped(code, set()))], "") + "]"


def hidden_label(coding: str, place: int) -> str:
    """An inline label whose URL has a letter that is escaped."""
    url = escaped(INLINE_LABEL, {len(INLINE_LABEL) - place})
    return f'[{{"url":{url},"valueCoding":{coding}}}]'


references = st.builds(
    lambda value, space: written([('"reference"', value)], space), strings, SPACE
)
metas = st.lists(codings, max_size=2).map(lambda labels: f'{{"security":[{",".join(labels)}]}}')
members = st.one_of(
    st.tuples(st.sampled_from(['"subject"', '"subject"', '"subj\\u0065ct"']), references),
    st.tuples(st.just('"performer"'), references.map(lambda one: f"[{one}]")),
    st.tuples(st.just('"focus"'), references.map(lambda one: f"[{one}]")),
    st.tuples(st.just('"meta"'), metas),
    st.tuples(st.just('"effectiveDateTime"'), strings),
    st.tuples(st.just('"code"'), codings.map(lambda one: f'{{"coding":[{one}]}}')),
    st.tuples(st.just('"code"'), codings.map(lambda one: f'{{"extension":[{{"url":"{INLINE_LABEL}","valueCoding":{one}}}]}}')),
    st.tuples(st.just('"category"'), st.builds(hidden_code, st.sampled_from(["75622-1", "F11.2", "x"]), st.integers(0, 3))),
    st.tuples(st.just('"modifierExtension"'), st.builds(hidden_label, codings, st.integers(0, 80))),
    st.tuples(st.sampled_from(['"component"', '"extension"', '"note"']), content),
    st.tuples(keys, content),
)  # fmt: skip
bodies = st.builds(
    lambda rtype, own, more, space: written(
        [('"resourceType"', f'"{rtype}"'), ('"id"', f'"{own}"'), *more], space
    ),
    st.sampled_from(["Observation", "Condition", "Patient", "Binary", "Nonsense"]),
    st.sampled_from(["a", "b"]),
    st.lists(members, max_size=4, unique_by=lambda pair: pair[0]),
    SPACE,
)
resources = st.one_of(
    bodies,
    st.builds(
        lambda outer, inner: outer[:-1] + ',"contained":[' + ",".join(inner) + "]}",
        bodies,
        st.lists(bodies, min_size=1, max_size=2),
    ),
)


@given(
    written_ones=st.lists(resources, max_size=4),
    around=st.one_of(st.just("7"), content),
    wanted=st.lists(words, max_size=2),
    dates=st.booleans(),
)
@settings(max_examples=300)
def test_a_page_is_read_as_each_of_its_resources_alone_however_they_are_written(
    written_ones: list[str], around: str, wanted: list[str], dates: bool
) -> None:
    reader = EnvelopeReader(FEW, BASES, Wanted(["75622-1"], ["F11"]))
    reader = reader.wanting(frozenset(wanted), dates=dates)
    raws = [one.encode() for one in written_ones]
    whole = f'{{"around":{around},"entry":[{",".join(written_ones)}]}}'.encode()
    together = reader.read_all([msgspec.Raw(one) for one in raws], whole)
    assert [whole_of(one) for one in together] == [
        whole_of(alone(one, wanted, dates)) for one in raws
    ]
    assert together == reader.read_all(raws)


def alone(raw: bytes, wanted: list[str], dates: bool) -> Envelope | None:
    """One resource, read by a reader that never saw another."""
    fresh = EnvelopeReader(FEW, BASES, Wanted(["75622-1", *wanted], ["F11"]))  # fmt: skip
    try:
        return fresh.wanting(frozenset(), dates=dates).read(raw)
    except UnreadableError:
        return None


def whole_of(envelope: Envelope | None) -> Json | None:
    """What an envelope says, the Matter by its content instead of its identity."""
    if envelope is None:
        return None
    said = {name: getattr(envelope, name) for name in Envelope.__struct_fields__}
    matter = said.pop("matter")
    told = ("type", "labels", "patients", "authors", "profiles")
    assert matter is None or all(getattr(matter, name) == said[name] for name in told)
    return {**said, "shared": matter is not None}


@given(written_one=resources, wanted=st.lists(words, max_size=2))
@settings(max_examples=300)
def test_no_code_no_label_and_no_patient_is_overlooked(written_one: str, wanted: list[str]) -> None:
    """Against the plain way: decode all, walk all."""
    raw = written_one.encode()
    wanting = Wanted(["75622-1", *wanted], ["F11"])
    try:
        envelope = EnvelopeReader(FEW, BASES, wanting).read(raw)
    except UnreadableError:
        return
    tree = json.loads(raw)
    assert envelope.codes == {
        coding_of(node["system"] if isinstance(node.get("system"), str) else "", node["code"])
        for node in nodes_of(tree)
        if isinstance(node.get("code"), str) and node["code"] in wanting
    }
    local = tree.get("contained", [])
    stated = [label for one in (tree, *local) for label in one.get("meta", {}).get("security", [])]
    assert envelope.labels == {
        *(coding_of(label["system"], label["code"]) for label in stated),
        *inline_labels(tree),
    }
    assert envelope.patients in (None, frozenset().union(*map(patients_in, (tree, *local))))


def patients_in(tree: Json) -> set[str]:
    """The patients that a resource names as its subjects, whatever else cannot be told."""
    if tree["resourceType"] == "Patient":
        return {f"Patient/{tree['id']}"}
    about = (tree.get("subject"), *(tree.get("focus") or ()))
    named = {reference_of(one["reference"], BASES) for one in about if one}
    return {one for one in named if one and one.startswith("Patient/")}


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


AUDIT = """{"resourceType":"AuditEvent","id":"a","entity":[%s]}"""
PERSON = '{"what":{"reference":"Patient/p"},"type":{"code":"1"}}'


@pytest.mark.parametrize(
    ("entities", "patients"),
    [
        (PERSON, {"Patient/p"}),
        (PERSON + ',{"what":{"reference":"Observation/o"},"type":{"code":"2"}}', {"Patient/p"}),
        (
            PERSON + ',{"what":{"identifier":{"value":"request"}},"type":{"code":"XrequestId"}}',
            {"Patient/p"},
        ),
        (PERSON + ',{"query":"R0VU","type":{"code":"2"}}', {"Patient/p"}),
        (PERSON + ',{"what":{"identifier":{"value":"ins"}},"type":{"code":"1"}}', None),
        (PERSON + ',{"what":{"type":"Patient","identifier":{"value":"ins"}}}', None),
        (PERSON + ',{"what":{"reference":"#p"},"role":{"code":"1"}}', None),
        (
            PERSON + ',{"what":{"reference":"Patient/q"},"type":{"code":"2"}}',
            {"Patient/p", "Patient/q"},
        ),
        ('{"what":{"reference":"Observation/o"},"type":{"code":"2"}}', set()),
    ],
)
def test_an_audit_event_is_about_the_persons_it_names(
    entities: str, patients: set[str] | None
) -> None:
    reader = EnvelopeReader(frozenset({"AuditEvent"}), (), Wanted())
    assert reader.read((AUDIT % entities).encode()).patients == patients


def test_one_that_is_no_text_is_unreadable_and_no_other_is() -> None:
    good = orjson.dumps(observation())
    bad = good[:-1] + b',"x":"\xff"}'
    for whole in (None, good + bad):
        told = READER.read_all([good, bad, good], whole)
        assert [one is None for one in told] == [False, True, False]
    with pytest.raises(UnreadableError):
        READER.read(bad)


DOUBLE = [
    b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/a","reference":"Patient/b"}}',
    b'{"resourceType":"Coverage","id":"1","beneficiary":{"reference":"Patient/a","reference":"Patient/b"}}',
    b'{"resourceType":"Observation","id":"1","meta":{"security":[{"system":"s","code":"R","code":"N"}]},"subject":{"reference":"Patient/a"}}',
    b'{"resourceType":"Observation","id":"1","code":{"coding":[{"code":"75622-1","code":"x"}]},"subject":{"reference":"Patient/a"}}',
    b'{"resourceType":"Observation","id":"1","note":[{"_text":{"extension":[{"url":"u/extension-inline-sec-label","valueCoding":{"code":"R","code":"N"}}]}}]}',
]  # fmt: skip


@pytest.mark.parametrize("raw", DOUBLE, ids=range(len(DOUBLE)))
def test_a_member_that_decides_may_not_stand_twice_however_deep(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        READER.read(raw)


def test_where_a_date_or_a_mention_may_decide_no_member_may_stand_twice() -> None:
    raw = orjson.dumps(observation(status="final"))[:-1] + b',"issued":"2020","issued":"2021"}'
    assert READER.read(raw).type == "Observation"
    for exact in (
        READER.wanting(frozenset(), dates=True),
        READER.wanting(frozenset(), dates=False, mentions=frozenset({"Encounter/1"})),
    ):
        with pytest.raises(UnreadableError):
            exact.read(raw)


MASQUE = {"system": "urn:fr", "code": "MASQUE_PS"}
DOCUMENTS: list[tuple[Json, set[Coding]]] = [
    ({"resourceType": "DocumentReference", "securityLabel": [{"coding": [MASQUE]}]}, {Coding("urn:fr", "MASQUE_PS")}),
    ({"resourceType": "DocumentReference", "securityLabel": [{"text": "masked"}]}, {Coding("", "")}),
    ({"resourceType": "DocumentReference", "securityLabel": [{"coding": [MASQUE, {"code": "R"}]}, {}]},
     {Coding("urn:fr", "MASQUE_PS"), Coding("", "R"), Coding("", "")}),
    ({"resourceType": "Composition", "confidentiality": "V"}, {Coding(CONFIDENTIALITY, "V")}),
    ({"resourceType": "Observation", "contained": [{"resourceType": "Composition", "confidentiality": "V"}]},
     {Coding(CONFIDENTIALITY, "V")}),
    ({"resourceType": "Observation", "confidentiality": "V"}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "labels"), DOCUMENTS)
def test_a_document_states_labels_of_its_own_too(resource: Json, labels: set[Coding]) -> None:
    assert read({"id": "1", **resource}).labels == labels
    assert read({"id": "2", **resource}).labels == labels


def test_labels_of_another_shape_make_a_document_unreadable() -> None:
    for odd in (7, {"coding": [MASQUE]}, [7]):
        with pytest.raises(UnreadableError):
            read({"resourceType": "DocumentReference", "id": "1", "securityLabel": odd})


FROM = {"reference": "DocumentReference/d"}
SOURCED: list[tuple[Json, set[str]]] = [
    ({"resourceType": "Observation", "derivedFrom": [FROM]}, {"DocumentReference/d"}),
    ({"resourceType": "Observation", "derivedFrom": [{"reference": "Observation/o"}, FROM]}, {"DocumentReference/d"}),
    ({"resourceType": "Observation", "derivedFrom": [{"reference": "Observation/o"}]}, set()),
    ({"resourceType": "Observation", "derivedFrom": [{"identifier": {"value": "1"}}]}, {UNTOLD}),
    ({"resourceType": "Observation", "derivedFrom": [{"type": "Observation", "identifier": {"value": "1"}}]}, set()),
    ({"resourceType": "Observation", "derivedFrom": [{"reference": "urn:uuid:1"}]}, {UNTOLD}),
    ({"resourceType": "Observation", "derivedFrom": [{"reference": "http://other.example.org/DocumentReference/d"}]}, {UNTOLD}),
    ({"resourceType": "Coverage", "contained": [{"resourceType": "Observation", "derivedFrom": [FROM]}]}, {"DocumentReference/d"}),
    ({"resourceType": "DocumentReference", "relatesTo": [{"code": "transforms", "target": FROM}]}, {"DocumentReference/d"}),
    ({"resourceType": "DocumentReference", "relatesTo": [{"code": "appends", "target": FROM}]}, {"DocumentReference/d"}),
    ({"resourceType": "DocumentReference", "relatesTo": [{"target": FROM}]}, {"DocumentReference/d"}),
    ({"resourceType": "DocumentReference", "relatesTo": [{"code": "replaces", "target": FROM}]}, set()),
    ({"resourceType": "DocumentReference", "relatesTo": [{"code": {"coding": [{"code": "signs"}]}, "target": FROM}]}, set()),
    ({"resourceType": "DocumentReference", "relatesTo": [{"code": {"coding": [{"code": "signs"}, {"code": "x"}]}, "target": FROM}]}, {"DocumentReference/d"}),
    ({"resourceType": "DocumentManifest", "content": [FROM]}, {"DocumentReference/d"}),
    ({"resourceType": "Composition", "relatesTo": [{"code": "transforms", "targetReference": {"reference": "Composition/c"}}]}, {"Composition/c"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "sources"), SOURCED)
def test_the_documents_that_a_resource_was_made_from_are_told(
    resource: Json, sources: set[str]
) -> None:
    assert read({"id": "1", **resource}).sources == sources
