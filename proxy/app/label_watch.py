"""Watches whether upstream's Bundles carry security labels: proven at start, looked at again from time to time (threat T-53).

A server that is seen to leave them out is not started on; one that begins to, after an upgrade, has every resource read again by itself
from then on, and readiness is degraded until the operator has seen to it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress

import structlog

from proxy.app.delivery import in_background
from proxy.errors import Finding, UnusableError
from proxy.facts.carried import Carried, labels_carried
from proxy.wire.admin import Metrics
from proxy.wire.rereading import Getting, Switch

EVERY_S = 600.0
_LOG = structlog.get_logger("proxy.app")


class LabelWatch:
    """What was seen last. Where everything is read again anyway nothing is looked at."""

    def __init__(self, upstream: Getting, by_read: Switch) -> None:
        self._upstream = upstream
        self._by_read = by_read
        self.seen = Carried(0, frozenset())

    async def prove(self) -> None:
        """`UnusableError` where labels are left out. None labelled to be found proves nothing, and is no hindrance."""
        await self.look()
        if self.seen.lost:
            raise UnusableError(Finding("gateway.yaml", 1, _told(self.seen)))

    async def look(self) -> None:
        """Looks; what was lost once is not believed again before the next start."""
        if self._by_read.on:
            return
        self.seen = await labels_carried(self._get)

    async def watch(self, stop: asyncio.Event, metrics: Metrics, every_s: float) -> None:
        """Looks every so many seconds until `stop` is set."""
        while not stop.is_set():
            metrics.labels_compared.set(self.seen.compared)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_s)
                return
            await self.look()
            if self.seen.lost and not self._by_read.on:
                self._by_read.on = True
                metrics.labels_lost.set(1)
                _LOG.warning("upstream leaves labels out", where=sorted(self.seen.lost))

    def degraded(self) -> Mapping[str, str]:
        """What the admin listener tells of it."""
        return {"labels": _told(self.seen)} if self.seen.lost else {}

    async def _get(self, target: str) -> tuple[int, bytes]:
        answer = await self._upstream.get(target)
        return answer.status, answer.body


def start_probing(
    watch: LabelWatch, stack: AsyncExitStack, metrics: Metrics, every_s: float = EVERY_S
) -> None:
    """Looks in the background until the gateway closes."""
    stop = asyncio.Event()
    in_background(watch.watch(stop, metrics, every_s), stop, stack)


def _told(seen: Carried) -> str:
    kinds = ", ".join(sorted(seen.lost))
    return (
        f"`upstream.labels`: the server leaves security labels out of what it gives by {kinds}; correct the server, or set "
        "`by-read`, with which every resource is read again by itself"
    )
