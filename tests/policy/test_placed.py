"""Where the parts of a policy directory stand: those of rules, and those of the section `break_glass`."""

from proxy.policy.labels import LabelFile
from proxy.policy.model import Policy
from proxy.policy.parse import parse
from proxy.policy.placed import Files, placed_rules, principals_of, resources_of
from proxy.policy.terms import Terms
from tests.policy.packs import LABELS, TERMS

POLICY = """\
policy: p
version: "1"
source: s
break_glass:
  may_open: {role: [physician]}
  reasons: ["conf#N"]
  never:
    - type: [Consent]
    - label: ["conf#R"]
rules:
  - id: one
    effect: permit
    target:
      principal: {kind: [practitioner]}
      resource: {type: [Observation]}
"""
FILES = Files(
    (parse("p.yaml", POLICY, Policy),),
    parse("terms.yaml", TERMS, Terms),
    parse("labels.yaml", LABELS, LabelFile),
)


def test_a_rule_stands_where_its_id_stands() -> None:
    [rule] = placed_rules(FILES.policies)
    assert rule.place == ("p.yaml", 11)
    assert str(rule.finding("wrong", "effect")) == "p.yaml:12: wrong"


def test_principals_are_those_of_rules_and_of_who_may_open_a_grant() -> None:
    ofrule, opener = principals_of(FILES)
    assert str(ofrule.finding("wrong", "kind", 0)) == "p.yaml:14: wrong"
    assert str(opener.finding("wrong", "role", 0)) == "p.yaml:5: wrong"
    assert opener.part.role == ("physician",)


def test_resources_are_those_of_rules_and_of_what_no_grant_opens() -> None:
    found = list(resources_of(FILES))
    assert [str(one.finding("wrong")) for one in found] == [
        "p.yaml:15: wrong",
        "p.yaml:8: wrong",
        "p.yaml:9: wrong",
    ]
