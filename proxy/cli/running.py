"""Running until told to stop: the event loop, the signals, and the one line that says `ready`."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import TypeVar

import structlog

from proxy import app
from proxy.cli.telling import say
from proxy.errors import Finding, UnusableError
from proxy.settings import Settings, environment

T = TypeVar("T")
_LOG = structlog.get_logger("proxy.cli")


def run(main: Coroutine[object, object, T]) -> T:
    """Run on uvloop where it is installed, else on the loop of the standard library."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (does not exist on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


def stop_signal() -> asyncio.Event:
    """Give an event that SIGTERM and SIGINT set; to be called inside the loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _settle_memory() -> None:
    """Take what start-up made out of the collector's sight, and let it look less often.

    A page makes thousands of short-lived values without cycles; walking the tables of FHIR for each of them was a tenth
    of all CPU (`python -m bench.http`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


async def serve(settings: Settings, *, shared: bool = False) -> None:
    """Serve until a signal comes, then drain. `shared`: as one of several workers, which also ends with its parent."""
    stop = stop_signal()
    if shared:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    if settings.public_url and not settings.listen.port:
        with closing(reserved(settings.listen.host, 0)) as place:
            settings = with_port(settings, port_of(place))
    gateway = await _started(settings, shared=shared)
    _settle_memory()
    try:
        say(f"ready {address_of(settings) if settings.listen.port else gateway.url}")
        _LOG.info("serving", admin=gateway.admin_url, policies=settings.policies)
        await stop.wait()
        _LOG.info("draining")
    finally:
        await gateway.close()
    _LOG.info("stopped")


async def _started(settings: Settings, *, shared: bool) -> app.Gateway:
    try:
        return await app.start(settings, environment(), shared=shared)
    except OSError as error:
        raise not_opened(settings, error) from error


def not_opened(settings: Settings, error: OSError) -> UnusableError:
    """Say which addresses could not be listened on."""
    admin = f"{settings.admin.host}:{settings.admin.port}"
    why = os.strerror(error.errno).lower() if error.errno else str(error).lower()
    message = f"`listen` {address_of(settings)} or `admin` {admin} cannot be opened: {why}"
    return UnusableError(Finding("gateway.yaml", 1, message))


def address_of(settings: Settings) -> str:
    """Give the FHIR base at which the listener itself can be reached."""
    listen = settings.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{'https' if listen.tls else 'http'}://{host}:{listen.port}{listen.base_path}"


def with_port(settings: Settings, port: int) -> Settings:
    """Give the same settings with the port of the public listener."""
    return settings.model_copy(update={"listen": settings.listen.model_copy(update={"port": port})})


def reserved(host: str, port: int) -> socket.socket:
    """Take a port (0: a free one) without listening, so that workers can share it; OSError if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind((host, port))
    except OSError:
        place.close()
        raise
    return place


def port_of(place: socket.socket) -> int:
    """Give the port a socket is bound to."""
    return int(place.getsockname()[1])
