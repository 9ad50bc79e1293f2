"""`_include` and `_revinclude`: resources that come along with the matches of a search."""

from collections.abc import Iterable, Iterator

from proxy.fhir.definitions import SearchParam
from proxy.sandbox.index import Index
from proxy.sandbox.model import Key, Version
from proxy.sandbox.query import Include
from proxy.sandbox.values import Link, Value


def included(index: Index, matches: list[Version], includes: Iterable[Include]) -> list[Version]:
    """List what the includes add to the matches, each resource once; `:iterate` is followed to its end."""
    asked = tuple(includes)
    seen: dict[Key, Version] = {version.key: version for version in matches}
    fresh, rules = matches, asked
    while fresh and rules:
        added = {v.key: v for v in _step(index, fresh, rules) if v.key not in seen}
        seen |= added
        fresh, rules = list(added.values()), tuple(rule for rule in asked if rule.iterate)
    return list(seen.values())[len(matches) :]


def _step(index: Index, sources: list[Version], rules: Iterable[Include]) -> Iterator[Version]:
    for rule in rules:
        follow = _pointing_at if rule.reverse else _pointed_at
        for source in sources:
            yield from follow(index, source, rule)


def _params(index: Index, kind: str, rule: Include) -> list[SearchParam]:
    """List the reference parameters of a type that a rule names."""
    if rule.source not in {"*", kind}:
        return []
    return [p for p in index.reference_params(kind) if rule.param in {"*", p.name}]


def _pointed_at(index: Index, source: Version, rule: Include) -> Iterator[Version]:
    """Give the resources that a match refers to."""
    for param in _params(index, source.type, rule):
        for link in index.of(source.type, param).values.get(source.id, ()):
            target = _target(index, link, param)
            if target is not None and rule.target in {"", target.type}:
                yield target


def _target(index: Index, link: Value, param: SearchParam) -> Version | None:
    if not isinstance(link, Link) or not link.local:
        return None
    kind, _, ident = link.local.partition("/")
    return index.store.current(kind, ident) if kind in param.targets else None


def _pointing_at(index: Index, target: Version, rule: Include) -> Iterator[Version]:
    """Give the resources that refer to a match."""
    kinds = index.store.types() if rule.source == "*" else [rule.source]
    for kind in kinds:
        for param in _params(index, kind, rule):
            if target.type not in param.targets:
                continue
            found = index.store.everything(kind)
            for ident in sorted(index.of(kind, param).ids([target.local])):
                yield found[ident]
