import pytest

from proxy.policy.crossref import constraints, covers, findings_of
from proxy.policy.labels import LabelFile
from proxy.policy.model import Policy
from proxy.policy.parse import parse
from proxy.policy.placed import Files
from proxy.policy.target import Target
from proxy.policy.terms import Terms
from tests.policy.packs import LABELS, POLICY, TERMS


def findings(*policies: str, terms: str = TERMS, labels: str = LABELS) -> list[str]:
    sources = tuple(parse(f"{number}.yaml", text, Policy) for number, text in enumerate(policies))
    files = Files(
        sources, parse("terms.yaml", terms, Terms), parse("labels.yaml", labels, LabelFile)
    )
    return [str(finding) for finding in findings_of(files)]


def with_rule(rule: str, head: str = "") -> str:
    """A policy of one rule that begins on line 5 (or later, after `head`)."""
    return f'policy: p\nversion: "1"\nsource: s\n{head}rules:\n{rule}'


DENY = "  - id: no\n    effect: deny\n    target: {principal: {organization_type: [insurer]}}\n"
PERMIT = "  - id: yes-for\n    effect: permit\n    target: {purpose: [TREAT]}\n"

WRONG = [
    (PERMIT.replace("{purpose: [TREAT]}", "{principal: {role: [physician, wizard]}}"), "0.yaml:7: `wizard` is no role of terms.yaml"),
    (DENY.replace("insurer", "bank"), "0.yaml:7: `bank` is no organization type of terms.yaml"),
    (PERMIT.replace("{purpose: [TREAT]}", "{resource: {type: [Observatoin]}}"), "0.yaml:7: `Observatoin` is no FHIR resource type"),
    (PERMIT.replace("{purpose: [TREAT]}", '{resource: {label: ["frr#X"]}}'), "0.yaml:7: `frr#X`: its system has no alias in terms.yaml"),
    (PERMIT.replace("{purpose: [TREAT]}", '{resource: {label: ["conf#V"]}}'), "0.yaml:7: `conf#V` is not among the known labels of labels.yaml"),
    (PERMIT + "    lifts: [maks]\n", "0.yaml:8: no deny has the tag `maks`"),
    (DENY + "    tag: money\n    absolute: true\n" + PERMIT + "    lifts: [money]\n", "0.yaml:13: `money` is the tag of `no`, which is absolute; nothing can lift it"),
    (PERMIT + "    redact: {remove: [Patient.telecm]}\n", "0.yaml:8: `Patient.telecm` names no element; it would redact nothing"),
    (PERMIT + "    redact: {replace: {Patient.nam: x}}\n", "0.yaml:8: `Patient.nam` names no element; it would redact nothing"),
    (PERMIT + DENY.replace("id: no", "id: yes-for"), "0.yaml:8: rule `yes-for` exists already at 0.yaml:5"),
    (PERMIT.replace("purpose: [TREAT]", "consent: [deny]"), "0.yaml:5: rule `yes-for` can never permit: a Consent's deny wins unless the rule says `lifts: [consent]`"),
    (DENY + "    absolute: true\n" + PERMIT.replace("purpose: [TREAT]", "purpose: [TREAT], principal: {organization_type: [insurer]}"), "0.yaml:9: rule `yes-for` can never permit: the absolute deny `no` applies wherever it does"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "finding"), WRONG)
def test_a_rule_that_cannot_mean_what_it_says_is_told(rules: str, finding: str) -> None:
    assert findings(with_rule(rules)) == [finding]


HEADS = [
    (
        "universal: [Observation]\n",
        "0.yaml:4: `Observation` can be about a patient; it is not universal",
    ),
    ("universal: [Wizard]\n", "0.yaml:4: `Wizard` is no FHIR resource type"),
]


@pytest.mark.parametrize(("head", "finding"), HEADS)
def test_universal_types_exist_and_are_about_nobody(head: str, finding: str) -> None:
    assert findings(with_rule(PERMIT, head)) == [finding]


def test_a_rule_on_universal_types_cannot_ask_for_consent() -> None:
    rule = PERMIT.replace("purpose: [TREAT]", "consent: [permit], resource: {type: [Practitioner]}")
    assert findings(with_rule(rule, "universal: [Practitioner]\n")) == [
        "0.yaml:6: rule `yes-for` can never permit: universal types have no patient, so no Consent"
    ]


def test_two_files_may_not_contradict_each_other() -> None:
    one = with_rule(PERMIT, "unlabelled: N\ndefault_purpose: {practitioner: TREAT}\n")
    other = with_rule(DENY, "unlabelled: R\ndefault_purpose: {practitioner: BTG}\n").replace(
        "policy: p", "policy: q"
    )
    assert findings(one, other) == [
        "1.yaml:4: `unlabelled` is `R` here and `N` in 0.yaml; state it once",
        "1.yaml:5: `default_purpose.practitioner` is `BTG` here and `TREAT` in 0.yaml; state it once",
    ]


def test_a_policy_and_a_rule_exist_once_in_the_whole_directory() -> None:
    assert findings(POLICY, POLICY) == [
        "1.yaml:1: policy `ward` exists already in 0.yaml",
        "1.yaml:5: rule `team` exists already at 0.yaml:5",
        "1.yaml:10: rule `masked` exists already at 0.yaml:10",
    ]


def test_terms_and_labels_speak_of_systems_that_have_a_name() -> None:
    assert findings(POLICY, terms=TERMS.replace("nurse: [sct#", "nurse: [snomed#")) == [
        "terms.yaml:8: `snomed#224535009`: its system has no alias in `systems`"
    ]
    assert findings(
        POLICY, labels=LABELS.replace("{icd:", "{icd10:").replace("[fr]", "[french]")
    ) == [
        "labels.yaml:2: `french`: its system has no alias in terms.yaml",
        "labels.yaml:7: `icd10`: its system has no alias in terms.yaml",
    ]


def test_a_label_that_labelling_adds_must_be_known_or_it_would_deny_everything() -> None:
    assert findings(POLICY, labels=LABELS.replace("add: [conf#R]", "add: [conf#R, conf#V]")) == [
        "labels.yaml:8: `conf#V` is not among the `known` labels"
    ]


def test_a_good_directory_has_no_findings() -> None:
    assert findings(POLICY) == []


COVERS = [
    ("{}", '{"purpose": ["TREAT"]}', True),
    ('{"purpose": ["TREAT", "BTG"]}', '{"purpose": ["BTG"]}', True),
    ('{"purpose": ["BTG"]}', '{"purpose": ["TREAT", "BTG"]}', False),
    ('{"purpose": ["BTG"]}', '{"interaction": ["read"]}', False),
    (
        '{"resource": {"confidentiality_above": "N"}}',
        '{"resource": {"confidentiality_above": "R"}}',
        True,
    ),
    (
        '{"resource": {"confidentiality_above": "R"}}',
        '{"resource": {"confidentiality_above": "N"}}',
        False,
    ),
    ('{"principal": {"role": ["a"]}}', '{"principal": {"role": ["a"], "client": ["x"]}}', True),
]


@pytest.mark.parametrize(("wide", "narrow", "answer"), COVERS)
def test_a_target_covers_another_when_each_of_its_constraints_is_met(
    wide: str, narrow: str, answer: bool
) -> None:
    assert covers(Target.model_validate_json(wide), Target.model_validate_json(narrow)) is answer


def test_every_field_of_a_target_is_a_constraint() -> None:
    full = Target.model_validate_json(
        '{"principal": {"kind": ["system"], "role": ["a"], "relationship": ["self"], "organization_type": ["b"],'
        ' "client": ["c"]}, "purpose": ["BTG"], "interaction": ["read"], "consent": ["none"],'
        ' "resource": {"type": ["Patient"], "label": ["a#b"], "confidentiality_above": "N"}}'
    )
    fields = (
        sum(len(type(part).model_fields) for part in (full.principal, full.resource))
        + len(Target.model_fields)
        - 2
    )
    assert len(constraints(full)) == fields


WARN = 'texts: {beware: "Beware."}\n'


@pytest.mark.parametrize(
    ("warn", "found"),
    [
        ("beware", []),
        ("Handle with care.", []),
        ("bewaer", ["0.yaml:8: `bewaer` is no name among the `texts` of terms.yaml"]),
    ],
)
def test_a_warning_is_a_text_or_the_name_of_one(warn: str, found: list[str]) -> None:
    rule = PERMIT + f"    warn: {warn}\n"
    assert findings(with_rule(rule), terms=TERMS + WARN) == found


CEREMONY = 'break_glass:\n  may_open: {role: [physician]}\n  reasons: ["conf#N"]\n'
"""Lines 4 to 6."""
WRONG_CEREMONIES = [
    (CEREMONY.replace("physician", "wizard"), "0.yaml:5: `wizard` is no role of terms.yaml"),
    (CEREMONY.replace("conf#N", "cnf#N"), "0.yaml:6: `cnf#N`: its system has no alias in terms.yaml"),
    (CEREMONY + "  never: [{type: [Consnet]}]\n", "0.yaml:7: `Consnet` is no FHIR resource type"),
    (CEREMONY + '  never: [{label: ["conf#V"]}]\n', "0.yaml:7: `conf#V` is not among the known labels of labels.yaml"),
    (CEREMONY + '  never: [{label: ["frr#X"]}]\n', "0.yaml:7: `frr#X`: its system has no alias in terms.yaml"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "finding"), WRONG_CEREMONIES)
def test_a_ceremony_names_only_what_exists(section: str, finding: str) -> None:
    assert findings(with_rule(PERMIT, section)) == [finding]


def test_a_ceremony_is_stated_once() -> None:
    other = with_rule(DENY, CEREMONY).replace("policy: p", "policy: q")
    assert findings(with_rule(PERMIT, CEREMONY), other) == [
        "1.yaml:4: `break_glass` stands already in 0.yaml; state it once"
    ]


def test_a_rule_for_grants_that_nobody_can_open_is_told() -> None:
    rule = PERMIT.replace("purpose: [TREAT]", "principal: {relationship: [break-glass]}")
    finding = "0.yaml:7: no policy has a section `break_glass`, so nobody can open a grant"
    assert findings(with_rule(rule)) == [finding]
    assert findings(with_rule(rule, CEREMONY)) == []


TEAM_RULE = PERMIT.replace("{purpose: [TREAT]}", "{principal: {relationship: [care-team]}}")
CARE_TEAMS = [
    ("care_team_from: [CareTeam, Encounter]\n", TEAM_RULE, []),
    ("care_team_from: [Encounter]\ncare_team_grace_days: 3\n", TEAM_RULE, []),
    ("care_team_grace_days: 0\n", TEAM_RULE, []),
    ("care_team_from: [Encounter]\n", PERMIT, ["0.yaml:4: no rule asks for `relationship: care-team`"]),
    ("care_team_from: [Encounter, Encounter]\n", TEAM_RULE, ["0.yaml:4: `Encounter` stands twice"]),
    ("care_team_grace_days: 3\n", TEAM_RULE, ["0.yaml:4: nothing in `care_team_from` ends by itself; name Encounter, EpisodeOfCare or Appointment"]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "rules", "expected"), CARE_TEAMS)
def test_what_proves_a_care_team_is_said_once_and_to_some_effect(
    head: str, rules: str, expected: list[str]
) -> None:
    assert findings(with_rule(rules, head)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("care_team_from: [CareTeam, Encounter]\n", "care_team_from: [CareTeam]\n"),
        ("care_team_from: [Encounter]\ncare_team_grace_days: 3\n", "care_team_grace_days: 0\n"),
    ],
)
def test_two_files_do_not_differ_on_what_proves_a_care_team(one: str, other: str) -> None:
    second = with_rule(DENY, other).replace("policy: p", "policy: q")
    [told] = findings(with_rule(TEAM_RULE, one), second)
    assert "state it once" in told


def test_instructions_are_compared_with_the_terms_too() -> None:
    handling = "handling:\n  - {label: act#DELAU, source: s, fulfilled_by: [{warn: beware}]}\n"
    line = LABELS.count("\n") + 2
    assert findings(with_rule(PERMIT), labels=LABELS + handling) == [
        f"labels.yaml:{line}: `act#DELAU`: its system has no alias in terms.yaml",
        f"labels.yaml:{line}: `beware` is no name among the `texts` of terms.yaml",
    ]


def test_a_label_of_which_nobody_is_told_has_an_alias() -> None:
    line = LABELS.count("\n") + 1
    assert findings(with_rule(PERMIT), labels=LABELS + 'untold: ["fr#X"]\n') == []
    assert findings(with_rule(PERMIT), labels=LABELS + 'untold: ["frr#X"]\n') == [
        f"labels.yaml:{line}: `frr#X`: its system has no alias in terms.yaml"
    ]
