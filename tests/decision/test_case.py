from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson
import pytest

from proxy.decision.case import (
    CaseBook,
    CompiledPolicies,
    compile_policies,
    is_universal,
    open_case,
    purposes_of,
)
from proxy.decision.decide import decide_request
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import Coding, Effect
from proxy.fhir.reader import EnvelopeReader
from proxy.identity.principal import PrincipalKind
from proxy.policy.load import load
from proxy.policy.model import Matrix
from tests.policy.packs import CAMPAIGN, POLICY, TERMS, write
from tests.situations import BASELINE, DOCTOR, PARIS, principal_of

WHO = principal_of("Practitioner/dr-martin", DOCTOR, "TREAT")
COMPILED = compile_policies(BASELINE)
ICD = "http://hl7.org/fhir/sid/icd-10"

PURPOSES = [
    (PrincipalKind.PRACTITIONER, {"TREAT"}, {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"TREAT", "HRESCH"}, {"TREAT", "HRESCH"}),
    (PrincipalKind.PRACTITIONER, set(), {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"BTG"}, {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"BTG", "HMARKT"}, {"HMARKT"}),
    (PrincipalKind.PATIENT, set(), {"PATRQT"}),
    (PrincipalKind.SYSTEM, set(), set()),
    (PrincipalKind.UNKNOWN, set(), set()),
]


@pytest.mark.parametrize(("kind", "claimed", "counted"), PURPOSES)
def test_which_purposes_count(kind: PrincipalKind, claimed: set[str], counted: set[str]) -> None:
    who = replace(WHO, kind=kind, purposes=frozenset(claimed))
    assert purposes_of(who, BASELINE) == frozenset(counted)


def test_a_case_holds_only_the_rules_that_may_apply() -> None:
    case = open_case(COMPILED, WHO, ActorClosure(), "read", PARIS)
    ids = {one.rule.id for one in case.permits}
    assert {"care-team-reads", "directory-is-open"} <= ids
    assert ids.isdisjoint({"patient-reads-own-record", "guardian-reads", "care-team-nurse-reads"})
    assert {one.rule.effect for one in case.denies} == {Effect.DENY}
    assert "insurers-never-by-role" not in {one.rule.id for one in case.denies}


def test_what_is_universal_is_what_the_policies_name() -> None:
    case = open_case(COMPILED, WHO, ActorClosure(), "read", PARIS)
    assert is_universal(case, "Practitioner")
    assert not is_universal(case, "Observation")


def test_the_systems_of_labels_are_those_that_the_terms_explain() -> None:
    assert "http://terminology.hl7.org/CodeSystem/v3-ActCode" in COMPILED.recognised
    assert "http://labels.example.org" not in COMPILED.recognised


def spelled(tmp_path: Path) -> CompiledPolicies:
    """Policies whose terms know other spellings of codes: of one that a rule names, and of one below a beginning."""
    icd = '{system: http://hl7.org/fhir/sid/icd-10, spellings: {HIV1: B20, ALC: "B21.3", FLU: J10}}'
    terms = TERMS.replace("{system: http://hl7.org/fhir/sid/icd-10}", icd)
    return compile_policies(load(write(tmp_path, terms=terms)))


@pytest.mark.parametrize(
    ("code", "wanted"),
    [("B20", True), ("b21.9", True), ("HIV1", True), ("alc", True), ("FLU", False), ("J10", False)],
)
def test_a_code_is_looked_for_in_every_spelling_that_the_terms_know(
    tmp_path: Path, code: str, wanted: bool
) -> None:
    compiled = spelled(tmp_path)
    assert (code in compiled.wanted) is wanted
    read = EnvelopeReader(["Observation"], (), compiled.wanted).read(
        orjson.dumps({"resourceType": "Observation", "code": {"coding": [{"system": ICD, "code": code.upper()}]}})
    )  # fmt: skip
    assert bool(compiled.policies.labels.labels_of(read.codes)) is wanted


def test_codes_of_the_labelling_rules_and_of_the_matrix_are_looked_for_together() -> None:
    letter = BASELINE.terms.coding("loinc#34133-9")
    sensitive = {one.code for one in BASELINE.labels.exact}
    with_matrix = compile_policies(replace(BASELINE, matrix=Matrix({("physician", letter): True})))
    assert sensitive
    assert letter.code not in COMPILED.wanted
    assert all(code in with_matrix.wanted for code in {letter.code, *sensitive})


@pytest.mark.parametrize(("stated", "borne"), [("J10", "FLU"), ("FLU", "J10"), ("FLU", "FLU")])
def test_a_code_that_a_consent_speaks_of_is_found_in_every_spelling_too(
    tmp_path: Path, stated: str, borne: str
) -> None:
    compiled = spelled(tmp_path)
    reader = EnvelopeReader(["Observation"], (), compiled.wanted)
    raw = orjson.dumps({"resourceType": "Observation", "code": {"coding": [{"system": ICD, "code": borne}]}})  # fmt: skip
    assert reader.read(raw).codes == frozenset()
    asking = reader.wanting(frozenset({stated}), dates=False)
    assert asking.read(raw).codes == {Coding(ICD, borne)}


def test_a_book_that_is_full_forgets_and_never_confuses() -> None:
    """Callers come and go: the identity of one that was forgotten may be another's."""
    book = CaseBook(size=3)
    for number in range(200):
        caller, closure = replace(WHO, subject=str(number)), ActorClosure(frozenset({str(number)}))
        case = book.open(COMPILED, caller, closure, "read", PARIS)
        assert (case.principal, case.closure) == (caller, closure)
        assert case.principal is caller


def test_an_equal_caller_has_a_case_of_its_own() -> None:
    book = CaseBook()
    one, twin = replace(WHO), replace(WHO)
    closure = ActorClosure()
    assert one == twin
    assert book.open(COMPILED, one, closure, "read", PARIS) is not book.open(
        COMPILED, twin, closure, "read", PARIS
    )


def test_policies_that_were_loaded_again_make_new_cases() -> None:
    book, closure, again = CaseBook(), ActorClosure(), compile_policies(BASELINE)
    first = book.open(COMPILED, WHO, closure, "read", PARIS)
    assert book.open(again, WHO, closure, "read", PARIS).compiled is again
    assert book.open(COMPILED, WHO, closure, "read", PARIS) is first


VACCINATING = {"nurses-vaccinate"}


def in_winter(tmp_path: Path) -> CompiledPolicies:
    return compile_policies(load(write(tmp_path, policy=POLICY + CAMPAIGN)))


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


BEFORE, FIRST = instant("2026-10-14T23:59:59+02:00"), instant("2026-10-15T00:00:00+02:00")
LAST, AFTER = instant("2027-01-31T23:59:59+01:00"), instant("2027-02-01T00:00:00+01:00")
A_NURSE = principal_of("Practitioner/n", Coding("http://snomed.info/sct", "224535009"), "TREAT")


@pytest.mark.parametrize(
    ("now", "stands"), [(BEFORE, False), (FIRST, True), (LAST, True), (AFTER, False), (None, False)]
)
def test_a_campaign_stands_within_its_period_in_the_zone_of_the_house(
    tmp_path: Path, now: float | None, *, stands: bool
) -> None:
    case = open_case(in_winter(tmp_path), A_NURSE, ActorClosure(), "read", PARIS, now)
    assert ({one.rule.id for one in case.permits} >= VACCINATING) is stands
    assert decide_request(case, "Immunization").permits is stands


def test_at_an_unknown_instant_a_deny_of_a_campaign_stands_in_doubt(tmp_path: Path) -> None:
    closing = CAMPAIGN.replace("effect: permit", "effect: deny").replace(
        "          consent: [permit, none]\n", ""
    )
    compiled = compile_policies(load(write(tmp_path, policy=POLICY + closing)))
    known = open_case(compiled, A_NURSE, ActorClosure(), "read", PARIS, FIRST)
    unknown = open_case(compiled, A_NURSE, ActorClosure(), "read", PARIS)
    over = open_case(compiled, A_NURSE, ActorClosure(), "read", PARIS, AFTER)
    stand = [{one.rule.id: one.certain for one in case.denies} for case in (known, unknown, over)]
    assert [one.get("nurses-vaccinate") for one in stand] == [True, False, None]


def test_no_case_outlives_the_edge_of_a_campaign(tmp_path: Path) -> None:
    """Whatever was decided and kept before midnight is decided anew after."""
    book, closure, compiled = CaseBook(), ActorClosure(), in_winter(tmp_path)
    before = book.open(compiled, A_NURSE, closure, "read", PARIS, BEFORE)
    assert not decide_request(before, "Immunization").permits
    during = book.open(compiled, A_NURSE, closure, "read", PARIS, FIRST)
    assert decide_request(during, "Immunization").permits
    assert book.open(compiled, A_NURSE, closure, "read", PARIS, LAST) is during
    after = book.open(compiled, A_NURSE, closure, "read", PARIS, AFTER)
    assert not decide_request(after, "Immunization").permits
    assert book.open(compiled, A_NURSE, closure, "read", PARIS, FIRST) is not after


def test_a_case_of_an_unknown_instant_is_of_no_known_one(tmp_path: Path) -> None:
    book, closure, compiled = CaseBook(), ActorClosure(), in_winter(tmp_path)
    for one, other in ((None, FIRST), (FIRST, None)):
        case = book.open(compiled, A_NURSE, closure, "read", PARIS, one)
        assert book.open(compiled, A_NURSE, closure, "read", PARIS, one) is case
        assert book.open(compiled, A_NURSE, closure, "read", PARIS, other) is not case


def test_a_case_opened_at_its_first_instant_is_of_it(tmp_path: Path) -> None:
    book, closure, compiled = CaseBook(), ActorClosure(), in_winter(tmp_path)
    first = book.open(compiled, A_NURSE, closure, "read", PARIS, FIRST)
    assert book.open(compiled, A_NURSE, closure, "read", PARIS, first.since) is first
    assert book.open(compiled, A_NURSE, closure, "read", PARIS, first.until) is not first


def test_callers_of_two_closures_have_two_cases() -> None:
    book, one, other = CaseBook(), ActorClosure(), ActorClosure(frozenset({"Practitioner/x"}))
    assert book.open(COMPILED, WHO, one, "read", PARIS).closure is one
    assert book.open(COMPILED, WHO, other, "read", PARIS).closure is other


def test_the_reason_names_the_campaign_and_its_end(tmp_path: Path) -> None:
    case = open_case(in_winter(tmp_path), A_NURSE, ActorClosure(), "read", PARIS, FIRST)
    [sentence] = [one.rule.sentence for one in case.permits if one.rule.id in VACCINATING]
    assert sentence == "order 12 (campaign winter, until 2027-01-31)"
