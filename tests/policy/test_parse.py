import pytest

from proxy.errors import UnusableError
from proxy.policy.model import Policy
from proxy.policy.parse import parse

HEAD = 'policy: p\nversion: "1"\nsource: s\n'
RULE = HEAD + "rules:\n  - id: r\n    effect: permit\n    target: {purpose: [TREAT]}\n"

BROKEN = [
    (HEAD + "unlabeled: N\n", 4, "unknown key `unlabeled`"),
    ("version: '1'\nsource: s\n", 1, "`policy` is missing"),
    ("policy: p\nversion: 2026\nsource: s\n", 2, "`version` must be text; put it in quotes"),
    (HEAD + "unlabelled: V\n", 4, "`V` is no known unlabelled; known are 'N', 'R' or 'deny'"),
    (HEAD + "rules: []\n", 4, "`rules` is empty"),
    (HEAD + "rules: all\n", 4, "`rules` must be a list"),
    (HEAD + "default_purpose: {doctor: TREAT}\n", 4, "`doctor` is no known default_purpose"),
    (HEAD + 'matrix: ""\n', 4, "`matrix` is empty"),
    ("- a\n- b\n", 1, "`file` must be keys with values"),
    ("just text\n", 1, "`file` must be keys with values"),
    (RULE + "    efect: deny\n", 8, "unknown key `efect`"),
    (RULE.replace("permit", "allow"), 6, "`allow` is no known effect; known are 'permit' or 'deny'"),
    (RULE.replace("[TREAT]", "[TREAT, PLAY]"), 7, "`PLAY` is no known purpose"),
    (RULE.replace("[TREAT]", "[]"), 7, "`purpose` is empty; give a value or leave `purpose` out"),
    (RULE.replace("[TREAT]", "TREAT"), 7, "`purpose` must be a list"),
    (RULE + "    absolute: true\n", 5, "`absolute` has no meaning in a rule with `effect: permit`; leave it out"),
    (RULE + "    redact:\n      remove:\n        - Patient.telecom\n        - telecom\n", 11, "`telecom` is not a well-formed remove"),
    (RULE + "    redact:\n      replace:\n        telecom: x\n", 10, "`telecom` is not a well-formed replace"),
    (RULE + "    id: twice\n", 8, "duplicate key `id`, first on line 5"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_a_broken_file_is_told_by_line_in_plain_words(text: str, line: int, message: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse("p.yaml", text, Policy)
    found = [(finding.line, finding.message) for finding in caught.value.findings]
    assert len(found) == 1
    assert found[0][0] == line
    assert found[0][1].startswith(message)


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        HEAD
        + "refusal: shout\nrules:\n  - id: A b\n    effect: maybe\n    target: {purpose: [NO]}\n"
    )
    with pytest.raises(UnusableError) as caught:
        parse("p.yaml", text, Policy)
    assert [finding.line for finding in caught.value.findings] == [4, 6, 7, 8]


def test_a_good_file_knows_where_each_part_stands() -> None:
    source = parse("p.yaml", RULE, Policy)
    assert source.content.rules[0].target.purpose == ("TREAT",)
    assert str(source.finding(("rules", 0, "target"), "look")) == "p.yaml:7: look"
