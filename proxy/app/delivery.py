"""Starts the delivery of what waits in the journal; the only background tasks."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack

from proxy.app.ground import Ground
from proxy.audit.agent import Observer
from proxy.audit.deliver import Fate, Pace, deliver
from proxy.audit.journal import SqliteJournal
from proxy.wire.admin import Metrics

NAME = "fhir-consent-proxy"


def start_delivery(
    ground: Ground, journal: SqliteJournal, stack: AsyncExitStack, metrics: Metrics
) -> None:
    """Starts the delivery of AuditEvents in the background; stopped before the journal is closed."""
    repository = ground.settings.audit.repository
    if repository == "none":
        return
    stop = asyncio.Event()

    def tell(fate: Fate) -> None:
        metrics.deliveries.labels(fate.value).inc()

    pace = Pace(jitter=random.random, tell=tell)
    send = ground.wires.event_sender(repository.url.rstrip("/"))
    observer = Observer(ground.public_url, NAME)
    work = deliver(journal.file, send, observer, stop, pace, ground.definitions.fhir_version)
    in_background(work, stop, stack)


def in_background(
    work: Coroutine[object, object, None], stop: asyncio.Event, stack: AsyncExitStack
) -> None:
    """Starts what runs until `stop` is set; the exit stack keeps the task, stops it and waits for its end."""
    task = asyncio.create_task(work)

    async def end() -> None:
        stop.set()
        await task

    stack.push_async_callback(end)
