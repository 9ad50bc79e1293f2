"""Which resources prove which relationships, and how they are searched for (decisions §5).

A table of kinds. What the policy does not name is not looked up. Statuses and dates are asked of upstream to have less
to read; the readers look at them again. Pure.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TypeAlias

from proxy.facts.activity import (
    DAY,
    ENDED_ENCOUNTER,
    ENDED_EPISODE,
    KEPT_APPOINTMENT,
    LONGEST_APPOINTMENT,
    OPEN_ENCOUNTER,
    OPEN_EPISODE,
    memberships_of_appointment,
    memberships_of_encounter,
    memberships_of_episode,
)
from proxy.facts.elements import Json
from proxy.facts.lookup import Parameters
from proxy.facts.model import Membership
from proxy.facts.relationship import (
    CARE_TEAM,
    GENERAL_PRACTITIONER,
    GUARDIAN,
    TRUSTED_PERSON,
    Reading,
    memberships_of_care_team,
    memberships_of_general_practitioner,
    memberships_of_related_person,
)

Filters: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """When a search is made, and how long its answer may be kept: what it leaves out must not begin to count meanwhile."""

    now: float
    zone: tzinfo
    grace_days: int
    ttl: float
    fhir_version: str = "4.0.1"

    def day(self, days: int) -> str:
        """The day that lies so many days off, as a FHIR date; a day more is always left for other time zones."""
        return (datetime.fromtimestamp(self.now, self.zone) + timedelta(days)).date().isoformat()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource that proves relationships. `filters` gives one set of further parameters for each search."""

    resource_type: str
    parameter: str
    read: Callable[[Json, Reading], tuple[Membership, ...]]
    proves: frozenset[str]
    filters: Callable[[Window], tuple[Filters, ...]]

    def parameters(self, patients: Iterable[str], filters: Filters) -> Parameters:
        """The search for what proves something about these patients (`Patient/x`)."""
        if self.parameter == "_id":
            patients = [one.partition("/")[2] for one in patients]
        return ((self.parameter, ",".join(patients)), *filters)


def _everything(_: Window) -> tuple[Filters, ...]:
    return ((),)


def _active(_: Window) -> tuple[Filters, ...]:
    return ((("status", "active"),),)


def _going_on(
    going: tuple[str, ...], ended: tuple[str, ...]
) -> Callable[[Window], tuple[Filters, ...]]:
    """What goes on; and with a grace what has ended lately. Two searches: what goes on may have no date at all."""

    def filters(window: Window) -> tuple[Filters, ...]:
        open_: Filters = (("status", ",".join(going)),)
        if not window.grace_days:
            return (open_,)
        since = f"ge{window.day(-window.grace_days - 1)}"
        return open_, (("status", ",".join(ended)), ("date", since))

    return filters


def _around_now(window: Window) -> tuple[Filters, ...]:
    """Appointments that begin near now: a patient's old ones are many.

    In R5 `date` is the first of two elements, by which not every server can search: there all are read.
    """
    statuses: Filters = (("status", ",".join(KEPT_APPOINTMENT)),)
    if window.fhir_version.startswith("5"):
        return (statuses,)
    first = window.day(-window.grace_days - LONGEST_APPOINTMENT - 1)
    last = window.day(window.grace_days + 1 + math.ceil(window.ttl / DAY))
    return ((*statuses, ("date", f"ge{first}"), ("date", f"le{last}")),)


_TEAM = frozenset({CARE_TEAM})
_RELATIVES = frozenset({GUARDIAN, TRUSTED_PERSON})
_GP = frozenset({GENERAL_PRACTITIONER})

KINDS = (
    Kind("CareTeam", "patient", memberships_of_care_team, _TEAM, _active),
    Kind("Encounter", "patient", memberships_of_encounter, _TEAM, _going_on(OPEN_ENCOUNTER, ENDED_ENCOUNTER)),
    Kind("EpisodeOfCare", "patient", memberships_of_episode, _TEAM, _going_on(OPEN_EPISODE, ENDED_EPISODE)),
    Kind("Appointment", "patient", memberships_of_appointment, _TEAM, _around_now),
    Kind("Patient", "_id", memberships_of_general_practitioner, _GP, _everything),
    Kind("RelatedPerson", "patient", memberships_of_related_person, _RELATIVES, _everything),
)  # fmt: skip


def kinds_for(wanted: frozenset[str], care_team_from: frozenset[str]) -> tuple[Kind, ...]:
    """The kinds that can prove one of the wanted relationships, the care team only from what the policy names."""
    return tuple(
        kind
        for kind in KINDS
        if not kind.proves.isdisjoint(wanted)
        and (CARE_TEAM not in kind.proves or kind.resource_type in care_team_from)
    )
