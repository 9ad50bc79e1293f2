from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.lookup import Budget
from proxy.facts.model import Period, ProvisionDatum, Restriction
from proxy.facts.relationship import Reading
from proxy.facts.residual import pcf_of, restriction_of
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect, Identifier
from tests.facts.consents import PARIS, Json, coding, label
from tests.facts.test_gather import Upstream, gatherer
from tests.facts.test_relationship import NOW, principal

READING = Reading(PARIS, ("http://example.org/fhir",))
MRN = Identifier("urn:oid:1.2.840.113619.6.197", "543797436")
P1: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": MRN.system, "value": MRN.value}],
}
ENCOUNTER: Json = {
    "resourceType": "Encounter",
    "id": "e",
    "subject": {"reference": "Patient/p1"},
    "diagnosis": [{"condition": {"reference": "Condition/x"}}],
}


def pcf(**more: Any) -> Json:
    return {"patient_id": "Patient/p1", "doc_id": ["http://example.org/fhir/Consent/c"]} | more


def rules(*residual: Json) -> Json:
    return pcf(residual=list(residual))


async def restricted(tree: Any, *resources: Json, lookups: int = 20, **more: Any) -> Restriction:
    who = principal(pcf=None if tree is None else orjson.dumps(tree).decode(), **more)
    budget = Budget(Upstream(*resources), lookups)
    found = await restriction_of(who, budget, READING, NOW)
    assert found is not None
    return found


async def test_a_token_that_says_nothing_of_it_restricts_nothing() -> None:
    assert await restriction_of(principal(), Budget(Upstream(), 0), READING, NOW) is None


async def test_without_residual_rules_only_the_patient_counts() -> None:
    assert await restricted(pcf()) == Restriction(("Patient/p1",))
    assert await restricted(pcf(residual=[])) == Restriction(("Patient/p1",))


TOLD = [
    "Patient/p1",
    "Patient/p1/_history/3",
    "http://example.org/fhir/Patient/p1",
    {"reference": "Patient/p1"},
    {"reference": "http://EXAMPLE.org/fhir/Patient/p1/_history/1"},
    {"identifier": {"system": MRN.system, "value": MRN.value}},
    "543797436^^^&1.2.840.113619.6.197&ISO",
]


@pytest.mark.parametrize("written", TOLD, ids=str)
async def test_the_patient_is_the_same_however_written(written: Any) -> None:
    assert (await restricted(pcf(patient_id=written), P1)).patients == ("Patient/p1",)


UNTOLD = [
    "p1",
    "http://other.example.org/fhir/Patient/p1",
    "Practitioner/p1",
    "543797436",
    "543797437^^^&1.2.840.113619.6.197&ISO",
    {"reference": "urn:uuid:0"},
    {"identifier": {"value": MRN.value}},
    {"identifier": {"system": "urn:other", "value": MRN.value}},
    {"display": "Alice"},
]


@pytest.mark.parametrize("written", UNTOLD, ids=str)
async def test_a_patient_who_cannot_be_told_is_nobody(written: Any) -> None:
    found = await restricted(pcf(patient_id=written), P1)
    assert found.patients == (None,)
    assert not found.understood


@pytest.mark.parametrize(
    ("resources", "lookups"), [((), 20), ((P1, P1 | {"id": "p2"}), 20), ((P1,), 0)]
)
async def test_an_identifier_of_nobody_of_two_or_not_looked_up_is_nobodys(
    resources: tuple[Json, ...], lookups: int
) -> None:
    found = await restricted(None, *resources, lookups=lookups, patient_identifier=MRN)
    assert found.patients == (None,)


async def test_upstreams_word_about_an_identifier_is_checked() -> None:
    upstream = Upstream(P1 | {"identifier": [{"system": "urn:other", "value": "1"}]})
    upstream.ignoring = {"Patient"}
    who = principal(patient_identifier=MRN)
    found = await restriction_of(who, Budget(upstream, 20), READING, NOW)
    assert found == Restriction((None,))


@pytest.mark.parametrize(
    ("identifier", "patient"),
    [(MRN, "Patient/p1"), (Identifier("", "Patient/p1"), "Patient/p1"), (Identifier("", "1"), None)],
)  # fmt: skip
async def test_person_id_names_the_patient_likewise(
    identifier: Identifier, patient: str | None
) -> None:
    found = await restricted(None, P1, patient_identifier=identifier)
    assert found == Restriction((patient,))


async def test_every_claim_that_names_a_patient_counts() -> None:
    found = await restricted(pcf(patient_id="Patient/p2"), P1, patient_identifier=MRN)
    assert found.patients == ("Patient/p1", "Patient/p2")


async def test_a_rule_is_read_as_a_provision() -> None:
    rule = {
        "type": "forbid",
        **label("R"),
        "dataPeriod": {"start": "2024-11-22", "end": "2024-11-22"},
        "data": [
            {"meaning": "authoredby", "reference": {"reference": "Practitioner/x"}},
            {"meaning": "instance", "reference": "http://example.org/fhir/Observation/o"},
            {"meaning": "dependents", "reference": "http://other.example.org/Encounter/e"},
        ],
    }
    [read] = (await restricted(rules(rule))).rules
    assert read.effect is Effect.DENY
    assert read.labels == {Coding(CONFIDENTIALITY, "R")}
    assert isinstance(read.data_period, Period)
    assert read.data_period.covers(1732316399)
    assert not read.data_period.covers(1732316400)
    assert read.data == (
        ProvisionDatum("authoredby", "Practitioner/x"),
        ProvisionDatum("instance", "Observation/o"),
        ProvisionDatum("dependents", ""),
    )


async def test_what_a_related_instance_refers_to_is_looked_up() -> None:
    related = {"meaning": "related", "reference": "Encounter/e"}
    found = await restricted(rules({"type": "permit", "data": [related]}), ENCOUNTER)
    assert found.rules[0].data[0].mentions == frozenset({"Patient/p1", "Condition/x"})
    assert found.mentions == {"Encounter/e"}
    assert found.is_detailed
    unread = await restricted(rules({"type": "permit", "data": [related]}), lookups=0)
    assert unread.problem


MALFORMED: list[Any] = [
    {},
    {"residual": [{"type": "forbid"}]},
    pcf(patient_id=7),
    pcf(patient_id=None),
    pcf(patient_id={"reference": 7}),
    pcf(doc_id=[7]),
    pcf(doc_id=[{"display": "x"}]),
    pcf(acp=[None]),
    pcf(residual={"type": "forbid"}),
    pcf(residual=None),
    pcf(residual=["forbid"]),
    pcf(residual=[{}]),
    pcf(purpose="TREAT"),
    rules({"type": "deny"}),
    rules({"type": "Permit"}),
    rules({"type": ["permit"]}),
    rules({"securityLabel": [coding(CONFIDENTIALITY, "N")]}),
    rules({"type": "permit", "securityLabel": []}),
    rules({"type": "permit", "securityLabel": "N"}),
    rules({"type": "permit", "securityLabel": [{"system": CONFIDENTIALITY}]}),
    rules({"type": "permit", "dataPeriod": {}}),
    rules({"type": "permit", "dataPeriod": "2022"}),
    rules({"type": "permit", "dataPeriod": {"start": "2023", "end": "2022"}}),
    rules({"type": "permit", "data": [{"meaning": "about", "reference": "Encounter/e"}]}),
    rules({"type": "permit", "data": [{"meaning": "instance"}]}),
    rules({"type": "permit", "data": [{"reference": "Encounter/e"}]}),
    rules({"type": "permit", "data": [{"meaning": "instance", "reference": 7}]}),
    rules({"type": "permit", "purpose": [{"code": "TREAT"}]}),
    rules({"type": "permit"}, {"type": "nonsense"}),
]


@pytest.mark.parametrize("tree", MALFORMED, ids=str)
async def test_what_is_not_understood_whole_is_a_problem(tree: Any) -> None:
    found = await restricted(tree, ENCOUNTER, P1)
    assert found.problem
    assert found.rules == ()
    assert not found.understood


values = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["forbid", "permit", "Encounter/e", "2024", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "data", "dataPeriod", "reference", "meaning", "start", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
trees = st.fixed_dictionaries({"patient_id": values, "residual": st.lists(values, max_size=3)})


@given(trees | values)
def test_any_tree_gives_a_restriction_and_no_rule_gets_lost(tree: Any) -> None:
    patient, read = pcf_of(orjson.dumps(tree).decode(), READING)
    if read.problem is None:
        assert [one.path for one in read.rules] == [
            f"residual[{number}]" for number in range(len(tree.get("residual", [])))
        ]
    else:
        assert (patient, read.rules) == (None, ())


@given(st.text())
def test_any_text_gives_a_restriction(text: str) -> None:
    assert pcf_of(text, READING)[1].problem


async def test_tokens_do_not_share_a_restriction_and_one_that_failed_is_not_kept() -> None:
    upstream = Upstream(P1)
    gathering = gatherer(upstream)
    free = principal()
    bound = principal(pcf=orjson.dumps(pcf()).decode())
    identified = principal(patient_identifier=MRN)
    upstream.failing = {"Patient"}
    assert (await gathering.closure(free)).restriction is None
    assert (await gathering.closure(bound)).restriction == Restriction(("Patient/p1",))
    assert (await gathering.closure(identified)).restriction == Restriction((None,))
    upstream.failing = set()
    assert (await gathering.closure(identified)).restriction == Restriction(("Patient/p1",))
    asked = len(upstream.asked)
    assert (await gathering.closure(identified)).restriction == Restriction(("Patient/p1",))
    assert len(upstream.asked) == asked
