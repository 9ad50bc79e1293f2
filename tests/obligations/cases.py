"""Cases for tests of obligations: one permitting rule and its redactions, one principal, no facts."""

import json
from datetime import UTC
from typing import Any

from proxy.decision.case import Case, compile_policies, open_case
from proxy.facts.model import ActorClosure
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import FhirRequest, RawRequest
from proxy.fhir.search import request_of
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.labels import Labels
from proxy.policy.model import PolicySet, Rule
from proxy.policy.terms import Terms

DEFINITIONS = definitions_of("4.0.1")
TERMS = Terms(systems={}, roles={})
LABELS = Labels(TERMS, {}, (), frozenset(), frozenset())


def case_of(
    *rules: dict[str, Any],
    scopes: str = "user/*.rs",
    patient: str | None = None,
    universal: frozenset[str] = frozenset(),
) -> Case:
    read = tuple(
        Rule.model_validate_json(json.dumps({"id": f"r{n}", "effect": "permit", **rule}))
        for n, rule in enumerate(rules)
    )
    policies = PolicySet(
        policies=(), rules=read, sources={}, universal=universal, unlabelled="N", refusal="hide", combine="deny-wins",
        default_purpose={}, terms=TERMS, labels=LABELS, matrix=None, digest="d", places={},
    )  # fmt: skip
    principal = Principal(
        issuer="i", subject="s", client_id="c", token_id="t", kind=PrincipalKind.PRACTITIONER,
        scopes=parse_scopes(scopes), expires_at=1.0, patient=patient, purposes=frozenset({"TREAT"}),
    )  # fmt: skip
    return open_case(compile_policies(policies), principal, ActorClosure(), "search-type", UTC)


def search(target: str) -> FhirRequest:
    raw = RawRequest("GET", f"/{target}", {}, b"", "r")
    return request_of(raw, "", "http://here", DEFINITIONS)
