from typing import Any

import orjson
import pytest

from proxy.fhir.containers import MOST_NESTED, held_in
from proxy.fhir.envelope import UnreadableError

OBSERVATION = {"resourceType": "Observation", "id": "o", "contained": [{"resourceType": "Patient"}]}


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    entries = [{"fullUrl": "urn:uuid:1", "resource": one} for one in resources]
    return {"resourceType": "Bundle", "entry": entries, **more}


def kinds(tree: Any) -> list[str]:
    return sorted(orjson.loads(one)["resourceType"] for one in held_in(tree))


def nested(depth: int) -> dict[str, Any]:
    tree = bundle(OBSERVATION)
    for _ in range(depth - 1):
        tree = bundle(tree)
    return tree


OUTCOME = {"resourceType": "OperationOutcome"}
HELD = [
    (bundle(OBSERVATION), ["Observation"]),
    (bundle(OBSERVATION, bundle(OBSERVATION)), ["Bundle", "Observation"]),
    (bundle(issues=OUTCOME), ["OperationOutcome"]),
    (bundle(entry=[{"response": {"outcome": OUTCOME}}]), ["OperationOutcome"]),
    (
        bundle({"resourceType": "Parameters", "parameter": [{"resource": OBSERVATION}]}),
        ["Parameters"],
    ),
    (bundle(extension=[{"valueX": OBSERVATION}]), ["Observation"]),
    (bundle(entry=[{"resource": None}]), []),
    (bundle(entry=[{"fullUrl": "x"}]), []),
    (bundle(), []),
]


@pytest.mark.parametrize(("tree", "expected"), HELD)
def test_every_resource_in_a_bundle_is_found_wherever_it_stands(
    tree: Any, expected: list[str]
) -> None:
    assert kinds(tree) == expected


NO_RESOURCES = [
    bundle({"id": "x"}), bundle({"resourceType": 1}), bundle("text"), bundle(1), bundle([["x"]]), bundle(True),
    bundle(entry=[{"response": {"outcome": {"id": "x"}}}]), bundle(issues={"id": "x"}), bundle(entry={"resource": {}}),
    bundle(entry=[[{"resource": {"code": "x"}}]]),
]  # fmt: skip


@pytest.mark.parametrize("tree", NO_RESOURCES)
def test_what_is_held_and_is_no_resource_makes_the_bundle_unreadable(tree: Any) -> None:
    with pytest.raises(UnreadableError):
        list(held_in(tree))


def test_nesting_is_bounded() -> None:
    assert kinds(nested(MOST_NESTED)) == ["Bundle"]
    with pytest.raises(UnreadableError):
        held_in(nested(MOST_NESTED + 1))
