"""Search requests, understood: criteria, result parameters, includes (https://hl7.org/fhir/R4/search.html)."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from proxy.fhir.definitions import Definitions, SearchParam
from proxy.sandbox.model import Pairs, invalid

DEFAULT_COUNT = 20
MAX_COUNT = 1000
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SUMMARIES = ("true", "text", "data", "count", "false")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One filter: a parameter with modifier or target type, or a chain; values are alternatives, escapes kept.

    For `subject:Patient.name=x` the name is `subject`, the modifier `Patient`, the chain `name`.
    For `_has:Observation:patient:code=x` the name is `_has` and the chain `Observation:patient:code`.
    """

    name: str
    modifier: str
    chain: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`: `source` and `param` may be `*`, `target` may be empty."""

    source: str
    param: str
    target: str
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    """Parameter names and whether descending."""
    includes: tuple[Include, ...] = ()
    count: int = DEFAULT_COUNT
    summary: str = "false"
    elements: tuple[str, ...] = ()
    total: str = "accurate"


@dataclass(slots=True)
class _Building:
    """A query while its parameters are read."""

    type: str
    definitions: Definitions
    criteria: list[Criterion] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    summary: str = "false"
    total: str = "accurate"


def split(text: str, separator: str) -> list[str]:
    """Split at unescaped separators; escapes stay."""
    parts, part, escaped = [], "", False
    for char in text:
        if char == separator and not escaped:
            parts.append(part)
            part = ""
        else:
            part += char
        escaped = char == "\\" and not escaped
    return [*parts, part]


def unescaped(text: str) -> str:
    r"""Resolve the escapes `\,`, `\|`, `\$` and `\\`."""
    return _ESCAPE.sub(r"\1", text)


def known_param(definitions: Definitions, kind: str, name: str) -> SearchParam:
    """Give a parameter of a type; FhirError 400 if there is none of this name."""
    param = definitions.search_param(kind, name)
    if param is None:
        raise invalid(f'unknown search parameter "{name}" for resource type "{kind}"')
    return param


def criterion_of(name: str, value: str) -> Criterion:
    """Read one filter parameter."""
    values = tuple(part for part in split(value, ",") if part)
    if name.startswith("_has:"):
        return Criterion("_has", "", name.removeprefix("_has:"), values)
    head, _, chain = name.partition(".")
    param, _, modifier = head.partition(":")
    return Criterion(param, modifier, chain, values)


def query_of(kind: str, pairs: Pairs, definitions: Definitions) -> Query:
    """Read the parameters of a search; FhirError 400 for what is unknown or malformed."""
    building = _Building(kind, definitions)
    for name, value in pairs:
        control = _CONTROLS.get(name.partition(":")[0])
        if control is not None:
            control(building, name, value)
        elif value:
            building.criteria.append(criterion_of(name, value))
    return Query(
        kind,
        tuple(building.criteria),
        tuple(building.sort),
        tuple(building.includes),
        building.count,
        building.summary,
        tuple(building.elements),
        building.total,
    )


def _count(building: _Building, _name: str, value: str) -> None:
    if not value.isdecimal():
        raise invalid(f"_count must be a whole number, not `{value}`")
    building.count = min(int(value), MAX_COUNT)
    if building.count == 0:
        building.summary = "count"


def _sort(building: _Building, _name: str, value: str) -> None:
    for part in filter(None, value.split(",")):
        name = part.lstrip("-")
        known_param(building.definitions, building.type, name)
        building.sort.append((name, part.startswith("-")))


def _summary(building: _Building, _name: str, value: str) -> None:
    building.summary = _one_of("_summary", value, _SUMMARIES)


def _total(building: _Building, _name: str, value: str) -> None:
    building.total = _one_of("_total", value, ("none", "estimate", "accurate"))


def _one_of(name: str, value: str, known: Iterable[str]) -> str:
    if value not in known:
        raise invalid(f"{name} has the unknown value `{value}`")
    return value


def _elements(building: _Building, _name: str, value: str) -> None:
    building.elements += [part.removeprefix(building.type + ".") for part in value.split(",")]


def _include(building: _Building, name: str, value: str) -> None:
    control, _, modifier = name.partition(":")
    source, _, rest = value.partition(":")
    param, _, target = rest.partition(":")
    iterate = modifier in {"iterate", "recurse"}
    named = source != "*" and param != "*"
    if named and known_param(building.definitions, source, param).kind != "reference":
        raise invalid(f"{control} needs a reference parameter, not `{value}`")
    building.includes.append(
        Include(source, param or "*", target, control == "_revinclude", iterate)
    )


def _ignored(_building: _Building, _name: str, _value: str) -> None:
    return None


_CONTROLS: dict[str, Callable[[_Building, str, str], None]] = {
    "_count": _count,
    "_sort": _sort,
    "_summary": _summary,
    "_total": _total,
    "_elements": _elements,
    "_include": _include,
    "_revinclude": _include,
    "_format": _ignored,
    "_pretty": _ignored,
}
