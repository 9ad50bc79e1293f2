"""Situations: who asks for what, what is known about the patients, under any of the rules that ship."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import orjson
from hypothesis import strategies as st

from proxy.decision.case import compile_policies, open_case
from proxy.decision.decide import decide_resource
from proxy.decision.model import Decision
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ActorClosure,
    ConsentDirective,
    Facts,
    Membership,
    PatientFacts,
)  # fmt: skip
from proxy.fhir.coding import Coding
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import Envelope
from proxy.fhir.reader import EnvelopeReader
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load
from proxy.policy.model import PolicySet, Rule
from tests.facts.consents import actor, deny, label, permit, purpose, r4, read4
from tests.stage import NOW, ROOT, Json
from tests.strategies import observations

BASELINE = load(ROOT / "policies" / "baseline")
PARIS = ZoneInfo("Europe/Paris")
READER = EnvelopeReader(
    definitions_of("4.0.1").resource_types, (), compile_policies(BASELINE).wanted
)
DOCTOR = Coding("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")
NURSE = Coding("http://terminology.hl7.org/CodeSystem/practitioner-role", "nurse")
PAYER = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PAYOR")


def principal_of(user: str, role: Coding | None, purpose: str) -> Principal:
    kinds = {"Patient": PrincipalKind.PATIENT, "RelatedPerson": PrincipalKind.RELATED_PERSON}
    return Principal(
        issuer="i",
        subject=user,
        client_id="c",
        token_id="t",
        kind=kinds.get(user.partition("/")[0], PrincipalKind.PRACTITIONER),
        scopes=parse_scopes("user/*.rs"),
        expires_at=NOW + 60,
        fhir_user=user,
        roles=frozenset([role] if role else []),
        purposes=frozenset([purpose]),
    )


principals = st.builds(
    principal_of,
    st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", "Patient/camille", "RelatedPerson/m"]),
    st.sampled_from([DOCTOR, NURSE, PAYER, None]),
    st.sampled_from(["TREAT", "PATRQT", "FAMRQT", "HRESCH"]),
)  # fmt: skip


def consent_of(provision: Json) -> ConsentDirective:
    return read4(r4(provision))


permits = st.builds(
    lambda who, code: permit(*([actor(*who)] if who else []), *([purpose(code)] if code else [])),
    st.lists(st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay"]), max_size=2),
    st.sampled_from(["TREAT", "HRESCH", ""]),
)
denies = st.builds(
    lambda who, codes: deny(*([actor(who)] if who else []), *([label(*codes)] if codes else [])),
    st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", ""]),
    st.sampled_from([(), ("R",), ("HIV",)]),
)
consents = st.lists(st.one_of(permits, denies).map(consent_of), max_size=4)

memberships = st.lists(
    st.builds(
        lambda kind, who: Membership(kind, Actor(reference=who), ALWAYS, "CareTeam/x"),
        st.sampled_from(["care-team", "general-practitioner", "guardian"]),
        st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", "RelatedPerson/m"]),
    ),
    max_size=3,
)


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asks for what, and what is known about the patients."""

    principal: Principal
    envelope: Envelope
    directives: tuple[ConsentDirective, ...]
    memberships: tuple[Membership, ...]

    def decided(self, policies: PolicySet) -> Decision:
        known = {
            patient: PatientFacts(
                patient,
                tuple(replace(one, patient=patient) for one in self.directives),
                self.memberships,
            )
            for patient in self.envelope.patients or ()
        }
        return self._decide(policies, known)

    def unknown(self, policies: PolicySet) -> Decision:
        known = {one: PatientFacts(one, None, None) for one in self.envelope.patients or ()}
        return self._decide(policies, known)

    def _decide(self, policies: PolicySet, known: dict[str, PatientFacts]) -> Decision:
        closure = ActorClosure(frozenset({self.principal.fhir_user or ""}))
        case = open_case(compile_policies(policies), self.principal, closure, "read", PARIS)
        return decide_resource(case, self.envelope, Facts(closure, NOW, known))


def envelope_of(resource: Json) -> Envelope:
    return READER.read(orjson.dumps({"resourceType": "Observation", **resource, "id": "x"}))


situations = st.builds(
    Situation,
    principals,
    observations().map(envelope_of),
    consents.map(tuple),
    memberships.map(tuple),
)


def with_rules(rules: list[Rule]) -> PolicySet:
    return replace(BASELINE, rules=tuple(rules))


rule_lists = st.lists(st.sampled_from(BASELINE.rules), max_size=12, unique_by=lambda rule: rule.id)
