"""The composition root: adapters are built and wired here; the only package that reads the clock and rolls dice."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from proxy.app.clock import clock_of
from proxy.app.counting import CountingJournal
from proxy.app.delivery import start_delivery
from proxy.app.expiring import start_expiry
from proxy.app.ground import Ground, journal_of, secret_for
from proxy.app.house import house_of
from proxy.app.listening import PendingListener, tls_of
from proxy.app.notices import start_notices
from proxy.app.reviewing import review_of
from proxy.app.upstream import Readiness, definitions_for, wires_of
from proxy.audit.grants import SqliteGrants
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import compile_policies
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.observe import Observation
from proxy.policy.load import load
from proxy.settings import Settings
from proxy.wire.admin import AdminListener, Metrics
from proxy.wire.headers import PASSED_UP, READ_FROM_CLIENT
from proxy.wire.server import Enforcer, PublicListener, listen

_LOG = structlog.get_logger("proxy.app")


@dataclass(slots=True)
class Gateway:
    """A running gateway: its public FHIR base, its admin base, and how to stop it."""

    url: str
    admin_url: str
    journal: SqliteJournal
    _stack: AsyncExitStack

    async def close(self) -> None:
        """Drains what runs, delivers no more, closes the journal last."""
        await self._stack.aclose()


async def start(settings: Settings, env: Mapping[str, str], *, shared: bool = False) -> Gateway:
    """Starts a gateway; `UnusableError` when configuration, policy or upstream cannot be used.

    `shared`: several workers listen on one port (SO_REUSEPORT).
    """
    stack = AsyncExitStack()
    try:
        return await _started(settings, env, stack, shared=shared)
    except BaseException:
        await stack.aclose()
        raise


async def _started(
    settings: Settings, env: Mapping[str, str], stack: AsyncExitStack, *, shared: bool
) -> Gateway:
    compiled = compile_policies(load(Path(settings.policies)))
    clock, secret, journal = clock_of(settings), secret_for(settings, env), journal_of(settings)
    stack.callback(journal.close)
    grants = SqliteGrants(journal.file.path)
    stack.callback(grants.close)
    wires = await wires_of(settings, env, stack)
    definitions = await definitions_for(settings, wires.data)
    listener = PendingListener()
    own_url = await _listening(settings, listener, stack, shared=shared)
    public_url = (settings.public_url or own_url).rstrip("/")
    ground = Ground(settings, secret, clock, wires, definitions, compiled, public_url)
    metrics = Metrics()
    house = await house_of(ground, CountingJournal(journal, metrics), grants)
    start_notices(ground, env, journal, stack, metrics)
    metrics.unreviewed.set_function(grants.unreviewed)
    start_expiry(house, stack)
    metrics.observing.set(settings.mode == "observe")
    metrics.stuck.set_function(lambda: len(journal.file.stuck()))
    limits = settings.limits
    reads = READ_FROM_CLIENT | (PASSED_UP if settings.mode == "observe" else frozenset())
    listener.found(
        PublicListener(
            enforcer_of(ground, house), metrics, limits.body_bytes, limits.concurrent, reads=reads
        )
    )
    start_delivery(ground, journal, stack, metrics)
    review = review_of(ground, house, Enforcement(house), metrics)
    administration = AdminListener(metrics, Readiness(journal, wires.data), review)
    admin_url = await _administered(settings, administration, stack)
    return Gateway(public_url, admin_url, journal, stack)


def enforcer_of(ground: Ground, house: House) -> Enforcer:
    """What answers the public listener: enforcement, or the observation that the operator acknowledged."""
    settings = ground.settings
    if settings.mode == "enforce":
        return Enforcement(house)
    _LOG.warning("observing", meaning="answers leave unfiltered; nothing is enforced but identity")
    return Observation(house, ground.wires.passage(settings.listen.base_path, ground.public_url))


async def _listening(
    settings: Settings, listener: "PendingListener", stack: AsyncExitStack, *, shared: bool
) -> str:
    """Opens the public listener; gives its own FHIR base URL."""
    own = settings.listen
    runner, port = await listen(
        listener.respond,
        own.host,
        own.port,
        noise=listener.respond_to_noise,
        tls=tls_of(settings),
        shared=shared,
    )
    stack.push_async_callback(runner.cleanup)
    return f"{'https' if own.tls else 'http'}://{own.host}:{port}{own.base_path}"


async def _administered(settings: Settings, listener: AdminListener, stack: AsyncExitStack) -> str:
    """Opens the admin listener; gives its URL."""
    runner, port = await listen(listener.respond, settings.admin.host, settings.admin.port)
    stack.push_async_callback(runner.cleanup)
    return f"http://{settings.admin.host}:{port}"
