"""Notices as messages: who is told of which access, and which accesses share one message (CSP R1111-46: the patient is informed).

Laws:
1. A message's id is derived from what it is about, so that making it again is making the same one.
2. It names who accessed, for whom, by which application and when; never what was read.
Pure.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Literal, TypeAlias
from uuid import NAMESPACE_URL, uuid5

import msgspec

from proxy.audit.entry import Actor, Entry, Notice

Folding: TypeAlias = Literal["each", "first", "daily"]
"""One message an access; one for the first access of a person under a rule; one a patient and day."""

Kind: TypeAlias = Literal["access", "emergency", "digest"]

EMERGENCIES = frozenset({"break-glass-start"})
"""Reasons that are no rule: a notice of these never shares a message with another."""

MOST_NAMED = 200
"""Accessors that one digest names; `count` counts all accesses."""
SETTLED_S = 600.0
"""A digest leaves this long after its day, when whatever began before midnight is recorded."""


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """One access, as it may be told: `entry` and `recorded` of the journal entry, who asked, and why the notice is due."""

    entry: str
    recorded: float
    actor: Actor
    why: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one recipient is told about one patient (`Patient/id`, or nobody); it leaves at `due` (seconds since the epoch)."""

    id: str
    recipient: str
    patient: str
    kind: Kind
    due: float
    accesses: tuple[Access, ...]
    count: int = 1

    def and_also(self, other: "Message") -> "Message":
        """Both as one: every access counts, every accessor is named once."""
        known = {_accessor(one) for one in self.accesses}
        more = tuple(one for one in other.accesses if _accessor(one) not in known)
        accesses = (*self.accesses, *more)[:MOST_NAMED]
        return msgspec.structs.replace(self, accesses=accesses, count=self.count + other.count)


def messages_of(entry: Entry, recipient: str, folding: Folding, zone: tzinfo) -> Iterator[Message]:
    """The messages that the notices of an entry make for one kind of recipient."""
    for notice in entry.notices:
        if notice.recipient == recipient:
            access = Access(entry.id, entry.recorded, _told(entry.actor), notice.why)
            kept = "each" if notice.why in EMERGENCIES else folding
            yield _message(notice, access, kept, zone)


def _message(notice: Notice, access: Access, folding: Folding, zone: tzinfo) -> Message:
    kind: Kind = "emergency" if notice.why in EMERGENCIES else "access"
    due, about = access.recorded, access.entry
    if folding == "first":
        person = access.actor.subject or access.actor.client_id
        about = f"first\n{access.actor.issuer}\n{person}\n{notice.why}"
    if folding == "daily":
        day = datetime.fromtimestamp(access.recorded, zone).date()
        midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
        kind, due, about = "digest", midnight.timestamp() + SETTLED_S, f"day {day.isoformat()}"
    name = f"{notice.recipient}\n{notice.patient}\n{about}"
    identity = f"gw-{uuid5(NAMESPACE_URL, name)}"
    return Message(identity, notice.recipient, notice.patient, kind, due, (access,))


def _told(actor: Actor) -> Actor:
    """What of an accessor is told: who, for whom, by which application; no token, no role, no purpose."""
    return Actor(
        issuer=actor.issuer,
        subject=actor.subject,
        client_id=actor.client_id,
        kind=actor.kind,
        name=actor.name,
        organization=actor.organization,
        organization_name=actor.organization_name,
    )


def _accessor(access: Access) -> tuple[Actor, str]:
    return access.actor, access.why
