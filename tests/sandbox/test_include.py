import pytest

from proxy.sandbox.include import included
from proxy.sandbox.query import Include
from tests.sandbox import made


def rule(
    source: str, param: str, target: str = "", *, reverse: bool = False, iterate: bool = False
) -> Include:
    return Include(source, param, target, reverse, iterate)


CASES = [
    ("Observation/obs", [rule("Observation", "subject")], "ann"),
    ("Observation/obs", [rule("Observation", "subject", "Group")], ""),
    ("Observation/obs", [rule("Observation", "*")], "ann doc"),
    ("Observation/obs", [rule("*", "*")], "ann doc"),
    ("Observation/obs", [rule("Patient", "organization")], ""),
    ("Observation/obs", [rule("Observation", "subject"), rule("Patient", "organization")], "ann"),
    ("Observation/obs", [rule("Observation", "subject"), rule("Patient", "organization", iterate=True)], "ann org"),
    ("Patient/ann", [rule("Observation", "subject", reverse=True)], "obs"),
    ("Patient/ann", [rule("*", "*", reverse=True)], "obs"),
    ("Patient/bob", [rule("*", "*", reverse=True)], ""),
    ("Organization/org", [rule("Patient", "organization", reverse=True), rule("Observation", "patient", reverse=True, iterate=True)], "ann obs"),
]  # fmt: skip


@pytest.mark.parametrize(("match", "rules", "names"), CASES)
def test_includes_follow_their_rules(match: str, rules: list[Include], names: str) -> None:
    world = made.small_world()
    kind, _, ident = match.partition("/")

    others = included(world.index, [world.store.read(kind, ident)], rules)

    assert sorted(v.id for v in others) == sorted(names.split())


def test_a_circle_ends() -> None:
    world = made.small_world()
    made.put(world.store, "Organization", "a", partOf=made.to("Organization/b"))
    made.put(world.store, "Organization", "b", partOf=made.to("Organization/a"))

    others = included(
        world.index,
        [world.store.read("Organization", "a")],
        [rule("Organization", "partof", iterate=True)],
    )

    assert [v.id for v in others] == ["b"]
