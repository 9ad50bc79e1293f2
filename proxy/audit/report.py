"""Reports on the record: who accessed a patient's data, and AuditEvents as NDJSON (BALP 1:52.4.1; accounting of disclosures)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from proxy.audit.agent import Observer
from proxy.audit.entry import Actor, Entry, GrantAct, Judged
from proxy.audit.event import events_of


@dataclass(frozen=True, slots=True)
class Access:
    """One request that touched, or was judged about, one patient's data."""

    when: str
    """Instant, UTC, ISO 8601."""
    who: str
    """Name, FHIR reference or subject of the principal, and `for` whom it acted; `unknown` without one."""
    organization: str
    client: str
    interaction: str
    what: tuple[str, ...]
    """References of that patient's resources; what was asked for where none was reached."""
    why: tuple[str, ...]
    """Purposes of use that the token named."""
    basis: tuple[str, ...]
    """Rules and Consents that decided."""
    outcome: str
    """`disclosed`, `redacted` (in part), `consulted` (counted, or led through), `explained` (to a reviewer), `withheld`, or of the whole request `denied`, `failed`;
    of a break-glass grant `started`, `ended`, `expired`, `reviewed`."""


def concerns(entry: Entry, patient: str) -> bool:
    """Whether the entry touched, or judged access to, data of this patient (`Patient/id`)."""
    return (
        any(patient in one.patients for one in entry.touched)
        or any(patient in one.patients for one in entry.decisions)
        or any(patient == one.patient for one in entry.grants)
    )


def access_report(entries: Iterable[Entry], patient: str) -> list[Access]:
    """The accesses to data of one patient (`Patient/id`), in the order of the entries; refused ones too."""
    return [_access(entry, patient) for entry in entries if concerns(entry, patient)]


def export(
    entries: Iterable[Entry], observer: Observer, fhir_version: str = "4.0.1"
) -> Iterator[bytes]:
    """The AuditEvents of the entries as NDJSON: one line each, line feed included."""
    for entry in entries:
        for event in events_of(entry, observer=observer, fhir_version=fhir_version):
            yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _access(entry: Entry, patient: str) -> Access:
    actor = entry.actor
    return Access(
        when=datetime.fromtimestamp(entry.recorded, UTC).isoformat(timespec="milliseconds"),
        who=_who(actor),
        organization=actor.organization_name or actor.organization[1],
        client=actor.client_id,
        interaction=entry.interaction,
        what=_what(entry, patient),
        why=_purposes(entry, patient),
        basis=_basis(entry.decisions, patient),
        outcome=_outcome(entry, patient),
    )


def _who(actor: Actor) -> str:
    who = actor.name or actor.fhir_user or actor.subject or "unknown"
    return who if actor.on_behalf_of is None else f"{who} for {_who(actor.on_behalf_of)}"


def _what(entry: Entry, patient: str) -> tuple[str, ...]:
    touched = tuple(
        reference
        for one in entry.touched
        if patient in one.patients
        for reference in one.references
    )
    asked = "/".join(part for part in (entry.type, entry.resource_id) if part)
    acts = tuple(f"break-glass {act.value}" for act in _acts(entry, patient))
    return touched or acts or ((asked,) if asked else ())


def _acts(entry: Entry, patient: str) -> tuple[GrantAct, ...]:
    """What became of the patient's break-glass grants in this request."""
    return tuple(note.act for note in entry.grants if note.patient == patient)


def _purposes(entry: Entry, patient: str) -> tuple[str, ...]:
    """The purposes that the token named, and break-glass where a grant was needed."""
    used = GrantAct.USED in _acts(entry, patient)
    return tuple(dict.fromkeys((*entry.actor.purposes, *(["BTG"] if used else []))))


def _basis(decisions: Iterable[Judged], patient: str) -> tuple[str, ...]:
    """Sources of the reasons that speak for each decision's effect, each once."""
    sources = (
        source
        for judged in decisions
        if patient in judged.patients
        for _, verdict, source, _ in judged.reasons
        if (verdict == "permit") == (judged.effect == "permit") and verdict != "not-applicable"
    )
    return tuple(dict.fromkeys(sources))


def _outcome(entry: Entry, patient: str) -> str:
    if entry.outcome != "permitted":
        return entry.outcome
    outcomes = {one.outcome for one in entry.touched if patient in one.patients}
    if entry.would is not None and outcomes:
        return "disclosed"  # whatever enforcement would have done
    if not outcomes and _acts(entry, patient):
        return _acts(entry, patient)[-1].value
    return next(
        (one for one in ("redacted", "disclosed", "consulted", "explained") if one in outcomes),
        "withheld",
    )
