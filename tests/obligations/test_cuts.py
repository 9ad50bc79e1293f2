import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.inline import path_of
from proxy.fhir.envelope import Steps, UnreadableError
from proxy.obligations.cuts import steps_of, without_parts
from tests.obligations.redacting import applied, labels_of

Tree = dict[str, Any]
EXT = {"extension": [{"url": "u", "valueString": "v"}]}


def observation(**elements: Any) -> Tree:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "c"}, **elements}


CASES: list[tuple[Tree, list[str], Tree]] = [
    (observation(valueString="x", note=[{"text": "n"}]), ["valueString"], observation(note=[{"text": "n"}])),
    (observation(valueString="x", _valueString=EXT), ["valueString"], observation()),
    (observation(_valueString=EXT), ["valueString"], observation()),
    (observation(note=[{"text": "a"}, {"text": "b"}]), ["note[0]"], observation(note=[{"text": "b"}])),
    (observation(note=[{"text": "a"}, {"text": "b"}]), ["note[0]", "note[1]"], observation()),
    (observation(note=[{"text": "a", "time": "t"}]), ["note[0].time"], observation(note=[{"text": "a"}])),
    (observation(method={"text": "m"}), ["method.text"], observation()),
    (observation(method={"text": "m"}), ["method", "method.text"], observation()),
    (observation(method={"text": "m", "coding": [{"code": "c"}]}), ["method.text", "method", "method.coding[0].code"], observation()),
    (observation(note=[{"text": "a", "time": "t"}]), ["note[0].text", "note[0]"], observation()),
    ({"resourceType": "Patient", "name": [{"given": ["a", "b"], "_given": [None, EXT]}]}, ["name[0].given[1]"],
     {"resourceType": "Patient", "name": [{"given": ["a"]}]}),
    ({"resourceType": "Patient", "name": [{"given": ["a", "b"], "_given": [EXT, None]}]}, ["name[0].given[1]"],
     {"resourceType": "Patient", "name": [{"given": ["a"], "_given": [EXT]}]}),
    ({"resourceType": "Patient", "birthDate": "d", "_birthDate": EXT}, ["birthDate.extension[0]"],
     {"resourceType": "Patient", "birthDate": "d"}),
    (observation(extension=[{"url": "x", **EXT}]), ["extension[0]"], observation()),
    (observation(contained=[{"resourceType": "Patient", "id": "p", "name": [{"text": "n"}]}]), ["contained[0].name[0]"],
     observation(contained=[{"resourceType": "Patient", "id": "p"}])),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "paths", "left"), CASES)
def test_what_is_cut_is_gone_and_the_rest_stays(tree: Tree, paths: list[str], left: Tree) -> None:
    before = json.dumps(tree)
    shown, hidden = without_parts(tree, [steps_of(f"X.{path}") for path in paths])
    assert shown == left
    assert any(value is not None for value in hidden)
    assert json.dumps(tree) == before


REFUSED: list[tuple[Tree, str]] = [
    (observation(), "code"),
    (observation(), "code.text"),
    (observation(component=[{"code": {"text": "c"}, "valueString": "x"}]), "component[0].code"),
    (observation(note=[{"text": "a"}]), "note[0].text"),
    (observation(note=[{"text": "a"}]), "note[1]"),
    (observation(note=[{"text": "a"}]), "note.text"),
    (observation(), "method"),
    (observation(valueString="x"), "valueString.extension[0]"),
    (observation(contained=[{"resourceType": "Observation", "code": {"text": "c"}}]), "contained[0].code"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "path"), REFUSED)
def test_what_must_be_there_or_is_not_there_cannot_be_cut(tree: Tree, path: str) -> None:
    with pytest.raises(UnreadableError):
        without_parts(tree, [steps_of(f"X.{path}")])


def test_nothing_to_cut_changes_nothing() -> None:
    assert without_parts(observation(), []) == (observation(), [])


names = st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True)


@given(st.tuples(names), st.lists(st.one_of(names, st.integers(0, 99)), max_size=4))
def test_a_path_says_the_steps_it_was_made_of(first: tuple[str], rest: list[str | int]) -> None:
    steps: Steps = (*first, *rest)
    assert steps_of(path_of("Observation", steps)) == steps


CANARY = "CANARY-inline"


def test_shadows_of_what_is_cut_go_with_it_and_the_rest_is_marked() -> None:
    resource = observation(
        id="o",
        meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PROCESSINLINELABEL"}]},
        text={"status": "generated", "div": f"<div>{CANARY}</div>"},
        valueString=CANARY,
        _valueString=EXT,
        note=[{"text": f"as said: {CANARY}"}, {"text": "other"}],
        performer=[{"reference": "#p", "display": CANARY}],
    )  # fmt: skip
    redacted = applied(resource, "cut Observation.valueString")
    assert CANARY not in redacted.body.decode()
    assert b"other" in redacted.body
    assert b"PROCESSINLINELABEL" not in redacted.body
    assert labels_of(redacted.body) == ["REDACTED"]
    assert redacted.paths == ("Observation.valueString",)


INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


def test_the_flag_stays_as_long_as_a_label_does() -> None:
    flag = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "code": "PROCESSINLINELABEL",
    }
    labelled = {"extension": [{"url": INLINE, "valueCoding": {"code": "x"}}]}
    resource = observation(
        meta={"security": [flag]}, valueString="x", note=[{"text": "other", **labelled}]
    )
    assert b"PROCESSINLINELABEL" in applied(resource, "cut Observation.valueString").body
