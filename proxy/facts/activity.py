"""Who treats a patient, told by what is done: Encounter, EpisodeOfCare, Appointment (decisions §5, `care_team_from`).

Read only where the policy names them. What is planned, cancelled or wrong proves nothing; what has ended proves nothing
either, or for `Reading.grace_days` more. R4 and R5 name the same elements differently; either spelling is read. Pure.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from proxy.facts.elements import Json
from proxy.facts.model import Membership, Period
from proxy.facts.relationship import (
    CARE_TEAM,
    PROFESSIONALS,
    Reading,
    both,
    is_modified,
    listed,
    patient_of,
    period_at,
    treating,
)  # fmt: skip
from proxy.fhir.dates import interval_of

DAY = 86_400.0
LONGEST_APPOINTMENT = 7
"""Days; what lasts longer is no appointment, and proves nothing."""

OPEN_ENCOUNTER = ("arrived", "triaged", "in-progress", "onleave", "on-hold")
"""Statuses of an Encounter that goes on, of R4 and of R5."""
ENDED_ENCOUNTER = ("finished", "discharged", "completed")
OPEN_EPISODE = ("active",)
ENDED_EPISODE = ("finished",)
KEPT_APPOINTMENT = ("booked", "arrived", "checked-in", "fulfilled")
"""Statuses of an Appointment that is to be kept, or was."""

_TEAM = frozenset({"CareTeam"})


def memberships_of_encounter(encounter: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read who takes part in an Encounter while it goes on: Practitioners and PractitionerRoles, within both periods."""
    key = "actualPeriod" if "actualPeriod" in encounter else "period"
    whole = period_at(encounter, reading, key)
    found = (
        _membership(encounter, node.get(element), both(whole, own), reading)
        for node in listed(encounter, "participant")
        for element in ("individual", "actor")
        if whole and (own := period_at(node, reading)) and not is_modified(node)
    )
    known = (one for one in found if one)
    return tuple(_going_on(encounter, known, OPEN_ENCOUNTER, ENDED_ENCOUNTER, reading))


def memberships_of_episode(episode: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read who manages an active EpisodeOfCare, and its CareTeams, whose members `members_proven` puts in their place."""
    whole = period_at(episode, reading)
    if whole is None:
        return ()
    teams = [*listed(episode, "team"), *listed(episode, "careTeam")]
    managers = _membership(episode, episode.get("careManager"), whole, reading)
    found = [managers, *(_membership(episode, team, whole, reading, _TEAM) for team in teams)]
    known = (one for one in found if one)
    return tuple(_going_on(episode, known, OPEN_EPISODE, ENDED_EPISODE, reading))


def memberships_of_appointment(appointment: Json, reading: Reading) -> tuple[Membership, ...]:
    """Read who has accepted an Appointment: from the first day of it to the last, whatever the hour."""
    days = _days(appointment, reading)
    if (
        days is None
        or appointment.get("status") not in KEPT_APPOINTMENT
        or is_modified(appointment)
    ):
        return ()
    found = (
        _membership(appointment, node.get("actor"), both(days, own), reading)
        for node in _accepted(appointment)
        if (own := period_at(node, reading))
    )
    return tuple(one for one in found if one)


def patients_of(resource: Json, reading: Reading) -> frozenset[str]:
    """Give the patients a resource that proves relationships is about: an Appointment may have several."""
    if resource.get("resourceType") != "Appointment":
        patient = patient_of(resource, reading)
        return frozenset((patient,) if patient else ())
    # a patient who has not accepted yet is still the one the appointment is about
    named = (reading.reference(node.get("actor")) for node in listed(resource, "participant"))
    subject = reading.reference(resource.get("subject"))
    return frozenset(one for one in (*named, subject) if one and one.startswith("Patient/"))


def teams_named(memberships: tuple[Membership, ...] | list[Membership]) -> frozenset[str]:
    """Give the ids of the CareTeams whose members must be looked up before the memberships prove anything."""
    return frozenset(
        one.actor.reference.removeprefix("CareTeam/")
        for one in memberships
        if one.actor.reference and one.actor.reference.startswith("CareTeam/")
    )


def members_proven(
    membership: Membership, patient: str, team: Json | None, reading: Reading
) -> Iterator[Membership]:
    """Put the members of a CareTeam in its place: as long as they are members, and the team is named.

    `team` is what was found, `None` where there is none. A team for another patient proves nothing for this one.
    """
    if team is None or ("subject" in team and patient_of(team, reading) != patient):
        return
    for actor, period in treating(team, reading):
        yield Membership(membership.kind, actor, both(membership.period, period), membership.source)


def _membership(
    resource: Json,
    node: object,
    period: Period,
    reading: Reading,
    kinds: frozenset[str] = PROFESSIONALS,
) -> Membership | None:
    actor = reading.actor_among(node, kinds)
    source = f"{resource.get('resourceType')}/{resource.get('id')}"
    return Membership(CARE_TEAM, actor, period, source) if actor else None


def _going_on(
    resource: Json,
    found: Iterator[Membership],
    going: tuple[str, ...],
    ended: tuple[str, ...],
    reading: Reading,
) -> Iterator[Membership]:
    """Keep what is proven by something that goes on, or that ended at a stated time with the grace of the policy."""
    status = resource.get("status")
    if is_modified(resource) or status not in (*going, *(ended if reading.grace_days else ())):
        return
    for one in found:
        if status in going or one.period.end is not None:
            yield Membership(one.kind, one.actor, _longer(one.period, reading), one.source)


def _longer(period: Period, reading: Reading) -> Period:
    """Add the grace; what ended before it began, because two periods do not meet, stays empty."""
    start, end = period.start, period.end
    if end is None or (start is not None and start > end):
        return period
    return Period(start, end + reading.grace_days * DAY)


def _accepted(appointment: Json) -> Iterator[Json]:
    """Give who has accepted: whoever was only invited could make a record open by inviting."""
    for node in listed(appointment, "participant"):
        if node.get("status") == "accepted" and not is_modified(node):
            yield node


def _days(appointment: Json, reading: Reading) -> Period | None:
    """Give the days of an Appointment, with the grace before and after; None where they cannot be told."""
    starts, ends = appointment.get("start"), appointment.get("end", appointment.get("start"))
    if not (isinstance(starts, str) and isinstance(ends, str)):
        return None
    first, last = interval_of(starts, reading.zone), interval_of(ends, reading.zone)
    if (
        first is None
        or last is None
        or not 0 <= last.end - first.start <= LONGEST_APPOINTMENT * DAY
    ):
        return None
    try:
        days = [
            datetime.fromtimestamp(edge, reading.zone).date() for edge in (first.start, last.end)
        ]
        grace = timedelta(reading.grace_days)
        return Period(_day(days[0] - grace, reading)[0], _day(days[1] + grace, reading)[1])
    except (OverflowError, ValueError):
        return None


def _day(day: date, reading: Reading) -> tuple[float, float]:
    """Give the first and the last instant of a day; ValueError for one that no clock reaches."""
    interval = interval_of(day.isoformat(), reading.zone)
    if interval is None:
        raise ValueError(day)
    return interval.start, interval.end
