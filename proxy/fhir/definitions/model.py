"""FHIR definitions as values: SearchParameter, Reference elements, CompartmentDefinition (pure).

The generated tables are texts, because a text loads faster and reads better than a thousand calls:

    Observation                                     a type
     patient reference subject Patient              parameter, kind, element paths, target types
     phone token - - telecom[system=phone]          a path with one condition stands in the fifth column

`-` is nothing, `*` is every resource type, lists are comma-separated. In the reference table a row is
`path targets`, or `path =other` where an element is defined as being like another one (contentReference).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

Kind = Literal[
    "token", "reference", "string", "date", "quantity", "number", "uri", "composite", "special"
]


class SearchParam(NamedTuple):
    """One search parameter of one type (FHIR search, SearchParameter).

    `paths` are the plain element paths below the type that its expression reads; empty if it is not that plain.
    `targets` are the types a reference may name. `filtered` are paths with one condition, `telecom[system=phone]`.
    """

    name: str
    kind: Kind
    paths: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()


SearchParams = Mapping[str, Mapping[str, SearchParam]]
References = Mapping[str, Mapping[str, tuple[str, ...]]]
Elements = Mapping[str, frozenset[str]]
Recursions = Mapping[str, Mapping[str, str]]
Compartments = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Definitions:
    """All tables of one FHIR version.

    `references[type][path]` are the target types of a Reference element; `recursions[type][path]` is the path
    whose children the element at `path` has too (`item.item` -> `item`); `compartments[owner][type]` are the
    search parameters that put a resource into the compartment of an owner (a type); `summary[type]` are the top-level elements
    that `_summary=true` keeps, `mandatory[type]` those that must be there.
    """

    fhir_version: str
    resource_types: frozenset[str]
    search_params: SearchParams
    references: References
    recursions: Recursions
    compartments: Compartments
    summary: Elements
    mandatory: Elements

    @property
    def compartment_patient(self) -> Mapping[str, tuple[str, ...]]:
        """The compartment of a patient: its members, and the parameters that put them there."""
        return self.compartments["Patient"]

    def search_param(self, resource_type: str, name: str) -> SearchParam | None:
        """Give the parameter of a type by name without modifier, or None if the type has none of this name."""
        return self.search_params.get(resource_type, {}).get(name)


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each type with its rows."""
    for block in text.replace("\n ", "\t").splitlines():
        head, *rows = block.split("\t")
        yield head, rows


def types_of(text: str) -> frozenset[str]:
    """Read the resource types."""
    return frozenset(text.split())


def _listed(column: str, every: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Read a comma-separated column as a tuple."""
    if column == "*":
        return every
    return () if column == "-" else tuple(column.split(","))


def _search_param(row: str, every: tuple[str, ...]) -> SearchParam:
    name, kind, *columns = row.split(" ")
    lists = [_listed(column, every) for column in columns]
    return SearchParam(name, cast("Kind", kind), *lists)


def search_params_of(text: str, types: frozenset[str]) -> SearchParams:
    """Read the search parameters by type and name; those of Resource and DomainResource stand under every type."""
    every = tuple(sorted(types))
    own: dict[str, dict[str, SearchParam]] = {}
    for head, rows in _blocks(text):
        params = (_search_param(row, every) for row in rows)
        own[head] = {param.name: param for param in params}
    shared = own.pop("DomainResource") | own.pop("Resource")
    return {head: shared | params for head, params in own.items()}


def references_of(text: str, types: frozenset[str]) -> References:
    """Read the Reference elements by type and path, with their target types."""
    every = tuple(sorted(types))
    found: dict[str, dict[str, tuple[str, ...]]] = {head: {} for head in every}
    for head, rows in _blocks(text):
        pairs = (row.split(" ") for row in rows if "=" not in row)
        found[head] = {path: _listed(targets, every) for path, targets in pairs}
    return found


def recursions_of(text: str) -> Recursions:
    """Read the elements defined as being like another one, by type and path."""
    found = {}
    for head, rows in _blocks(text):
        pairs = [row.split(" =") for row in rows if "=" in row]
        if pairs:
            found[head] = dict(cast("list[tuple[str, str]]", pairs))
    return found


def compartments_of(text: str) -> Compartments:
    """Read the members of each compartment and the parameters that put them there."""
    pairs = {head: [row.split(" ") for row in rows] for head, rows in _blocks(text)}
    return {
        head: {member: tuple(params.split(",")) for member, params in rows}
        for head, rows in pairs.items()
    }


def summary_of(text: str) -> tuple[Elements, Elements]:
    """Read the summary elements and the mandatory elements (marked `!`) of each type."""
    summary, mandatory = {}, {}
    for head, *names in (line.split(" ") for line in text.splitlines()):
        summary[head] = frozenset(name.rstrip("!") for name in names)
        mandatory[head] = frozenset(name[:-1] for name in names if name.endswith("!"))
    return summary, mandatory
