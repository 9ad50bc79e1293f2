"""Handling instructions on a resource: fulfilled for this caller, or a reason to deny (HCS handling caveats; LBL-19).

label is an instruction | stated in labels.yaml | some fulfilment fits the caller | so
no                      | –                     | –                                | nothing to do
yes                     | no                    | –                                | unknown, which denies
yes                     | yes                   | no                               | unknown, which denies
yes                     | yes                   | yes                              | its redactions and warnings are obliged
Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.decision.case import Case
from proxy.decision.model import NO_OBLIGATIONS, Obligations, Reason, Redaction, Verdict
from proxy.fhir.coding import Coding
from proxy.policy.handling import BINDING, Agreement, Fulfilment, instruction


@dataclass(frozen=True, slots=True)
class Handled:
    """What the instructions come to: those that are not fulfilled, and what must be done for the others."""

    unmet: tuple[Reason, ...]
    obligations: Obligations


NOTHING = Handled((), NO_OBLIGATIONS)


def handle(labels: frozenset[Coding], case: Case, consent: frozenset[str]) -> Handled:
    """The instructions among normalised labels. `consent`: what the patient's Consents count as (`About.consent`)."""
    found = sorted(filter(None, map(instruction, labels)))
    if not found:
        return NOTHING
    unmet, obligations = [], NO_OBLIGATIONS
    for label in found:
        by = next(_fitting(label, case, consent), None)
        if by is None:
            unmet.append(_unmet(label))
        else:
            obligations |= _obligations(label, by, case)
    return Handled(tuple(unmet), obligations)


def untold(obligations: Obligations, labels: frozenset[Coding], case: Case) -> Obligations:
    """The obligations without the patient's notices, where a label says that the patient's record must not tell of this (CSP R1111-50)."""
    if not obligations.notify or labels.isdisjoint(case.compiled.policies.labels.untold):
        return obligations
    kept = frozenset(one for one in obligations.notify if one[0] != "patient")
    return replace(obligations, notify=kept)


def redactable(case: Case) -> frozenset[Redaction]:
    """What instructions may take out of resources for this caller."""
    return frozenset(
        Redaction(*entry)
        for alternatives in case.compiled.policies.labels.handling.values()
        for by in alternatives
        if by.agreement is None or _has_agreed(by.agreement, case)
        for entry in by.redact.entries()
    )


def conveyed(case: Case) -> frozenset[str]:
    """What a reader may have to be told with any resource that leaves under this case."""
    terms, handling = case.compiled.policies.terms, case.compiled.policies.labels.handling
    by_label = {
        terms.text(by.warn) for alternatives in handling.values() for by in alternatives if by.warn
    }
    return frozenset(by_label).union(*(one.rule.obligations.warn for one in case.permits))


def _unmet(label: Coding) -> Reason:
    sentence = "a handling instruction that the house does not fulfil for this caller"
    return Reason("label", Verdict.UNKNOWN, f"{label.system}#{label.code}", sentence)


def _fitting(label: Coding, case: Case, consent: frozenset[str]) -> Iterator[Fulfilment]:
    """The fulfilments that hold for this caller and these Consents."""
    for by in case.compiled.policies.labels.handling.get(label, ()):
        agreed = by.agreement is None or _has_agreed(by.agreement, case)
        if agreed and (by.consent is None or by.consent in consent):
            yield by


def _has_agreed(agreement: Agreement, case: Case) -> bool:
    """Whether the caller is one of those who agreed; what cannot be told of the caller is no agreement."""
    if agreement.client and case.principal.client_id not in agreement.client:
        return False
    terms = case.compiled.policies.terms
    types = frozenset().union(*map(terms.organization_type, agreement.organization_type))
    return not types or not types.isdisjoint(case.closure.organization_types)


def _obligations(label: Coding, by: Fulfilment, case: Case) -> Obligations:
    return Obligations(
        redactions=frozenset(Redaction(*entry) for entry in by.redact.entries()),
        warn=frozenset({case.compiled.policies.terms.text(by.warn)} if by.warn else ()),
        binds=frozenset({label} if label.code in BINDING else ()),
    )
