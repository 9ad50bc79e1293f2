"""Delegation in decisions: who acts on behalf of another is shown nothing that the other would not be shown (SEED-36)."""

from dataclasses import replace

from proxy.decision.case import Case
from proxy.decision.model import NO_OBLIGATIONS, Decision, Reason, Verdict
from proxy.fhir.coding import Effect

VOICE = "delegation"
_MOST_KEPT = 2_000
_REFUSED = Reason(
    VOICE, Verdict.DENY, "", "the one on whose behalf the caller acts would not be shown this"
)


def within(case: Case, own: Decision, theirs: Decision) -> Decision:
    """The permit of a caller, within what the one behind it is permitted; the very same for the same two decisions."""
    key = (id(own), id(theirs))
    known = case.within.get(key)
    if known is not None:
        return known[2]
    decision = _joined(own, theirs) if theirs.permits else _refused(own, theirs)
    if len(case.within) >= _MOST_KEPT:
        case.within.clear()
    # What the key is the identity of is held, so that nothing else can take that identity.
    case.within[key] = (own, theirs, decision)
    return decision


def _joined(own: Decision, theirs: Decision) -> Decision:
    """Both permit: what either is obliged to holds."""
    return replace(
        own,
        obligations=own.obligations | theirs.obligations,
        consents=own.consents | theirs.consents,
        whose=own.whose | theirs.whose,
    )


def _refused(own: Decision, theirs: Decision) -> Decision:
    """The other would be refused, and so is the caller; no policy about the caller changes that."""
    return replace(
        own,
        effect=Effect.DENY,
        reasons=(_REFUSED, *theirs.reasons),
        obligations=NO_OBLIGATIONS,
        consents=own.consents | theirs.consents,
        whose=own.whose | theirs.whose,
        evidence=tuple(replace(one, barred=True) for one in own.evidence),
    )
