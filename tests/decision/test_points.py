from proxy.decision.case import compile_policies
from proxy.decision.points import CONSENTS, NOBODY, Point, Points, mask_of
from tests.situations import BASELINE

COMPILED = compile_policies(BASELINE)
POINTS = Points(COMPILED, COMPILED.rules, len(COMPILED.rules))


def number_of(rule: str) -> int:
    return [one.id for one in COMPILED.rules].index(rule)


def points_of(rule: str) -> list[Point]:
    return list(POINTS.of(number_of(rule)))


def test_every_point_of_a_rule_is_one_that_the_rule_matches() -> None:
    for number, rule in enumerate(COMPILED.rules):
        found = list(POINTS.of(number))
        assert found
        for point in found:
            assert point.mask >> number & 1
            assert not rule.types or point.type in rule.types
            assert not rule.interactions or point.interaction in rule.interactions
            assert not rule.principal.kind or point.kind in rule.principal.kind
            assert not rule.consent or rule.consent & CONSENTS[point.consent]


def test_no_two_points_are_alike() -> None:
    found = points_of("insurers-never")
    assert len({one[1:] for one in found}) == len(found)


def test_a_type_about_nobody_has_no_consent() -> None:
    assert {one.consent for one in points_of("directory-is-open")} == {NOBODY}


def test_values_that_no_rule_tells_apart_are_one() -> None:
    reading = {one.interaction for one in points_of("care-team-reads")}
    assert reading < {"read", "vread", "history-instance", "search-type"}


def test_a_mask_has_a_bit_for_each_rule() -> None:
    assert mask_of(COMPILED.rules, lambda _: True) == (1 << len(COMPILED.rules)) - 1
    assert mask_of(COMPILED.rules, lambda rule: rule.id == COMPILED.rules[2].id) == 0b100
