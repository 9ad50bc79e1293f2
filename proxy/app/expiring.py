"""Notes in the background that break-glass grants ran out, so that each has an end in the journal."""

import asyncio
from contextlib import AsyncExitStack, suppress

import structlog

from proxy.app.delivery import in_background
from proxy.enforcement.emergency import note_expired
from proxy.enforcement.house import House
from proxy.errors import OwnError

EVERY_S = 15.0
_LOG = structlog.get_logger("proxy.app")


def start_expiry(house: House, stack: AsyncExitStack, every_s: float = EVERY_S) -> None:
    """Looks every so many seconds, at once to begin with; stopped before the journal is closed."""
    stop = asyncio.Event()
    in_background(_watch(house, stop, every_s), stop, stack)


async def _watch(house: House, stop: asyncio.Event, every_s: float) -> None:
    while not stop.is_set():
        try:
            await note_expired(house)
        except (
            OwnError
        ) as error:  # the journal; the grants are over all the same, and are noted later
            _LOG.warning("expired grants not noted", why=error.detail)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
