"""The clock can be fixed, for tests."""

from pathlib import Path

import pytest

from proxy.app.clock import clock_of
from proxy.errors import UnusableError
from tests.app.settled import settings_of
from tests.stage import NOW

CLOCKS = [("2026-11-22T09:00:00+00:00", NOW), ("2026-11-22T10:00:00+01:00", NOW), ("2026-11-22T09:00:00", NOW)]  # fmt: skip


@pytest.mark.parametrize(("clock", "instant"), CLOCKS)
def test_a_clock_can_be_fixed(tmp_path: Path, clock: str, instant: float) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    assert clock_of(settings.model_copy(update={"clock": clock}))() == instant


def test_a_clock_that_is_no_instant_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir").model_copy(update={"clock": "noon"})
    with pytest.raises(UnusableError, match="is no instant"):
        clock_of(settings)
