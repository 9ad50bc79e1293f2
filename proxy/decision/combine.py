"""The combining rule: the verdicts of all voices become one Decision (decisions §2).

any unknown | any deny not lifted | any permit | Decision
yes         | –                   | –          | deny
no          | yes                 | –          | deny
no          | no                  | yes        | permit, with the union of obligations
no          | no                  | no         | deny
"""

from dataclasses import dataclass

from proxy.decision.model import NO_OBLIGATIONS, Decision, Evidence, Obligations, Reason, Verdict
from proxy.decision.rules import Standing
from proxy.fhir.coding import Effect


@dataclass(frozen=True, slots=True)
class Voices:
    """The verdicts about one patient, before they are combined."""

    unknown: tuple[Reason, ...]
    denies: tuple[tuple[str, bool, Reason], ...]
    """(tag, absolute, reason)."""
    permits: tuple[Standing, ...]
    consents: frozenset[str] = frozenset()
    heard: tuple[Reason, ...] = ()
    """Reasons of Consents that neither deny nor are unknown."""
    evidence: tuple[Evidence, ...] = ()
    handling: Obligations = NO_OBLIGATIONS
    """What the labels' own handling instructions oblige to."""


def reason_of(one: Standing) -> Reason:
    """Why a rule speaks: its id and what it says."""
    verdicts = {(Effect.PERMIT, True): Verdict.PERMIT, (Effect.DENY, True): Verdict.DENY}
    return Reason(
        "policy",
        verdicts.get((one.rule.effect, one.certain), Verdict.UNKNOWN),
        one.rule.id,
        one.rule.sentence,
    )


def combine(voices: Voices) -> Decision:
    """The truth table of the module's head, read aloud."""
    lifts = frozenset().union(*(one.rule.lifts for one in voices.permits))
    denied = tuple(
        reason for tag, absolute, reason in voices.denies if absolute or tag not in lifts
    )
    permitting = tuple(reason_of(one) for one in voices.permits)
    if voices.unknown:
        return Decision(Effect.DENY, (*voices.unknown, *denied), consents=voices.consents)
    if denied:
        return Decision(Effect.DENY, denied, consents=voices.consents)
    if permitting:
        lifted = tuple(reason for _, _, reason in voices.denies)
        reasons = (*permitting, *voices.heard, *lifted)
        return Decision(Effect.PERMIT, reasons, _obligations(voices), voices.consents)
    silence = Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this")
    return Decision(Effect.DENY, (silence, *voices.heard), consents=voices.consents)


def _obligations(voices: Voices) -> Obligations:
    joined = voices.handling
    for one in voices.permits:
        joined |= one.rule.obligations
    return joined


def joined_of(decisions: list[Decision], patients: list[str]) -> Decision:
    """The voices of every patient must permit (decisions §3); one decision a patient, in their order."""
    if len(decisions) == 1:
        return decisions[0]
    of_each = zip(patients, decisions, strict=True)
    denied = [decision for decision in decisions if not decision.permits]
    chosen = denied or decisions
    obligations = NO_OBLIGATIONS
    for decision in decisions:
        obligations |= decision.obligations
    return Decision(
        effect=Effect.DENY if denied else Effect.PERMIT,
        reasons=tuple(reason for decision in chosen for reason in decision.reasons),
        obligations=NO_OBLIGATIONS if denied else obligations,
        consents=frozenset().union(*(decision.consents for decision in decisions)),
        whose=frozenset((patient, one) for patient, each in of_each for one in each.consents),
    )
