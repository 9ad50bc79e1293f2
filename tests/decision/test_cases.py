from pathlib import Path

import pytest

from proxy.decision.cases import judge_cases
from proxy.policy.load import load, load_cases
from tests.policy import packs

BASELINE = Path(__file__).parents[2] / "policies" / "baseline"


POLICY = packs.POLICY.replace("rules:", "unlabelled: N\nrules:")


def judged(directory: Path) -> list[str]:
    policies = load(directory)
    places = {rule.id: ("ward.yaml", 5) for rule in policies.rules}
    findings = judge_cases(policies, load_cases(directory, policies), places)
    return [f"{Path(one.file).name}:{one.line}: {one.message}" for one in findings]


def cases(expect: str, consents: str = "[permit, none]", who: str = "", what: str = "") -> str:
    return f"""\
description: cases
principals:
  doctor: {{kind: practitioner, role: [physician], relationship: [care-team]}}
  stranger: {{kind: practitioner}}
{who}resources:
  plain: {{type: Observation}}
  masked: {{type: Observation, label: ["fr#MASQUE_PS"]}}
{what}consents: {consents}
expect:
{expect}
"""


PERMITTED = "doctor · read · plain · consent permit"
RIGHT = "  - {principal: [doctor], resource: [plain], consent: [permit]}"


def test_the_baseline_answers_as_its_cases_say_and_every_rule_is_exercised() -> None:
    policies = load(BASELINE)
    assert judge_cases(policies, load_cases(BASELINE, policies)) == []


def test_a_pack_that_answers_as_expected_has_no_finding(tmp_path: Path) -> None:
    assert judged(packs.write(tmp_path, policy=POLICY, cases=cases(RIGHT))) == []


def test_an_expected_permit_that_is_denied_is_found_at_the_line_of_the_expectation(
    tmp_path: Path,
) -> None:
    wrong = RIGHT + "\n  - {principal: [doctor], resource: [masked], consent: [permit]}"
    assert judged(packs.write(tmp_path, policy=POLICY, cases=cases(wrong))) == [
        "cases.yaml:11: doctor · read · masked · consent permit: expected permit, got deny (rule `masked`)"
    ]


def test_a_permit_that_nobody_expects_is_found_at_the_line_of_the_principal(tmp_path: Path) -> None:
    none_listed = "  - {principal: [stranger], resource: [plain], consent: [none]}"
    assert judged(packs.write(tmp_path, policy=POLICY, cases=cases(none_listed))) == [
        f"cases.yaml:3: {PERMITTED}: expected deny, got permit (rule `team`; consent `Consent/permit#provision`)",
        "cases.yaml:10: stranger · read · plain · consent none: expected permit, got deny (no rule permits this to the caller)",
    ]


def test_a_rule_that_no_case_exercises_is_found_where_it_stands(tmp_path: Path) -> None:
    only_plain = cases(RIGHT).replace(
        '  masked: {type: Observation, label: ["fr#MASQUE_PS"]}\n', ""
    )
    assert judged(packs.write(tmp_path, policy=POLICY, cases=only_plain)) == [
        "ward.yaml:5: rule `masked` is exercised by no test case"
    ]


def test_without_any_case_every_rule_is_found(tmp_path: Path) -> None:
    policies = load(packs.write(tmp_path, policy=POLICY))
    assert [str(one) for one in judge_cases(policies, ())] == [
        "tests:1: rule `masked` is exercised by no test case",
        "tests:1: rule `team` is exercised by no test case",
    ]


NURSE = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
rules:
  - id: team
    effect: permit
    target: {principal: {relationship: [care-team], role: [physician]}, consent: [permit]}
    redact: {remove: [Patient.telecom, Observation.note]}
  - id: masked
    effect: deny
    tag: mask
    target: {resource: {label: ["fr#MASQUE_PS"]}}
"""


@pytest.mark.parametrize(
    ("redact", "finding"),
    [
        (", redact: {remove: [Observation.note]}", None),
        ("", "expected to redact nothing, got remove Observation.note"),
        (
            ", redact: {mask: [Observation.note]}",
            "expected to redact mask Observation.note, got remove Observation.note",
        ),
        (
            ", redact: {remove: [Observation.note, Observation.value]}",
            "expected to redact remove Observation.note, remove Observation.value, got remove Observation.note",
        ),
    ],
)
def test_a_redaction_is_expected_exactly(tmp_path: Path, redact: str, finding: str | None) -> None:
    expect = RIGHT.removesuffix("}") + redact + "}"
    found = judged(packs.write(tmp_path, policy=NURSE, cases=cases(expect)))
    start = "cases.yaml:10: doctor · read · plain · consent permit: "
    why = " (rule `team`; consent `Consent/permit#provision`)"
    assert found == ([] if finding is None else [f"{start}{finding}{why}"])


CONSENT_STATES = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
rules:
  - id: {state}
    effect: permit
    {lifts}target: {{principal: {{role: [physician]}}, consent: [{state}]}}
  - id: masked
    effect: deny
    tag: mask
    target: {{resource: {{label: ["fr#MASQUE_PS"]}}}}
"""


@pytest.mark.parametrize(
    ("state", "opens"),
    [
        ("permit", "[permit, named]"),
        ("named", "[named]"),
        ("none", "[none]"),
        ("deny", "[deny]"),
    ],
)
def test_each_consent_state_is_what_rules_mean_by_it(
    tmp_path: Path, state: str, opens: str
) -> None:
    lifts = "lifts: [consent]\n    " if state == "deny" else ""
    expect = f"  - {{principal: [doctor], resource: [plain], consent: {opens}}}"
    found = judged(
        packs.write(
            tmp_path,
            policy=CONSENT_STATES.format(state=state, lifts=lifts),
            cases=cases(expect, consents="[permit, named, none, deny, unknown]"),
        )
    )
    assert found == []


RELATIONSHIPS = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
rules:
  - id: related
    effect: permit
    target: {{principal: {{relationship: [{relationship}]}}, purpose: [{purpose}]}}
  - id: masked
    effect: deny
    tag: mask
    target: {{resource: {{label: ["fr#MASQUE_PS"]}}}}
"""


GRANTED = 'break_glass: {may_open: {kind: [practitioner]}, reasons: ["fr#URGENCE"]}\n'


@pytest.mark.parametrize(
    ("relationship", "kind", "purpose"),
    [
        ("self", "patient", "PATRQT"),
        ("care-team", "practitioner", "TREAT"),
        ("general-practitioner", "practitioner", "TREAT"),
        ("author", "practitioner", "TREAT"),
        ("guardian", "related-person", "FAMRQT"),
        ("trusted-person", "related-person", "FAMRQT"),
        ("delegate", "practitioner", "TREAT"),
        ("denied", "practitioner", "TREAT"),
        ("break-glass", "practitioner", "BTG"),
    ],
)
def test_each_relationship_holds_for_whom_the_case_gives_it(
    tmp_path: Path, relationship: str, kind: str, purpose: str
) -> None:
    who = f"  related: {{kind: {kind}, relationship: [{relationship}], purpose: {purpose}}}\n"
    found = judged(
        packs.write(
            tmp_path,
            policy=RELATIONSHIPS.format(relationship=relationship, purpose=purpose) + GRANTED,
            cases=cases(
                "  - {principal: [related], resource: [plain], consent: [none]}",
                consents="[none]",
                who=who,
            ).replace(", relationship: [care-team]", "", 1),
        )
    )
    assert found == []


def test_a_purpose_of_break_glass_without_a_grant_opens_nothing(tmp_path: Path) -> None:
    who = "  claims-it: {kind: practitioner, role: [physician], purpose: BTG}\n"
    found = judged(
        packs.write(
            tmp_path,
            policy=RELATIONSHIPS.format(relationship="care-team", purpose="BTG"),
            cases=cases(
                "  - {principal: [claims-it], resource: [plain], consent: [none]}",
                consents="[none]",
                who=who,
            ),
        )
    )
    assert found[0] == (
        "cases.yaml:11: claims-it · read · plain · consent none: expected permit, got deny (no rule permits this to the caller)"
    )


def test_two_patients_must_both_permit_and_only_one_of_them_is_the_caller(tmp_path: Path) -> None:
    who = "  herself: {kind: patient, relationship: [self], purpose: PATRQT}\n"
    what = "  of-two: {type: Observation, patients: 2}\n  of-nobody: {type: Observation, patients: 0}\n"
    found = judged(
        packs.write(
            tmp_path,
            policy=RELATIONSHIPS.format(relationship="self", purpose="PATRQT"),
            cases=cases(
                "  - {principal: [herself], resource: [plain], consent: [none]}",
                consents="[none]",
                who=who,
                what=what,
            ),
        )
    )
    assert found == []


def with_campaign(tmp_path: Path, cases: str) -> list[str]:
    directory = packs.write(tmp_path, policy=POLICY + packs.CAMPAIGN)
    (directory / "tests/campaign.yaml").write_text(cases)
    return judged(directory)


def test_a_campaign_is_tried_within_and_outside(tmp_path: Path) -> None:
    assert with_campaign(tmp_path, packs.CAMPAIGN_CASES) == []


def test_what_a_campaign_permits_is_denied_before_and_after(tmp_path: Path) -> None:
    always = packs.CAMPAIGN_CASES.replace(', at: ["2026-10-15", "2027-01-31"]}', "}")
    assert always != packs.CAMPAIGN_CASES
    found = with_campaign(tmp_path, always)
    assert {one.partition("consent ")[2].partition(":")[0] for one in found} == {
        f"{consent} · at {day}"
        for consent in ("permit", "none")
        for day in ("2026-10-14", "2027-02-01")
    }


@pytest.mark.parametrize("missing", ['"2026-10-14", ', ', "2027-02-01"'])
def test_a_campaign_must_be_tried_on_both_sides(tmp_path: Path, missing: str) -> None:
    found = with_campaign(tmp_path, packs.CAMPAIGN_CASES.replace(missing, ""))
    [only] = found
    assert only.startswith("campaign.yaml:1: campaign `winter` is tried here only from 2026-10-15")


def test_a_case_that_names_no_instant_is_judged_before_the_campaign(tmp_path: Path) -> None:
    timeless = packs.CAMPAIGN_CASES.replace(
        'at: ["2026-10-14", "2026-10-15", "2027-01-31", "2027-02-01"]\n', ""
    )
    timeless = timeless.replace(', at: ["2026-10-15", "2027-01-31"]}', "}")
    found = with_campaign(tmp_path, timeless)
    assert "rule `nurses-vaccinate` is exercised by no test case" in " ".join(found)


WARNING = POLICY.replace(
    "      consent: [permit]\n", "      consent: [permit]\n    warn: beware\n", 1
)
TEXTS = packs.TERMS + 'texts: {beware: "Beware."}\n'


@pytest.mark.parametrize(
    ("told", "finding"),
    [
        ("warn: [beware]", []),
        ("warn: [Beware.]", []),
        (
            "warn: [Mind it.]",
            [
                "cases.yaml:10: doctor · read · plain · consent permit: expected to warn `Mind it.`, got `Beware.` (rule `team`; consent `Consent/permit#provision`)"
            ],
        ),
        (
            "",
            [
                "cases.yaml:10: doctor · read · plain · consent permit: expected to warn of nothing, got `Beware.` (rule `team`; consent `Consent/permit#provision`)"
            ],
        ),
    ],
)
def test_exactly_what_is_told_is_expected(tmp_path: Path, told: str, finding: list[str]) -> None:
    expect = RIGHT.replace("}", f", {told}}}" if told else "}")
    pack = packs.write(tmp_path, policy=WARNING, terms=TEXTS, cases=cases(expect))
    assert judged(pack) == finding
