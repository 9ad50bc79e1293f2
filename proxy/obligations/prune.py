"""Prune: take references that lead nowhere for the caller out of a resource, and what repeats them (threats T-70; decisions §7).

    letter opened -> References gone, with the rows and extensions that were there for them -> echoes -> letter sealed

Laws: a letter in which nothing is pruned leaves as the bytes it came as. A Reference that must be there is masked. Whether the
target is hidden or does not exist makes no difference. No label says that something was pruned, and no number that counts what is
gone: what is left reads as if it had been written so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from proxy.fhir.codec import Json
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.pointers import ATTACHMENT, is_attachment
from proxy.obligations.echoes import Echoes, without_echoes
from proxy.obligations.letter import (
    MASKED,
    Object,
    Place,
    Slot,
    each,
    inside,
    is_mandatory,
    open_letter,
    place_of,
    rewritten,
    sealed,
    slots_of,
)
from proxy.obligations.shadows import without_narratives, without_orphans

_EXTENSIONS = ("extension", "modifierExtension")
_ROWS = frozenset(
    """
    Appointment.participant.actor AuditEvent.entity.what CarePlan.activity.plannedActivityReference
    CarePlan.activity.reference CareTeam.participant.member Encounter.participant.actor Encounter.participant.individual
    Immunization.reaction.detail
    """.split()  # noqa: SIM905
)
"""References that need not be there, and without which the rest of their row would tell of what is gone."""
_MEANINGFUL = frozenset(
    {"AuditEvent.agent", "Consent", "Contract", "Group.characteristic", "Provenance.agent"}
)
"""Where a row that is gone would change what the others mean, or who acted: it stays, masked."""
_HOLDERS: Mapping[str, frozenset[str]] = {
    "Composition.section": frozenset({"text", "entry", "section"}),
    "Condition.stage": frozenset({"summary", "assessment"}),
    "Patient.contact": frozenset({"name", "telecom", "address", "organization"}),
}
"""Rows that FHIR does not allow without any of these (cmp-1, con-1, pat-1): nobody wrote one that is left with none."""
_NUMBERED: Mapping[str, str] = {
    "Account.coverage": "Account.coverage.priority",
    "Encounter.diagnosis": "Encounter.diagnosis.rank",
    "EpisodeOfCare.diagnosis": "EpisodeOfCare.diagnosis.rank",
    "Group.member": "Group.quantity",
}
"""Rows, and the number that counts or ranks them: beside fewer rows it would tell how many are gone, and which."""


_OF_CONTENT = ATTACHMENT - {"id", "contentType", "language", "creation"}
"""Elements of an Attachment that go with its address: they tell of the content that is not there (T-79)."""


def _is_of_content(name: str) -> bool:
    return name.removeprefix("_") in _OF_CONTENT


@dataclass(frozen=True, slots=True)
class Pruned:
    """What leaves of a resource, and the paths of the references that were taken out, sorted."""

    body: bytes
    paths: tuple[str, ...]


@dataclass(slots=True)
class _Pruning:
    """The pruning of one letter; it remembers what it takes out."""

    astray: frozenset[str]
    paths: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    gone: list[Object] = field(default_factory=list)

    def change(self, slot: Slot, place: Place) -> Slot:
        """What is left of an element."""
        listed = isinstance(slot.value, list)
        return each(slot, lambda one: self._item(one, place, listed=listed))

    def _item(self, one: Slot, place: Place, *, listed: bool) -> Slot:
        node = one.value
        if not isinstance(node, dict):
            return inside(one, place, self.change)
        if self._is_astray(node):
            self.paths.add(f"{_path(place)}.reference")
            self.gone.append(node)
            return Slot(one.name)
        if is_attachment(node, one.name) and node["url"] in self.astray:
            return self._attachment(one, node, place)
        return self._row(one, node, place, listed=listed)

    def _row(self, one: Slot, node: Object, place: Place, *, listed: bool) -> Slot:
        left = rewritten(node, place, self.change)
        if left == node:
            return one
        if one.name in _EXTENSIONS:
            return _extension(one, left)
        if not left or (listed and _is_row(node, left, place_of(node, place))):
            self.rows.add(_path(place))
            return Slot(one.name)
        return Slot(one.name, left, one.twin)

    def _attachment(self, one: Slot, node: Object, place: Place) -> Slot:
        self.paths.add(f"{_path(place)}.url")
        self.gone.append({"reference": node["url"], "display": node.get("title")})
        left = {name: value for name, value in node.items() if not _is_of_content(name)}
        return Slot(one.name, left or None, one.twin)

    def unnumbered(self, slot: Slot, place: Place) -> Slot:
        """What is left of an element, without numbers that tell of rows that are gone."""
        told = {_NUMBERED[row] for row in self.rows if row in _NUMBERED}
        return Slot(slot.name) if _path(place) in told else inside(slot, place, self.unnumbered)

    def _is_astray(self, node: Object) -> bool:
        reference = node.get("reference")
        return isinstance(reference, str) and reference in self.astray


def prune(raw: bytes, astray: frozenset[str]) -> Pruned:
    """Take out every Reference whose `reference` is one of these texts, and of Attachments at such an address what tells of their content.

    Verbatim if there is none.

    `UnreadableError` when the resource cannot be read whole.
    """
    try:
        tree = open_letter(raw)
        pruning = _Pruning(astray)
        shown = rewritten(tree, Place(""), pruning.change)
        if not pruning.paths:
            return Pruned(raw, ())
        if not pruning.rows.isdisjoint(_NUMBERED):
            shown = rewritten(shown, Place(""), pruning.unnumbered)
        shown, _ = without_orphans(shown, tree)
        shown = without_narratives(without_echoes(shown, Echoes.of(pruning.gone)))
    except RecursionError:
        raise UnreadableError("nested too deep") from None
    return Pruned(sealed(shown), tuple(sorted(pruning.paths)))


def goes_with(rtype: str, path: str, references: Iterable[str]) -> bool:
    """Whether an element of a type stands in a row that goes when one of these references is pruned, by their paths."""
    spelled = {spelling for one in references for spelling in (one, one.removesuffix(".reference"))}
    return any(
        (path == row or path.startswith(f"{row}.")) and _is_of_row(rtype, reference)
        for reference in spelled
        if (row := reference.rpartition(".")[0])
    )


def _is_of_row(rtype: str, reference: str) -> bool:
    """Whether the row around a reference goes without it, or may hold nothing any more."""
    steps = tuple(reference.split("."))
    return _is_essential(Place(rtype, steps)) or f"{rtype}.{steps[-2]}" in _HOLDERS


def _extension(one: Slot, left: Object) -> Slot:
    """An extension without value is none; a modifier stays as a mark, for it changes what the rest means."""
    if any(name.removeprefix("_") not in ("url", "id") for name in left):
        return Slot(one.name, left)
    if one.name == "extension":
        return Slot(one.name)
    return Slot(one.name, {**left, "extension": [dict(MASKED)]})


def _is_row(node: Object, left: Object, place: Place) -> bool:
    """Whether an item of a list was there for what is gone. One that others name by its number stays, masked."""
    if "sequence" in node or {place.rtype, _path(place)} & _MEANINGFUL:
        return False
    lost = list(_lost(node, left))
    return any(_is_essential(place.below(name)) for name in lost) or (
        bool(lost) and _is_hollow(left, place)
    )


def _is_essential(place: Place) -> bool:
    return is_mandatory(place) or _path(place) in _ROWS


def _is_hollow(left: Object, place: Place) -> bool:
    """Whether FHIR would not allow a row that holds what is left; a section of a section is a section."""
    held = _HOLDERS.get(f"{place.rtype}.{place.steps[-1]}") if place.steps else None
    return held is not None and held.isdisjoint(name.removeprefix("_") for name in left)


def _path(place: Place) -> str:
    return ".".join((place.rtype, *place.steps))


def _lost(node: Object, left: Object) -> Iterator[str]:
    """The elements of which nothing is left, or only a mask."""
    for slot in slots_of(node):
        shown = left.get(slot.name)
        if slot.value is not None and shown != slot.value and (shown is None or _is_mask(shown)):
            yield slot.name


def _is_mask(value: Json) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and first.get("extension") == [MASKED]
