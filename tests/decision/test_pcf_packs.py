"""The example Consents of IHE PCF on top of each overarching policy, through the whole decision (standards PCF-2..PCF-4).

Skipped where the examples are not at hand.
"""

import msgspec
import pytest

from proxy.decision.case import CompiledPolicies, compile_policies, open_case
from proxy.decision.decide import decide_request, decide_resource
from proxy.facts.directive import directive_of
from proxy.facts.model import ActorClosure, ConsentDirective, Facts, PatientFacts
from proxy.fhir.coding import Coding
from proxy.policy.load import load
from tests.decision.test_pcf_examples import (
    LAST_EVENING,
    OBSERVATIONS,
    PCF,
    ROWS,
    TODAY,
    U1,
    ZONE,
    asked,
)
from tests.situations import DOCTOR, principal_of
from tests.stage import ROOT

pytestmark = pytest.mark.skipif(
    not PCF.is_dir(), reason="the IHE PCF examples are not beside this repository"
)

PATIENT = "Patient/ex-patient"
PACK = ROOT / "policies" / "ihe-pcf"
PACKS: dict[str, CompiledPolicies] = {
    name: compile_policies(load(PACK / name))
    for name in ("basic-normal", "all-normal", "break-glass-only", "deny")
}
CLERK = None
PURPOSES = {"FooBar": "http://example.org/policies/purposeOfUse#FooBar"}
"""A purpose of another code system, as it is read from a token."""


def consent(name: str) -> ConsentDirective:
    found = directive_of((PCF / "consents" / f"Consent-ex-{name}.json").read_bytes(), "4.0.1", ZONE)
    assert found.problem is None
    return found


def visible(
    pack: str,
    closure: ActorClosure,
    purpose: str,
    *consents: ConsentDirective,
    role: Coding | None = DOCTOR,
    now: float = TODAY,
) -> str:
    who = principal_of("Practitioner/someone", role, PURPOSES.get(purpose, purpose))
    case = open_case(PACKS[pack], who, closure, "search-type", ZONE)
    known = PatientFacts(PATIENT, consents, ())
    facts = Facts(closure, now, {PATIENT: known})
    if not decide_request(case, "Observation").permits:
        return ""
    shown = ""
    for letter, name in OBSERVATIONS.items():
        question = asked(f"Observation-{name}", closure, purpose, known.mentions)
        envelope = msgspec.structs.replace(question.envelope, mentions=question.mentions)
        shown += letter if decide_resource(case, envelope, facts).permits else ""
    return shown


EXPLICIT = [
    pytest.param(pack, consent, closure, purpose, "" if purpose == "BTG" else seen, id=f"{pack}-{consent}-{who}-{purpose}")
    for pack in PACKS
    for consent, requesters, purposes, seen in ROWS
    for closure, who in requesters[:1]
    for purpose in purposes
    if purpose != "BTG" or "dissent" in consent
]  # fmt: skip


@pytest.mark.parametrize(("pack", "name", "closure", "purpose", "seen"), EXPLICIT)
def test_a_recorded_consent_overrides_the_implicit_policy(
    pack: str, name: str, closure: ActorClosure, purpose: str, seen: str
) -> None:
    """A purpose of BTG that a token claims is no grant, so it opens nothing."""
    assert visible(pack, closure, purpose, consent(name)) == seen


IMPLICIT = [
    ("basic-normal", DOCTOR, "TREAT", "ABCDE"),
    ("basic-normal", DOCTOR, "ERTREAT", "ABCDE"),
    ("basic-normal", DOCTOR, "HRESCH", ""),
    ("basic-normal", CLERK, "TREAT", ""),
    ("basic-normal", CLERK, "HPAYMT", ""),
    ("all-normal", DOCTOR, "TREAT", "ABCDE"),
    ("all-normal", CLERK, "HPAYMT", "ABCDE"),
    ("all-normal", DOCTOR, "HRESCH", "ABCDE"),
    ("all-normal", DOCTOR, "FooBar", ""),
    ("all-normal", DOCTOR, "BTG", ""),
    ("break-glass-only", DOCTOR, "TREAT", ""),
    ("break-glass-only", DOCTOR, "BTG", ""),
    ("deny", DOCTOR, "TREAT", ""),
    ("deny", DOCTOR, "BTG", ""),
]


@pytest.mark.parametrize(("pack", "role", "purpose", "seen"), IMPLICIT)
def test_without_a_consent_the_implicit_policy_decides(
    pack: str, role: Coding | None, purpose: str, seen: str
) -> None:
    assert visible(pack, U1, purpose, role=role) == seen


@pytest.mark.parametrize("pack", PACKS)
def test_an_expired_consent_is_no_consent(pack: str) -> None:
    expired = consent("consent-expired-treat")
    assert visible(pack, U1, "TREAT", expired) == visible(pack, U1, "TREAT")
    assert visible(pack, U1, "TREAT", expired, now=LAST_EVENING) == "ABCDE"
