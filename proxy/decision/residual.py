"""What the caller's token forbids: another patient, and IHE PCF residual rules (ITI-71 §3.71.4.2.2.1.4, standards PCF-30..36).

Everything in scope is allowed; a `forbid` that matches refuses, a `permit` that matches overrides every `forbid` (PCF-31).
Elements AND, values inside one OR, order never matters, and an element is held against a resource exactly as one of a
Consent's provision is: what cannot be told matches a `forbid` and no `permit`, confidentiality is the single highest code
(X-7). A restriction that is not understood forbids everything (PCF-33). Pure, total.
"""

from collections.abc import Iterator

from proxy.decision.constraints import Question, covers_content
from proxy.decision.model import Reason, Verdict
from proxy.facts.model import ActorClosure, Provision, Restriction
from proxy.fhir.coding import Effect
from proxy.identity.principal import Principal

VOICE = "token"
_UNREAD = Restriction((), problem="the token's restrictions were not read")


def restriction_on(principal: Principal, closure: ActorClosure) -> Restriction | None:
    """What the token is kept to; one that says more than was read is not understood."""
    restricts = principal.pcf is not None or principal.patient_identifier is not None
    return closure.restriction or (_UNREAD if restricts else None)


def unhonoured(principal: Principal, closure: ActorClosure) -> Iterator[Reason]:
    """Why a token cannot be kept to, so that nothing leaves: ignoring a restriction would widen it (PCF-33, AUTH-9)."""
    restriction = restriction_on(principal, closure)
    if restriction is None:
        return
    if restriction.problem is not None:
        yield _reason(Verdict.UNKNOWN, "ihe_pcf", f"not understood: {restriction.problem}")
    if None in restriction.patients:
        yield _reason(Verdict.UNKNOWN, "patient", "whom the token was issued for cannot be told")


def forbidden(principal: Principal, patient: str, question: Question) -> Iterator[Reason]:
    """Why the token forbids a resource about one patient; nothing where it does not."""
    restriction = restriction_on(principal, question.closure)
    if restriction is None:
        return
    if any(one != patient for one in restriction.patients):
        yield _reason(Verdict.DENY, "patient", "the token was issued for another patient")
    matching = [rule for rule in restriction.rules if _matches(rule, question)]
    if not any(rule.effect is Effect.PERMIT for rule in matching):
        for rule in matching:
            yield _reason(
                Verdict.DENY, f"ihe_pcf.{rule.path}", "the token's consent rules forbid this"
            )


def _matches(rule: Provision, question: Question) -> bool:
    return covers_content(rule, question, doubt=rule.effect is Effect.DENY)


def _reason(verdict: Verdict, source: str, sentence: str) -> Reason:
    return Reason(VOICE, verdict, source, sentence)
