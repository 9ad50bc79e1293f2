"""Policy tests judged: every case of `policies/<pack>/tests/*.yaml` through the engine that serves (PDP). Pure.

A case becomes the values that a request would have brought: a Principal, what it is for FHIR resources, the patients'
memberships and Consents, an Envelope. `open_case`, `decide_request` and `decide_resource` then answer as they always do.
What is not listed as expected is expected to be denied (`proxy.policy.cases`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC
from types import MappingProxyType

from proxy.decision.case import CompiledPolicies, compile_policies, open_case
from proxy.decision.decide import decide_request, decide_resource
from proxy.decision.model import Decision, Verdict
from proxy.decision.supposed import (
    CALLERS,
    DELEGATOR,
    authors_of,
    facts_of,
    grants_of,
    references_of,
)
from proxy.errors import Finding
from proxy.facts.grant import holder_of
from proxy.facts.model import (
    ActorClosure,
    Facts,
)
from proxy.fhir.coding import Coding, Effect, system_of
from proxy.fhir.dates import interval_of
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy import cases as written
from proxy.policy.model import PolicySet
from proxy.policy.terms import Terms

Place = tuple[str, int]
"""File and line."""

NOW = 1_767_225_600.0
"""1 January 2026: the instant of cases that name none; only campaigns can tell it from another."""
_LIFETIME_S = 3600

_PATIENTS = ("Patient/one", "Patient/two")


def judge_cases(
    policies: PolicySet,
    cases: Sequence[written.Case],
    places: Mapping[str, Place] = MappingProxyType({}),
) -> list[Finding]:
    """Run every case; one finding for each that comes out otherwise, and for each rule that no case exercises.

    `places` are where the rules stand, by id; a rule without one is reported at the first case file.
    """
    compiled = compile_policies(policies)
    findings: list[Finding] = []
    exercised: dict[str, set[str]] = {}
    for case in cases:
        decisions = _decided(compiled, case)
        for rule_id in _decisive_rules(decisions):
            exercised.setdefault(rule_id, set()).add(case.file)
        findings.extend(_mismatch(case, decisions, policies.terms))
    fallback = (cases[0].file, 1) if cases else ("tests", 1)
    for rule in policies.rules:
        if rule.id not in exercised:
            file, line = places.get(rule.id, fallback)
            findings.append(Finding(file, line, f"rule `{rule.id}` is exercised by no test case"))
    return [*findings, *_never_outside(policies, cases, exercised)]


def _never_outside(
    policies: PolicySet, cases: Sequence[written.Case], exercised: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    """Campaigns whose cases would come out alike if they never began or ended: none is tried before and after."""
    instants: dict[str, set[float]] = {}
    for case in cases:
        instants.setdefault(case.file, set()).add(instant_of(case))
    for rule_id, campaign in sorted(policies.campaigns.items()):
        first, last = campaign.period(UTC)
        for file in sorted(exercised.get(rule_id, ())):
            if not min(instants[file]) < first or not max(instants[file]) > last:
                message = (
                    f"campaign `{campaign.id}` is tried here only from {campaign.begins} to {campaign.until}; "
                    "add to `at` a day before and a day after"
                )
                yield Finding(file, 1, message)


def instant_of(case: written.Case) -> float:
    """The instant at which a case is judged; a date is its first instant, in UTC."""
    stated = interval_of(case.at, UTC) if case.at else None
    return stated.start if stated else NOW


def _decisive_rules(decisions: Sequence[Decision]) -> Iterator[str]:
    """The rules that matched for certain and stand in the reasons."""
    for decision in decisions:
        for reason in decision.reasons:
            if reason.voice == "policy" and reason.verdict in (Verdict.PERMIT, Verdict.DENY):
                yield reason.source


def _decided(compiled: CompiledPolicies, case: written.Case) -> tuple[Decision, Decision]:
    """The decisions on the request and on the resource; both must permit."""
    terms = compiled.policies.terms
    principal = _principal(case, terms)
    closure = _closure(case, principal, terms)
    now = instant_of(case)
    opened = open_case(compiled, principal, closure, case.interaction, UTC, now)
    envelope = _envelope(case, closure, terms)
    named = case.consent == "named"
    facts = Facts(
        closure,
        now,
        {
            one: facts_of(
                one,
                case.principal.relationship,
                "permit" if named else case.consent,
                closure,
                named=named,
            )
            for one in envelope.patients or ()
        },
        grants_of(_PATIENTS, case.principal.relationship, holder_of(principal), now),
    )
    return (
        decide_request(opened, case.resource.type, granted=bool(facts.grants)),
        decide_resource(opened, envelope, facts),
    )


def _principal(case: written.Case, terms: Terms) -> Principal:
    one, rtype = case.principal, case.resource.type
    itself = "self" in one.relationship
    return Principal(
        issuer="test case",
        subject=case.principal_name,
        client_id=one.client or "test-case",
        token_id="test-case",  # noqa: S106  (the id of a token, no token)
        kind=PrincipalKind(one.kind),
        # Scopes are a ceiling that policy cases do not test: all that can be granted, the type by name.
        scopes=parse_scopes(f"user/*.cruds system/*.cruds user/{rtype}.cruds"),
        expires_at=instant_of(case) + _LIFETIME_S,
        fhir_user=_PATIENTS[0] if itself else CALLERS[one.kind],
        roles=frozenset().union(*(terms.role(name) for name in one.role)),
        purposes=frozenset({str(one.purpose)} if one.purpose else ()),
        on_behalf_of=DELEGATOR if "delegate" in one.relationship else None,
    )


def _closure(case: written.Case, principal: Principal, terms: Terms) -> ActorClosure:
    types = (terms.organization_type(name) for name in case.principal.organization_type)
    return ActorClosure(
        references=references_of(principal.fhir_user, case.principal.relationship),
        roles=principal.roles,
        organization_types=frozenset().union(*types),
    )


def _envelope(case: written.Case, closure: ActorClosure, terms: Terms) -> Envelope:
    resource = case.resource
    return Envelope(
        type=resource.type,
        id="case",
        version="1",
        last_updated="2026-01-01T00:00:00Z",
        labels=frozenset(_as_written(label, terms) for label in resource.label),
        patients=frozenset(_PATIENTS[: resource.patients]),
        authors=authors_of(case.principal.relationship, closure),
        date="",
        codes=frozenset(_as_written(code, terms) for code in resource.code),
        profiles=frozenset(),
    )


def _as_written(label: str, terms: Terms) -> Coding:
    """The coding of `alias#CODE` with the code spelled as the case spells it: the engine must understand it."""
    alias, _, code = label.partition("#")
    return Coding(system_of(terms.systems[alias].system), code)


def _mismatch(
    case: written.Case, decisions: tuple[Decision, Decision], terms: Terms
) -> Iterator[Finding]:
    """A finding if the case came out otherwise than expected."""
    refusing = next((one for one in decisions if not one.permits), None)
    came_out = Effect.PERMIT if refusing is None else Effect.DENY
    decisive = refusing or decisions[-1]
    if came_out is not case.effect:
        message = f"expected {case.effect.value}, got {came_out.value} ({_why(decisive)})"
        yield case.finding(message)
    elif came_out is Effect.PERMIT:
        yield from _wrong_redactions(case, decisive)
        yield from _wrong_warnings(case, decisive, terms)


def _wrong_warnings(case: written.Case, decision: Decision, terms: Terms) -> Iterator[Finding]:
    expected, told = set(map(terms.text, case.warn)), decision.obligations.warn
    if told != expected:
        message = f"expected to warn {_quoted(expected)}, got {_quoted(told)}"
        yield case.finding(f"{message} ({_why(decision)})")


def _quoted(texts: Collection[str]) -> str:
    return ", ".join(f"`{text}`" for text in sorted(texts)) or "of nothing"


def _wrong_redactions(case: written.Case, decision: Decision) -> Iterator[Finding]:
    heads = ("*", case.resource.type)
    redacted = {
        (one.operator, one.path, one.argument)
        for one in decision.obligations.redactions
        if one.path.partition(".")[0] in heads
    }
    expected = set(case.redact.entries_for(case.resource.type))
    if redacted != expected:
        message = f"expected to redact {_listed(expected)}, got {_listed(redacted)}"
        yield case.finding(f"{message} ({_why(decision)})")


def _listed(redactions: set[tuple[str, str, str]]) -> str:
    return ", ".join(f"{operator} {path}" for operator, path, _ in sorted(redactions)) or "nothing"


def _why(decision: Decision) -> str:
    """Which rules and other voices decided, each once."""
    return "; ".join(
        dict.fromkeys(
            f"{_VOICES.get(one.voice, one.voice)} `{one.source}`" if one.source else one.sentence
            for one in decision.reasons
        )
    )


_VOICES: Mapping[str, str] = MappingProxyType({"policy": "rule"})
