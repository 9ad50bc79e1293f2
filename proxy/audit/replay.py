"""Replay: recorded decisions made again, under two sets of policies, from the evidence in the journal (PAP).

Both sets judge the same supposed facts through the engine that serves, so that what differs is the policies alone. What
no policy can answer stays as it is: a token that does not cover the request, a patient who cannot be told, a Consent.
Laws: (1) a set differs from itself in nothing; (2) what the token barred is never reported as opened. Pure.

Limit: codes for which the old set did not look in a resource are not in the evidence, so that a new labelling rule is
replayed only for codes that were seen; a Consent's verdict is the recorded one, even where labels changed; of what leaves
together and was denied, the evidence is that of the part which denied.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC

from proxy.audit.entry import Actor, Entry, Evidence, Judged
from proxy.decision.case import Case, CompiledPolicies, open_case
from proxy.decision.decide import decide_request, decide_resource
from proxy.decision.joint import permitted_together
from proxy.decision.model import Decision
from proxy.decision.supposed import (
    CALLERS,
    DELEGATOR,
    authors_of,
    facts_of,
    grants_of,
    references_of,
)
from proxy.facts.grant import BREAK_GLASS_TIE, Grant, holder_of
from proxy.facts.model import ActorClosure, Facts
from proxy.fhir.coding import Coding
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes

_AUTHORSHIP = frozenset({"author", "author-organization"})
_BEYOND_POLICY = frozenset({"scope", "token", "patient"})
"""Voices that no policy answers, where nothing else was heard."""
ADMITTED = "admitted"
"""The effect where a request that was refused would go up: its resources were never seen."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a set of policies decides: effect, what is redacted, and the rules or voices that say so."""

    effect: str
    redacted: tuple[tuple[str, str, str], ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded decision that comes out otherwise. `resources`: how many shared it."""

    entry_id: str
    recorded: float
    kind: str
    roles: tuple[str, ...]
    interaction: str
    type: str
    resources: int
    old: Outcome
    new: Outcome


def changes(
    entries: Iterable[Entry], old: CompiledPolicies, new: CompiledPolicies
) -> Iterator[Change]:
    """Every recorded decision on which the two sets differ, in the order of the journal."""
    for entry in entries:
        for index, judged in enumerate(entry.decisions):
            if _is_bound(judged):
                continue
            before, after = (_replayed(entry, judged, one) for one in (old, new))
            if (before.effect, before.redacted) != (after.effect, after.redacted):
                yield _change(entry, index, before, after)


def _is_bound(judged: Judged) -> bool:
    """Whether no policy could have decided otherwise, or too little is known to say."""
    if any(one.barred for one in judged.evidence):
        return True
    return not judged.evidence and any(voice in _BEYOND_POLICY for voice, *_ in judged.reasons)


def _change(entry: Entry, index: int, before: Outcome, after: Outcome) -> Change:
    shared = [one for one in entry.touched if one.decision == index]
    evidence = entry.decisions[index].evidence
    return Change(
        entry_id=entry.id,
        recorded=entry.recorded,
        kind=entry.actor.kind,
        roles=tuple(sorted({code for _, code in (*entry.actor.roles, *entry.standing.roles)})),
        interaction=entry.interaction,
        type=evidence[0].type if evidence else entry.type,
        resources=sum(len(one.references) for one in shared),
        old=before,
        new=after,
    )


def _replayed(entry: Entry, judged: Judged, compiled: CompiledPolicies) -> Outcome:
    """What a set of policies decides from the evidence of one recorded decision."""
    evidence = judged.evidence
    told = _together(evidence)
    rtype = evidence[0].type if evidence else entry.type
    closure = _closure(entry, told)
    principal = _principal(entry, rtype, told)
    case = open_case(compiled, principal, closure, entry.interaction, UTC, entry.recorded)
    admission = decide_request(case, rtype, granted=BREAK_GLASS_TIE in told)
    if not admission.permits:
        return _outcome(admission)
    if not evidence:
        return replace(_outcome(admission), effect=ADMITTED)
    forms = _forms(evidence)
    decisions = [_resource(case, closure, form, entry.recorded) for form in forms]
    denied = next((one for one in decisions if not one.permits), None)
    return _outcome(denied or permitted_together(decisions))


def _forms(evidence: tuple[Evidence, ...]) -> list[tuple[Evidence, ...]]:
    """The evidence resource by resource: what leaves together (a Binary and its documents, a Bundle) is judged one by one."""
    forms: dict[tuple[object, ...], list[Evidence]] = {}
    for one in evidence:
        forms.setdefault((one.type, one.labels, one.codes), []).append(one)
    return [tuple(form) for form in forms.values()]


def _resource(
    case: Case, closure: ActorClosure, evidence: tuple[Evidence, ...], now: float
) -> Decision:
    patients = {one.patient: one for one in evidence if one.patient}
    facts = {
        patient: facts_of(patient, one.relationships, one.consent, closure, named=one.named)
        for patient, one in patients.items()
    }
    first = evidence[0]
    envelope = Envelope(
        type=first.type,
        id="replayed",
        version="",
        last_updated="",
        labels=_codings(first.labels),
        patients=frozenset(patients),
        authors=authors_of(_together(evidence) & _AUTHORSHIP, closure),
        date="",
        codes=_codings(first.codes),
        profiles=frozenset(),
    )
    holder, grants = holder_of(case.principal), dict[str, Grant]()
    for patient, one in patients.items():
        grants |= grants_of((patient,), one.relationships, holder, now)
    return decide_resource(case, envelope, Facts(closure, now, facts, grants))


def _together(evidence: tuple[Evidence, ...]) -> frozenset[str]:
    """The relationships of all patients together: what concerns the caller and the resource is in each of them."""
    return frozenset().union(*(one.relationships or () for one in evidence))


def _principal(entry: Entry, rtype: str, told: frozenset[str]) -> Principal:
    actor = entry.actor
    return Principal(
        issuer=actor.issuer,
        subject=actor.subject,
        client_id=actor.client_id,
        token_id=actor.token_id,
        kind=PrincipalKind(actor.kind),
        # What the token covered was decided when it was recorded; here it is no ceiling.
        scopes=parse_scopes(f"user/*.cruds system/*.cruds user/{rtype}.cruds"),
        expires_at=entry.recorded,
        fhir_user=_reference_of(actor, entry, told),
        roles=_codings(actor.roles),
        purposes=frozenset(actor.purposes),
        on_behalf_of=DELEGATOR if "delegate" in told or actor.on_behalf_of else None,
    )


def _reference_of(actor: Actor, entry: Entry, told: frozenset[str]) -> str:
    """Who the caller is; one who was the patient is that patient."""
    if "self" in told:
        own = next((p for one in entry.decisions for p in _own(one)), "")
        return own or actor.fhir_user
    return actor.fhir_user or CALLERS[actor.kind]


def _own(judged: Judged) -> Iterator[str]:
    for one in judged.evidence:
        if "self" in (one.relationships or ()):
            yield one.patient


def _closure(entry: Entry, told: frozenset[str]) -> ActorClosure:
    caller = _reference_of(entry.actor, entry, told)
    return ActorClosure(
        references=references_of(caller, told),
        roles=_codings((*entry.actor.roles, *entry.standing.roles)),
        organization_types=_codings(entry.standing.organization_types),
    )


def _codings(pairs: Iterable[tuple[str, str]]) -> frozenset[Coding]:
    return frozenset(Coding(system, code) for system, code in pairs)


def _outcome(decision: Decision) -> Outcome:
    redacted = sorted(
        (one.operator, one.path, one.argument) for one in decision.obligations.redactions
    )
    why = dict.fromkeys(
        one.source if one.voice == "policy" and one.source else one.voice
        for one in decision.reasons
    )
    return Outcome(decision.effect.value, tuple(redacted), tuple(why))
