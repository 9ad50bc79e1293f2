"""Redact: take out of a resource what a permit does not cover (v3 ObligationPolicy REDACT, MASK; decisions §7).

    letter opened -> operators at their paths -> shadows of what was hidden -> labels -> letter sealed

What an inline label hides is cut out first, at its very place (`cuts`).

Laws: a resource in which nothing was changed leaves as the bytes it came as. What is hidden once is hidden everywhere
in the letter. What must be there stays, masked. A letter that cannot be read whole is not redacted at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.decision.inline import CUT
from proxy.decision.model import KEEP, Redaction
from proxy.fhir.choices import fits
from proxy.fhir.codec import Json
from proxy.fhir.compartment import ABOUT
from proxy.fhir.content import inline_labels
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.inline import FLAG
from proxy.obligations.cuts import steps_of, without_parts
from proxy.obligations.extensions import STRUCTURAL, without_extensions
from proxy.obligations.letter import (
    Object,
    Place,
    Slot,
    inside,
    is_narrative,
    kept,
    open_letter,
    rewritten,
    sealed,
)
from proxy.obligations.operators import OPERATORS, RANK, PseudonymKey, Setting, target_of
from proxy.obligations.shadows import (
    TOLD_BY,
    hidden_of,
    without_narratives,
    without_orphans,
    without_repeats,
    without_telling,
)

__all__ = ["PseudonymKey", "Redacted", "redact"]

_OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_LABELS = {"pseudonymise": "PSEUDED", "remove": "REDACTED", CUT: "REDACTED"}
"""Operator to its label (THO, `_SECALTINTOBV`); every other operator alters a value: MASKED."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """What leaves of a resource, and the paths of the redactions that found something, sorted."""

    body: bytes
    paths: tuple[str, ...]


@dataclass(slots=True)
class _Trace:
    """What was done in one letter; it grows while the letter is walked."""

    done: set[Redaction] = field(default_factory=set)
    hidden: list[Json] = field(default_factory=list)


def redact(raw: bytes, redactions: frozenset[Redaction], key: PseudonymKey) -> Redacted:
    """Apply the redactions, in contained resources too; verbatim if none finds anything.

    `redactions` may name any types. `UnreadableError` when the resource cannot be read whole, or
    what must be cut out must be there.
    """
    try:
        tree = open_letter(raw)
        trace = _Trace()
        shown = _hide(tree, redactions, key, trace)
    except RecursionError:
        raise UnreadableError("nested too deep") from None
    if not trace.done:
        return Redacted(raw, ())
    return Redacted(
        sealed(_labelled(shown, trace.done)), tuple(sorted({one.path for one in trace.done}))
    )


def _hide(
    tree: Object, redactions: frozenset[Redaction], key: PseudonymKey, trace: _Trace
) -> Object:
    cuts = frozenset(one for one in redactions if one.operator == CUT)
    kept_urls = frozenset(one.argument for one in redactions if one.operator == KEEP)
    redactions = frozenset(one for one in redactions if one.operator != KEEP)
    shown, gone = without_parts(tree, [steps_of(one.path) for one in cuts])
    trace.done |= cuts
    trace.hidden += gone
    shown = _operated(shown, redactions - cuts, key, trace)
    shown = _untold(shown, redactions - cuts, trace)
    if not trace.done:
        return tree
    shown, orphans = without_orphans(shown, tree)
    shown = without_repeats(shown, hidden_of([*trace.hidden, *orphans]))
    only_text = all(one.path.endswith(".text") for one in trace.done) and not orphans
    if only_text and not trace.hidden:
        return shown
    return without_extensions(without_narratives(shown), STRUCTURAL | kept_urls)


def _operated(
    tree: Object, redactions: frozenset[Redaction], key: PseudonymKey, trace: _Trace
) -> Object:
    whole = redactions.union(*map(_beside, redactions))
    plan = [_Planned(*_split(one.path), one) for one in sorted(whole, key=_most_hiding)]
    patient = _patient_of(tree)

    def change(slot: Slot, place: Place) -> Slot:
        below = inside(slot, place, change)
        redaction = next((one.redaction for one in plan if one.names(place)), None)
        if redaction is None:
            return below
        setting = Setting(place, redaction.argument, key, patient)
        operator = OPERATORS.get(redaction.operator, OPERATORS["remove"])
        shown = kept(operator(below, setting), below, place)
        return _traced(slot, shown, redaction, trace) if shown != below else below

    return rewritten(tree, Place(""), change)


def _traced(slot: Slot, shown: Slot, redaction: Redaction, trace: _Trace) -> Slot:
    trace.done.add(redaction)
    if not is_narrative(slot):
        trace.hidden += [slot.value, slot.twin]
    return shown


@dataclass(frozen=True, slots=True)
class _Planned:
    """One redaction, its path taken apart."""

    head: str
    steps: tuple[str, ...]
    redaction: Redaction

    def names(self, place: Place) -> bool:
        """Whether the path leads to this place."""
        return (
            self.head in (place.rtype, "*")
            and len(self.steps) == len(place.steps)
            and all(map(fits, self.steps, place.steps))
        )


_CONTENT = frozenset({"url", "data"})
_OF_CONTENT = frozenset({"data", "url", "hash", "size", "title"})
"""Elements of an Attachment that tell of its content: where that is hidden, these are (T-79)."""


def _beside(one: Redaction) -> frozenset[Redaction]:
    """What tells of the content of an Attachment beside what a redaction hides of it."""
    around, _, last = one.path.rpartition(".")
    if last not in _CONTENT or "." not in around:
        return frozenset()
    return frozenset(Redaction("remove", f"{around}.{name}") for name in _OF_CONTENT - {last})


def _split(path: str) -> tuple[str, tuple[str, ...]]:
    head, *steps = path.split(".")
    # A contained resource is of another type: what a path says below `contained` is taken for all of it.
    return head, ("contained",) if steps[:1] == ["contained"] else tuple(steps)


def _most_hiding(one: Redaction) -> tuple[int, Redaction]:
    return RANK.get(one.operator, 0), one


def _patient_of(tree: Object) -> str | None:
    """Give the id of the one patient the resource is about; `None` if that is not exactly one."""
    rtype, own = str(tree["resourceType"]), tree.get("id")
    if rtype == "Patient":
        return own if isinstance(own, str) else None
    values = (value for path in ABOUT.get(rtype, ()) for value in _values(tree, path.split(".")))
    references = (value.get("reference") for value in values if isinstance(value, dict))
    targets = (target_of(text) for text in references if isinstance(text, str))
    patients = {found[1] for found in targets if found and found[0] == "Patient"}
    return patients.pop() if len(patients) == 1 else None


def _values(node: Json, steps: list[str]) -> Iterator[Json]:
    """Give every value at the end of the steps, through lists."""
    if isinstance(node, list):
        for item in node:
            yield from _values(item, steps)
    elif not steps:
        yield node
    elif isinstance(node, dict):
        yield from _values(node.get(steps[0]), steps[1:])


def _untold(tree: Object, redactions: frozenset[Redaction], trace: _Trace) -> Object:
    """Stop references telling names and identifiers that are hidden in their targets."""
    for one in sorted(redactions):
        head, steps = _split(one.path)
        child = TOLD_BY.get(steps[0])
        if child is None:
            continue
        silent = without_telling(tree, frozenset({(head, child)}))
        if silent != tree:
            trace.done.add(one)
            tree = silent
    return tree


def _labelled(tree: Object, done: Iterable[Redaction]) -> Object:
    """Label the resource as altered, REDACTED among the labels (THO).

    Of its `meta` nothing else is left: its version is not that of the view (T-61), it need not conform to its profiles any more, and
    tags and sources name departments (T-77).
    """
    codes = sorted({"REDACTED", *(_LABELS.get(one.operator, "MASKED") for one in done)})
    meta = tree.get("meta")
    meta = _labels_alone(meta) if isinstance(meta, dict) else {}
    labels = meta.get("security")
    labels = labels if isinstance(labels, list) else []
    if not any(inline_labels(tree)):
        labels = [one for one in labels if not _is_flag(one)]
    new: list[Json] = [{"system": _OBSERVATION_VALUE, "code": code} for code in codes]
    added = [one for one in new if not any(_same_label(one, label) for label in labels)]
    return _with_meta(tree, {**meta, "security": [*labels, *added]})


def _labels_alone(meta: Object) -> Object:
    return {name: value for name, value in meta.items() if name == "security"}


def _is_flag(label: Json) -> bool:
    """Whether it says that there are inline labels; where none is left it is not true any more (LBL-12)."""
    return isinstance(label, dict) and label.get("code") == FLAG


def _same_label(one: Json, other: Json) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(one.get(name) == other.get(name) for name in ("system", "code"))


def _with_meta(tree: Object, meta: Object) -> Object:
    """Give the resource this `meta`; a new one stands behind type and id."""
    if "meta" in tree:
        return {**tree, "meta": meta}
    head = {name: value for name, value in tree.items() if name in ("resourceType", "id")}
    return {**head, "meta": meta, **tree}
