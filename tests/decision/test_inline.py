from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.inline import CUT, cuts_of, decide_inline, path_of
from proxy.decision.model import Decision, Obligations, Reason, Redaction, Verdict
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope, Inline, Part, Steps
from tests.situations import BASELINE, Situation, envelope_of, situations

N, R, V = (Coding(CONFIDENTIALITY, code) for code in "NRV")
MASKED = Redaction("mask", "Observation.note")


def decided(cleared: str, inline: Inline) -> Decision:
    """The decision for who may see up to a confidentiality; what is restricted is warned of by a redaction."""

    def judge(envelope: Envelope) -> Decision:
        highest = max((one.code for one in envelope.labels), key="NRV".index)
        source = Reason("label", Verdict.DENY, highest)
        if "NRV".index(highest) > "NRV".index(cleared):
            return Decision(Effect.DENY, (source,), consents=frozenset({"Consent/d"}))
        obligations = Obligations(frozenset({MASKED} if highest == "R" else ()))
        return Decision(Effect.PERMIT, (), obligations, confidentiality=highest)

    return decide_inline(envelope_of({}), inline, judge)


INLINE = Inline(
    frozenset({N}),
    (Part(("note", 0), frozenset({R})), Part(("valueString",), frozenset({V}))),
)

CASES = [
    ("N", {"Observation.note[0]", "Observation.valueString"}, "N", set()),
    ("R", {"Observation.valueString"}, "R", {MASKED}),
    ("V", set(), "V", {MASKED}),
]


@pytest.mark.parametrize(("cleared", "cuts", "confidentiality", "others"), CASES)
def test_each_labelled_element_is_decided_by_its_labels(
    cleared: str, cuts: set[str], confidentiality: str, others: set[Redaction]
) -> None:
    decision = decided(cleared, INLINE)
    assert decision.permits
    assert cuts_of(decision) == cuts
    assert decision.confidentiality == confidentiality
    assert {one for one in decision.obligations.redactions if one.operator != CUT} == others
    assert bool(decision.reasons) == bool(cuts), "why something is cut is told"
    assert decision.consents == (frozenset({"Consent/d"}) if cuts else frozenset())


def test_what_is_denied_by_its_own_labels_is_denied_as_a_whole() -> None:
    decision = decided("R", replace(INLINE, own=frozenset({V})))
    assert not decision.permits
    assert not decision.obligations.redactions


def test_an_element_is_judged_by_the_labels_of_the_resource_too() -> None:
    asked: list[frozenset[Coding]] = []

    def judge(envelope: Envelope) -> Decision:
        asked.append(envelope.labels)
        return Decision(Effect.PERMIT)

    decide_inline(envelope_of({}), INLINE, judge)
    assert asked == [{N}, {N, R}, {N, V}]


PATHS: list[tuple[Steps, str]] = [
    (("valueString",), "Observation.valueString"),
    (("component", 1, "valueQuantity"), "Observation.component[1].valueQuantity"),
    (("contained", 0, "name", 2, "given", 1), "Observation.contained[0].name[2].given[1]"),
]


@pytest.mark.parametrize(("steps", "path"), PATHS)
def test_a_place_is_written_as_a_path(steps: Steps, path: str) -> None:
    assert path_of("Observation", steps) == path


label_sets = st.frozensets(
    st.sampled_from([N, R, V, Coding(ACT_CODE, "HIV"), Coding("urn:x", "unknown")]), max_size=3
)
inlines = st.builds(
    Inline,
    label_sets,
    st.lists(
        st.builds(Part, st.tuples(st.just("note"), st.integers(0, 3)), label_sets),
        min_size=1,
        max_size=4,
        unique_by=lambda part: part.steps,
    ).map(tuple),
)


@given(situations, inlines)
def test_nothing_leaves_that_a_resource_with_its_labels_would_not(
    situation: Situation, inline: Inline
) -> None:
    envelope = situation.envelope
    shown = replace(situation, envelope=_with(envelope, inline)).decided(BASELINE)
    whole = replace(situation, envelope=envelope.labelled(inline.own)).decided(BASELINE)
    assert shown.permits == whole.permits
    for part in inline.parts if shown.permits else ():
        alone = replace(situation, envelope=envelope.labelled(inline.own | part.labels))
        cut = path_of(envelope.type, part.steps) in cuts_of(shown)
        assert cut == (not alone.decided(BASELINE).permits)


@given(situations, inlines)
def test_without_a_label_no_other_element_is_disclosed_less(
    situation: Situation, inline: Inline
) -> None:
    fewer = replace(inline, parts=inline.parts[1:])
    before = replace(situation, envelope=_with(situation.envelope, inline)).decided(BASELINE)
    after = replace(situation, envelope=_with(situation.envelope, fewer)).decided(BASELINE)
    assert before.permits == after.permits
    if before.permits:
        assert cuts_of(after) <= cuts_of(before)


def _with(envelope: Envelope, inline: Inline) -> Envelope:
    plain = envelope.labelled(inline.own)
    return type(plain)(
        **{name: getattr(plain, name) for name in plain.__struct_fields__ if name != "inline"},
        inline=inline,
    )
