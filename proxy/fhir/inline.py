"""Inline security labels (DS4P `extension-inline-sec-label`): which elements of a resource are labelled, and with what.

The extension labels the element that bears it and all that stands inside (standards LBL-9..11). Elements are found by place and
never by the flag `PROCESSINLINELABEL`. A label that stands on what cannot be taken out alone, or of which it cannot be told
what it labels, counts for the whole resource. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any

from proxy.fhir.coding import ACT_CODE, INLINE_LABEL, Coding
from proxy.fhir.content import inline_labels, is_label, label_in
from proxy.fhir.envelope import Inline, Part, Steps

FLAG = "PROCESSINLINELABEL"
"""v3-ActCode: says that a resource has inline labels."""
LOST = Coding(INLINE_LABEL, "lost")
"""Stands for inline labels that a resource says it has and that are not found: a label nobody knows."""


_FRAME = frozenset({"id", "meta", "implicitRules", "language", "resourceType"})
"""Elements that are of the resource itself: a label on them labels it."""
_MODIFIERS = frozenset(
    """
    active clinicalStatus comparator deceasedBoolean deceasedDateTime deleted doNotPerform exclude implicitRules inactive
    intent isSubpotent lifecycleStatus link mode modifierExtension notDone operationalStatus status use
    verificationStatus wasNotGiven
    """.split()  # noqa: SIM905
)
"""Elements without which the rest would mean something else (ElementDefinition.isModifier, R4 and R5)."""
_SPELLED = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def with_lost(labels: frozenset[Coding]) -> frozenset[Coding]:
    """The labels of a resource in which no inline label was found: what it says of some all the same is not known."""
    return labels | {LOST} if any(_is_flag(label) for label in labels) else labels


def _is_flag(label: Coding) -> bool:
    return label.system == ACT_CODE and label.code == FLAG


def inline_of(tree: Any, labels: frozenset[Coding]) -> Inline:
    """The labelled elements of a resource whose own labels, and those of what it contains, are `labels`."""
    stated = list(inline_labels(tree))
    if not stated:
        return Inline(with_lost(labels), ())
    placed = list(_placed(tree))
    found = sum(number for _, _, number in placed)
    if found != len(stated):
        return Inline(labels | set(stated), ())
    whole = (around for steps, around, _ in placed if not _stands_alone(steps))
    parts = (Part(steps, around) for steps, around, _ in placed if _stands_alone(steps))
    return Inline(labels.union(*whole), tuple(sorted(parts, key=repr)))


def _stands_alone(steps: Steps) -> bool:
    """Whether an element can be taken out and the rest still means what it meant."""
    inside = steps[2:] if steps[:1] == ("contained",) else steps
    names = [step for step in inside if isinstance(step, str)]
    return (
        bool(names)
        and names[0] not in _FRAME
        and names[0] != "contained"
        and _MODIFIERS.isdisjoint(names)
        and all(map(_SPELLED.fullmatch, names))
    )


def _placed(tree: Any) -> Iterator[tuple[Steps, frozenset[Coding], int]]:
    """Every element that bears inline labels: its place, its labels with those around it, and how many it bears."""
    stack: list[tuple[Any, Steps, frozenset[Coding]]] = [(tree, (), frozenset())]
    while stack:
        node, steps, around = stack.pop()
        if isinstance(node, list):
            stack += [(one, (*steps, number), around) for number, one in enumerate(node)]
        elif isinstance(node, dict):
            extensions = node.get("extension")
            own = [*_labels_among(extensions)] if isinstance(extensions, list) else []
            if own:
                around = around | set(own)
                yield steps, around, len(own)
            stack += [
                (below, (*steps, name.removeprefix("_")), around) for name, below in node.items()
            ]


def _labels_among(extensions: list[Any]) -> Iterator[Coding]:
    return (label_in(one) for one in extensions if is_label(one))
