"""The clock: the wall clock, or the instant that the settings fix."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from proxy.errors import Finding, UnusableError
from proxy.settings import Settings


def clock_of(settings: Settings) -> Callable[[], float]:
    """The wall clock, or the instant that the settings fix."""
    if settings.clock == "system":
        return time.time
    try:
        instant = datetime.fromisoformat(settings.clock)
    except ValueError:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`clock`: `{settings.clock}` is no instant")
        ) from None
    fixed = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    return lambda: fixed
