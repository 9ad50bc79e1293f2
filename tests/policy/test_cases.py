import pytest

from proxy.errors import UnusableError
from proxy.fhir.coding import Effect
from proxy.policy.cases import CaseFile, cases_of, wrong_case_names
from proxy.policy.parse import parse
from proxy.policy.terms import Terms
from tests.policy.packs import CASES, TERMS


def test_every_combination_is_a_case_and_what_is_not_listed_is_denied() -> None:
    cases = cases_of(parse("c.yaml", CASES, CaseFile))
    assert len(cases) == 2 * 2 * 2
    permitted = [case for case in cases if case.effect is Effect.PERMIT]
    assert [str(case) for case in permitted] == ["doctor · read · plain · consent permit"]
    assert permitted[0].line == 10
    assert {case.line for case in cases if case.effect is Effect.DENY} == {3, 4}


def test_redactions_are_expected_exactly() -> None:
    text = CASES.replace(
        "consent: [permit]}", "consent: [permit], redact: {remove: [Observation.note]}}"
    )
    cases = cases_of(parse("c.yaml", text, CaseFile))
    assert {case.redact.entries() for case in cases} == {(), (("remove", "Observation.note", ""),)}


def test_without_a_list_all_consent_states_are_tried_and_reading_only() -> None:
    cases = cases_of(parse("c.yaml", CASES.replace("consents: [permit, none]\n", ""), CaseFile))
    assert {case.consent for case in cases} == {"permit", "named", "none", "deny", "unknown"}
    assert {case.interaction for case in cases} == {"read"}


WRONG = [
    (CASES.replace("principal: [doctor]", "principal: [docter]"), "c.yaml:10: `docter` is no principal of this file"),
    (CASES.replace("resource: [plain]", "resource: [plane]"), "c.yaml:10: `plane` is no resource of this file"),
    (CASES.replace("consent: [permit]}", "consent: [deny]}"), "c.yaml:10: `deny` is no consent of this file"),
    (CASES.replace("consent: [permit]}", "consent: [permit], interaction: [create]}"), "c.yaml:10: `create` is no interaction of this file"),
    (CASES + "  - {principal: [doctor], resource: [plain], consent: [permit]}\n", "c.yaml:11: doctor · plain · read · permit is expected twice"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "finding"), WRONG)
def test_an_expectation_that_could_never_be_tried_is_told(text: str, finding: str) -> None:
    with pytest.raises(UnusableError) as caught:
        cases_of(parse("c.yaml", text, CaseFile))
    assert [str(one) for one in caught.value.findings] == [finding]


NAMES = [
    (
        CASES.replace("role: [physician]", "role: [wizard]"),
        "c.yaml:3: `wizard` is no role of terms.yaml",
    ),
    (
        CASES.replace("type: Observation}", "type: Observatoin}"),
        "c.yaml:6: `Observatoin` is no FHIR resource type",
    ),
    (
        CASES.replace("fr#", "frr#"),
        "c.yaml:7: `frr#MASQUE_PS`: its system has no alias in terms.yaml",
    ),
]


@pytest.mark.parametrize(("text", "finding"), NAMES)
def test_a_case_uses_the_names_of_the_directory(text: str, finding: str) -> None:
    terms = parse("terms.yaml", TERMS, Terms).content
    assert [str(one) for one in wrong_case_names(parse("c.yaml", text, CaseFile), terms)] == [
        finding
    ]
