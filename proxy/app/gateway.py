"""The composition root: adapters are built and wired here; the only package that reads the clock and rolls dice."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from proxy.app.answering import Answering
from proxy.app.clock import clock_of
from proxy.app.counting import CountingJournal
from proxy.app.delivery import start_delivery
from proxy.app.expiring import start_expiry
from proxy.app.ground import Ground, journal_of, secret_for
from proxy.app.house import house_of
from proxy.app.label_watch import LabelWatch, start_probing
from proxy.app.listening import PendingListener, tls_of
from proxy.app.notices import start_notices
from proxy.app.reloading import PolicyWatch, start_watching
from proxy.app.reviewing import routes_of
from proxy.app.upstream import Readiness, definitions_for, wires_of
from proxy.audit.grants import SqliteGrants
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import compile_policies
from proxy.policy.load import fingerprint, load
from proxy.settings import Settings
from proxy.wire.admin import AdminListener, Metrics
from proxy.wire.headers import PASSED_UP, READ_FROM_CLIENT
from proxy.wire.server import PublicListener, listen


@dataclass(slots=True)
class Gateway:
    """A running gateway: its public FHIR base, its admin base, and how to stop it."""

    url: str
    admin_url: str
    journal: SqliteJournal
    watch: PolicyWatch
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
    directory = Path(settings.policies)
    read = fingerprint(directory)  # before it is loaded: what changes meanwhile is news
    compiled = compile_policies(load(directory))
    clock, secret, journal = clock_of(settings), secret_for(settings, env), journal_of(settings)
    stack.callback(journal.close)
    grants = SqliteGrants(journal.file.path)
    stack.callback(grants.close)
    wires = await wires_of(settings, env, stack)
    definitions = await definitions_for(settings, wires.data)
    label_watch = LabelWatch(wires.data, wires.by_read)
    await label_watch.prove()
    listener = PendingListener()
    own_url = await _listening(settings, listener, stack, shared=shared)
    public_url = (settings.public_url or own_url).rstrip("/")
    ground = Ground(settings, secret, clock, wires, definitions, compiled, public_url, env)
    metrics = Metrics()
    house = await house_of(ground, CountingJournal(journal, metrics), grants)
    answering = Answering(ground, house)
    start_notices(ground, env, journal, stack, metrics)
    metrics.unreviewed.set_function(grants.unreviewed)
    start_expiry(answering.lasting, stack)
    start_probing(label_watch, stack, metrics)
    metrics.observing.set(settings.mode == "observe")
    metrics.stuck.set_function(lambda: len(journal.file.stuck()))
    listener.found(_public(settings, answering, metrics))
    start_delivery(ground, journal, stack, metrics)
    watch = start_watching(answering, read, stack, metrics)
    routes = routes_of(answering.review, metrics)
    administration = AdminListener(
        metrics,
        Readiness(journal, wires.data),
        routes,
        degraded=lambda: {**watch.degraded(), **label_watch.degraded()},
    )
    admin_url = await _administered(settings, administration, stack)
    return Gateway(public_url, admin_url, journal, watch, stack)


def _public(settings: Settings, answering: Answering, metrics: Metrics) -> PublicListener:
    """What stands at the public port, once there is something to answer."""
    observing = settings.mode == "observe"
    return PublicListener(
        answering.public,
        metrics,
        settings.limits.body_bytes,
        settings.limits.concurrent,
        reads=READ_FROM_CLIENT | (PASSED_UP if observing else frozenset()),
        trusted_peers=frozenset(settings.listen.trusted_peers),
    )


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
