"""A generated narrative: what resources say, in one line each, as XHTML (https://hl7.org/fhir/R4/narrative.html).

It is made of elements that are shown, and of nothing else; every text of a resource is escaped. What a modifier extension or
implicit rules may change the meaning of is not put into words, nor is an order not to do something. Pure.
"""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from proxy.fhir.content import nodes_of
from proxy.fhir.envelope import UnreadableError

Named = Callable[[str], str]
"""What a resource that a reference names is called; empty where that is not known."""

LONGEST = 300
"""Characters of one text of a resource."""
UNSAID = "See the entry itself."
_XHTML = "http://www.w3.org/1999/xhtml"
_MODIFIERS = ("modifierExtension", "implicitRules", "doNotPerform")

_DECODER = msgspec.json.Decoder(dict[str, object], float_hook=str)


class Row(NamedTuple):
    """What of a resource is said: what it is, when, and what else; of `what` and `when` the first that there is."""

    what: tuple[str, ...]
    when: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


_STATES = ("clinicalStatus", "verificationStatus")
_EFFECTIVE = ("effectiveDateTime", "effectivePeriod", "effectiveInstant")
_MEDICATION = ("medicationCodeableConcept", "medicationReference", "medication")
_DEVICE_USE = Row(("device",), ("timingPeriod", "timingDateTime", "recordedOn"), ("status",))
_VALUES = tuple(
    f"value{one}" for one in ("Quantity", "CodeableConcept", "String", "Integer", "Boolean", "Period", "DateTime")
)  # fmt: skip
ROWS: Mapping[str, Row] = {
    "AllergyIntolerance": Row(
        ("code",), ("onsetDateTime", "onsetPeriod", "recordedDate"), ("criticality", *_STATES)
    ),
    "CarePlan": Row(("title", "description", "category"), ("period", "created"), ("status",)),
    "ClinicalImpression": Row(
        ("summary", "description", "code"), (*_EFFECTIVE, "date"), ("status",)
    ),
    "Condition": Row(
        ("code",), ("onsetDateTime", "onsetPeriod", "onsetString", "recordedDate"), _STATES
    ),
    "Consent": Row(("category", "provision.code"), ("dateTime", "date"), ("status",)),
    "Device": Row(("deviceName.name", "name.value", "type", "modelNumber")),
    "DeviceUsage": _DEVICE_USE,
    "DeviceUseStatement": _DEVICE_USE,
    "DiagnosticReport": Row(("code",), (*_EFFECTIVE, "issued"), ("conclusion", "status")),
    "Immunization": Row(("vaccineCode",), ("occurrenceDateTime", "occurrenceString"), ("status",)),
    "Medication": Row(("code",)),
    "MedicationRequest": Row(
        _MEDICATION, ("authoredOn",), ("dosageInstruction.text", "intent", "status")
    ),
    "MedicationStatement": Row(_MEDICATION, _EFFECTIVE, ("dosage.text", "status")),
    "Observation": Row(("code",), (*_EFFECTIVE, "issued"), (*_VALUES, "status")),
    "Procedure": Row(
        ("code",),
        ("performedDateTime", "performedPeriod", "occurrenceDateTime", "occurrencePeriod"),
        ("status",),
    ),
}


def read(raw: bytes) -> Mapping[str, object]:
    """The tree of a resource, in which decimals are their own text; `UnreadableError` when it is none."""
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UnreadableError("no resource in JSON") from None


def values_at(tree: object, path: str) -> list[object]:
    """Everything that stands at a path of element names."""
    found = [tree]
    for step in path.split("."):
        found = [value for one in found for value in _items(one, step)]
    return found


def _items(node: object, step: str) -> Iterator[object]:
    value = node.get(step) if isinstance(node, dict | Mapping) else None
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def codes_at(tree: object, path: str) -> frozenset[str]:
    """The codes at a path: of a code, a Coding, or every coding of a CodeableConcept."""
    found: set[str] = set()
    for value in values_at(tree, path):
        codings = values_at(value, "coding") or [value]
        found.update(
            code
            for one in codings
            for code in ([one] if isinstance(one, str) else values_at(one, "code"))
            if isinstance(code, str)
        )
    return frozenset(found)


def date_in(tree: Mapping[str, object]) -> str:
    """When a resource is of, as a FHIR date or `start/end`; empty where it does not say."""
    row = ROWS.get(str(tree.get("resourceType")), Row(()))
    for path in row.when:
        for value in values_at(tree, path):
            if isinstance(value, str):
                return value
            edges = [str(one) for name in ("start", "end") for one in values_at(value, name)]
            if edges:
                return f"{edges[0]}/{edges[-1]}"
    return ""


def line_of(tree: Mapping[str, object], named: Named) -> str:
    """What a resource says, as one line of plain text."""
    row = ROWS.get(str(tree.get("resourceType")), Row(()))
    if _is_modified(tree):
        return UNSAID
    named = _inside_too(tree, named)
    what = _first(tree, row.what, named) or UNSAID
    rest = [_first(tree, row.when, named), *(_first(tree, (path,), named) for path in row.more)]
    told = "; ".join(filter(None, rest))
    return f"{what} ({told})" if told else what


def name_of(tree: Mapping[str, object], named: Named) -> str:
    """What a resource is called, as plain text; empty where it does not say."""
    if _is_modified(tree):
        return ""
    row = ROWS.get(str(tree.get("resourceType")), Row(()))
    return _first(tree, row.what, named)


def _is_modified(tree: object) -> bool:
    """Whether something in it, at any depth, may change the meaning of the rest; what is contained counts too."""
    return any(node.get(one) for node in nodes_of(tree) for one in _MODIFIERS)


def _inside_too(tree: Mapping[str, object], named: Named) -> Named:
    """The same, and what a contained resource is called."""
    contained = {
        f"#{name}": one
        for one in values_at(tree, "contained")
        if isinstance(one, Mapping)
        for name in values_at(one, "id")
    }

    def known(text: str) -> str:
        inner = contained.get(text)
        return named(text) if inner is None else name_of(inner, lambda _: "")

    return known


def _first(tree: object, paths: Iterable[str], named: Named) -> str:
    words = (_word(value, named) for path in paths for value in values_at(tree, path))
    return next(filter(None, words), "")


def _word(value: object, named: Named) -> str:
    """What a value says; empty for what has no words here."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return plain(str(value))
    found = (say(value, named) for say in _SAYINGS)
    return next(filter(None, found), "")


def _concept(value: object, named: Named) -> str:
    del named
    told = (
        *values_at(value, "text"),
        *values_at(value, "coding.display"),
        *values_at(value, "coding.code"),
    )
    return next((plain(one) for one in told if isinstance(one, str)), "")  # fmt: skip


def _inner(value: object, named: Named) -> str:
    """Of a CodeableReference (R5): what it is, or what it names."""
    inner = (*values_at(value, "concept"), *values_at(value, "reference"))
    return next((_word(one, named) for one in inner if isinstance(one, Mapping)), "")


def _reference(value: object, named: Named) -> str:
    texts = [one for one in values_at(value, "reference") if isinstance(one, str)]
    known = (plain(named(one)) for one in texts)
    shown = (plain(str(one)) for one in values_at(value, "display"))
    return next(filter(None, (*known, *shown)), "")


def _period(value: object, named: Named) -> str:
    del named
    start, end = ([plain(str(one)) for one in values_at(value, name)] for name in ("start", "end"))
    if not start and not end:
        return ""
    return f"{''.join(start[:1])} to {''.join(end[:1])}".strip() if end else f"since {start[0]}"


def _quantity(value: object, named: Named) -> str:
    del named
    number = [str(one) for one in values_at(value, "value")]
    unit = [str(one) for name in ("unit", "code") for one in values_at(value, name)]
    sign = [str(one) for one in values_at(value, "comparator")]
    return plain(" ".join((*sign[:1], *number[:1], *unit[:1]))) if number else ""


_SAYINGS = (_concept, _inner, _reference, _period, _quantity)


def plain(text: str) -> str:
    """A text on one line, of characters that show, cut where it is too long."""
    shown = "".join(one if one.isprintable() else " " for one in text)
    whole = " ".join(shown.split())
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def narrative(remark: str, lines: Iterable[str] = ()) -> dict[str, str]:
    """A Narrative: a paragraph, then a list of lines; all of it plain text that is escaped here."""
    items = "".join(f"<li>{html.escape(one)}</li>" for one in lines)
    listed = f"<ul>{items}</ul>" if items else ""
    div = f'<div xmlns="{_XHTML}"><p>{html.escape(remark)}</p>{listed}</div>'
    return {"status": "generated", "div": div}
