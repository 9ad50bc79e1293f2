import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UnreadableError
from proxy.fhir.narrative import (
    LONGEST,
    ROWS,
    UNSAID,
    codes_at,
    date_in,
    line_of,
    name_of,
    narrative,
    plain,
    read,
    values_at,
)

XHTML = "{http://www.w3.org/1999/xhtml}"


def nobody(_: str) -> str:
    return ""


def said(rtype: str, /, **elements: object) -> str:
    raw = json.dumps({"resourceType": rtype, **elements}).encode()
    return line_of(read(raw), nobody)


LINES = [
    ("Condition", {"code": {"text": "Asthma"}}, "Asthma"),
    ("Condition", {"code": {"coding": [{"display": "A"}, {"display": "B"}]}}, "A"),
    ("Condition", {"code": {"coding": [{"code": "J45"}]}}, "J45"),
    ("Condition", {}, UNSAID),
    (
        "Condition",
        {
            "code": {"text": "Asthma"},
            "onsetDateTime": "2019",
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "verificationStatus": {"coding": [{"code": "provisional"}]},
        },
        "Asthma (2019; active; provisional)",
    ),
    (
        "Observation",
        {"code": {"text": "K"}, "valueQuantity": {"comparator": "<", "value": 4, "unit": "mmol/L"}},
        "K (< 4 mmol/L)",
    ),
    ("Observation", {"code": {"text": "x"}, "valueBoolean": False}, "x (no)"),
    ("Observation", {"code": {"text": "x"}, "valueInteger": 0}, "x (0)"),
    ("Observation", {"code": {"text": "x"}, "valueCodeableConcept": {"text": "never"}}, "x (never)"),
    (
        "Procedure",
        {"code": {"text": "x"}, "performedPeriod": {"start": "2020", "end": "2021"}},
        "x (2020 to 2021)",
    ),
    ("Procedure", {"code": {"text": "x"}, "performedPeriod": {"start": "2020"}}, "x (since 2020)"),
    ("MedicationRequest", {"medicationReference": {"display": "ramipril"}}, "ramipril"),
    ("MedicationRequest", {"medication": {"concept": {"text": "ramipril"}}}, "ramipril"),
    ("MedicationRequest", {"medication": {"reference": {"display": "ramipril"}}}, "ramipril"),
    (
        "MedicationRequest",
        {
            "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "ramipril"}}],
            "medicationReference": {"reference": "#m"},
        },
        "ramipril",
    ),
    ("Device", {"deviceName": [{"name": "stent"}]}, "stent"),
    ("Basic", {"code": {"text": "x"}}, UNSAID),
]  # fmt: skip


@pytest.mark.parametrize(("rtype", "elements", "expected"), LINES)
def test_a_line_says_what_when_and_how(
    rtype: str, elements: dict[str, object], expected: str
) -> None:
    assert said(rtype, **elements) == expected


def test_decimals_keep_their_digits() -> None:
    raw = b'{"resourceType":"Observation","code":{"text":"x"},"valueQuantity":{"value":0.0100,"unit":"g"}}'
    assert line_of(read(raw), nobody) == "x (0.0100 g)"


TURNED = {"modifierExtension": [{"url": "u"}]}


def test_nor_is_what_something_inside_may_turn_into_something_else() -> None:
    inside = {"resourceType": "Medication", "id": "m", "code": {"text": "x"}}
    named = {"medicationReference": {"reference": "#m"}}
    assert said("MedicationStatement", contained=[inside], **named) == "x"
    assert said("MedicationStatement", contained=[{**inside, **TURNED}], **named) == UNSAID
    assert said("MedicationRequest", medicationCodeableConcept={"text": "x"}, dosageInstruction=[{"text": "y", **TURNED}]) == UNSAID  # fmt: skip
    assert name_of(inside, nobody) == "x"
    assert name_of({**inside, **TURNED}, nobody) == ""


@pytest.mark.parametrize(
    "turned",
    [{"modifierExtension": [{"url": "u"}]}, {"implicitRules": "u"}, {"doNotPerform": True}],
)
def test_what_may_mean_something_else_is_not_put_into_words(turned: dict[str, object]) -> None:
    assert said("MedicationRequest", medicationCodeableConcept={"text": "x"}, **turned) == UNSAID
    assert (
        said("MedicationRequest", medicationCodeableConcept={"text": "x"}, doNotPerform=False)
        == "x"
    )


def test_what_is_referred_to_has_its_own_name() -> None:
    tree = read(
        b'{"resourceType":"MedicationRequest","medicationReference":{"reference":"Medication/m","display":"shown"}}'
    )
    assert line_of(tree, {"Medication/m": "ramipril"}.__getitem__) == "ramipril"
    assert line_of(tree, nobody) == "shown"
    medication = read(b'{"resourceType":"Medication","code":{"text":"ramipril"}}')
    assert name_of(medication, nobody) == "ramipril"


DATES = [
    ({"resourceType": "Condition", "recordedDate": "2020-02"}, "2020-02"),
    ({"resourceType": "Condition", "onsetDateTime": "2019", "recordedDate": "2020"}, "2019"),
    ({"resourceType": "CarePlan", "period": {"start": "2020", "end": "2021"}}, "2020/2021"),
    ({"resourceType": "CarePlan", "period": {"start": "2020"}}, "2020/2020"),
    ({"resourceType": "CarePlan", "period": {}}, ""),
    ({"resourceType": "Condition"}, ""),
    ({"resourceType": "Basic", "date": "2020"}, ""),
]


@pytest.mark.parametrize(("tree", "expected"), DATES)
def test_a_date_is_that_of_care(tree: dict[str, object], expected: str) -> None:
    assert date_in(tree) == expected


def test_paths_lead_through_lists_and_past_what_has_another_form() -> None:
    tree = {"a": [{"b": 1}, {"b": [2, 3]}, "x", None], "c": None}
    assert values_at(tree, "a.b") == [1, 2, 3]
    assert values_at(tree, "c.b") == values_at("x", "a") == []


def test_codes_are_those_of_codes_codings_and_concepts() -> None:
    tree = {"s": "final", "c": {"coding": [{"code": "a"}, {"display": "x"}]}, "k": [{"code": "b"}]}
    assert codes_at(tree, "s") == {"final"}
    assert codes_at(tree, "c") == {"a"}
    assert codes_at(tree, "k") == {"b"}
    assert codes_at(tree, "none") == frozenset()


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_what_is_no_resource_is_unreadable(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(raw)


HOSTILE = [
    "<script>alert(1)</script>", "</li></ul></div><img src=x onerror=y>", "&lt;b&gt;", "]]>", "<!--", "\x00\x08\x0b\x1f", '"\'', "a\nb", "\ud83d\ude00",
    "\u202eabc", "\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_texts(text: str) -> None:
    line = said("Condition", code={"text": text})
    told = narrative("remark", [line])
    div = ET.fromstring(told["div"])  # noqa: S314  (what we wrote)
    assert {one.tag for one in div.iter()} == {
        XHTML + "div",
        XHTML + "p",
        XHTML + "ul",
        XHTML + "li",
    }
    assert [one.text for one in div.iter(XHTML + "li")] == [line]


@given(st.lists(st.text(), max_size=5), st.text())
def test_a_narrative_is_well_formed_whatever_it_says(lines: list[str], remark: str) -> None:
    shown = [plain(one) for one in lines]
    told = narrative(plain(remark), shown)
    div = ET.fromstring(told["div"])  # noqa: S314  (what we wrote)
    assert told["status"] == "generated"
    assert [one.text or "" for one in div.iter(XHTML + "li")] == shown


@given(st.text())
def test_a_plain_text_is_one_line_of_bounded_length(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= LONGEST
    assert shown == " ".join(shown.split())
    assert all(one.isprintable() for one in shown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["code", "coding", "text", "display", "value", "unit", "start", "end", "reference", "concept", "contained", "id"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(sorted(ROWS)), st.data())
def test_no_form_of_an_element_breaks_a_line(rtype: str, data: st.DataObject) -> None:
    row = ROWS[rtype]
    names = {path.partition(".")[0] for path in (*row.what, *row.when, *row.more)} | {"contained"}
    tree = {name: data.draw(JSON) for name in names} | {"resourceType": rtype}
    assert line_of(tree, nobody)
    assert isinstance(date_in(tree), str)
