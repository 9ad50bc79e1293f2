"""Entries with notices, for the tests of their delivery; all fictional."""

from zoneinfo import ZoneInfo

import msgspec

from proxy.audit.communication import Texts
from proxy.audit.entry import Entry, Notice
from proxy.audit.notice import Folding, Message, messages_of
from tests.audit.cases import ANNA, READ, changed

PARIS = ZoneInfo("Europe/Paris")
ADA, BEN = "Patient/ada", "Patient/ben"
NOON = 1_790_000_000.0 - 1_790_000_000.0 % 86_400 + 36_000
"""10:00 UTC, 12:00 in Paris."""
TEXTS: Texts = {"access": "read", "emergency": "broken", "digest": "read today"}


def noticing(number: int, *notices: Notice, when: float = NOON, who: str = "anna") -> Entry:
    """An entry that obliges to notices."""
    actor = msgspec.structs.replace(ANNA, subject=who)
    return changed(READ, id=f"e{number}", recorded=when, notices=notices, actor=actor)


def told(patient: str = ADA, why: str = "team-reads", recipient: str = "patient") -> Notice:
    return Notice(recipient, patient, why)


def messages(entry: Entry, folding: Folding = "each", recipient: str = "patient") -> list[Message]:
    return list(messages_of(entry, recipient, folding, PARIS))
