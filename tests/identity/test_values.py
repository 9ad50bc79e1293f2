"""proxy.identity.values: one value of a claim, and where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Identifier
from proxy.identity import values
from proxy.identity.issuer import ClaimPath

MODE = values.ACCESS_MODES


@pytest.mark.parametrize(
    ("written", "purposes"),
    [
        ("TREAT", {"TREAT"}),
        (f"{ACT_REASON}#TREAT", {"TREAT"}),
        (f"{ACT_REASON}|2.0.0#TREAT", {"TREAT"}),
        ("urn:oid:2.16.840.1.113883.5.8#TREAT", {"TREAT"}),
        ("2.16.840.1.113883.5.8#TREAT", {"TREAT"}),
        ("http://terminology.hl7.org/CodeSystem/v3-PurposeOfUse#TREAT", {"TREAT"}),
        ({"system": "http://hl7.org/fhir/v3/ActReason", "code": "BTG"}, {"BTG"}),
        ({"system": MODE, "code": "normal"}, {"TREAT", f"{MODE}#normal"}),
        (f"{MODE}#bris_de_glace", {"BTG", "ETREAT", f"{MODE}#bris_de_glace"}),
        ("urn:oid:1.2.250.1.213.1.1.4.336#centre_15", {"ETREAT", f"{MODE}#centre_15"}),
        ("urn:oid:1.2.250.1.213.1.1.4.248#CENTRE_15", {"ETREAT", f"{MODE}#centre_15"}),
        (f"{MODE}#autre", {f"{MODE}#autre"}),
        ("normal", {"normal"}),
        ("urn:oid:1.2.250.1.213.1.1.4.337#normal", {"urn:oid:1.2.250.1.213.1.1.4.337#normal"}),
        ("treat", {"treat"}),
    ],
)
def test_a_purpose_of_use_in_each_spelling(
    written: object, purposes: set[str]
) -> None:  # AUTH-22, X-13, X-25
    assert values.purposes_of([written]) == purposes


def test_purposes_are_joined() -> None:
    assert values.purposes_of(["TREAT", "HRESCH"]) == {"TREAT", "HRESCH"}
    assert values.purposes_of([]) == frozenset()


WRONG: list[tuple[object, list[object]]] = [
    (values.text_of, ["", 1, None, True, [], {}, "a\nb", "\x7f", "x" * 4097]),
    (values.scopes_of, [1, None, ["user/*.rs"], {}]),
    (values.patient_of, ["", "a b", "..", "Patient/1", 1, None]),
    (values.codings_of, ["x", {"code": "x"}, [1], [None], ["#x"], ["x#"], [{"code": 1}], ["x"] * 65]),
    (values.uri_of, ["x", "", "a b:c", "urn:x y", "://x", 1, None]),
    (values.oid_of, ["1.2.3", "urn:oid:", "urn:oid:1.02", "urn:oid:3.1", "urn:uuid:0", 1, None]),
    (values.uris_of, ["urn:x:y", ["x"], [1], None, {}]),
    (values.version_one_of, [1, "2", None, "", ["1"]]),
    (values.object_text_of, ["{}", [], None, 1]),
    (values.patient_identifier_of, ["", 1, None, ["x"]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "value"), [(reader, value) for reader, wrong in WRONG for value in wrong]
)
def test_what_is_not_of_its_type_is_an_error(reader: object, value: object) -> None:  # AUTH-17
    with pytest.raises(CallerError) as raised:
        list(values.read({"x": value}, ClaimPath(("x",)), reader))  # type: ignore[arg-type]  # (the table mixes types)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    assert raised.value.detail.startswith("claim `x` must ")


def test_what_is_of_its_type_is_read() -> None:
    assert values.uri_of("https://a.example.org/x") == "https://a.example.org/x"
    assert values.oid_of("urn:oid:1.2.250.0.1") == "urn:oid:1.2.250.0.1"
    assert values.uris_of(["urn:oid:1.2", "https://a"]) == ("urn:oid:1.2", "https://a")
    assert values.organization_of("urn:oid:1.2") == Identifier(values.URI_SYSTEM, "urn:oid:1.2")


def test_a_lone_value_may_stand_for_a_list_only_where_that_is_said() -> None:
    lone = list(values.read({"x": "TREAT"}, ClaimPath(("x",), lone=True), values.purposes_of))
    assert lone == [frozenset({"TREAT"})]
    with pytest.raises(CallerError):
        list(values.read({"x": "TREAT"}, ClaimPath(("x",)), values.purposes_of))


@pytest.mark.parametrize("above", ["x", [], 1, None])
def test_a_path_through_no_object_is_an_error(above: object) -> None:
    with pytest.raises(CallerError, match="`a` must be an object"):
        values.find({"a": above}, ("a", "b"))
    assert values.find({"a": {}}, ("a", "b")) == ()
    assert values.find({"a": {"b": None}}, ("a", "b")) == (None,)


@given(st.text(max_size=30))
def test_a_reference_that_is_understood_is_one_of_ours(text: str) -> None:
    found = values.reference_of(text, ["https://us.example.org/fhir"])
    assert found is None or text in (found, f"https://us.example.org/fhir/{found}")


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_purpose_of_another_system_is_a_plain_code(system: str, code: str) -> None:
    try:
        found = values.purposes_of([{"system": f"urn:other:{system}", "code": code}])
    except values.WrongError:
        return
    assert all("#" in one for one in found)
