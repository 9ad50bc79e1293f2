"""Every element of a provision against a request: what is certain, and what a doubt makes of the rest."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.constraints import Context, Question, asks_content, covers_content, in_context
from proxy.facts.model import Actor, ActorClosure, Period, Provision, ProvisionDatum
from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, PARTICIPATION, Coding, Effect
from tests.decision.test_provisions import DR_A, NOW, observed
from tests.facts.consents import PARIS

EMPTY = Provision("provision", Effect.PERMIT)
AUTHOR = Coding(PARTICIPATION, "AUT")
TYPES, PROFILES = "http://hl7.org/fhir/resource-types", "urn:ietf:rfc:3986"
Answer = tuple[bool, bool]
"""Whether a provision matches where a doubt counts against it (a permit), and where it counts for it (a deny)."""
YES, NO, DOUBT = (True, True), (False, False), (False, True)


def reasons(*codes: str, system: str = ACT_REASON) -> dict[str, Any]:
    return {"purposes": frozenset(Coding(system, code) for code in codes)}


def actors(*named: Actor) -> dict[str, Any]:
    return {"actors": named}


def asking(*purposes: str, **more: Any) -> Context:
    known = {"closure": DR_A, "action": "access", "purposes": frozenset(purposes), "now": NOW}
    return Context(**{**known, **more})


TREAT = asking("TREAT")
CONTEXT: list[tuple[dict[str, Any], Context, Answer]] = [
    ({}, TREAT, YES),
    (reasons("TREAT"), TREAT, YES),
    (reasons("PurposeOfUse"), TREAT, YES),
    (reasons("ETREAT"), TREAT, NO),
    (reasons("HRESCH"), TREAT, NO),
    (reasons("TREAT"), asking("BTG"), YES),
    (reasons("TREAT"), asking("BTG", exact=True), NO),
    (reasons("BTG"), asking("BTG", exact=True), YES),
    (reasons("TREAT"), asking("TREAT", exact=True), YES),
    (reasons("TREAT"), asking(), DOUBT),
    (reasons("TREAT"), asking("novel"), DOUBT),
    (reasons("TREAT"), asking("TREAT", "HRESCH"), DOUBT),
    (reasons("TREAT", "HRESCH"), asking("TREAT", "HRESCH"), YES),
    (reasons("TREAT", system="urn:x"), TREAT, DOUBT),
    (reasons("house", system="urn:x"), asking("house"), YES),
    (reasons("house", system="urn:x"), asking("urn:x#house"), YES),
    (reasons("house", system="urn:x"), asking("urn:y#house"), NO),
    (reasons("house", system="urn:x"), TREAT, NO),
    ({"actions": frozenset({"access"})}, TREAT, YES),
    ({"actions": frozenset({"collect"})}, TREAT, NO),
    ({"actions": frozenset({"novel"})}, TREAT, DOUBT),
    ({"actions": frozenset({"collect"})}, asking("TREAT", action="novel"), DOUBT),
    (actors(Actor("Practitioner/a")), TREAT, YES),
    (actors(Actor("Practitioner/b")), TREAT, NO),
    (actors(Actor("Practitioner/b"), Actor("Practitioner/a")), TREAT, YES),
    (actors(Actor("Group/g")), TREAT, DOUBT),
    (actors(Actor("Practitioner/gone", dead=True)), TREAT, DOUBT),
    (actors(Actor("Practitioner/b")), asking("TREAT", closure=ActorClosure(complete=False)), DOUBT),
    (actors(Actor("Practitioner/b", role=AUTHOR)), TREAT, YES),
    ({**reasons("TREAT"), **actors(Actor("Practitioner/b"))}, TREAT, NO),
    ({**reasons("HRESCH"), **actors(Actor("Practitioner/a"))}, TREAT, NO),
]


@pytest.mark.parametrize(("elements", "context", "answer"), CONTEXT)
def test_who_asks_why_and_what_for(
    elements: dict[str, Any], context: Context, answer: Answer
) -> None:
    node = replace(EMPTY, **elements)
    assert in_context(node, context, doubt=False) is answer[0]
    assert in_context(node, context, doubt=True) is answer[1]


def resource(**more: Any) -> Question:
    question = {name: more.pop(name) for name in ("mentions", "recognised") if name in more}
    return Question(DR_A, "access", frozenset({"TREAT"}), observed(**more), NOW, PARIS, **question)


def labels(*codes: str, system: str = ACT_CODE) -> frozenset[Coding]:
    return frozenset(Coding(CONFIDENTIALITY if one in "ULMNRV" else system, one) for one in codes)


def marked(*codes: str, **more: Any) -> dict[str, Any]:
    return {"labels": labels(*codes, **more)}


def datum(meaning: str, reference: str, mentions: frozenset[str] | None = None) -> dict[str, Any]:
    return {"data": (ProvisionDatum(meaning, reference, mentions),)}


def instant(year: int) -> float:
    return (year - 1970) * 31_556_952.0


OBSERVED = resource()
IN_2022 = {"data_period": Period(instant(2022), instant(2023))}
CLASSES = {
    name: {"classes": frozenset({Coding(system, code)})}
    for name, system, code in (
        ("type", TYPES, "Observation"),
        ("fhir type", "http://hl7.org/fhir/fhir-types", "Observation"),
        ("any type", TYPES, "Resource"),
        ("other type", TYPES, "Condition"),
        ("profile", PROFILES, "http://example.org/StructureDefinition/vital"),
        ("profile with version", PROFILES, "http://example.org/StructureDefinition/vital|1.0"),
        ("other profile", PROFILES, "http://example.org/StructureDefinition/vita"),
        ("format", "urn:ietf:bcp:13", "application/pdf"),
    )
}
CONTENT: list[tuple[dict[str, Any], Question, Answer]] = [
    ({}, OBSERVED, YES),
    (marked("N"), OBSERVED, YES),
    (marked("R"), OBSERVED, (True, False)),
    (marked("L"), OBSERVED, DOUBT),
    (marked("L"), resource(labels=labels("U")), (True, False)),
    (marked("R"), resource(labels=frozenset()), DOUBT),
    (marked("R"), resource(**marked("R", "HIV")), YES),
    (marked("N"), resource(**marked("HIV")), DOUBT),
    (marked("HIV"), resource(**marked("HIV")), YES),
    (marked("HIV"), resource(**marked("R", "HIV", "PSY")), DOUBT),
    (marked("HIV", "PSY"), resource(**marked("R", "HIV", "PSY")), YES),
    (marked("ETH"), resource(**marked("R", "ETHUD")), YES),
    (marked("ETHUD"), resource(**marked("R", "ETH")), NO),
    (marked("HIV"), OBSERVED, NO),
    (marked("R", "HIV"), OBSERVED, (True, False)),
    (marked("HIVV"), OBSERVED, DOUBT),
    (marked("N"), resource(labels=labels("N") | {Coding("urn:x", "y")}), DOUBT),
    (marked("N"), resource(labels=labels("N") | {Coding("urn:x", "y")}, recognised=frozenset({"urn:x"})), YES),
    ({"labels": frozenset({Coding("urn:x", "y")})}, resource(labels=labels("N") | {Coding("urn:x", "y")}), YES),
    ({"codes": frozenset({Coding("http://loinc.org", "74013-4")})}, OBSERVED, YES),
    ({"codes": frozenset({Coding("http://loinc.org", "29463-7")})}, OBSERVED, NO),
    ({"codes": frozenset({Coding("", "74013-4")})}, OBSERVED, DOUBT),
    ({"codes": frozenset({Coding("", "29463-7")})}, OBSERVED, NO),
    ({"codes": frozenset({Coding("http://snomed.info/sct", "74013-4")})}, OBSERVED, NO),
    ({"codes": frozenset({Coding("http://loinc.org", "LA-A")})}, resource(codes=frozenset({Coding("", "la-a")})), DOUBT),
    ({"codes": frozenset({Coding("http://loinc.org", "LA-A")})}, resource(codes=frozenset({Coding("http://loinc.org", "la-a")})), DOUBT),
    ({"codes": frozenset({Coding("http://loinc.org", "74013-4"), Coding("s", "x")})}, OBSERVED, YES),
    (CLASSES["type"], OBSERVED, YES),
    (CLASSES["fhir type"], OBSERVED, YES),
    (CLASSES["any type"], OBSERVED, YES),
    (CLASSES["other type"], OBSERVED, NO),
    (CLASSES["profile"], OBSERVED, YES),
    (CLASSES["profile with version"], OBSERVED, YES),
    (CLASSES["other profile"], OBSERVED, NO),
    (CLASSES["format"], OBSERVED, DOUBT),
    (IN_2022, OBSERVED, YES),
    (IN_2022, resource(date="2023-06"), NO),
    (IN_2022, resource(date="2021-06/2022-06"), DOUBT),
    (IN_2022, resource(date="2022/9999"), DOUBT),
    (IN_2022, resource(date="0001/9999"), DOUBT),
    (IN_2022, resource(date="soon"), DOUBT),
    (IN_2022, resource(date="", last_updated=""), DOUBT),
    (IN_2022, resource(date="", last_updated="2022-06-01T00:00:00Z"), YES),
    (IN_2022, resource(date="", last_updated="2024-06-01T00:00:00Z"), NO),
    ({"data_period": Period(None, instant(2023))}, resource(date="0001/2022-06"), YES),
    ({"data_period": Period(instant(2022), None)}, resource(date="2022-06/9999"), YES),
    (datum("instance", "Observation/o1"), OBSERVED, YES),
    (datum("instance", "Observation/o2"), OBSERVED, NO),
    (datum("instance", ""), OBSERVED, DOUBT),
    (datum("authoredby", "Practitioner/writer"), OBSERVED, YES),
    (datum("authoredby", "Device/scale"), OBSERVED, NO),
    (datum("authoredby", "PractitionerRole/w"), OBSERVED, DOUBT),
    (datum("authoredby", "Practitioner/writer"), resource(authors=frozenset()), DOUBT),
    (datum("authoredby", "Organization/h"), resource(authors=frozenset({"Patient/p1"})), NO),
    (datum("dependents", "Encounter/e"), OBSERVED, DOUBT),
    (datum("dependents", "Encounter/e"), resource(mentions=frozenset()), NO),
    (datum("dependents", "Encounter/e"), resource(mentions=frozenset({"Encounter/e"})), YES),
    (datum("dependents", "Observation/o1"), OBSERVED, YES),
    (datum("related", "Encounter/e", frozenset({"Observation/o1"})), OBSERVED, YES),
    (datum("related", "Encounter/e", frozenset()), resource(mentions=frozenset()), NO),
    (datum("related", "Encounter/e", frozenset()), OBSERVED, DOUBT),
    (datum("related", "Encounter/e"), resource(mentions=frozenset()), DOUBT),
    (actors(Actor("Practitioner/writer", role=AUTHOR)), OBSERVED, YES),
    (actors(Actor("Patient/p1", role=AUTHOR)), OBSERVED, NO),
    (actors(Actor(role=AUTHOR)), OBSERVED, DOUBT),
    (actors(Actor("Patient/p1", role=AUTHOR), Actor("Practitioner/a")), OBSERVED, YES),
    ({**CLASSES["type"], **IN_2022, **datum("instance", "Observation/o2")}, OBSERVED, NO),
]  # fmt: skip


@pytest.mark.parametrize(("elements", "question", "answer"), CONTENT)
def test_what_the_resource_is(elements: dict[str, Any], question: Question, answer: Answer) -> None:
    node = replace(EMPTY, **elements)
    assert covers_content(node, question, doubt=False) is answer[0]
    assert covers_content(node, question, doubt=True) is answer[1]


@pytest.mark.parametrize(("elements", "question", "_"), CONTENT)
def test_whatever_depends_on_the_resource_says_so(
    elements: dict[str, Any], question: Question, _: Answer
) -> None:
    assert asks_content(replace(EMPTY, **elements)) is bool(elements)


@pytest.mark.parametrize(("elements", "context", "_"), CONTEXT)
def test_nothing_else_asks_for_the_resource(
    elements: dict[str, Any], context: Context, _: Answer
) -> None:
    written = any(one.role == AUTHOR for one in elements.get("actors", ()))
    assert asks_content(replace(EMPTY, **elements)) is written


contents = st.lists(st.sampled_from(CONTENT), min_size=2, max_size=4)
ORDERED = ("labels",)
"""A permit of R covers less, a deny of R covers more: there a permit may match where a deny does not (X-5)."""


@given(contents)
def test_elements_and_each_other(several: list[tuple[dict[str, Any], Question, Answer]]) -> None:
    question = several[0][1]
    joined: dict[str, Any] = {}
    for elements, _, _ in several:
        joined |= elements
    for doubt in (False, True):
        alone = (
            covers_content(replace(EMPTY, **{name: value}), question, doubt=doubt)
            for name, value in joined.items()
        )
        assert covers_content(replace(EMPTY, **joined), question, doubt=doubt) is all(alone)


@given(st.sampled_from(CONTENT), st.sampled_from(CONTENT))
def test_what_matches_for_certain_matches_in_doubt(
    one: tuple[dict[str, Any], Question, Answer], other: tuple[dict[str, Any], Question, Answer]
) -> None:
    elements = {name: value for name, value in one[0].items() if name not in ORDERED}
    node = replace(EMPTY, **elements)
    if covers_content(node, other[1], doubt=False):
        assert covers_content(node, other[1], doubt=True)


contexts = st.sampled_from(CONTEXT)


@given(contexts, contexts)
def test_who_certainly_asks_is_never_in_doubt(
    one: tuple[dict[str, Any], Context, Answer], other: tuple[dict[str, Any], Context, Answer]
) -> None:
    node = replace(EMPTY, **one[0])
    if in_context(node, other[1], doubt=False):
        assert in_context(node, other[1], doubt=True)
