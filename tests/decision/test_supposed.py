"""Supposed facts make the relationships and verdicts that were wanted, as the engine itself reads them."""

from itertools import product

import pytest

from proxy.decision.supposed import CALLERS, DELEGATOR, authors_of, facts_of, references_of
from proxy.facts.model import ActorClosure
from proxy.facts.relationship import relationships_of
from tests.situations import DOCTOR, principal_of
from tests.stage import NOW

CALLER = CALLERS["practitioner"]
PRINCIPAL = principal_of(CALLER, DOCTOR, "TREAT")
ME = ActorClosure(references=frozenset({CALLER}))
TIES = ["care-team", "general-practitioner", "guardian", "trusted-person"]


@pytest.mark.parametrize("wanted", [[], *([tie] for tie in TIES), TIES])
def test_wanted_ties_are_read_as_relationships(wanted: list[str]) -> None:
    facts = facts_of("Patient/one", wanted, "none", ME)
    assert relationships_of(facts, ME, PRINCIPAL, NOW) == frozenset(wanted)


def test_ties_that_are_unknown_stay_unknown() -> None:
    facts = facts_of("Patient/one", None, "none", ME)
    assert relationships_of(facts, ME, PRINCIPAL, NOW) is None


@pytest.mark.parametrize(("consent", "named"), list(product(["permit", "deny"], [True, False])))
def test_a_wanted_consent_says_so_and_names_the_caller_where_wanted(
    consent: str, *, named: bool
) -> None:
    [directive] = facts_of("Patient/one", [], consent, ME, named=named).directives or ()
    assert directive.base.value == consent
    assert {actor.reference for actor in directive.root.actors} == ({CALLER} if named else set())


def test_no_consent_and_an_unknown_one_are_two_things() -> None:
    assert facts_of("Patient/one", [], "none", ME).directives == ()
    assert facts_of("Patient/one", [], "unknown", ME).directives is None


def test_a_delegate_is_told_by_whom_it_acts_for() -> None:
    [tie] = facts_of("Patient/one", ["delegate"], "none", ME).memberships or ()
    assert tie.actor.reference == DELEGATOR


@pytest.mark.parametrize(
    ("relationships", "authors"),
    [
        ([], set()),
        (["author"], {CALLER}),
        (["author-organization"], {"Organization/employer"}),
        (["author", "author-organization"], {CALLER, "Organization/employer"}),
    ],
)
def test_an_author_is_the_person_or_the_organisation_or_both(
    relationships: list[str], authors: set[str]
) -> None:
    closure = ActorClosure(references=references_of(CALLER, relationships))
    assert authors_of(relationships, closure) == authors
