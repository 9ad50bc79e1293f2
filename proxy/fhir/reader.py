"""Reads envelopes: one msgspec decoder over all resource types (architecture §3).

Strategy: a union of structs tagged by `resourceType`, which hold `id`, `meta`, `contained` and the elements of the tables in
`compartment`; everything else is skipped without being built. What does not decode is no resource we know:
`UnreadableError`, and the resource is withheld. Codings deep inside are not decoded: a resource whose bytes contain
none of the wanted codes has none of the wanted codings; only on a hit it is walked whole (`content`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Union

import msgspec

from proxy.fhir.codec import repeats
from proxy.fhir.coding import Coding
from proxy.fhir.compartment import OPAQUE
from proxy.fhir.conditions import Condition, holding
from proxy.fhir.containers import CONTAINERS, held_in
from proxy.fhir.content import Wanted, bears_marks, codings_of, may_hide, tree_of
from proxy.fhir.doubles import may_repeat
from proxy.fhir.envelope import Envelope, Inline, Matter, Resource, UnreadableError
from proxy.fhir.inline import inline_of, with_lost
from proxy.fhir.links import reference_of
from proxy.fhir.mentions import mentions_in
from proxy.fhir.shapes import (
    NO_META,
    Element,
    Meta,
    Plan,
    Reference,
    dates_at,
    has_sources,
    plan_of,
    resource_struct,
    stated_labels,
    values_at,
)
from proxy.fhir.sources import bounded, sources_of

_ID = re.compile(r"[A-Za-z0-9.-]{0,64}")


_MOST_MATTERS = 50_000


class EnvelopeReader:
    """Reads envelopes of one FHIR version. `bases` are the URLs under which references are our own.

    `wanted` are the codes for which `Envelope.codes` is asked (labelling rules, matrix, Consent provisions).
    """

    def __init__(self, types: Iterable[str], bases: tuple[str, ...], wanted: Wanted) -> None:
        names = sorted(set(types))
        structs = [resource_struct(name) for name in names]
        self._decoder = msgspec.json.Decoder(Union[tuple(structs)])  # noqa: UP007  (a union made from a list)
        self._plans = {struct: plan_of(struct) for struct in structs}
        self.normal: Callable[[str], str | None] = lru_cache(maxsize=65536)(
            lambda text: reference_of(text, bases)
        )
        """A reference as `Type/id`, or None when it is not one of ours."""
        self._wanted = wanted
        self._dated = False
        self._exact = False
        """Whether anything in a resource may decide: then no member may stand twice anywhere."""
        self._mentions: frozenset[str] = frozenset()
        self._conditions: Mapping[str, tuple[Condition, ...]] = {}
        self._matters: dict[object, Matter] = {}

    def wanting(
        self, codes: frozenset[str], *, dates: bool, mentions: frozenset[str] = frozenset()
    ) -> "EnvelopeReader":
        """A reader that looks for these codes and references and for clinical dates too; itself when it already does."""
        known = all(code in self._wanted for code in codes)
        if known and (self._dated or not dates) and mentions <= self._mentions:
            return self
        other = object.__new__(EnvelopeReader)
        other.__dict__.update(self.__dict__)
        other._wanted = self._wanted if known else self._wanted | codes
        other._dated = self._dated or dates
        other._mentions = self._mentions | mentions
        other._exact = other._dated or bool(other._mentions)
        return other

    def under(self, conditions: Iterable[Condition]) -> "EnvelopeReader":
        """A reader that also tells which of these conditions a resource fulfils; itself for none."""
        by_type: dict[str, tuple[Condition, ...]] = {}
        for one in conditions:
            by_type[one.rtype] = (*by_type.get(one.rtype, ()), one)
        if not by_type:
            return self
        other = object.__new__(EnvelopeReader)
        other.__dict__.update(self.__dict__)
        other._conditions = by_type
        return other

    def read(self, raw: Resource) -> Envelope:
        """The envelope of one resource; `UnreadableError` when it is none."""
        if not _is_text(bytes(raw)):
            raise UnreadableError("not UTF-8")
        return self._envelope(raw, plain=False)

    def read_all(
        self, raws: Sequence[Resource], whole: bytes | None = None
    ) -> list[Envelope | None]:
        """The envelopes of many resources, None for one that cannot be read.

        `whole` is a body that holds all of them: what is not in it is in none of them, and is looked for once.
        """
        plain = whole is not None and self._is_plain(whole)
        sound = whole is not None and _is_text(whole)
        return [
            self._envelope_or_none(raw, plain=plain) if sound or _is_text(bytes(raw)) else None
            for raw in raws
        ]

    def _envelope_or_none(self, raw: Resource, *, plain: bool) -> Envelope | None:
        try:
            return self._envelope(raw, plain=plain)
        except UnreadableError:
            return None

    def _is_plain(self, data: Resource) -> bool:
        """Whether nothing inside needs a second look: no inline label, no wanted code, no escape that could hide one."""
        data = bytes(data)
        return not may_hide(data) and not bears_marks(data) and not self._wanted.any_in(data)

    def _envelope(self, raw: Resource, *, plain: bool) -> Envelope:
        try:
            node = self._decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise UnreadableError("not a resource of a known type and shape") from None
        plan = self._plans[type(node)]
        meta: Meta = node.meta_ or NO_META
        if not _ID.fullmatch(node.id_) or not _ID.fullmatch(meta.versionId):
            raise UnreadableError("the resource's id is no FHIR id")
        if meta.tag and meta.is_of_a_part:
            raise UnreadableError("upstream gives only a part of the resource")
        data = bytes(raw)
        conditions = self._conditions.get(plan.type, ())
        opened = bool(conditions) or not (plain or self._is_plain(data))
        derived = has_sources(node, plan)
        exact = opened or derived or self._exact or plan.type in CONTAINERS
        if (exact or may_repeat(data, plan.heads)) and repeats(data):
            raise UnreadableError("a member stands twice")
        date = self._date(node, plan, meta) if self._dated else ""
        if opened or derived or plan.by_identity or node.contained_:
            return self._whole(node, plan, meta, data, date)
        matter = self._matter(node, plan, meta)
        return Envelope(
            plan.type, node.id_, meta.versionId, meta.lastUpdated, matter.labels, matter.patients, matter.authors,
            date, _NO_CODES, matter.profiles, matter, self._mentioned(raw) if self._mentions else None,
        )  # fmt: skip

    def _matter(self, node: Any, plan: "Plan", meta: Meta) -> Matter:
        key = (plan.type, plan.references(node), meta.security, meta.profile)
        known = self._matters.get(key)
        if known is None:
            if len(self._matters) >= _MOST_MATTERS:
                self._matters.clear()
            known = self._matters[key] = Matter(
                plan.type,
                with_lost(stated_labels(node, plan, meta)),
                self._patients(node, plan, []),
                self._named(node, plan.authors),
                frozenset(meta.profile or ()),
            )
        return known

    def _whole(self, node: Any, plan: "Plan", meta: Meta, data: bytes, date: str) -> Envelope:
        """The envelope of a resource that is looked at in full."""
        inside = self._inside(plan, data)
        inner = [*(self.read(raw) for raw in node.contained_ or ()), *inside]
        inline = _inline(stated_labels(node, plan, meta), inner, data)
        return Envelope(
            type=plan.type,
            id=node.id_,
            version=meta.versionId,
            last_updated=meta.lastUpdated,
            labels=inline.own.union(*(part.labels for part in inline.parts)),
            patients=self._patients(node, plan, inner),
            authors=self._named(node, plan.authors),
            date=date,
            codes=self._codes(data),
            profiles=frozenset(meta.profile or ()),
            mentions=self._mentioned(data) if self._mentions else None,
            inline=inline if inline.parts else None,
            sources=self._sources(node, plan, inner, data),
            inside=inside,
            holding=self._holding(plan.type, data),
        )

    def _inside(self, plan: "Plan", data: bytes) -> tuple[Envelope, ...]:
        """What stands in a Bundle."""
        return tuple(map(self.read, held_in(tree_of(data)))) if plan.type in CONTAINERS else ()

    def _holding(self, rtype: str, data: bytes) -> frozenset[tuple[str, str]]:
        conditions = self._conditions.get(rtype)
        return holding(tree_of(data), conditions, self.normal) if conditions else frozenset()

    def _sources(
        self, node: Any, plan: "Plan", inner: list[Envelope], data: bytes
    ) -> frozenset[str]:
        own = (
            sources_of(tree_of(data), plan.type, self.normal) if has_sources(node, plan) else _NONE
        )
        return bounded(own.union(*(envelope.sources for envelope in inner)))

    def _mentioned(self, raw: Resource) -> frozenset[str]:
        return mentions_in(raw, self._mentions, self.normal)

    def _patients(self, node: Any, plan: "Plan", inner: list[Envelope]) -> frozenset[str] | None:
        opaque = plan.type in OPAQUE and not (plan.type in CONTAINERS and inner)
        if opaque or (plan.type == "Patient" and not node.id_):
            return None
        found = {f"Patient/{node.id_}"} if plan.type == "Patient" else set()
        if plan.type == "AuditEvent" and not self._add_audited(found, node):
            return None
        for element in plan.about:
            for value in values_at(node, element.steps):
                if not self._add_patient(found, value, element):
                    return None
        for envelope in inner:
            if envelope.patients is None:
                return None
            found |= envelope.patients
        return frozenset(found)

    def _add_audited(self, found: set[str], node: Any) -> bool:
        """Whether the patients of an AuditEvent can be told: those it names; data, query and token entities are theirs."""
        for entity in node.entity_ or ():
            target = self.normal((entity.what_ and entity.what_.reference) or "")
            if target is not None and target.startswith("Patient/"):
                found.add(target)
            elif entity.is_person:
                return False
        return True

    def _add_patient(self, found: set[str], value: Reference, element: Element) -> bool:
        """Whether the reference can be told; a Patient is added. INVARIANT: what cannot be told is `False`."""
        target = self.normal(value.reference) if value.reference else None
        if target is None:
            return False
        rtype = target.partition("/")[0]
        if rtype == "Patient":
            found.add(target)
        return rtype != "Group" and not (element.transparent and rtype != "Patient")

    def _named(self, node: Any, elements: tuple[Element, ...]) -> frozenset[str]:
        references = (
            value.reference for element in elements for value in values_at(node, element.steps)
        )
        normal = (self.normal(reference) for reference in references if reference)
        return frozenset(target for target in normal if target)

    def _date(self, node: Any, plan: "Plan", meta: Meta) -> str:
        for element in plan.dates:
            for value in dates_at(node, element.steps):
                if value:
                    return value
        return meta.lastUpdated

    def _codes(self, data: bytes) -> frozenset[Coding]:
        if not self._wanted or (not may_hide(data) and not self._wanted.any_in(data)):
            return _NO_CODES
        return frozenset(coding for coding in codings_of(data) if coding.code in self._wanted)


def _is_text(data: bytes) -> bool:
    """Whether it is UTF-8 throughout; what is skipped when a resource is decoded is not looked at otherwise."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_NO_CODES: frozenset[Coding] = frozenset()


_NONE: frozenset[str] = frozenset()


def _inline(stated: frozenset[Coding], inner: list[Envelope], data: bytes) -> Inline:
    """The labels of a resource: its own, with those of what it contains, and those of its labelled elements."""
    own = stated.union(*((one.inline.own if one.inline else one.labels) for one in inner))
    if bears_marks(data) or may_hide(data):
        return inline_of(tree_of(data), own)
    return Inline(with_lost(own), ())
