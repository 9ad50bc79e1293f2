"""The msgspec structs that resources decode to: `id`, `meta`, `contained`, and the elements of the tables in `compartment`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from proxy.fhir.coding import CONFIDENTIALITY, Coding, coding_of
from proxy.fhir.compartment import ABOUT, AUTHORS, DATES, LABELLED, OPAQUE, SOURCES, TRANSPARENT


class Reference(msgspec.Struct, frozen=True, gc=False):
    """Reference, as far as a decision reads it."""

    reference: str | None = None
    type: str | None = None


class Label(msgspec.Struct, frozen=True, gc=False):
    """Coding, as far as a decision reads it."""

    system: str | None = None
    code: str | None = None


class Meta(msgspec.Struct, frozen=True, gc=False):
    """Meta, as far as a decision reads it."""

    versionId: str = ""  # noqa: N815  (FHIR's name)
    lastUpdated: str = ""  # noqa: N815
    security: tuple[Label, ...] | None = None
    profile: tuple[str, ...] | None = None
    tag: tuple[Label, ...] | None = None

    @property
    def is_of_a_part(self) -> bool:
        """Whether upstream says that it gives only a part: labels may be missing from it (T-51, SRCH-7)."""
        return any(one.code == "SUBSETTED" for one in self.tag or ())


class _Concept(msgspec.Struct, frozen=True, gc=False):
    coding: tuple[Label, ...] | None = None
    code: str | None = None


class _AuditEntity(msgspec.Struct, frozen=True, gc=False):
    """AuditEvent.entity: what it names, and whether that is a person (R4 `type` 1, R5 `role` 1)."""

    what_: Reference | None = msgspec.field(name="what", default=None)
    type_: _Concept | None = msgspec.field(name="type", default=None)
    role_: _Concept | None = msgspec.field(name="role", default=None)

    @property
    def is_person(self) -> bool:
        """Whether the entity is a person by its kind, however it is named."""
        named = self.what_ is not None and self.what_.type == "Patient"
        return named or any(_says_one(one) for one in (self.type_, self.role_))


def _says_one(concept: _Concept | None) -> bool:
    if concept is None:
        return False
    return concept.code == "1" or any(one.code == "1" for one in concept.coding or ())


@dataclass(frozen=True, slots=True)
class Element:
    """One table row, ready to be followed: the path's steps, and whether any target may stand there."""

    steps: tuple[str, ...]
    transparent: bool


def _nested(name: str, paths: Iterable[tuple[str, ...]], leaf: Any) -> Any:
    """The msgspec type for elements below one name: each may be single or repeated (R4 and R5 differ)."""
    rests = [path for path in paths if path]
    if not rests:
        return leaf | tuple[leaf, ...] | None
    struct: Any = _struct(name, rests, leaf)
    return struct | tuple[struct, ...] | None


def _struct(name: str, paths: Iterable[tuple[str, ...]], leaf: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name, _fields(name, paths, leaf), rename=_spelled, frozen=True, gc=False
    )


def _fields(name: str, paths: Iterable[tuple[str, ...]], leaf: Any) -> list[tuple[str, Any, Any]]:
    heads: dict[str, list[tuple[str, ...]]] = {}
    for head, *rest in paths:
        heads.setdefault(head, []).append(tuple(rest))
    return [
        (head + "_", _nested(name + "_" + head, rests, leaf), None) for head, rests in heads.items()
    ]


def _spelled(field: str) -> str:
    return field.removesuffix("_")


def _split(paths: Iterable[str]) -> list[tuple[str, ...]]:
    return [tuple(path.split(".")) for path in paths]


def resource_struct(rtype: str) -> type[msgspec.Struct]:
    """The struct that one resource type decodes to."""
    references = _split(dict.fromkeys((*ABOUT.get(rtype, ()), *AUTHORS.get(rtype, ()))))
    fields: list[tuple[str, Any, Any]] = [
        ("id_", str, ""),
        ("meta_", Meta | None, None),
        ("contained_", list[msgspec.Raw] | None, None),
    ]
    if rtype == _KINDED[0]:
        references = [path for path in references if path[0] != _KINDED[1]]
        fields.append(("entity_", tuple[_AuditEntity, ...] | None, None))
    fields += _fields(rtype, references, Reference)
    fields += [(head + "_", msgspec.Raw, None) for head in SOURCES.get(rtype, ())]
    if rtype in LABELLED:
        fields.append((LABELLED[rtype] + "_", tuple[_Concept, ...] | str | None, None))
    dates = [one for path in DATES.get(rtype, ()) for one in _with_end(path)]
    dated = [path for path in _split(dates) if path[0] not in {f[0][:-1] for f in fields}]
    fields += _fields(rtype + "_date", dated, str)
    return msgspec.defstruct(
        rtype, fields, tag_field="resourceType", tag=rtype, rename=_spelled, gc=False
    )


def _with_end(path: str) -> tuple[str, ...]:
    """A date; of a Period its end too."""
    return (path, path.removesuffix("start") + "end") if path.endswith(".start") else (path,)


_FIRST = "0001"


_LAST = "9999"


def _span(period: Any) -> str:
    """A Period as `start/end`, an open end as far away as dates go; empty when it says nothing."""
    start, end = getattr(period, "start_", None), getattr(period, "end_", None)
    return f"{start or _FIRST}/{end or _LAST}" if start or end else ""


def values_at(node: Any, steps: tuple[str, ...]) -> Iterator[Any]:
    """Every value at the end of the steps, through lists."""
    if node is None:
        return
    if isinstance(node, tuple):
        for item in node:
            yield from values_at(item, steps)
    elif steps:
        yield from values_at(getattr(node, steps[0] + "_", None), steps[1:])
    else:
        yield node


def dates_at(node: Any, steps: tuple[str, ...]) -> Iterator[str]:
    """Every date at the end of the steps; of a Period that begins there, the whole of it (decisions §4 `dataPeriod`)."""
    if steps[-1] == "start" and len(steps) > 1:
        yield from map(_span, values_at(node, steps[:-1]))
    else:
        yield from (value for value in values_at(node, steps) if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Plan:
    """How one type is read. `references` gives the elements that say whom it is about and who wrote it, for comparison.

    `by_identity`: the resource's own id says whom it is about, so that no two share a matter.
    """

    type: str
    references: Callable[[Any], object]
    about: tuple[Element, ...]
    authors: tuple[Element, ...]
    dates: tuple[Element, ...]
    by_identity: bool
    labelled: str = ""
    sources: tuple[str, ...] = ()
    heads: tuple[bytes, ...] = ()
    """Where the elements begin that say whom it is about, as they are spelled: `"subject"`."""


_KINDED = ("AuditEvent", "entity")
"""The element of which the kind must be read too, to know whether it is about a patient."""


def plan_of(struct: type[msgspec.Struct]) -> Plan:
    """How the resources of a struct are read."""
    rtype = struct.__name__
    heads = {
        path.partition(".")[0] + "_" for path in (*ABOUT.get(rtype, ()), *AUTHORS.get(rtype, ()))
    } | {LABELLED[own] + "_" for own in (rtype,) if own in LABELLED}
    return Plan(
        type=rtype,
        references=attrgetter(*sorted(heads)) if heads else _nothing,
        about=tuple(one for one in _elements(rtype, ABOUT) if (rtype, one.steps[0]) != _KINDED),
        authors=_elements(rtype, AUTHORS),
        dates=_elements(rtype, DATES),
        by_identity=rtype == "Patient" or rtype in OPAQUE,
        labelled=LABELLED[rtype] + "_" if rtype in LABELLED else "",
        sources=tuple(head + "_" for head in SOURCES.get(rtype, ())),
        heads=tuple(b'"%b"' % head.encode() for head in _deciding(rtype)),
    )


def _deciding(rtype: str) -> Iterator[str]:
    """Where the elements begin that say whom a resource is about, and what it is labelled."""
    yield from dict.fromkeys(path.partition(".")[0] for path in ABOUT.get(rtype, ()))
    yield from (LABELLED[own] for own in (rtype,) if own in LABELLED)


def _nothing(_: object) -> None:
    return None


def stated_labels(node: Any, plan: Plan, meta: Meta) -> frozenset[Coding]:
    """The labels that a resource states of itself as a whole; a concept without a code is a label nobody knows."""
    told = {coding_of(label.system, label.code) for label in meta.security or ()}
    stated = getattr(node, plan.labelled) if plan.labelled else None
    if isinstance(stated, str):
        told.add(Coding(CONFIDENTIALITY, stated))
    for concept in stated if isinstance(stated, tuple) else ():
        told |= {coding_of(label.system, label.code) for label in concept.coding or (Label(),)}
    return frozenset(told)


def has_sources(node: Any, plan: Plan) -> bool:
    """Whether a resource names what it was made from."""
    return any(getattr(node, head) is not None for head in plan.sources)


def _elements(rtype: str, table: dict[str, tuple[str, ...]]) -> tuple[Element, ...]:
    return tuple(
        Element(tuple(path.split(".")), f"{rtype}.{path}" in TRANSPARENT)
        for path in table.get(rtype, ())
    )


NO_META = Meta()
