"""The example Consents of IHE PCF, decided as the guide's notes say (skipped where the examples are not at hand)."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from proxy.decision.model import Verdict
from proxy.decision.provisions import Question, consent_verdict
from proxy.facts.directive import directive_of
from proxy.facts.model import ActorClosure, mentions_asked
from proxy.fhir.coding import coding_of
from proxy.fhir.envelope import Envelope

PCF = Path(__file__).parents[3] / "shared" / "data" / "standards" / "pcf"
pytestmark = pytest.mark.skipif(
    not PCF.is_dir(), reason="the IHE PCF examples are not beside this repository"
)

ZONE = ZoneInfo("Europe/Paris")
TODAY = datetime(2024, 6, 1, 12, tzinfo=ZONE).timestamp()
LAST_EVENING = datetime(2022, 12, 31, 23, tzinfo=ZONE).timestamp()

U1 = ActorClosure(frozenset({"Practitioner/ex-practitioner", "Group/ex-privilegedUsers"}))
U2 = ActorClosure(frozenset({"Practitioner/ex-author"}))
ORG = ActorClosure(frozenset({"Practitioner/ex-clerk", "Organization/ex-org-researcher"}))

OBSERVATIONS = {
    "A": "ex-alcoholUse",
    "B": "ex-bloodSugar",
    "C": "ex-bloodPressure",
    "D": "ex-weight",
    "E": "ex-weight-2",
}
TPO = ("TREAT", "HPAYMT", "HOPERAT")
ANY = ((U1, "U1"), (U2, "U2"), (ORG, "ORG"))

# Consent, requesters, purposes, what is visible
ROWS: list[tuple[str, tuple[tuple[ActorClosure, str], ...], tuple[str, ...], str]] = [
    ("consent-basic-treat", ANY, TPO, "ABCDE"),
    ("consent-basic-ink", ANY, TPO, "ABCDE"),
    ("consent-basic-treat-infant", ANY, TPO, "ABCDE"),
    ("consent-basic-treat", ANY, ("HMARKT",), ""),
    ("consent-basic-research", ANY, ("HRESCH", "CLINTRCH", "DSRCH", "PRECLINTRCH"), "ABCDE"),
    ("consent-basic-research", ANY, ("TREAT",), ""),
    ("consent-basic-reject", ANY, TPO, ""),
    ("consent-intermediate-timeframe", ANY, TPO, "A"),
    ("consent-intermediate-not-timeframe", ANY, TPO, "BCDE"),
    ("consent-intermediate-authoredby", ANY, TPO, ""),
    ("consent-intermediate-not-authoredby", ANY, TPO, "ABCDE"),
    ("consent-intermediate-data", ANY, TPO, "ABCDE"),
    ("consent-intermediate-not-data", ANY, TPO, "BCDE"),
    ("consent-intermediate-encounter", ANY, TPO, "ABCDE"),
    ("consent-intermediate-not-encounter", ANY, TPO, ""),
    ("consent-intermediate-purpose", ((ORG, "ORG"),), ("FooBar",), "ABCDE"),
    ("consent-intermediate-purpose", ((U1, "U1"),), ("FooBar",), ""),
    ("consent-intermediate-purpose", ((ORG, "ORG"),), ("TREAT",), ""),
    ("dissent-intermediate-break-glass", ((U1, "U1"),), ("TREAT",), ""),
    ("dissent-intermediate-break-glass", ((U1, "U1"),), ("BTG",), "ABCDE"),
    ("dissent-intermediate-break-glass", ((U2, "U2"),), ("BTG",), ""),
    ("consent-advanced-normal", ANY, TPO, "BCDE"),
    ("consent-advanced-normal-restricted", ANY, TPO, "ABCDE"),
    ("consent-advanced-normal-not-restricted", ANY, TPO, "BCDE"),
    ("consent-advanced-normal-focused-restricted", ((U1, "U1"),), TPO, "ABCDE"),
    ("consent-advanced-normal-focused-restricted", ((U2, "U2"),), TPO, "BCDE"),
    ("consent-advanced-normal-focused-psy", ((U1, "U1"), (U2, "U2")), TPO, "BCDE"),
    ("consent-advanced-normal-focused-psy-or-sdv", ((U1, "U1"),), TPO, "BCDE"),
    ("consent-advanced-normal-break-glass-restricted", ((U1, "U1"),), TPO, "BCDE"),
    ("consent-advanced-normal-break-glass-restricted", ((U1, "U1"),), ("BTG",), "ABCDE"),
    ("consent-advanced-normal-break-glass-restricted", ((U2, "U2"),), ("BTG",), "BCDE"),
]
CASES = [
    pytest.param(consent, closure, purpose, visible, id=f"{consent}-{who}-{purpose}")
    for consent, requesters, purposes, visible in ROWS
    for closure, who in requesters
    for purpose in purposes
]


def references_in(node: Any) -> set[str]:
    match node:
        case {"reference": str(reference)}:
            return {reference}
        case dict():
            return set().union(*map(references_in, node.values()))
        case list():
            return set().union(*map(references_in, node))
        case _:
            return set()


def asked(
    name: str, closure: ActorClosure, purpose: str, wanted: frozenset[str], now: float = TODAY
) -> Question:
    tree = orjson.loads((PCF / "data" / f"{name}.json").read_bytes())
    labels = frozenset(
        coding_of(label["system"], label["code"]) for label in tree["meta"]["security"]
    )
    envelope = Envelope(
        type=tree["resourceType"],
        id=tree["id"],
        version="",
        last_updated="",
        labels=labels
        if any(label.code in "UNR" for label in labels)
        else labels | {coding_of(N.system, N.code)},
        patients=frozenset({"Patient/ex-patient"}),
        authors=frozenset(references_in(tree.get("performer", []))),
        date=tree.get("effectiveDateTime", ""),
        codes=frozenset(),
        profiles=frozenset(),
    )
    mentions = frozenset(references_in(tree)) & wanted
    return Question(closure, "access", frozenset({purpose}), envelope, now, ZONE, mentions)


N = coding_of("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")


def visible_under(name: str, closure: ActorClosure, purpose: str, now: float = TODAY) -> str:
    directive = directive_of(
        (PCF / "consents" / f"Consent-ex-{name}.json").read_bytes(), "4.0.1", ZONE
    )
    assert directive.problem is None
    wanted = mentions_asked(directive.root.nodes())
    return "".join(
        letter
        for letter, observation in OBSERVATIONS.items()
        if consent_verdict(
            [directive], asked(f"Observation-{observation}", closure, purpose, wanted, now)
        ).verdict
        is Verdict.PERMIT
    )


@pytest.mark.parametrize(("consent", "closure", "purpose", "visible"), CASES)
def test_each_example_shows_what_its_notes_say(
    consent: str, closure: ActorClosure, purpose: str, visible: str
) -> None:
    assert visible_under(consent, closure, purpose) == visible


@pytest.mark.parametrize(
    ("consent", "shown"),
    [("consent-intermediate-data", True), ("consent-intermediate-encounter", True),
     ("consent-intermediate-not-encounter", False)],
)  # fmt: skip
def test_the_encounter_itself_follows_its_consent(consent: str, shown: bool) -> None:
    directive = directive_of(
        (PCF / "consents" / f"Consent-ex-{consent}.json").read_bytes(), "4.0.1", ZONE
    )
    question = asked("Encounter-ex-encounter", U2, "TREAT", mentions_asked(directive.root.nodes()))
    assert (consent_verdict([directive], question).verdict is Verdict.PERMIT) == shown


def test_an_expired_consent_is_no_consent_but_its_last_day_counts_to_the_end() -> None:
    directive = directive_of(
        (PCF / "consents" / "Consent-ex-consent-expired-treat.json").read_bytes(), "4.0.1", ZONE
    )
    question = asked("Observation-ex-weight", U1, "TREAT", frozenset())
    assert consent_verdict([directive], question).verdict is Verdict.NOT_APPLICABLE
    assert visible_under("consent-expired-treat", U1, "TREAT", LAST_EVENING) == "ABCDE"


def test_every_example_is_computable() -> None:
    consents = sorted((PCF / "consents").glob("*.json"))
    assert len(consents) == 23
    assert [directive_of(one.read_bytes(), "4.0.1", ZONE).problem for one in consents] == [
        None
    ] * 23
