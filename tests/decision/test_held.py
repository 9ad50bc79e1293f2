import pytest

from proxy.decision.held import decide_held
from proxy.decision.model import Decision, Obligations, Reason, Redaction, Verdict
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope
from tests.situations import envelope_of

NO = Reason("label", Verdict.DENY, "masked")
PERMIT = Decision(Effect.PERMIT, confidentiality="N", consents=frozenset({"Consent/a"}))
DECISIONS = {
    "N": PERMIT,
    "R": Decision(Effect.PERMIT, confidentiality="R", consents=frozenset({"Consent/b"})),
    "deny": Decision(Effect.DENY, (NO,)),
    "*": Decision(Effect.PERMIT, (), Obligations(frozenset({Redaction("remove", "*.text")}))),
    "own": Decision(
        Effect.PERMIT, (), Obligations(frozenset({Redaction("cut", "Observation.note[0]")}))
    ),
    "of others": Decision(
        Effect.PERMIT,
        (),
        Obligations(frozenset({Redaction("remove", "Patient.name")})),
        confidentiality="N",
    ),
}

CASES = [
    (["N"], True, "N"),
    (["N", "R"], True, "R"),
    (["R", "N"], True, "R"),
    (["N", "deny"], False, ""),
    (["deny", "R"], False, ""),
    (["*"], False, ""),
    (["own"], False, ""),
    (["N", "own"], False, ""),
]


@pytest.mark.parametrize(("holders", "permitted", "confidentiality"), CASES)
def test_a_binary_leaves_where_every_document_that_holds_it_does(
    holders: list[str], permitted: bool, confidentiality: str
) -> None:
    def decide(holder: Envelope) -> Decision:
        return DECISIONS[holder.last_updated]

    documents = (envelope_of({"meta": {"lastUpdated": one}}) for one in holders)
    decision = decide_held(envelope_of({}).held_by(tuple(documents)), decide)
    assert decision.permits is permitted
    assert decision.confidentiality == confidentiality
    if permitted:
        assert len(decision.consents) == len(holders)
    else:
        assert decision.reasons


def test_what_is_redacted_in_other_types_hides_no_binary() -> None:
    document = envelope_of({"meta": {"lastUpdated": "of others"}})
    decision = decide_held(envelope_of({}).held_by((document,)), lambda _: DECISIONS["of others"])
    assert decision.permits


def test_contents_are_judged_in_their_own_right_too() -> None:
    def decide(judged: Envelope) -> Decision:
        assert judged.labels == labels
        return DECISIONS["deny" if judged.type == "Binary" else "N"]

    document = envelope_of({"meta": {"security": [{"system": "s", "code": "c"}]}})
    labels = document.labels
    binary = envelope_of({"resourceType": "Binary", "id": "b"}).held_by((document,))
    decision = decide_held(binary, decide)
    assert (decision.permits, decision.reasons) == (False, (NO,))


def test_what_is_held_leaves_with_all_that_its_holders_were_decided_by() -> None:
    notified = Obligations(notify=frozenset({("patient", "a")}))
    warned = Obligations(notify=frozenset({("privacy-officer", "b")}))
    whose = [frozenset({(f"Patient/{one}", f"Consent/{one}")}) for one in "ab"]
    reasons = [Reason("policy", Verdict.PERMIT, one) for one in "ab"]
    of_each = [
        Decision(Effect.PERMIT, (reasons[0],), notified, whose=whose[0]),
        Decision(Effect.PERMIT, (reasons[1],), warned, whose=whose[1]),
    ]
    documents = tuple(
        envelope_of({"meta": {"lastUpdated": str(number)}}) for number in range(len(of_each))
    )
    binary = envelope_of({}).held_by(documents)
    decision = decide_held(binary, lambda holder: of_each[int(holder.last_updated)])
    assert set(reasons) <= set(decision.reasons)
    assert decision.obligations == notified | warned
    assert decision.whose == whose[0] | whose[1]
