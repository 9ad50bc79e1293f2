"""A small checker of events against the published BALP profiles: cardinality, patterns, slices and required bindings.

The profiles lie beside the repository; a test that needs them asks `published()` and is skipped without them.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

_PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "standards" / "balp"
_PATTERNS = ("patternCoding", "patternCodeableConcept", "patternCode", "patternBoolean")


def published() -> Path:
    if not _PUBLISHED.is_dir():
        pytest.skip("the published BALP profiles and examples are not beside the repository")
    return _PUBLISHED


def example(name: str) -> Json:
    return _read(published() / "auditevents" / f"AuditEvent-ex-audit{name}.json")


def _read(path: Path) -> Json:
    read: Json = json.loads(path.read_text("utf-8"))
    return read


@cache
def profile(url: str) -> dict[str, Json]:
    """Element definitions by id, those of the base profile first."""
    definition = _read(published() / "defs" / f"StructureDefinition-{url.rsplit('/', 1)[1]}.json")
    base = definition["baseDefinition"]
    inherited = profile(base) if "BasicAudit" in base else {}
    elements = {name: dict(element) for name, element in inherited.items()}
    for element in definition["differential"]["element"]:
        elements[element["id"]] = elements.get(element["id"], {}) | element
    return elements


@cache
def codes(value_set: str) -> frozenset[tuple[str, str]]:
    file = published() / "defs" / f"ValueSet-{value_set.rpartition('/')[2]}.json"
    if not file.exists():
        return frozenset()
    included = _read(file)["compose"]["include"]
    return frozenset(
        (one["system"], concept["code"]) for one in included for concept in one.get("concept", ())
    )


def holds(pattern: object, value: object) -> bool:
    """FHIR pattern[x]: everything in the pattern is in the value; more may be."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and holds(wanted, value[key]) for key, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(holds(wanted, one) for one in value) for wanted in pattern
        )
    return pattern == value


def problems(event: Json, url: str) -> list[str]:
    """What in the event breaks the profile; empty if nothing."""
    elements = profile(url)
    found = [
        problem
        for element in elements.values()
        if element["id"] != "AuditEvent"
        for problem in _element_problems(event, element, elements)
    ]
    return [*found, *_closed_problems(event, elements), *_source_problems(event, elements)]


def _element_problems(event: Json, element: Json, elements: dict[str, Json]) -> Iterator[str]:
    path = element["id"].split(".")
    for parent in _at(event, path[1:-1], elements, path[0]):
        values = list(_children(parent, path[-1], elements, ".".join(path[:-1])))
        most = element.get("max", "*")
        if len(values) < element.get("min", 0) or (most != "*" and len(values) > int(most)):
            yield f"{element['id']}: {len(values)} values"
        for value in values:
            if not _fits(element, value):
                yield f"{element['id']}: {value}"


def _fits(element: Json, value: object) -> bool:
    if any(name in element and not holds(element[name], value) for name in _PATTERNS):
        return False
    allowed = codes(element.get("binding", {}).get("valueSet", ""))
    if not allowed or not isinstance(value, dict):
        return True
    return (value.get("system"), value.get("code")) in allowed


def _at(node: Json, steps: list[str], elements: dict[str, Json], prefix: str) -> list[Json]:
    nodes = [node]
    for step in steps:
        nodes = [child for one in nodes for child in _children(one, step, elements, prefix)]
        prefix = f"{prefix}.{step}"
    return nodes


def _children(node: Any, step: str, elements: dict[str, Json], prefix: str) -> list[Any]:
    name, _, slice_name = step.partition(":")
    if not isinstance(node, dict) or name not in node:
        return []
    values = node[name] if isinstance(node[name], list) else [node[name]]
    return [one for one in values if not slice_name or _in_slice(one, f"{prefix}.{step}", elements)]


def _in_slice(value: Any, sliced: str, elements: dict[str, Json]) -> bool:
    if f"{sliced}.type" not in elements:  # discriminator $this: the binding tells the slice
        return _fits(elements[sliced], value)
    return isinstance(value, dict) and _fits(elements[f"{sliced}.type"], value.get("type"))


def _closed_problems(event: Json, elements: dict[str, Json]) -> Iterator[str]:
    if elements.get("AuditEvent.entity", {}).get("slicing", {}).get("rules") != "closed":
        return
    slices = [name for name in elements if name.count(".") == 1 and ".entity:" in name]
    for entity in event["entity"]:
        if not any(_in_slice(entity, name, elements) for name in slices):
            yield f"AuditEvent.entity is closed: {entity}"


def _source_problems(event: Json, elements: dict[str, Json]) -> Iterator[str]:
    for element in elements.values():
        if any(rule["key"] == "val-audit-source" for rule in element.get("constraint", ())):
            path = element["id"].split(".")
            for agent in _at(event, path[1:], elements, path[0]):
                if agent["who"] != event["source"]["observer"]:
                    yield f"{element['id']}: who is not source.observer"


def kinds(agent: Json) -> frozenset[tuple[str, str]]:
    return frozenset((one["system"], one["code"]) for one in agent["type"]["coding"])


def agent(event: Json, code: str) -> Json:
    """The one agent with a type of this code."""
    (found,) = [one for one in event["agent"] if code in {kind for _, kind in kinds(one)}]
    return dict(found)


def outline(event: Json) -> Json:
    """What two events of one shape share: codes, and the kinds of their entities."""
    return {
        "type": _key(event["type"]),
        "subtype": {_key(one) for one in event["subtype"]},
        "action": event["action"],
        "outcome": event["outcome"],
        "entities": sorted(
            (_key(one["type"]), _key(one.get("role", {})), "what" in one, "query" in one)
            for one in event["entity"]
        ),
    }


def _key(coding: Json) -> tuple[str, str]:
    return coding.get("system", ""), coding.get("code", "")
