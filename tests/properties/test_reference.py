"""The engine that the product runs agrees with a small, slow, uncached interpreter of the decision pages."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.decision.case import open_case, purposes_of
from proxy.decision.decide import Decider, decide_resource
from proxy.decision.model import Decision, Verdict
from proxy.decision.provisions import Combination, Question, consent_verdict
from proxy.facts.relationship import relationships_of
from proxy.fhir.envelope import Envelope
from tests.properties.reference import Answer, Ask, answer, consents_say, labelled, relationships
from tests.properties.scenes import World, worlds
from tests.situations import PARIS


def asked_of(world: World, envelope: Envelope, now: float) -> Ask:
    policies = world.compiled.policies
    given_ = (policies, world.principal, world.closure, world.interaction, envelope)
    return labelled(Ask(*given_, now, PARIS))


def seen(decision: Decision) -> Answer:
    redactions = decision.obligations.redactions
    return Answer(
        decision.effect,
        frozenset((one.operator, one.path, one.argument) for one in redactions),
        decision.consents,
    )


@settings(max_examples=200)
@given(world=worlds, order=st.randoms(use_true_random=False))
def test_the_engine_agrees_with_the_reference_whatever_it_was_asked_before(
    world: World, order: Random
) -> None:
    case = open_case(world.compiled, world.principal, world.closure, world.interaction, PARIS)
    asked = world.asked()
    order.shuffle(asked)
    for envelope, known, now in asked:
        facts = world.facts(known, now)
        found = answer(asked_of(world, envelope, now), facts)
        assert seen(decide_resource(case, envelope, facts)) == found
        assert seen(Decider(case, facts)(envelope)) == found


@settings(max_examples=200)
@given(world=worlds)
def test_the_voice_of_the_consents_agrees_with_the_reference(world: World) -> None:
    """Alone, so that nothing else hides a disagreement; every kept structure is asked again and again."""
    purposes = purposes_of(world.principal, world.compiled.policies)
    for envelope, known, now in world.asked():
        ask = asked_of(world, envelope, now)
        question = Question(
            world.closure, "access", purposes, envelope.labelled(ask.labels), now, PARIS,
            mentions=envelope.mentions,
            recognised=world.compiled.recognised, normal=world.compiled.policies.terms.normalise,
        )  # fmt: skip
        for one in known.values():
            combine = COMBINE[world.compiled.policies.combine]
            found = consent_verdict(one.directives, question, combine)
            spoken = VERDICTS[found.verdict]
            assert (spoken, found.named, found.opposed, found.consents) == consents_say(
                ask, one.directives
            )


@settings(max_examples=200)
@given(world=worlds)
def test_relationships_agree_with_the_reference(world: World) -> None:
    for envelope, known, now in world.asked():
        ask = asked_of(world, envelope, now)
        for one in known.values():
            found = relationships_of(one, world.closure, world.principal, now)
            assert found == relationships(ask, one)


COMBINE: dict[str, Combination] = {"deny-wins": "deny-overrides", "most-recent": "most-recent"}
VERDICTS = {
    Verdict.UNKNOWN: None,
    Verdict.NOT_APPLICABLE: "none",
    Verdict.DENY: "deny",
    Verdict.PERMIT: "permit",
}
