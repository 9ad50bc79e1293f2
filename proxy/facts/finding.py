"""Findings: what the gateway cannot understand and an operator should see to, by kind and by name.

Whatever is not understood denies; without a finding nobody would learn why. A kind may be a metric label, a name never:
it goes into the journal alone (interfaces, "HTTP, admin listener").
"""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias


class FindingKind(Enum):
    """What cannot be understood. The values are the labels of the counter."""

    UNREADABLE_CONSENT = "unreadable-consent"
    TOO_MANY_CONSENTS = "too-many-consents"
    DEAD_REFERENCE = "dead-reference"
    FAILED_LOOK_UP = "failed-look-up"
    UNAFFORDABLE_LOOK_UP = "unaffordable-look-up"
    INCOMPLETE_CLOSURE = "incomplete-closure"
    UNKNOWN_LABEL = "unknown-label"
    UNREADABLE_RESOURCE = "unreadable-resource"
    UNTOLD_PATIENT = "untold-patient"
    UNREADABLE_RESIDUAL = "unreadable-residual"


Tell: TypeAlias = Callable[[FindingKind, str], None]
"""Port: is told of a finding, and what it is about (`Consent/x`, a look-up, a code)."""


def untold(kind: FindingKind, about: str) -> None:
    """Tells nobody."""
