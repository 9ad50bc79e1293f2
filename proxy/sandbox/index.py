"""The search index: values of search parameters by resource, and resources by token code and reference.

A parameter's index is built when it is first searched for, and follows every change from then on.
"""

from collections.abc import Iterable, Mapping

from proxy.fhir.definitions import SearchParam
from proxy.sandbox.body import tree_of
from proxy.sandbox.matching import keys_under
from proxy.sandbox.model import Tree, Version, invalid
from proxy.sandbox.store import Store
from proxy.sandbox.values import Value, is_readable, values_of


class ParamIndex:
    """The index of one parameter of one type: `values` by id, ids by key."""

    def __init__(self, param: SearchParam) -> None:
        self.param = param
        self.values: dict[str, tuple[Value, ...]] = {}
        self._ids: dict[str, dict[str, None]] = {}

    def put(self, ident: str, tree: Tree) -> None:
        """Index the current content of a resource."""
        self.drop(ident)
        values = values_of(tree, self.param)
        self.values[ident] = values
        for value in values:
            for key in keys_under(value):
                self._ids.setdefault(key, {})[ident] = None

    def drop(self, ident: str) -> None:
        """Forget a resource."""
        for value in self.values.pop(ident, ()):
            for key in keys_under(value):
                self._ids.get(key, {}).pop(ident, None)

    def ids(self, keys: Iterable[str]) -> set[str]:
        """Give the ids that have a value under one of the keys."""
        return {ident for key in keys for ident in self._ids.get(key, ())}


class Index:
    """The indexes of all parameters that were ever searched for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._built: dict[str, dict[str, ParamIndex]] = {}
        store.listen(self._heed)

    def of(self, kind: str, param: SearchParam) -> ParamIndex:
        """Give the index of a parameter; FhirError 400 if it cannot be evaluated here."""
        built = self._built.setdefault(kind, {})
        if param.name not in built:
            if not is_readable(param):
                raise invalid(f'search parameter "{param.name}" of "{kind}" is not supported here')
            built[param.name] = self._new(kind, param)
        return built[param.name]

    def reference_params(self, kind: str) -> list[SearchParam]:
        """List the reference parameters of a type that can be evaluated."""
        params: Mapping[str, SearchParam] = self.store.definitions.search_params.get(kind, {})
        return [p for p in params.values() if p.kind == "reference" and is_readable(p)]

    def _new(self, kind: str, param: SearchParam) -> ParamIndex:
        index = ParamIndex(param)
        for ident, version in self.store.everything(kind).items():
            if version.body is not None:
                index.put(ident, tree_of(version.body))
        return index

    def _heed(self, version: Version) -> None:
        indexes = self._built.get(version.type)
        if not indexes:
            return
        tree = None if version.body is None else tree_of(version.body)
        for index in indexes.values():
            if tree is None:
                index.drop(version.id)
            else:
                index.put(version.id, tree)
