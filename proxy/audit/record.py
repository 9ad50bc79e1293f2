"""Record: what is learnt of one request while it is answered, until it becomes its journal Entry.

The one mutable value of the flow. Nothing is taken away from it: a failure half-way leaves what was known (BALP-16).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias

from proxy.audit.entry import (
    Actor,
    Entry,
    Evidence,
    GrantAct,
    GrantNote,
    Judged,
    Notice,
    Standing,
    Touched,
)
from proxy.decision import model as decision_model
from proxy.decision.case import Case
from proxy.decision.model import Decision
from proxy.errors import ProxyError
from proxy.facts.finding import FindingKind
from proxy.facts.grant import Grant
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import FhirRequest, RawRequest
from proxy.identity.principal import Principal

LONGEST_TARGET = 8192
"""Characters of target and form that are kept; longer ones are cut (a URL of a megabyte is an attack on the journal)."""


MOST_FINDINGS = 100
"""Findings of one request that are kept."""

LEFT = frozenset({"disclosed", "redacted"})
"""What became of a resource that leaves."""

TOLD_OF = LEFT | {"consulted"}
"""What became of a resource that the answer tells something of: one that is counted, or that a chain led through, does not leave."""

_Fate: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...], int]
"""(outcome, patients, redacted paths, index of the decision)."""


NO_STANDING = Standing()

_ASKED_BY_BODY = re.compile(r"/(?:_search|\$[A-Za-z-]+)\Z")
"""Paths at which a body is part of the question. Any other body is a resource: patient data, which the journal does not keep."""


def words_of(raw: RawRequest) -> str:
    """The body of a request as the journal keeps it."""
    return raw.body[:LONGEST_TARGET].decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Record:
    """The record of one request under way."""

    id: str
    recorded: float
    raw: RawRequest
    policy_digest: str = ""
    request: FhirRequest | None = None
    principal: Principal | None = None
    error: ProxyError | None = None
    standing: Standing = NO_STANDING
    judged: list[Judged] = field(default_factory=list)
    touched: dict[_Fate, list[str]] = field(default_factory=dict)
    """References of resources by what became of them."""
    notices: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why somebody is to be told, by recipient and patient."""
    _due: dict[tuple[str, str], str] = field(default_factory=dict)
    """Notices that the resources oblige; they count if an answer is given at all."""
    warned: set[str] = field(default_factory=set)
    """What the reader is told with what leaves."""
    grants: list[GrantNote] = field(default_factory=list)
    """Grants that this request opened, ended or reviewed."""
    findings: dict[tuple[str, str], None] = field(default_factory=dict)
    """(kind, what it is about), each once."""
    _used: dict[str, Grant] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[str, ...]], tuple[int, Decision]] = field(default_factory=dict)
    """By identity: decisions of one request are memoised, and hashing one reads all its reasons."""

    def decide(self, decision: Decision, patients: tuple[str, ...] = ()) -> int:
        """Keeps a decision once; gives its index."""
        key = (id(decision), patients)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (len(self.judged), decision)
            self.judged.append(_judged(decision, patients))
        return known[0]

    def touch(
        self,
        reference: str,
        outcome: str,
        decision: Decision | None,
        patients: tuple[str, ...],
        redacted: tuple[str, ...],
    ) -> None:
        """Notes what became of one resource."""
        self.group(outcome, decision, patients, redacted).append(reference)

    def group(
        self,
        outcome: str,
        decision: Decision | None,
        patients: tuple[str, ...],
        redacted: tuple[str, ...] = (),
    ) -> list[str]:
        """The references of the resources that fared like this; one more may be appended."""
        index = -1 if decision is None else self.decide(decision, patients)
        if decision is not None and outcome in LEFT:
            self.warned |= decision.obligations.warn
        if decision is not None and outcome in TOLD_OF:
            self.use(decision.grants)
            if decision.obligations.notify:
                self._oblige(decision, patients)
        return self.touched.setdefault((outcome, patients, redacted, index), [])

    def find(self, kind: FindingKind, about: str) -> None:
        """Notes something that was not understood; a request that meets a great many keeps the first."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings[kind.value, about[:LONGEST_TARGET]] = None

    def notify(self, recipient: str, patient: str, why: str) -> None:
        """Somebody is to be told of this request, whatever becomes of it; once a recipient and patient."""
        self.notices.setdefault((recipient, patient), why)

    def tell_once(self, told: set[tuple[str, str]]) -> None:
        """Leaves out notices that an earlier part of the same answer has given; adds those that this one gives."""
        for whom in told & self._due.keys():
            del self._due[whom]
        told.update(self._due)

    def use(self, grants: Iterable[Grant]) -> None:
        """Break-glass grants that this request needed: who is under them is told, and the privacy officer."""
        for grant in grants:
            if self._used.setdefault(grant.id, grant) is grant:
                for recipient in ("patient", "privacy-officer"):
                    self._due.setdefault((recipient, grant.patient), "break-glass-use")

    @property
    def used(self) -> tuple[Grant, ...]:
        """The grants that this request needed so far."""
        return tuple(self._used.values())

    def _granted(self, status: int) -> tuple[GrantNote, ...]:
        """What became of grants; of a request that was refused or failed, nothing did."""
        if outcome_of(status) != "permitted":
            return ()
        used = (note_of(one, GrantAct.USED) for one in self._used.values())
        return (*self.grants, *used)

    def _oblige(self, decision: Decision, patients: tuple[str, ...]) -> None:
        """The notices of a resource that leaves; where it is about nobody, no patient can be told."""
        for recipient, rule in sorted(decision.obligations.notify):
            about = patients or (() if recipient == "patient" else ("",))
            for patient in about:
                self._due.setdefault((recipient, patient), rule)

    def _noticed(self, status: int) -> tuple[Notice, ...]:
        due = self._due if outcome_of(status) == "permitted" else {}
        return tuple(Notice(*whom, why=why) for whom, why in sorted((due | self.notices).items()))

    def entry(self, status: int) -> Entry:
        """The journal entry, once the answer's status is known."""
        raw, request = self.raw, self.request
        return Entry(
            id=self.id,
            recorded=self.recorded,
            request_id=raw.request_id,
            outcome=outcome_of(status),
            status=status,
            method=raw.method[:16],
            target=raw.target[:LONGEST_TARGET],
            interaction=request.judged_as.value if request else "",
            type=request.type if request else "",
            resource_id=request.id if request else "",
            version=request.version if request else "",
            form=words_of(raw) if _ASKED_BY_BODY.search(raw.target.partition("?")[0]) else "",
            accept=raw.headers.get("accept", "")[:256],
            peer=raw.peer,
            actor=actor_of(self.principal),
            refusal=self.error.refusal.value if self.error else "",
            detail=self.error.detail if self.error else "",
            policy_digest=self.policy_digest,
            decisions=tuple(self.judged),
            touched=tuple(Touched(tuple(group), *fate) for fate, group in self.touched.items()),
            notices=self._noticed(status),
            warnings=tuple(sorted(self.warned)) if outcome_of(status) == "permitted" else (),
            standing=self.standing,
            grants=self._granted(status),
            findings=tuple(self.findings),
        )


FAILURES = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
"""What nobody decided; 501 was decided: the interaction is not served."""


def outcome_of(status: int) -> str:
    """The outcome of an answered request, by its HTTP status."""
    if status < HTTPStatus.BAD_REQUEST:
        return "permitted"
    return "failed" if status in FAILURES else "denied"


def _judged(decision: Decision, patients: tuple[str, ...]) -> Judged:
    return Judged(
        effect=decision.effect.value,
        reasons=tuple(
            (one.voice, one.verdict.value, one.source, one.sentence) for one in decision.reasons
        ),
        consents=tuple(sorted(decision.consents)),
        whose=tuple(sorted(decision.whose)),
        patients=patients,
        evidence=tuple(map(_evidence, decision.evidence)),
        grants=tuple(one.id for one in decision.grants),
    )


def _evidence(told: decision_model.Evidence) -> Evidence:
    return Evidence(
        type=told.type,
        consent=told.consent,
        patient=told.patient,
        labels=_codings(told.labels),
        codes=_codings(told.codes),
        relationships=None if told.relationships is None else tuple(sorted(told.relationships)),
        named=told.named,
        barred=told.barred,
    )


def _codings(codings: frozenset[Coding]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((one.system, one.code) for one in codings))


def standing_of(case: Case) -> Standing:
    """What the caller of a case counts as."""
    return Standing(
        roles=_codings(case.closure.roles - case.principal.roles),
        organization_types=_codings(case.closure.organization_types),
        purposes=tuple(sorted(case.purposes)),
    )


def note_of(grant: Grant, act: GrantAct, text: str = "") -> GrantNote:
    """An act on a grant, with all that the grant is."""
    holder = grant.holder
    return GrantNote(
        act=act,
        id=grant.id,
        patient=grant.patient,
        issuer=holder.issuer,
        subject=holder.subject,
        client_id=holder.client_id,
        fhir_user=holder.fhir_user,
        opened=grant.opened,
        expires=grant.expires,
        reason=grant.reason,
        text=text,
        trusted=grant.trusted,
    )


NOBODY = Actor()


def actor_of(principal: Principal | None) -> Actor:
    """The principal as recorded."""
    if principal is None:
        return NOBODY
    organization = principal.organization
    return Actor(
        issuer=principal.issuer,
        subject=principal.subject,
        client_id=principal.client_id,
        token_id=principal.token_id,
        kind=principal.kind.value,
        fhir_user=principal.fhir_user or "",
        name=principal.name or "",
        roles=tuple(sorted((role.system, role.code) for role in principal.roles)),
        purposes=tuple(sorted(principal.purposes)),
        organization=(organization.system, organization.value) if organization else ("", ""),
        organization_name=principal.organization_name or "",
        situation=principal.situation.code if principal.situation else "",
        on_behalf_of=None if principal.delegator is None else actor_of(principal.delegator),
    )
