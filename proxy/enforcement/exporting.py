"""What an export needs: the port to upstream's Bulk Data Access, its limits, and the places for files that are being read."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from proxy.errors import OwnError


class Asking(NamedTuple):
    """On whose behalf upstream is asked: our id of the request, and the caller's credentials where they go up."""

    request_id: str = ""
    authorization: str = ""


class BulkUpstream(Protocol):
    """Port: upstream's exports. `UpstreamError` when nothing usable came, `CallerError(NOT_FOUND)` for a job that is gone."""

    async def kick_off(self, target: str, asking: Asking, body: bytes = b"") -> str:
        """Begin an export (`Patient/$export?…`), by POST where there is a `body`; its status URL.

        `CallerError(NOT_SUPPORTED)` where upstream does not export what is asked for.
        """
        ...

    async def manifest(self, url: str, asking: Asking) -> bytes | None:
        """What the status URL tells: the manifest, or `None` while the export is under way."""
        ...

    async def cancel(self, url: str, asking: Asking) -> None:
        """End the export, and have its files deleted."""
        ...

    def pieces(self, url: str, asking: Asking) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, as they come; nothing is read before it is asked for."""
        ...


class Places:
    """How many files may be read at once: each holds memory and a connection to upstream."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> None:
        """Takes a place; `OwnError` where there is none."""
        if not self._free:
            raise OwnError("more files of exports at once than export.concurrent")
        self._free -= 1

    def give_back(self) -> None:
        """Frees a place."""
        self._free += 1


class Rehearsed:
    """Begins nothing and has nothing."""

    async def kick_off(self, target: str, asking: Asking, body: bytes = b"") -> str:
        """Port `BulkUpstream`."""
        del target, asking, body
        return ""

    async def manifest(self, url: str, asking: Asking) -> bytes | None:
        """Port `BulkUpstream`."""
        del url, asking
        return None

    async def cancel(self, url: str, asking: Asking) -> None:
        """Port `BulkUpstream`."""

    async def pieces(self, url: str, asking: Asking) -> AsyncGenerator[bytes, None]:
        """Port `BulkUpstream`."""
        del url, asking
        for piece in list[bytes]():
            yield piece


@dataclass(frozen=True, slots=True)
class Exporting:
    """`levels`: what upstream can export (`fhir.export`). Lives in seconds: of a job, of the reading of one file.

    `poll_s` is what a client is told to wait; `line_bytes` bounds one resource.
    """

    levels: frozenset[str] = frozenset()
    upstream: BulkUpstream = field(default_factory=Rehearsed)
    places: Places = field(default_factory=lambda: Places(0))
    job_s: float = 0.0
    file_s: float = 0.0
    poll_s: int = 10
    line_bytes: int = 1

    def rehearsed(self) -> "Exporting":
        """The same, where nothing may be begun: an export that is never ready."""
        return replace(self, upstream=Rehearsed(), places=Places(0))


NO_EXPORTS = Exporting()
