"""Campaign: a named, dated exception (a vaccination campaign, an epidemic), whose rules hold only within its period.

The period is written as FHIR writes dates, partial ones are whole days or months in the house's zone, its end is
inclusive to the last instant (threats T-194). An exception that nobody ends becomes the rule: it lasts two years at most.
"""

from collections.abc import Iterable
from datetime import UTC, tzinfo
from math import inf, nextafter
from typing import Annotated, Self, TypeAlias

from pydantic import Field, model_validator

from proxy.fhir.dates import Interval, interval_of
from proxy.policy.terms import Name, Text, Written

LONGEST_S = 2 * 366 * 86_400.0
"""Two years, in seconds."""

Moment: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?$",
        description="A date (`2026-10-15`), a month, or an instant (RFC 3339), in the house's time zone.",
    ),
]
"""A date or an instant, as a policy writes it; put it in quotes."""


class Dated(Written):
    """A name, a reason, and the period between whose ends something is in force."""

    id: Name = Field(description="The campaign's name, unique in the whole policy set.")
    description: Text = Field(description="What the campaign is for; shown in explanations.")
    source: Text = Field(description="The order or decision that the campaign rests on.")
    begins: Moment = Field(alias="from", description="Its first day, or the instant it begins.")
    until: Moment = Field(
        description="Its last day, that day included, or its last instant; two years after `from` at most."
    )

    @model_validator(mode="after")
    def _ends(self) -> Self:
        for name, moment in (("from", self.begins), ("until", self.until)):
            if interval_of(moment, UTC) is None:
                raise ValueError(f"`{name}`: `{moment}` is no date of the calendar")
        period = self.period(UTC)
        if period.end < period.start:
            raise ValueError(f"the campaign ends ({self.until}) before it begins ({self.begins})")
        if period.end - period.start > LONGEST_S:
            raise ValueError("a campaign lasts two years at most; what lasts longer is a rule")
        return self

    def period(self, zone: tzinfo) -> Interval:
        """Give the first and the last instant at which it is in force."""
        first, last = interval_of(self.begins, zone), interval_of(self.until, zone)
        if first is None or last is None:  # the validator has seen that both are dates
            raise ValueError("a campaign without dates")
        return Interval(first.start, last.end)

    def covers(self, now: float, zone: tzinfo) -> bool:
        """Whether it is in force at an instant."""
        first, last = self.period(zone)
        return first <= now <= last

    def is_over(self, now: float, zone: tzinfo) -> bool:
        """Whether it has ended before an instant."""
        return self.period(zone).end < now


def span_of(campaigns: Iterable[Dated], now: float, zone: tzinfo) -> tuple[float, float]:
    """Give since when, and until before when, the same campaigns are in force as now."""
    since, until = -inf, inf
    for campaign in campaigns:
        first, last = campaign.period(zone)
        for edge in (first, nextafter(last, inf)):
            if edge <= now:
                since = max(since, edge)
            else:
                until = min(until, edge)
    return since, until
