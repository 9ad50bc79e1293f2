"""Start and stop the embedded FHIR server. It is no production server."""

import socket
from dataclasses import dataclass

from aiohttp import web

from proxy.sandbox.http import BASE_PATH, server_of
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A started server: `url` is its FHIR base URL."""

    url: str
    store: Store
    _runner: web.ServerRunner

    async def close(self) -> None:
        """Stop serving; the store stays usable and belongs to the caller."""
        await self._runner.cleanup()


async def start_sandbox(
    store: Store, host: str = "127.0.0.1", port: int = 0, *, strict: bool = False
) -> RunningSandbox:
    """Serve a store at `http://host:port/fhir`; port 0 picks a free one; OSError if the port is taken.

    `strict` keeps referential integrity as HAPI does: a dangling reference is 400, an orphaning delete 409.
    """
    runner = web.ServerRunner(server_of(Interactions(store, strict=strict)), access_log=None)
    await runner.setup()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family)
    await web.SockSite(runner, listening).start()
    name = f"[{host}]" if ":" in host else host
    taken = listening.getsockname()[1]
    return RunningSandbox(f"http://{name}:{taken}{BASE_PATH}", store, runner)
