"""The same Consent as residual rules in a token gives the same answer (IHE PCF, standards PCF-36): the guide's examples.

Skipped where the examples are not at hand.
"""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.constraints import Question
from proxy.decision.model import Verdict
from proxy.decision.provisions import consent_verdict
from proxy.decision.residual import forbidden, unhonoured
from proxy.facts.directive import directive_of
from proxy.facts.model import ActorClosure, Restriction, mentions_asked
from proxy.facts.relationship import Reading
from proxy.facts.residual import pcf_of
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding
from proxy.fhir.envelope import UNTOLD, Envelope
from tests.decision.test_pcf_examples import OBSERVATIONS, ORG, PCF, TODAY, U1, U2, ZONE, asked
from tests.situations import DOCTOR, principal_of

pytestmark = pytest.mark.skipif(
    not PCF.is_dir(), reason="the IHE PCF examples are not beside this repository"
)

READING = Reading(ZONE, ("http://example.org/fhir",))
PATIENT = "Patient/ex-patient"
WHO = principal_of("Practitioner/ex-practitioner", DOCTOR, "TREAT")

# Token and Consent, whom and for what the token was issued, what is visible
EXAMPLES: dict[str, tuple[ActorClosure, str, str]] = {
    "consent-advanced-normal": (U2, "TREAT", "BCDE"),
    "consent-advanced-normal-focused-psy": (U1, "TREAT", "BCDE"),
    "consent-advanced-normal-focused-psy-or-sdv": (U1, "TREAT", "BCDE"),
    "consent-advanced-normal-not-restricted": (U2, "TREAT", "BCDE"),
    "consent-advanced-normal-restricted": (U2, "TREAT", "ABCDE"),
    "consent-basic-treat": (U2, "HPAYMT", "ABCDE"),
    "consent-intermediate-authoredby": (U2, "TREAT", ""),
    "consent-intermediate-data": (U2, "TREAT", "ABCDE"),
    "consent-intermediate-encounter": (U2, "TREAT", "ABCDE"),
    "consent-intermediate-not-authoredby": (U2, "TREAT", "ABCDE"),
    "consent-intermediate-not-data": (U2, "TREAT", "BCDE"),
    "consent-intermediate-not-encounter": (U2, "TREAT", ""),
    "consent-intermediate-not-timeframe": (U2, "TREAT", "BCDE"),
    "consent-intermediate-purpose": (ORG, "FooBar", "ABCDE"),
    "consent-intermediate-timeframe": (U2, "TREAT", "A"),
    "dissent-intermediate-break-glass": (U1, "BTG", "ABCDE"),
}
WRONG = "consent-intermediate-not-authoredby"
"""The guide's token spells a `forbid` as `deny`, which means nothing (PCF-33)."""


def token_of(name: str) -> dict[str, Any]:
    tree = orjson.loads((PCF / "tokens" / f"ex-{name}.token.json").read_bytes())
    pcf: dict[str, Any] = tree["extensions"]["ihe_pcf"]
    return pcf


def restriction_of(pcf: dict[str, Any]) -> Restriction:
    patient, read = pcf_of(orjson.dumps(pcf).decode(), READING)
    return replace(read, patients=(patient if isinstance(patient, str) else None,))


def corrected(name: str) -> Restriction:
    pcf = token_of(name)
    for rule in pcf.get("residual", ()):
        rule["type"] = {"deny": "forbid"}.get(rule["type"], rule["type"])
    return restriction_of(pcf)


def flows(restriction: Restriction, question: Question) -> bool:
    held = replace(question, closure=replace(question.closure, restriction=restriction))
    return not [*unhonoured(WHO, held.closure), *forbidden(WHO, PATIENT, held)]


def visible_under(restriction: Restriction, closure: ActorClosure, purpose: str) -> str:
    return "".join(
        letter
        for letter, name in OBSERVATIONS.items()
        if flows(restriction, asked(f"Observation-{name}", closure, purpose, restriction.mentions))
    )


def test_every_token_of_the_guide_is_here() -> None:
    tokens = {one.name for one in (PCF / "tokens").glob("*.json")}
    assert tokens == {f"ex-{name}.token.json" for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_token_shows_what_the_notes_of_its_consent_say(name: str) -> None:
    closure, purpose, visible = EXAMPLES[name]
    assert visible_under(corrected(name), closure, purpose) == visible


def test_a_rule_of_an_unknown_type_forbids_everything() -> None:
    assert restriction_of(token_of(WRONG)).problem
    assert visible_under(restriction_of(token_of(WRONG)), U2, "TREAT") == ""


def test_another_patients_token_shows_nothing() -> None:
    other = token_of("consent-basic-treat") | {"patient_id": "Patient/ex-mother"}
    assert visible_under(restriction_of(other), U2, "TREAT") == ""


LABELS = [
    *(Coding(CONFIDENTIALITY, code) for code in "LNRV"),
    *(Coding(ACT_CODE, code) for code in ("ETH", "ETHUD", "OPIOIDUD", "PSY", "SDV", "HIV", "misspelled")),
    Coding("http://labels.example.org", "VIP"),
]  # fmt: skip
AUTHORS = ["Practitioner/ex-author", "Practitioner/ex-practitioner", "PractitionerRole/x"]
DATES = ["", "2021", "2021-12-31T23:59:59Z", "2022", "2022-01-01", "2022-06", "2022-12-31", "2022-12-31/2023-01-02", "2023", "x"]  # fmt: skip
INSTANCES = [("Observation", name) for name in OBSERVATIONS.values()]
INSTANCES += [("Encounter", "ex-encounter"), ("Condition", "other")]

envelopes = st.builds(
    lambda instance, labels, authors, date, mentions: Envelope(
        instance[0], instance[1], "", "", labels, frozenset({PATIENT}), authors, date, frozenset(), frozenset(), None, mentions
    ),
    st.sampled_from(INSTANCES),
    st.frozensets(st.sampled_from(LABELS), max_size=4),
    st.frozensets(st.sampled_from(AUTHORS), max_size=2),
    st.sampled_from(DATES),
    st.none() | st.frozensets(st.sampled_from(["Encounter/ex-encounter", UNTOLD])),
)  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
@given(envelope=envelopes)
def test_a_consent_and_its_token_give_the_same_answer(name: str, envelope: Envelope) -> None:
    closure, purpose, _ = EXAMPLES[name]
    directive = directive_of(
        (PCF / "consents" / f"Consent-ex-{name}.json").read_bytes(), "4.0.1", ZONE, READING.bases
    )
    restriction = corrected(name)
    assert restriction.mentions == mentions_asked(directive.root.nodes())
    purposes = frozenset({purpose})
    question = Question(closure, "access", purposes, envelope, TODAY, ZONE, envelope.mentions)
    permitted = consent_verdict([directive], question).verdict is Verdict.PERMIT
    assert flows(restriction, question) == permitted
