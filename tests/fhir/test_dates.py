from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.dates import interval_of

PARIS = ZoneInfo("Europe/Paris")
HOUR, DAY = 3600, 86_400


def instant(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2023", instant(2022, 12, 31, 23), 365 * DAY),
        ("2024", instant(2023, 12, 31, 23), 366 * DAY),
        ("2024-02", instant(2024, 1, 31, 23), 29 * DAY),
        ("2024-07-14", instant(2024, 7, 13, 22), DAY),
        ("2024-03-31", instant(2024, 3, 30, 23), 23 * HOUR),
        ("2024-10-27", instant(2024, 10, 26, 22), 25 * HOUR),
        ("2024-07-14T10:00:00Z", instant(2024, 7, 14, 10), 1),
        ("2024-07-14T10:00:00+02:00", instant(2024, 7, 14, 8), 1),
        ("2024-07-14T10:00:00-05:30", instant(2024, 7, 14, 15, 30), 1),
        ("2024-07-14T10:00:00", instant(2024, 7, 14, 8), 1),
        ("2024-07-14T10:00Z", instant(2024, 7, 14, 10), 60),
        ("2024-07-14T10:00:00.5Z", instant(2024, 7, 14, 10) + 0.5, 0.1),
        ("2016-12-31T23:59:60Z", instant(2016, 12, 31, 23, 59, 59), 2),
        ("2023/2024", instant(2022, 12, 31, 23), (365 + 366) * DAY),
    ],
)
def test_a_date_is_all_that_it_names(text: str, start: float, length: float) -> None:
    found = interval_of(text, PARIS)
    assert found is not None
    assert found.start == pytest.approx(start, abs=1e-4)
    assert found.end == pytest.approx(start + length, abs=1e-4)
    assert found.end < start + length


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2024-13", "2024-02-30", "2024-1", "24", "2024-07-14T", "2024-07-14T25:00:00Z", "2024/2023", "2024/",
     "2024-07-14 10:00:00Z", "0000", "\uff12\uff10\uff12\uff14", "2024-07-14T10:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert interval_of(text, PARIS) is None


@given(
    st.text(max_size=30)
    | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", fullmatch=True)
)
def test_no_text_raises_and_every_interval_is_in_order(text: str) -> None:
    found = interval_of(text, PARIS)
    assert found is None or found.start <= found.end
