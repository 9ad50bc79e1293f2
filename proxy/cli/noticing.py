"""`audit notices`: who is to be told of which access, as the journal has it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from proxy.audit.entry import Entry


@dataclass(frozen=True, slots=True)
class Noticed:
    """One notice: when (instant, UTC), who is told, about whom, why, who accessed, and the journal entry."""

    when: str
    recipient: str
    patient: str
    why: str
    who: str
    entry: str


def notices_of(entries: Iterable[Entry], patient: str) -> Iterator[Noticed]:
    """Give the notices of some entries, about one patient (`Patient/id`) or, where that is empty, about all."""
    for entry in entries:
        when = datetime.fromtimestamp(entry.recorded, UTC).isoformat(timespec="milliseconds")
        actor = entry.actor
        who = actor.name or actor.fhir_user or actor.subject or "unknown"
        for one in entry.notices:
            if patient in ("", one.patient):
                yield Noticed(when, one.recipient, one.patient, one.why, who, entry.id)


def as_json(notices: Iterable[Noticed]) -> str:
    """Give the notices as a JSON list."""
    return json.dumps([asdict(one) for one in notices], indent=2, ensure_ascii=False)


def as_text(notices: Iterable[Noticed]) -> str:
    """Give the notices as one line each."""
    lines = [
        f"{one.when} {one.recipient} of {one.patient or 'nobody'}: {one.why}, by {one.who}"
        for one in notices
    ]
    return "\n".join(lines) or "no notices"
