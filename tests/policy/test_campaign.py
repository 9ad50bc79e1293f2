from datetime import UTC, datetime
from math import inf, nextafter
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from proxy.policy.campaign import Dated, span_of

PARIS = ZoneInfo("Europe/Paris")
WINTER = {"id": "winter", "description": "vaccination", "source": "order 1"}


def dated(begins: str, until: str, name: str = "winter") -> Dated:
    return Dated.model_validate({**WINTER, "id": name, "from": begins, "until": until})


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


CAMPAIGN = dated("2026-10-15", "2027-01-31")

EDGES = [
    ("2026-10-14T23:59:59.999999+02:00", False),
    ("2026-10-15T00:00:00+02:00", True),
    ("2026-12-31T12:00:00+01:00", True),
    ("2027-01-31T23:59:59.999999+01:00", True),
    ("2027-02-01T00:00:00+01:00", False),
]


@pytest.mark.parametrize(("when", "inside"), EDGES)
def test_both_days_are_inside_in_the_zone_of_the_house(when: str, *, inside: bool) -> None:
    assert CAMPAIGN.covers(instant(when), PARIS) is inside


def test_the_zone_moves_the_edges() -> None:
    midnight = instant("2026-10-15T00:00:00+00:00")
    assert CAMPAIGN.covers(midnight, UTC)
    assert CAMPAIGN.covers(midnight - 7200, PARIS)
    assert not CAMPAIGN.covers(midnight - 7200, UTC)


def test_instants_are_edges_too() -> None:
    night = dated("2026-10-15T20:00:00+02:00", "2026-10-16T06:00:00+02:00")
    assert [night.covers(instant(f"2026-10-{at}+02:00"), UTC) for at in ("15T19:59", "15T20:00", "16T06:00", "16T06:01")] == [False, True, True, False]  # fmt: skip


def test_it_is_over_after_its_last_instant_only() -> None:
    last = CAMPAIGN.period(PARIS).end
    assert not CAMPAIGN.is_over(last, PARIS)
    assert CAMPAIGN.is_over(nextafter(last, inf), PARIS)


WRONG = [
    ("2026-10-15", "2026-10-14", "the campaign ends (2026-10-14) before it begins (2026-10-15)"),
    ("2026-10-15", "2028-10-17", "a campaign lasts two years at most"),
    ("2026-02-30", "2026-03-01", "`from`: `2026-02-30` is no date of the calendar"),
    ("2026-10-15", "2026-11-31", "`until`: `2026-11-31` is no date of the calendar"),
    ("2026-10-15", "soon", "String should match pattern"),
    ("2026-10-15/2026-10-16", "2026-10-17", "String should match pattern"),
    ("2026", "2026-10-17", "String should match pattern"),
]


@pytest.mark.parametrize(("begins", "until", "why"), WRONG)
def test_a_campaign_that_cannot_be_dated_is_told(begins: str, until: str, why: str) -> None:
    with pytest.raises(ValidationError) as error:
        dated(begins, until)
    assert why in str(error.value)


def test_two_years_are_allowed() -> None:
    assert dated("2026-10-15", "2028-10-14").covers(instant("2028-10-14T12:00:00+00:00"), UTC)


def test_a_span_ends_where_any_campaign_begins_or_ends() -> None:
    one, other = dated("2026-10-01", "2026-10-31"), dated("2026-10-15", "2026-12-31", "other")
    first, last = one.period(UTC)
    begun = other.period(UTC).start
    after = nextafter(last, inf)
    assert span_of([one, other], first - 1, UTC) == (-inf, first)
    assert span_of([one, other], first, UTC) == (first, begun)
    assert span_of([one, other], last, UTC) == (begun, after)
    assert span_of([one, other], after, UTC) == (after, nextafter(other.period(UTC).end, inf))
    assert span_of([], first, UTC) == (-inf, inf)
