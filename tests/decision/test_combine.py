"""The truth table of the combining rule, row by row and for every mixture (decisions §2)."""

from itertools import product

import pytest

from proxy.decision.case import compile_policies
from proxy.decision.combine import Voices, combine, joined_of, reason_of
from proxy.decision.model import Decision, Obligations, Reason, Redaction, Verdict
from proxy.decision.rules import Standing, compile_rule
from proxy.fhir.coding import Effect
from proxy.policy.model import Rule
from tests.situations import BASELINE

PERMIT = Rule.model_validate_json(
    '{"id": "reads", "effect": "permit", "target": {"purpose": ["TREAT"]}, "lifts": ["mask"], '
    '"redact": {"remove": ["Patient.telecom"]}, "notify": ["patient"]}'
)
STANDING = Standing(compile_rule(PERMIT, compile_policies(BASELINE).policies), certain=True)
DOUBT = Reason("label", Verdict.UNKNOWN, "x#y")
REFUSED = Reason("policy", Verdict.DENY, "masked")

DENIES = {
    "none": (),
    "lifted": (("mask", False, REFUSED),),
    "not lifted": (("other", False, REFUSED),),
    "absolute": (("mask", True, REFUSED),),
}


@pytest.mark.parametrize(
    ("unknown", "denies", "permits"), list(product([False, True], DENIES, [False, True]))
)
def test_every_row_of_the_table(*, unknown: bool, denies: str, permits: bool) -> None:
    asked = frozenset({"Consent/c"})
    permitting = (STANDING,) if permits else ()
    decision = combine(Voices((DOUBT,) if unknown else (), DENIES[denies], permitting, asked))
    expected = not unknown and permits and denies in ("none", "lifted")
    assert decision.permits is expected
    assert decision.effect is (Effect.PERMIT if expected else Effect.DENY)
    assert decision.consents == asked
    assert bool(decision.obligations.redactions) is expected
    assert decision.reasons


def test_what_was_lifted_is_shown_beside_what_lifts_it() -> None:
    decision = combine(Voices((), DENIES["lifted"], (STANDING,)))
    assert decision.reasons == (reason_of(STANDING), REFUSED)


def test_silence_denies_and_says_so() -> None:
    decision = combine(Voices((), (), ()))
    silence = Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this")
    assert decision == Decision(Effect.DENY, (silence,))


def test_an_uncertain_rule_is_an_unknown_reason() -> None:
    assert reason_of(Standing(STANDING.rule, certain=False)).verdict is Verdict.UNKNOWN
    assert reason_of(STANDING) == Reason("policy", Verdict.PERMIT, "reads", STANDING.rule.sentence)


ONE = Decision(
    Effect.PERMIT, obligations=Obligations(frozenset({Redaction("remove", "Patient.name")}))
)
OTHER = Decision(
    Effect.PERMIT,
    obligations=Obligations(
        frozenset({Redaction("mask", "Patient.name")}), frozenset({("patient", "reads")})
    ),
    consents=frozenset({"Consent/c"}),
)
NO = Decision(Effect.DENY, (REFUSED,))


def test_two_patients_both_permit_with_the_obligations_of_both() -> None:
    joined = joined_of([ONE, OTHER], ["Patient/a", "Patient/b"])
    assert joined.permits
    assert joined.obligations == ONE.obligations | OTHER.obligations
    assert joined.consents == {"Consent/c"}
    assert joined.whose == {("Patient/b", "Consent/c")}


def test_two_patients_permit_with_the_reasons_of_both() -> None:
    both = [Decision(Effect.PERMIT, (reason,)) for reason in (REFUSED, DOUBT)]
    assert joined_of(both, ["Patient/a", "Patient/b"]).reasons == (REFUSED, DOUBT)


@pytest.mark.parametrize("decisions", [[ONE, NO], [NO, ONE], [NO, NO]])
def test_two_patients_of_whom_one_does_not_permit(decisions: list[Decision]) -> None:
    joined = joined_of(decisions, ["Patient/a", "Patient/b"])
    assert not joined.permits
    assert set(joined.reasons) == {REFUSED}
    assert joined.obligations == Obligations()
