"""Which included resources belong to the matches that leave (FHIR search `_include`, `_revinclude`; standards SRCH-5).

An include that only a withheld match refers to would prove the hidden match; so an include stays only when a match that
leaves refers to it, or is referred to by it, through the element that the request named.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from proxy.fhir.definitions import Definitions
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.interaction import SearchParameter
from proxy.obligations.disclose import Judged, less_astray

Normal = Callable[[str], str | None]


def related(
    matches: Iterable[Judged],
    included: Iterable[Judged],
    includes: Iterable[SearchParameter],
    definitions: Definitions,
    normal: Normal,
) -> list[Judged]:
    """The included resources that are tied to one of the matches by one of the `includes`."""
    kept = [match for match in matches if match.envelope is not None]
    references = {match.envelope.reference for match in kept if match.envelope}
    wanted = [
        _read(value, parameter.name == "_include")
        for parameter in includes
        for value in parameter.values
    ]
    outwards = {
        target
        for rule in wanted
        if rule.outwards
        for match in kept
        if match.envelope and match.envelope.type == rule.source
        for target in references_of(less_astray(match), _paths(rule, definitions), normal)
        if rule.reaches(target)
    }
    return [
        one
        for one in included
        if one.envelope is not None
        and (
            one.envelope.reference in outwards
            or _points_to(one, references, wanted, definitions, normal)
        )
    ]


class _Include(msgspec.Struct, frozen=True):
    """`Source:param[:Target]`, forwards (`_include`) or backwards (`_revinclude`)."""

    source: str
    param: str
    target: str
    outwards: bool

    def reaches(self, reference: str) -> bool:
        """Whether the reference is of the type that was asked for."""
        return not self.target or reference.startswith(self.target + "/")


def _read(value: str, outwards: bool) -> _Include:
    source, _, rest = value.partition(":")
    param, _, target = rest.partition(":")
    return _Include(source, param, target, outwards)


def _paths(rule: _Include, definitions: Definitions) -> tuple[str, ...]:
    parameter = definitions.search_params.get(rule.source, {}).get(rule.param)
    return parameter.paths if parameter else ()


def _points_to(
    one: Judged,
    references: set[str],
    wanted: list[_Include],
    definitions: Definitions,
    normal: Normal,
) -> bool:
    raw = less_astray(one)
    return any(
        not rule.outwards
        and one.envelope is not None
        and one.envelope.type == rule.source
        and not references.isdisjoint(references_of(raw, _paths(rule, definitions), normal))
        for rule in wanted
    )


def references_of(raw: bytes, paths: Iterable[str], normal: Normal) -> Iterator[str]:
    """The normalised references at element paths of a resource."""
    try:
        tree = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UnreadableError("not JSON") from None
    for path in paths:
        for node in _at(tree, path.split(".")):
            text = node.get("reference") if isinstance(node, dict) else node
            target = normal(text) if isinstance(text, str) else None
            if target is not None:
                yield target


def refers(raw: bytes, paths: Iterable[str], gone: frozenset[str]) -> bool:
    """Whether a reference stands at element paths of a resource, other than those written as one of `gone`."""
    try:
        tree = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UnreadableError("not JSON") from None
    nodes = (node for path in paths for node in _at(tree, path.split(".")))
    return any(
        "identifier" in node or node.get("reference", "") not in (gone | {""})
        if isinstance(node, dict)
        else isinstance(node, str) and node not in gone
        for node in nodes
    )


def _at(node: object, steps: list[str]) -> Iterator[object]:
    if isinstance(node, list):
        for item in node:
            yield from _at(item, steps)
    elif not steps:
        yield node
    elif isinstance(node, dict) and steps[0] in node:
        yield from _at(node[steps[0]], steps[1:])
