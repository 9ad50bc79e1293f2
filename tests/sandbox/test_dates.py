import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox.dates import compare, interval_of, period_of


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


INTERVALS = [
    ("2020", "2020-01-01", "2021-01-01"),
    ("2020-02", "2020-02-01", "2020-03-01"),
    ("2020-12", "2020-12-01", "2021-01-01"),
    ("2020-02-29", "2020-02-29", "2020-03-01"),
    ("2020-01-01T10:00", "2020-01-01T10:00", "2020-01-01T10:01"),
    ("2020-01-01T10:00:00Z", "2020-01-01T10:00", "2020-01-01T10:00:01"),
    ("2020-01-01T10:00:00.500Z", "2020-01-01T10:00:00.500", "2020-01-01T10:00:00.501"),
    ("2020-01-01T10:00:00+02:00", "2020-01-01T08:00", "2020-01-01T08:00:01"),
    ("2020-01-01T10:00:00-02:00", "2020-01-01T12:00", "2020-01-01T12:00:01"),
]


@pytest.mark.parametrize(("text", "low", "high"), INTERVALS)
def test_a_partial_date_is_all_it_names(text: str, low: str, high: str) -> None:
    assert interval_of(text) == (at(low), at(high))


@pytest.mark.parametrize(
    "text", ["", "yesterday", "20", "2020-13", "2020-02-30", "2020-1-1", "2020T10"]
)
def test_what_is_no_date_has_no_interval(text: str) -> None:
    assert interval_of(text) is None


def test_the_last_year_has_no_end() -> None:
    assert interval_of("9999") == (at("9999-01-01"), math.inf)


def test_an_open_period_reaches_to_infinity() -> None:
    assert period_of("2020", None) == (at("2020-01-01"), math.inf)
    assert period_of(None, "2020") == (-math.inf, at("2021-01-01"))
    assert period_of(None, None) is None


def test_ap_widens_by_a_tenth_of_the_distance_to_now() -> None:
    assert compare("ap", (100, 101), (109, 110), now=200)
    assert not compare("ap", (100, 101), (120, 121), now=200)


spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(
    lambda s: (float(s[0]), float(sum(s)))
)


@given(spans, spans)
def test_prefixes_agree_with_each_other(
    target: tuple[float, float], search: tuple[float, float]
) -> None:
    holds = {
        p: compare(p, target, search, 0) for p in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
    }

    assert holds["eq"] is not holds["ne"]
    assert not holds["sa"] or (holds["gt"] and holds["ge"])
    assert not holds["eb"] or (holds["lt"] and holds["le"])
    assert not holds["eq"] or (holds["ge"] and holds["le"])
    assert not (holds["sa"] and holds["eb"])
