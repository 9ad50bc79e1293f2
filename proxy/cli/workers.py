"""Several workers on one port (SO_REUSEPORT): the parent starts them, and stops all of them when one ends.

None is restarted: what stopped one may stop the next, and an orchestrator restarts the whole. A worker whose parent is
gone notices it by its standard input and drains.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import structlog
import typer

from proxy.cli.running import not_opened, port_of, reserved, stop_signal
from proxy.cli.telling import NOT_BEGUN, NOT_IN_ORDER, say
from proxy.errors import Finding, UnusableError
from proxy.settings import Settings, environment

DRAIN_S = 30.0
_LOG = structlog.get_logger("proxy.cli")


async def serve_with_workers(config: Path, settings: Settings, count: int) -> None:
    """Serve with `count` processes until a signal comes; typer.Exit 1 if one of them ends before."""
    if settings.paging.key is None:
        message = (
            "`--workers` needs `paging.key`, which all workers share; add `paging: {key: {env: PAGING_KEY}}` "
            "and set PAGING_KEY to at least 32 random characters"
        )
        raise UnusableError(Finding(str(config), 1, message))
    stop = stop_signal()
    with closing(_place(settings)) as place:
        workers: list[Process] = []
        try:
            line = await _start_all(workers, config, settings, count, port_of(place))
            say(line)
            await _until_one_ends(workers, stop)
        finally:
            await _stop_all(workers)
    if not stop.is_set():
        _LOG.error("a worker has ended", exit_codes=[one.returncode for one in workers])
        raise typer.Exit(NOT_IN_ORDER)


def _place(settings: Settings) -> socket.socket:
    try:
        return reserved(settings.listen.host, settings.listen.port)
    except OSError as error:
        raise not_opened(settings, error) from error


async def _start_all(
    workers: list[Process], config: Path, settings: Settings, count: int, port: int
) -> str:
    """Start one after the other, so that what is wrong is said once; give the line that says `ready`."""
    line = ""
    for index in range(count):
        worker = await _spawn(config, _environment(settings, port, index))
        workers.append(worker)
        line = await _ready(worker)
    return line


def _environment(settings: Settings, port: int, index: int) -> Mapping[str, str]:
    admin = settings.admin.port + index if settings.admin.port else 0
    return environment() | {"PROXY_LISTEN__PORT": str(port), "PROXY_ADMIN__PORT": str(admin)}


async def _spawn(config: Path, env: Mapping[str, str]) -> Process:
    # A session of its own: Ctrl-C in a terminal reaches the parent alone, which then stops the workers.
    return await create_subprocess_exec(
        sys.executable, "-m", "proxy", "serve", "--config", str(config), "--worker",
        stdin=PIPE, stdout=PIPE, env=env, start_new_session=True,
    )  # fmt: skip


async def _ready(worker: Process) -> str:
    """Wait for a worker's `ready` line; typer.Exit if it ends before, having said why on standard error."""
    line = await worker.stdout.readline() if worker.stdout else b""
    if not line:
        code = await worker.wait()
        raise typer.Exit(NOT_BEGUN if code == NOT_BEGUN else NOT_IN_ORDER)
    return line.decode().strip()


async def _until_one_ends(workers: list[Process], stop: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(one.wait()) for one in workers]
    waits.append(asyncio.ensure_future(_set(stop)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _set(stop: asyncio.Event) -> int:
    await stop.wait()
    return 0


async def _stop_all(workers: list[Process]) -> None:
    """Drain all; kill what has not ended after `DRAIN_S`."""
    for worker in workers:
        with suppress(ProcessLookupError):
            worker.terminate()
    try:
        async with asyncio.timeout(DRAIN_S):
            for worker in workers:
                await worker.wait()
    except TimeoutError:
        for worker in workers:
            with suppress(ProcessLookupError):
                worker.kill()
