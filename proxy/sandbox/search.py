"""Search: the resources of a type that satisfy all criteria, in order (https://hl7.org/fhir/R4/search.html)."""

from collections.abc import Callable, Iterable

from proxy.fhir.definitions import SearchParam
from proxy.sandbox.index import Index, ParamIndex
from proxy.sandbox.matching import Predicate, keys_of, known_modifier, predicate_of
from proxy.sandbox.model import Pairs, Version, invalid
from proxy.sandbox.query import Criterion, Query, criterion_of, known_param, query_of
from proxy.sandbox.values import Amount, Link, Text, Token, Value

Ids = set[str]

FEW = 1000
"""So many candidates are tested one by one rather than looked up in an index."""

# References part the resources finest, a scan over all values is dearest.
_COSTS = {"reference": 1, "token": 2}
_DEAREST = 4


class Search:
    """Searches over one store."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.store = index.store
        self.definitions = index.store.definitions

    def query(self, kind: str, pairs: Pairs, base: str) -> Query:
        """Read the parameters of a search; `base` is the own base URL, under which absolute references are local."""
        local = tuple((name, value.replace(f"{base}/", "")) for name, value in pairs)
        return query_of(kind, local, self.definitions)

    def find(self, query: Query) -> list[Version]:
        """List the current versions that match, sorted; by creation if nothing else is asked."""
        found = self.store.everything(query.type)
        ids = self.ids(query.type, query.criteria)
        versions = [found[ident] for ident in ids]
        versions.sort(key=lambda version: version.serial)
        for name, descending in reversed(query.sort):
            versions = self._sorted(versions, query.type, name, descending=descending)
        return versions

    def ids(self, kind: str, criteria: Iterable[Criterion]) -> Ids:
        """Give the ids of a type that satisfy all criteria, the cheap ones evaluated first."""
        steps = [(self._cost(kind, criterion), criterion) for criterion in criteria]
        ids: Ids | None = None
        for _, criterion in sorted(steps, key=lambda step: step[0]):
            ids = self._ids(kind, criterion, ids)
        return set(self.store.everything(kind)) if ids is None else ids

    def _cost(self, kind: str, criterion: Criterion) -> int:
        if criterion.name == "_id":
            return 0
        if criterion.name == "_has" or criterion.chain:
            return 2
        param = known_param(self.definitions, kind, criterion.name)
        keyed = param.kind in {"token", "reference"} and criterion.modifier not in {
            "not",
            "missing",
        }
        return 1 if keyed else 3

    def _ids(self, kind: str, criterion: Criterion, among: Ids | None) -> Ids:
        """Give the ids, among those given, that satisfy one criterion."""
        if criterion.name == "_has":
            return _within(self._had(kind, criterion), among)
        param = known_param(self.definitions, kind, criterion.name)
        if criterion.name == "_id" and not criterion.modifier:
            found = self.store.everything(kind)
            return _within({value for value in criterion.values if value in found}, among)
        index = self.index.of(kind, param)
        if criterion.chain:
            return _within(self._chained(index, criterion), among)
        if criterion.modifier == "missing":
            return self._missing(index, criterion, among)
        known_modifier(param, criterion.modifier, self.definitions.resource_types)
        matching = self._any_value(index, criterion, None if criterion.modifier == "not" else among)
        if criterion.modifier == "not":
            return (set(index.values) if among is None else among) - matching
        return matching

    def _any_value(self, index: ParamIndex, criterion: Criterion, among: Ids | None) -> Ids:
        ids: Ids = set()
        for value in criterion.values:
            test = predicate_of(index.param, criterion.modifier, value, self.store.clock())
            keys = keys_of(index.param, criterion.modifier, value)
            ids |= _passing(index, _pool(index, keys, among), test)
        return ids

    def _missing(self, index: ParamIndex, criterion: Criterion, among: Ids | None) -> Ids:
        if criterion.values not in {("true",), ("false",)}:
            raise invalid(f'"{criterion.name}:missing" must be true or false')
        wanted = criterion.values == ("true",)
        pool = index.values if among is None else among
        return {ident for ident in pool if (not index.values.get(ident)) is wanted}

    def _had(self, kind: str, criterion: Criterion) -> Ids:
        """Give the ids that other resources refer to (`_has:Observation:patient:code`)."""
        source, _, rest = criterion.chain.partition(":")
        by, _, inner = rest.partition(":")
        if source not in self.definitions.resource_types or not inner:
            raise invalid(f'"_has:{criterion.chain}" is malformed')
        param = known_param(self.definitions, source, by)
        pointing = self.ids(source, [criterion_of(inner, ",".join(criterion.values))])
        links = self.index.of(source, param).values
        locals_ = {
            link.local for i in pointing for link in links.get(i, ()) if isinstance(link, Link)
        }
        found = self.store.everything(kind)
        pairs = (local.split("/") for local in locals_ if local)
        return {ident for target, ident in pairs if target == kind and ident in found}

    def _chained(self, index: ParamIndex, criterion: Criterion) -> Ids:
        """Give the ids whose reference leads to a resource that satisfies the rest of the chain."""
        inner = criterion_of(criterion.chain, ",".join(criterion.values))
        kinds = self._chain_types(index.param, criterion, inner)
        ids: Ids = set()
        for kind in kinds:
            ids |= index.ids(f"{kind}/{ident}" for ident in self.ids(kind, [inner]))
        return ids

    def _chain_types(self, param: SearchParam, criterion: Criterion, inner: Criterion) -> list[str]:
        asked = (criterion.modifier,) if criterion.modifier else param.targets
        params = self.definitions.search_params
        kinds = [
            kind for kind in asked if inner.name == "_has" or inner.name in params.get(kind, {})
        ]
        if param.kind != "reference" or not kinds:
            raise invalid(
                f'"{criterion.name}.{criterion.chain}" leads to no known search parameter'
            )
        return kinds

    def _sorted(
        self, versions: list[Version], kind: str, name: str, *, descending: bool
    ) -> list[Version]:
        """Sort stably by one parameter; resources without a value come last."""
        index = self.index.of(kind, known_param(self.definitions, kind, name))
        choose: Callable[[list[SortKey]], SortKey] = max if descending else min
        keys = {v.id: [_sort_key(value) for value in index.values[v.id]] for v in versions}
        having = [v for v in versions if keys[v.id]]
        lacking = [v for v in versions if not keys[v.id]]
        having.sort(key=lambda v: choose(keys[v.id]), reverse=descending)
        return having + lacking


SortKey = tuple[float, str]


def _sort_key(value: Value) -> SortKey:
    if isinstance(value, Token):
        return 0, value.code
    if isinstance(value, Link):
        return 0, value.local or value.text
    if isinstance(value, Text):
        return 0, value.folded
    if isinstance(value, Amount):
        return float(value.low), ""
    return (0, value) if isinstance(value, str) else (value[0], "")


def _within(ids: Ids, among: Ids | None) -> Ids:
    return ids if among is None else ids & among


def _pool(index: ParamIndex, keys: Iterable[str] | None, among: Ids | None) -> Iterable[str]:
    """Give the ids to look at: the smaller of what the index names and what is left."""
    if keys is None or (among is not None and len(among) <= FEW):
        return index.values if among is None else among
    return _within(index.ids(keys), among)


def _passing(index: ParamIndex, pool: Iterable[str], test: Predicate) -> Ids:
    values = index.values
    return {ident for ident in pool if any(test(value) for value in values.get(ident, ()))}
