from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UnreadableError
from proxy.obligations.prune import prune

ASTRAY = frozenset({"X/gone", "X/gone/_history/1"})
GONE = {"reference": "X/gone", "display": "told"}
STAYS = {"reference": "X/stays", "display": "shown"}
MARK = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}  # fmt: skip

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Observation", {"encounter": GONE}, {}),
    ("Observation", {"encounter": {**GONE, "reference": "X/gone/_history/1"}}, {}),
    ("Observation", {"hasMember": [GONE, STAYS, GONE]}, {"hasMember": [STAYS]}),
    ("Observation", {"hasMember": [GONE]}, {}),
    ("DiagnosticReport", {"media": [{"comment": "c", "link": GONE}]}, {}),
    ("Encounter", {"diagnosis": [{"condition": GONE, "rank": 1}, {"condition": STAYS}]}, {"diagnosis": [{"condition": STAYS}]}),
    ("List", {"entry": [{"item": GONE, "date": "2026"}]}, {}),
    ("AuditEvent", {"entity": [{"what": GONE, "name": "n"}]}, {}),
    ("AuditEvent", {"agent": [{"who": GONE, "requestor": True}]}, {"agent": [{"requestor": True, "who": MARK}]}),
    ("Provenance", {"target": [GONE, GONE]}, {"target": [MARK]}),
    ("Provenance", {"entity": [{"role": "source", "what": GONE}]}, {}),
    ("Linkage", {"item": [{"type": "source", "resource": GONE}]}, {"item": [{**MARK, "_type": MARK, "resource": MARK}]}),
    ("Consent", {"provision": {"data": [{"meaning": "instance", "reference": GONE}]}}, {"provision": {"data": [{"meaning": "instance", "reference": MARK}]}}),
    ("Claim", {"diagnosis": [{"sequence": 1, "diagnosisReference": GONE}]}, {"diagnosis": [{"sequence": 1, "diagnosisReference": MARK}]}),
    ("CarePlan", {"activity": [{"reference": GONE, "progress": [{"text": "t"}]}, {"outcomeReference": [GONE], "progress": [{"text": "t"}]}]}, {"activity": [{"progress": [{"text": "t"}]}]}),
    ("Composition", {"section": [{"title": "s", "entry": [GONE]}]}, {}),
    ("Composition", {"section": [{"title": "s", "entry": [GONE, STAYS]}, {"title": "t", "entry": [GONE]}]}, {"section": [{"title": "s", "entry": [STAYS]}]}),
    ("Composition", {"section": [{"title": "s", "section": [{"title": "t", "entry": [GONE]}]}]}, {}),
    ("Composition", {"section": [{"title": "s", "section": [{"title": "t", "entry": [GONE]}, {"title": "u", "emptyReason": {"text": "e"}}]}]}, {"section": [{"title": "s", "section": [{"title": "u", "emptyReason": {"text": "e"}}]}]}),
    ("Condition", {"stage": [{"type": {"text": "t"}, "assessment": [GONE]}, {"summary": {"text": "s"}, "assessment": [GONE]}]}, {"stage": [{"summary": {"text": "s"}}]}),
    ("Patient", {"contact": [{"relationship": [{"text": "r"}], "organization": GONE}, {"name": {"text": "n"}, "organization": GONE}]}, {"contact": [{"name": {"text": "n"}}]}),
    ("Group", {"quantity": 3, "member": [{"entity": GONE, "period": {"start": "2020"}, "inactive": False}, {"entity": STAYS, "period": {"start": "2021"}}]}, {"member": [{"entity": STAYS, "period": {"start": "2021"}}]}),
    ("Group", {"quantity": 3, "_quantity": {"id": "q"}, "member": [{"entity": GONE}]}, {}),
    ("Group", {"quantity": 3, "managingEntity": GONE, "member": [{"entity": STAYS}]}, {"quantity": 3, "member": [{"entity": STAYS}]}),
    ("Group", {"quantity": 9, "characteristic": [{"code": {"text": "c"}, "exclude": False, "valueReference": GONE}]}, {"quantity": 9, "characteristic": [{"code": {"text": "c"}, "exclude": False, "valueReference": MARK}]}),
    ("Encounter", {"diagnosis": [{"condition": STAYS, "rank": 1}, {"condition": GONE, "rank": 2}, {"condition": STAYS, "rank": 3}]}, {"diagnosis": [{"condition": STAYS}, {"condition": STAYS}]}),
    ("EpisodeOfCare", {"diagnosis": [{"condition": GONE, "rank": 1}, {"condition": STAYS, "rank": 2}]}, {"diagnosis": [{"condition": STAYS}]}),
    ("Account", {"coverage": [{"coverage": GONE, "priority": 1}, {"coverage": STAYS, "priority": 2}]}, {"coverage": [{"coverage": STAYS}]}),
    ("Encounter", {"partOf": GONE, "diagnosis": [{"condition": STAYS, "rank": 1}]}, {"diagnosis": [{"condition": STAYS, "rank": 1}]}),
    ("List", {"entry": [{"item": GONE, "flag": {"text": "f"}, "deleted": True, "date": "2026"}, {"item": STAYS, "date": "2026"}]}, {"entry": [{"item": STAYS, "date": "2026"}]}),
    ("CareTeam", {"participant": [{"member": GONE, "role": [{"text": "r"}], "period": {"start": "2020"}}, {"member": STAYS}]}, {"participant": [{"member": STAYS}]}),
    ("Basic", {"contained": [{"resourceType": "Group", "id": "g", "quantity": 2, "member": [{"entity": GONE}, {"entity": STAYS}]}], "x": {"reference": "#g"}}, {"contained": [{"resourceType": "Group", "id": "g", "member": [{"entity": STAYS}]}], "x": {"reference": "#g"}}),
    ("Condition", {"evidence": [{"detail": [GONE]}]}, {}),
    ("Basic", {"extension": [{"url": "u", "valueReference": GONE}]}, {}),
    ("Basic", {"extension": [{"url": "u", "extension": [{"url": "v", "valueReference": GONE}]}]}, {}),
    ("Basic", {"modifierExtension": [{"url": "u", "valueReference": GONE}]}, {"modifierExtension": [{"url": "u", **MARK}]}),
    ("Basic", {"status": "a", "_status": {"extension": [{"url": "u", "valueReference": GONE}]}}, {"status": "a"}),
    ("Condition", {"reason": [{"concept": {"text": "c"}, "reference": GONE}]}, {"reason": [{"concept": {"text": "c"}}]}),
    ("Basic", {"contained": [{"resourceType": "Condition", "id": "c", "encounter": GONE}], "x": {"reference": "#c"}}, {"contained": [{"resourceType": "Condition", "id": "c"}], "x": {"reference": "#c"}}),
    ("List", {"contained": [{"resourceType": "Basic", "id": "c"}], "entry": [{"flag": {"extension": [{"url": "u", "valueReference": {"reference": "#c"}}]}, "item": GONE}]}, {}),
    ("Observation", {"encounter": GONE, "text": {"status": "generated", "div": "<div>told</div>"}}, {}),
    ("Observation", {"encounter": GONE, "valueQuantity": {"value": 1}}, {"valueQuantity": {"value": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rtype", "elements", "left"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_what_leads_nowhere_goes_with_what_was_there_for_it(
    rtype: str, elements: dict[str, Any], left: dict[str, Any]
) -> None:
    pruned = prune(orjson.dumps({"resourceType": rtype, "id": "r", **elements}), ASTRAY)
    assert orjson.loads(pruned.body) == {"resourceType": rtype, "id": "r", **left}
    assert pruned.paths


def test_the_paths_say_where_and_not_what() -> None:
    contained = {"resourceType": "Condition", "id": "c", "encounter": GONE}
    raw = {"resourceType": "List", "contained": [contained], "x": {"reference": "#c"}, "entry": [{"item": GONE}] * 2}  # fmt: skip
    assert prune(orjson.dumps(raw), ASTRAY).paths == (
        "Condition.encounter.reference",
        "List.entry.item.reference",
    )


@given(
    decimals=st.sampled_from([b"0.010", b"1e3", b"-0.0"]),
    space=st.sampled_from([b"", b" ", b"\n\t"]),
)
def test_a_letter_without_them_leaves_as_it_came(decimals: bytes, space: bytes) -> None:
    raw = b'{"resourceType":"Basic",%b"v":%b,"s":{"reference":"X/stays"},"text":{"div":"d"}}'
    raw = raw % (space, decimals)
    assert prune(raw, ASTRAY).body is raw


def test_numbers_beside_a_pruned_reference_keep_their_digits() -> None:
    raw = b'{"resourceType":"Basic","v":0.010,"s":{"reference":"X/gone"}}'
    assert prune(raw, ASTRAY).body == b'{"resourceType":"Basic","v":0.010}'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceType":"Basic","s":{"reference":"X/gone","reference":"X/stays"}}',
        b'{"resourceType":"Basic","s":' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}",
        b"[]",
    ],
)
def test_a_letter_that_does_not_open_is_not_pruned(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        prune(raw, ASTRAY)


def test_no_label_says_that_something_was_pruned() -> None:
    body = prune(orjson.dumps({"resourceType": "Basic", "subject": GONE}), ASTRAY).body
    assert body == b'{"resourceType":"Basic"}'


def test_of_an_extension_that_held_nothing_else_no_name_is_left() -> None:
    told = {"url": "u", "id": "x", "valueReference": {"reference": "Observation/gone"}}
    tree = {"resourceType": "Basic", "id": "b", "extension": [told]}
    pruned = prune(orjson.dumps(tree), frozenset({"Observation/gone"}))
    assert orjson.loads(pruned.body) == {"resourceType": "Basic", "id": "b"}
