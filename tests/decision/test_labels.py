from dataclasses import replace

import pytest

from proxy.decision.labels import effective_labels, label_origins
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding
from tests.situations import BASELINE, envelope_of

LOINC = "http://loinc.org"


def c(code: str) -> Coding:
    return Coding(CONFIDENTIALITY, code)


HIV, VIP = Coding(ACT_CODE, "HIV"), Coding("http://labels.example.org", "VIP")

CASES = [
    (set(), "N", set()),
    ({c("N")}, "N", set()),
    ({c("U")}, "U", set()),
    ({c("N"), c("R")}, "R", set()),
    ({c("V"), c("L")}, "V", set()),
    ({HIV}, "R", set()),
    ({HIV, c("N")}, "R", set()),
    ({HIV, c("V")}, "V", set()),
    ({VIP}, "N", {VIP}),
    ({Coding("", "R")}, "N", {Coding("", "R")}),
    ({c("X")}, "R", {c("X")}),
    ({c("r")}, "R", {c("r")}),
    ({Coding("", "")}, "N", {Coding("", "")}),
]


@pytest.mark.parametrize(("own", "confidentiality", "unknown"), CASES)
def test_the_highest_label_counts_and_an_unknown_one_is_told(
    own: set[Coding], confidentiality: str, unknown: set[Coding]
) -> None:
    labels = effective_labels(envelope_of({}).labelled(frozenset(own)), BASELINE)
    assert labels.confidentiality == confidentiality
    assert labels.unknown == frozenset(unknown)
    levels = [one for one in labels.codings if one.system == CONFIDENTIALITY]
    assert levels == [c(confidentiality)]


def test_a_code_that_a_rule_knows_is_a_label() -> None:
    plain = effective_labels(envelope_of({}), BASELINE)
    coded = {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "F10.2"}]}}
    labels = effective_labels(envelope_of(coded), BASELINE)
    assert plain.confidentiality == "N"
    assert labels.confidentiality == "R"
    assert Coding(ACT_CODE, "SUD") in labels.codings


@pytest.mark.parametrize(("unlabelled", "confidentiality"), [("N", "N"), ("R", "R"), ("deny", "")])
def test_the_policy_says_what_is_unlabelled(unlabelled: str, confidentiality: str) -> None:
    policies = replace(BASELINE, unlabelled=unlabelled)  # type: ignore[arg-type]  # (one of its three words)
    labels = effective_labels(envelope_of({}), policies)
    assert labels.confidentiality == confidentiality
    assert (labels.rank is None) == (not confidentiality)


PLACES = {
    c("R"): ("meta.security[0]", "contained[0].meta.security[0]"),
    c("N"): ("meta.security[1]",),
    HIV: ("meta.security[0]",),
    c("X"): ("meta.security[0]",),
}
ORIGINS = [
    (set(), [(c("N"), "unlabelled: N")]),
    ({c("R"), c("N")}, [(c("R"), "meta.security[0]"), (c("R"), "contained[0].meta.security[0]")]),
    ({HIV}, [(HIV, "meta.security[0]"), (c("R"), "a sensitivity label counts as R at least")]),
    ({c("X")}, [(c("R"), "a code that is no level of confidentiality counts as R")]),
    ({c("L")}, [(c("L"), "the current version")]),
]


@pytest.mark.parametrize(("own", "origins"), ORIGINS)
def test_every_effective_label_is_told_with_where_it_comes_from(
    own: set[Coding], origins: list[tuple[Coding, str]]
) -> None:
    told = label_origins(envelope_of({}).labelled(frozenset(own)), BASELINE, PLACES)
    assert [(one.label, one.origin) for one in told] == [
        (f"{label.system}#{label.code}", origin) for label, origin in origins
    ]


def test_a_label_of_a_labelling_rule_is_told_with_the_rule_and_the_code() -> None:
    coded = {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "F10.2"}]}}
    told = label_origins(envelope_of(coded), BASELINE, {})
    assert {one.origin for one in told} == {"labelling rule substance-use (code F10.2)"}
    effective = effective_labels(envelope_of(coded), BASELINE)
    assert {one.label for one in told} == {f"{one.system}#{one.code}" for one in effective.codings}


@pytest.mark.parametrize(
    ("elements", "origin"),
    [
        ({}, "the current version"),
        ({"derivedFrom": [{"reference": "DocumentReference/d"}]}, "a document it was made from"),
    ],
)
def test_a_label_that_the_resource_does_not_state_has_its_origin_too(
    elements: dict[str, object], origin: str
) -> None:
    heir = envelope_of(elements).inheriting(frozenset({HIV}))
    told = {one.label: one.origin for one in label_origins(heir, BASELINE, {})}
    assert told[f"{HIV.system}#{HIV.code}"] == origin
