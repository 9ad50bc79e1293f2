"""The redaction operators, of one signature, in one table (decisions §7; v3 ObligationPolicy REDACT, MASK, PSEUD).

An operator takes one element and gives what may be known of it. It never gives more than it was given: what it does
not understand, it leaves out.
"""

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeAlias

from proxy.fhir.codec import Json
from proxy.obligations.letter import Object, Place, Slot, each, is_narrative, masked

_CODE_BYTES = 20
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d\S*)?)?)?", re.ASCII)
_TARGET = re.compile(r"(?:\S*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/\S+)?", re.ASCII)
_POSTCODE_KEPT = 2
_FARTHEST = 365


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The secret behind pseudonyms and date shifts; its text never shows it."""

    secret: bytes = field(repr=False)

    def digest(self, purpose: str, text: str) -> bytes:
        """Give the HMAC-SHA256 of a text, apart for each purpose."""
        return hmac.digest(
            self.secret, f"{purpose}\x00{text}".encode(errors="surrogatepass"), "sha256"
        )

    def code(self, text: str) -> str:
        """Give the pseudonym of a text: 32 letters of base32, the same for the same text; also a valid FHIR id."""
        return base64.b32encode(self.digest("pseudonym", text)[:_CODE_BYTES]).decode()

    def days(self, patient: str) -> int:
        """Give by how many days this patient's dates move: -365 to 365, never 0."""
        drawn = int.from_bytes(self.digest("shift", patient)) % (2 * _FARTHEST)
        return drawn - _FARTHEST if drawn < _FARTHEST else drawn - _FARTHEST + 1


@dataclass(frozen=True, slots=True)
class Setting:
    """What an operator may read beside the element: its place, the rule's argument, the key, whose resource it is.

    `patient` is an id; `None` where it is not exactly one.
    """

    place: Place
    argument: str
    key: PseudonymKey
    patient: str | None


Operator: TypeAlias = Callable[[Slot, Setting], Slot]


def _each_value(change: Callable[[str, Json, Setting], Json]) -> Operator:
    """Make an operator that changes each value by itself; twins go, and what is absent by reason stays so."""

    def operator(slot: Slot, setting: Setting) -> Slot:
        if slot.value is None:
            return masked(slot, setting.place)
        return each(slot, lambda one: Slot(one.name, change(one.name, one.value, setting)))

    return operator


def _remove(slot: Slot, _: Setting) -> Slot:
    return Slot(slot.name)


def _mask(slot: Slot, setting: Setting) -> Slot:
    if is_narrative(slot) or slot.name in ("extension", "modifierExtension"):
        return Slot(slot.name)
    return masked(slot, setting.place)


def _replace(slot: Slot, setting: Setting) -> Slot:
    values = slot.value if isinstance(slot.value, list) else [slot.value]
    alike = all(
        isinstance(one, str)
        and bool(_DATE.fullmatch(one)) <= bool(_DATE.fullmatch(setting.argument))
        for one in values
    )
    if slot.value is None or not alike:
        return masked(slot, setting.place)
    return Slot(slot.name, [setting.argument] if isinstance(slot.value, list) else setting.argument)


def _generalise(name: str, value: Json, setting: Setting) -> Json:
    if not isinstance(value, str):
        return None
    if name == "postalCode":
        return value[:_POSTCODE_KEPT]
    found = _DATE.fullmatch(value)
    if not found:
        return None
    return f"{found[1]}-01-01T00:00:00Z" if _is_instant(setting.place) else found[1]


_INSTANTS = frozenset(
    """
    Account.calculatedAt Appointment.end Appointment.start AppointmentResponse.end AppointmentResponse.start
    AuditEvent.recorded Bundle.timestamp DeviceMetric.calibration.time DiagnosticReport.issued DocumentReference.date
    ImagingSelection.issued Media.issued Observation.issued Provenance.recorded Slot.end Slot.start Subscription.end
    """.split()  # noqa: SIM905
)
"""Elements of type instant, which cannot be a bare year."""


def _is_instant(place: Place) -> bool:
    path = ".".join((place.rtype, *place.steps))
    return path in _INSTANTS or path.endswith(("Instant", "meta.lastUpdated", "ignature.when"))


def _pseudonymise(slot: Slot, setting: Setting) -> Slot:
    shown = each(slot, lambda one: Slot(one.name, _pseudonym(one.name, one.value, setting.key)))
    return shown if shown.present else masked(slot, setting.place)


def _pseudonym(name: str, value: Json, key: PseudonymKey) -> Json:
    if isinstance(value, str):
        return _reference(value, key) if name == "reference" else key.code(value)
    if not isinstance(value, dict):
        return None
    shown = _object_pseudonym(value, key)
    return shown or None


_SHOWN_OF_IDENTIFIER = ("use", "type", "system", "value")
_SHOWN_OF_REFERENCE = ("reference", "type", "identifier")


def _object_pseudonym(node: Object, key: PseudonymKey) -> Object:
    """Give an Identifier another value, a Reference another id; of any other object nothing is left."""
    if isinstance(node.get("reference"), str) or isinstance(node.get("identifier"), dict):
        return {
            name: shown
            for name in node
            if name in _SHOWN_OF_REFERENCE and (shown := _part(name, node[name], key))
        }
    if isinstance(node.get("value"), str) and "code" not in node:
        return {
            name: shown
            for name in node
            if name in _SHOWN_OF_IDENTIFIER and (shown := _part(name, node[name], key))
        }
    return {}


def _part(name: str, value: Json, key: PseudonymKey) -> Json:
    return _pseudonym(name, value, key) if name in ("value", "reference", "identifier") else value


def _reference(text: str, key: PseudonymKey) -> Json:
    """`Type/code`: the code is that of the id, so that references and pseudonymised ids agree."""
    found = _TARGET.fullmatch(text)
    return f"{found[1]}/{key.code(found[2])}" if found else None


def _shift(name: str, value: Json, setting: Setting) -> Json:
    if isinstance(value, dict) and not value.keys() - {
        "start",
        "end",
        "_start",
        "_end",
        "id",
        "extension",
    }:
        ends = {end: _shift(end, value[end], setting) for end in value if end in ("start", "end")}
        return {end: moved for end, moved in ends.items() if moved} or None
    if not isinstance(value, str) or setting.patient is None:
        return None
    return _moved(value, setting.key.days(setting.patient))


def _moved(text: str, days: int) -> str | None:
    """Move a date, in the precision it had; a year or month moves by its middle. None if it is none."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    year, month, day, time = found.groups()
    try:
        new = date(int(year), int(month or 7), int(day or 15 if month else 1)) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return new.isoformat()[: len(text) - len(time or "")] + (time or "")


OPERATORS: dict[str, Operator] = {
    "remove": _remove,
    "mask": _mask,
    "replace": _replace,
    "generalise": _each_value(_generalise),
    "pseudonymise": _pseudonymise,
    "shift": _each_value(_shift),
}
"""Every operator, the most hiding first: of several that name one element the first wins."""

RANK = {name: rank for rank, name in enumerate(OPERATORS)}


def target_of(reference: str) -> tuple[str, str] | None:
    """Give type and id of a literal reference, relative or absolute, versioned or not."""
    found = _TARGET.fullmatch(reference)
    return (found[1], found[2]) if found else None
