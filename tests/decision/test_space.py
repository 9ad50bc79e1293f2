from proxy.decision.case import compile_policies
from proxy.decision.points import NOBODY, Point
from proxy.decision.space import DOUBT_OF_CALLER, DOUBT_OF_TIES, Element, Space
from proxy.fhir.coding import Coding
from tests.situations import BASELINE

SPACE = Space(compile_policies(BASELINE))
NUMBERS = {rule.id: number for number, rule in enumerate(SPACE.rules)}
EVERY = (1 << len(SPACE.rules)) - 1
POINT = Point(EVERY, "practitioner", "", "read", "Observation", "permit", "N", 0.0, grant=False)
NURSE = Element("role", "nurse", Coding("http://snomed.info/sct", "224535009"))
TEAM, AUTHOR = Element("relationship", "care-team"), Element("relationship", "author")


def matched(*held: Element, point: Point = POINT) -> set[str]:
    found = SPACE.matched(point, frozenset(held))
    return {SPACE.rules[number].id for number in SPACE.numbers(found.permits | found.denies)}


def test_more_that_is_held_makes_more_rules_match() -> None:
    purpose = Element("purpose", "TREAT")
    assert "care-team-nurse-reads" not in matched(NURSE, purpose)
    assert "care-team-nurse-reads" in matched(NURSE, purpose, TEAM)
    assert matched(NURSE, purpose) <= matched(NURSE, purpose, TEAM)


def test_in_doubt_of_the_caller_denies_match_and_permits_do_not() -> None:
    purpose = Element("purpose", "TREAT")
    found = matched(NURSE, purpose, TEAM, DOUBT_OF_CALLER)
    assert "insurers-never" in found
    assert "care-team-nurse-reads" not in found
    assert "author-reads-own" in matched(purpose, AUTHOR, DOUBT_OF_CALLER)


def test_in_doubt_of_the_ties_only_denies_of_ties_match() -> None:
    found = matched(TEAM, DOUBT_OF_TIES)
    assert "denied-by-the-patient" in found
    assert "insurers-never" not in found


def test_the_least_a_rule_needs_makes_it_match() -> None:
    for number in range(NUMBERS["very-restricted-is-for-the-author"] + 1):
        rule = SPACE.rules[number]
        for point in list(SPACE.points(number))[:5]:
            for needed in SPACE.needs(number, point):
                wholes = list(SPACE.whole(point, needed))
                assert wholes
                if not needed & {DOUBT_OF_CALLER, DOUBT_OF_TIES}:
                    assert all(rule.id in matched(*whole, point=point) for whole in wholes)


def test_who_is_about_nobody_has_no_tie_to_a_patient() -> None:
    nobody = POINT._replace(consent=NOBODY)
    assert SPACE.needs(NUMBERS["denied-by-the-patient"], nobody) == ()
    assert SPACE.needs(NUMBERS["author-reads-own"], nobody) != ()


def test_an_absolute_deny_is_lifted_by_nothing() -> None:
    deny, mask = NUMBERS["insurers-never"], NUMBERS["masked-from-professionals"]
    assert list(SPACE.lifting(deny, POINT)) == []
    assert NUMBERS["general-practitioner-reads-masked"] in set(SPACE.lifting(mask, POINT))
    both = 1 << deny | 1 << mask
    assert SPACE.unlifted(both, SPACE.permits) == 1 << deny
    assert SPACE.unlifted(both, 0) == both
