"""Wild situations: whatever Consents, callers, rules and resources can be, beyond what anybody would write."""

import dataclasses
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import strategies as st

from proxy.decision.case import CompiledPolicies, compile_policies
from proxy.facts.grant import Grant, by_patient, holder_of
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ActorClosure,
    ConsentDirective,
    Facts,
    Membership,
    PatientFacts,
    Period,
    Provision,
    ProvisionDatum,
    Restriction,
)  # fmt: skip
from proxy.fhir.coding import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    PARTICIPATION,
    Coding,
    Effect,
    Identifier,
)
from proxy.fhir.envelope import UNTOLD, Envelope, Matter
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load
from proxy.policy.model import Matrix, Rule
from tests.situations import BASELINE, DOCTOR, NURSE, PAYER, consents
from tests.stage import NOW, ROOT

PATIENTS = ("Patient/camille", "Patient/noe")
DR, RIVAL, WARD, TEAM, HOUSE = (
    "Practitioner/dr", "Practitioner/rival", "Group/ward", "CareTeam/t", "Organization/h",
)  # fmt: skip
BADGE, OTHER_BADGE = Identifier("urn:badge", "1"), Identifier("urn:badge", "2")
PARENT = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GUARD")
EDGES = tuple(NOW + day * 86_400 for day in (-2, -1, 0, 1, 2))
INSTANTS = tuple(edge + shift for edge in EDGES for shift in (-1, 0, 1))
DAY = datetime.fromtimestamp(NOW, UTC).date().isoformat()
LOINC = "http://loinc.org"

# ---- rules -----------------------------------------------------------------------------------------------------

EXTRA = [
    Rule.model_validate(rule, strict=False)
    for rule in (
        {"id": "any-read", "effect": "permit", "target": {"interaction": ["read", "search-type"]}},
        {"id": "any-consented", "effect": "permit", "target": {"consent": ["permit"]},
         "redact": {"remove": ["Patient.name"]}},
        {"id": "any-unheard", "effect": "permit", "target": {"consent": ["none"]}},
        {"id": "named", "effect": "permit", "target": {"consent": ["named"]},
         "lifts": ["restricted"], "redact": {"mask": ["*.text"]}},
        {"id": "over-consent", "effect": "permit", "target": {"purpose": ["TREAT"]},
         "lifts": ["consent", "restricted"]},
        {"id": "wrote", "effect": "permit",
         "target": {"principal": {"relationship": ["author", "author-organization", "self"]}}},
        {"id": "restricted", "effect": "deny", "tag": "restricted",
         "target": {"resource": {"confidentiality_above": "N"}}},
        {"id": "listed", "effect": "deny", "absolute": True,
         "target": {"principal": {"relationship": ["denied"]}}},
        {"id": "nurses", "effect": "deny", "target": {"principal": {"role": ["nurse"]}}},
        {"id": "emergency", "effect": "permit", "notify": ["patient"],
         "target": {"purpose": ["BTG"], "principal": {"relationship": ["break-glass"]}}},
        {"id": "silence", "effect": "deny", "tag": "x", "target": {"consent": ["none", "deny"]}},
    )
]  # fmt: skip


def compiled_with(rules: tuple[Rule, ...], **more: object) -> CompiledPolicies:
    return compile_policies(dataclasses.replace(BASELINE, rules=rules, **more))  # type: ignore[arg-type]


MATRIX = Matrix({("physician", Coding(LOINC, "1")): True, ("physician", Coding(LOINC, "2")): False})
PACKS = [
    compile_policies(BASELINE),
    *(compile_policies(load(ROOT / "policies/ihe-pcf" / one)) for one in ("basic-normal", "all-normal")),
    compiled_with(BASELINE.rules, combine="most-recent", unlabelled="deny", matrix=MATRIX),
    compiled_with(tuple(EXTRA), unlabelled="R", combine="most-recent"),
    compiled_with(tuple(EXTRA[1:2]), unlabelled="N"),
    compiled_with(tuple(EXTRA[:5]), unlabelled="N"),
    compiled_with(tuple(EXTRA[:1]), unlabelled="N", default_purpose={"practitioner": "BTG"}),
]  # fmt: skip
packs = st.one_of(
    st.sampled_from(PACKS),
    st.builds(
        lambda rules, combine, purpose: compiled_with(
            tuple(rules), unlabelled="N", combine=combine, default_purpose={"practitioner": purpose}
        ),
        st.lists(st.sampled_from([*EXTRA, *BASELINE.rules]), max_size=8, unique_by=lambda one: one.id),
        st.sampled_from(["deny-wins", "most-recent"]),
        st.sampled_from(["BTG", "TREAT"]),
    ),
)  # fmt: skip

# ---- provisions ------------------------------------------------------------------------------------------------


T = TypeVar("T")


def mostly(usual: st.SearchStrategy[T], rare: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The rare one once in ten times."""
    return st.integers(0, 9).flatmap(lambda number: usual if number else rare)


def subset(*values: T, most: int = 2) -> st.SearchStrategy[frozenset[T]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=most)


def role(code: str) -> Coding:
    return Coding(PARTICIPATION, code)


actors = st.sampled_from([Actor(DR), Actor(RIVAL), Actor(identifier=OTHER_BADGE)]) | st.sampled_from(
    [
        *(Actor(one, role=role("IRCP")) for one in (DR, RIVAL, HOUSE, "Organization/other", "Device/d")),
        Actor(DR), Actor(RIVAL, BADGE), Actor("Patient/camille"), Actor("RelatedPerson/m"),
        Actor(identifier=BADGE), Actor(identifier=OTHER_BADGE), Actor(identifier=Identifier("urn:other", "1")),
        Actor(WARD, members=frozenset({DR, RIVAL})), Actor(WARD, members=frozenset({RIVAL})), Actor(WARD),
        Actor(WARD, members=frozenset()), Actor(TEAM, members=frozenset({DR})), Actor(TEAM, dead=True),
        Actor("?", dead=True), Actor("HealthcareService/x"), Actor(), Actor(dead=True), Actor("?", BADGE, dead=True),
        Actor(RIVAL, identifiers=frozenset({BADGE})), Actor(WARD, members=frozenset(), identifiers=frozenset({BADGE})),
        Actor("PractitionerRole/old"), Actor(WARD, members=frozenset({"PractitionerRole/old"})),
        Actor(role=DOCTOR), Actor(role=NURSE), Actor(role=role("NOVEL")), Actor(DR, role=role("NOVEL")),
        Actor(HOUSE, role=role("CST")), Actor(DR, role=role("AUT")), Actor(HOUSE, role=role("AUT")),
        Actor(role=PARENT), Actor(role=role("IRCP")),
    ]
)  # fmt: skip
purposes = st.sampled_from(
    [
        *(Coding(ACT_REASON, one) for one in ("TREAT", "ETREAT", "BTG", "HRESCH", "CLINTRCH", "PurposeOfUse", "X")),
        Coding("urn:purposes", "X"), Coding("urn:purposes", "TREAT"), Coding(ACT_REASON, "treat"), Coding("", "TREATMENT"),
    ]
)  # fmt: skip
LABELS = [
    *(Coding(CONFIDENTIALITY, one) for one in ("L", "N", "R", "V", "HIV")),
    *(Coding(ACT_CODE, one) for one in ("HIV", "SUD", "ETHUD", "ETH", "PSY", "HIVV", "CTCOMPT")),
    Coding("urn:oid:2.16.840.1.113883.5.25", "R"), Coding("http://labels.example.org", "VIP"), Coding("", "R"),
]  # fmt: skip
CODES = [Coding(LOINC, "1"), Coding(LOINC, "2"), Coding("", "1"), Coding(LOINC, "a"), Coding(LOINC, "A")]  # fmt: skip
CLASSES = [
    *(Coding("http://hl7.org/fhir/resource-types", one) for one in ("Observation", "Condition", "Resource", "condition")),
    Coding("http://hl7.org/fhir/fhir-types", "DomainResource"),
    Coding("urn:ietf:rfc:3986", "http://p/vital"), Coding("urn:ietf:bcp:13", "application/pdf"),
]  # fmt: skip
data = st.sampled_from(
    [
        *(ProvisionDatum("instance", one) for one in ("Observation/o1", "Condition/o2", "")),
        *(ProvisionDatum(one, "Encounter/e") for one in ("related", "dependents")),
        ProvisionDatum("related", "Encounter/e", frozenset({"Observation/o1"})),
        ProvisionDatum("related", "Encounter/e", frozenset()),
        *(ProvisionDatum("authoredby", one) for one in (DR, HOUSE, "Device/d", "")),
    ]
)
edge = st.none() | st.sampled_from(EDGES)
periods = st.one_of(st.just(ALWAYS), st.just(ALWAYS), st.builds(Period, edge, edge))
TEN_DAYS = Period(NOW - 20 * 86_400, NOW - 10 * 86_400)
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "actors": st.lists(actors, min_size=1, max_size=2).map(tuple),
    "purposes": st.frozensets(purposes, min_size=1, max_size=2),
    "actions": subset("access", "collect", "urn:x|peek"),
    "labels": subset(*LABELS),
    "classes": subset(*CLASSES),
    "codes": subset(*CODES),
    "data": st.lists(data, min_size=1, max_size=2).map(tuple),
    "data_period": st.sampled_from([TEN_DAYS, Period(None, NOW), Period(NOW, None)]),
}
names: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]),
    st.just(["actors"]),
    st.lists(st.sampled_from(["actors", *ELEMENTS]), min_size=1, max_size=2, unique=True),
)


@st.composite
def provisions(draw: st.DrawFn, depth: int = 3) -> Provision:
    stated = {name: draw(ELEMENTS[name]) for name in draw(names)}
    below = (
        draw(st.lists(provisions(depth - 1), max_size=2))
        if depth > 1 and draw(st.booleans())
        else []
    )
    return Provision(
        "provision", draw(st.sampled_from(Effect)), period=draw(periods), provisions=tuple(below), **stated
    )  # fmt: skip


CALLER = st.sampled_from([Actor(DR), Actor(HOUSE), Actor(identifier=BADGE), Actor(RIVAL)])
pardoning = st.builds(
    lambda listed, pardoned, permit, within: Provision(
        "provision", within, provisions=(
            Provision("provision.provision[0]", Effect.DENY, actors=(listed,), provisions=(
                Provision("provision.provision[0].provision[0]", permit, actors=(pardoned,), period=TEN_DAYS),
                Provision("provision.provision[0].provision[1]", permit, actors=(Actor(RIVAL),)),
            )),
        ),
    ),
    CALLER, CALLER, st.sampled_from(Effect), st.sampled_from(Effect),
)  # fmt: skip
"""Denies by name with exceptions inside, some of them over."""


@st.composite
def directives(draw: st.DrawFn) -> ConsentDirective:
    root = draw(mostly(provisions(), pardoning))
    return ConsentDirective(
        reference=f"Consent/{draw(st.integers(1, 9))}",
        patient="Patient/p",
        status="active",
        base=root.effect,
        root=root,
        period=draw(periods),
        acts_for=draw(st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset({"TREAT"}), frozenset({"HRESCH"})])),
        recorded=draw(st.sampled_from([None, 1.0, 2.0, 2.0])),
        problem=draw(st.sampled_from([None] * 30 + ["no sense"])),
        inert=draw(st.sampled_from([None] * 7 + ["status inactive"])),
    )  # fmt: skip


memberships = st.lists(
    st.builds(
        Membership,
        st.sampled_from(["care-team", "general-practitioner", "guardian", "trusted-person"]),
        st.sampled_from([Actor(DR), Actor(RIVAL), Actor(identifier=BADGE), Actor("RelatedPerson/m")]),
        periods,
        st.just("CareTeam/x"),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
known = st.builds(
    PatientFacts,
    st.just("Patient/p"),
    mostly(st.lists(mostly(directives(), consents.filter(bool).map(lambda one: one[0])), max_size=5).map(tuple), st.none()),
    mostly(memberships, st.none()),
)  # fmt: skip

# ---- who asks --------------------------------------------------------------------------------------------------

rules_of_tokens = st.lists(
    provisions(1).map(lambda one: replace(one, actors=(), purposes=frozenset(), actions=frozenset())), max_size=2
).map(tuple)  # fmt: skip
restrictions = mostly(
    st.none(),
    st.builds(
        Restriction,
        st.sampled_from([*[()] * 4, *[("Patient/camille",)] * 3, (None,), PATIENTS]),
        rules_of_tokens,
        st.sampled_from([None] * 9 + ["novel"]),
    ),
)  # fmt: skip
closures = st.builds(
    ActorClosure,
    references=st.sampled_from([frozenset({DR}), frozenset({DR, HOUSE}), frozenset({"Patient/camille"}), frozenset()]),
    identifiers=st.sampled_from([frozenset(), frozenset({BADGE})]),
    roles=st.sampled_from([frozenset(), frozenset({DOCTOR}), frozenset({NURSE})]),
    organization_types=st.sampled_from([frozenset(), frozenset({PAYER})]),
    complete=st.sampled_from([True, True, True, False]),
    restriction=restrictions,
    former=mostly(st.just(frozenset()), st.just(frozenset({"PractitionerRole/old"}))),
)  # fmt: skip
principals = st.builds(
    Principal,
    issuer=st.just("i"),
    subject=st.just("s"),
    client_id=st.just("c"),
    token_id=st.just("t"),
    kind=st.sampled_from([PrincipalKind.PRACTITIONER] * 3 + [*PrincipalKind]),
    scopes=st.sampled_from(
        [*map(parse_scopes, ["user/*.rs"] * 12 + ["user/Observation.r patient/*.s", "patient/*.rs", "system/*.s", ""])]
    ),
    expires_at=st.just(NOW + 60),
    fhir_user=st.sampled_from([DR, DR, "Patient/camille", None]),
    patient=st.sampled_from([None, "Patient/camille"]),
    roles=st.sampled_from([frozenset(), frozenset({DOCTOR}), frozenset({DOCTOR}), frozenset({DOCTOR}), frozenset({NURSE}), frozenset({PAYER})]),
    purposes=st.frozensets(st.sampled_from(["TREAT", "TREAT", "ETREAT", "BTG", "HRESCH", "CLINTRCHPC", "X"]), max_size=2),
    on_behalf_of=st.sampled_from([None, None, RIVAL]),
    pcf=st.sampled_from([None] * 20 + ["{}"]),
)  # fmt: skip

# ---- what is asked for -----------------------------------------------------------------------------------------

about = st.sampled_from(
    [frozenset(PATIENTS[:1])] * 12
    + [
        frozenset(PATIENTS[1:]),
        frozenset(PATIENTS),
        frozenset(),
        None,
        frozenset({"Patient/unheard"}),
    ]
)
authors = st.sampled_from(
    [frozenset(), frozenset({DR}), frozenset({RIVAL}), frozenset({HOUSE}), frozenset({"PractitionerRole/r"})]
)  # fmt: skip
kinds = st.sampled_from(
    [
        "Observation",
        "Observation",
        "Observation",
        "Condition",
        "DocumentReference",
        "Patient",
        "Practitioner",
    ]
)
labels = mostly(
    st.sampled_from([frozenset(), *(frozenset({LABELS[one]}) for one in (1, 1, 2, 5, 6, 7))]),
    subset(*LABELS),
)  # fmt: skip


@st.composite
def envelopes(draw: st.DrawFn) -> list[Envelope]:
    """One or two resources, those without codes of one matter, as a reader gives them."""
    of = Matter(draw(kinds), draw(labels), draw(about), draw(authors), draw(st.sampled_from([frozenset(), frozenset({"http://p/vital|1"})])))  # fmt: skip
    codes = draw(st.sampled_from([frozenset()] * 2) | subset(*CODES))
    return [
        Envelope(
            of.type, own, "1", draw(st.sampled_from(["2020-01-01T00:00:00Z", ""])), of.labels, of.patients, of.authors,
            draw(st.sampled_from(["", "2025-03", DAY, DAY[:7], "whenever"])), codes, of.profiles,
            matter=None if codes else draw(st.sampled_from([of, None])),
            mentions=draw(st.sampled_from([None, frozenset(), frozenset({"Encounter/e"}), frozenset({UNTOLD})])),
        )
        for own in draw(st.sampled_from([["o1"], ["o1", "o2"]]))
    ]  # fmt: skip


@dataclass(frozen=True)
class World:
    """Whatever a case may be asked, and in which order."""

    compiled: CompiledPolicies = field(repr=False)
    principal: Principal
    closure: ActorClosure
    interaction: str
    known: tuple[dict[str, PatientFacts], ...]
    envelopes: tuple[Envelope, ...]
    instants: tuple[float, ...]
    granted: tuple[str, ...] = ()
    holder: str = "s"

    def facts(self, known: dict[str, PatientFacts], now: float) -> Facts:
        """What is known at an instant, with the caller's break-glass grants; those of another subject are nobody's."""
        own = replace(holder_of(self.principal), subject=self.holder)
        grants = [Grant("g", own, one, EDGES[1], EDGES[3]) for one in self.granted]
        return Facts(self.closure, now, known, by_patient(grants))

    def asked(self) -> list[tuple[Envelope, dict[str, PatientFacts], float]]:
        """Everything, twice."""
        return list(itertools.product(self.envelopes, self.known, self.instants)) * 2


def patients_of(facts: list[PatientFacts]) -> dict[str, PatientFacts]:
    return {patient: replace(one, patient=patient) for patient, one in zip(PATIENTS, facts, strict=False)}  # fmt: skip


worlds = st.builds(
    World,
    packs,
    principals,
    closures,
    st.sampled_from(["read", "search-type"]),
    st.lists(st.lists(known, min_size=1, max_size=2).map(patients_of), min_size=1, max_size=2).map(tuple),
    st.lists(envelopes(), min_size=1, max_size=2).map(lambda lists: tuple(itertools.chain(*lists))),
    st.lists(st.sampled_from(INSTANTS), min_size=1, max_size=3).map(tuple),
    st.sampled_from([(), PATIENTS[:1], PATIENTS]),
    mostly(st.just("s"), st.just("somebody else")),
)  # fmt: skip
