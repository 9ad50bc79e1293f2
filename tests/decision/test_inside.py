"""Bundles are decided as everything in them: laws over arbitrary decisions."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.inline import CUT
from proxy.decision.inside import decide_inside
from proxy.decision.model import Decision, Obligations, Reason, Redaction, Verdict
from proxy.fhir.coding import Effect
from proxy.fhir.envelope import Envelope

NONE: frozenset[str] = frozenset()


def envelope(name: str, *inside: Envelope) -> Envelope:
    return Envelope(
        "Bundle" if inside else "Observation", name, "", "", frozenset(), NONE, NONE, "", frozenset(), NONE, inside=inside
    )  # fmt: skip


DENY = Decision(Effect.DENY, (Reason("policy", Verdict.DENY, "r", "no"),))
PERMIT = Decision(
    Effect.PERMIT, (Reason("policy", Verdict.PERMIT, "r", "yes"),), confidentiality="N"
)
HIGH = Decision(Effect.PERMIT, (Reason("policy", Verdict.PERMIT, "s", "yes"),), confidentiality="R")
CUTTING = Decision(
    Effect.PERMIT,
    (),
    Obligations(redactions=frozenset({Redaction(CUT, "Patient.telecom[0]", "")})),
)
DECISIONS = st.sampled_from([DENY, PERMIT, HIGH, CUTTING])


def decided(by: Mapping[str, Decision], *names: str) -> Decision:
    whole = envelope("b", *map(envelope, names))
    return decide_inside(whole, lambda one: by[one.id])


@given(DECISIONS, st.lists(DECISIONS, min_size=1, max_size=4))
def test_it_is_permitted_only_where_it_and_all_in_it_are_and_nothing_is_altered(
    own: Decision, inner: list[Decision]
) -> None:
    by = {"b": own} | {str(n): one for n, one in enumerate(inner)}
    found = decided(by, *(str(n) for n in range(len(inner))))
    every = [own, *inner]
    assert found.permits == all(one.permits and one is not CUTTING for one in every)


@given(st.lists(st.sampled_from([PERMIT, HIGH]), min_size=1, max_size=4))
def test_it_is_as_confidential_as_the_most_confidential_in_it(inner: list[Decision]) -> None:
    by = {"b": PERMIT} | {str(n): one for n, one in enumerate(inner)}
    found = decided(by, *(str(n) for n in range(len(inner))))
    assert found.confidentiality == ("R" if HIGH in inner else "N")


def test_what_may_be_redacted_in_it_is_an_obligation_and_no_refusal_yet() -> None:
    redaction = Redaction("remove", "Patient.telecom")
    redacting = Decision(Effect.PERMIT, (), Obligations(frozenset({redaction})))
    found = decided({"b": PERMIT, "o": redacting}, "o")
    assert found.permits
    assert found.obligations.redactions == {redaction}


def test_the_bundle_itself_is_judged_without_its_content() -> None:
    judged: list[Envelope] = []

    def decide(one: Envelope) -> Decision:
        judged.append(one)
        return PERMIT

    decide_inside(envelope("b", envelope("o")), decide)
    assert [(one.id, one.inside) for one in judged] == [("b", ()), ("o", ())]
