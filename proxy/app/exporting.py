"""What the gateway can export: what upstream states at start, within the limits of the settings."""

from collections.abc import AsyncGenerator

from proxy.app.ground import Ground
from proxy.enforcement.exporting import Asking, BulkUpstream, Exporting, Places
from proxy.errors import UpstreamError
from proxy.fhir.export import levels_of
from proxy.wire.rereading import Switch


async def exporting_of(ground: Ground) -> Exporting:
    """Exports; of no level where upstream's CapabilityStatement states none, or cannot be had."""
    limits = ground.settings.export
    try:
        levels = levels_of((await ground.wires.data.get("metadata")).body)
    except UpstreamError:
        levels = frozenset()
    if ground.wires.by_read.on:
        levels = frozenset()
    return Exporting(
        levels,
        JudgedByLabels(ground.wires.bulk, ground.wires.by_read),
        Places(limits.concurrent),
        float(limits.job_s),
        float(limits.file_s),
        limits.poll_s,
        limits.line_bytes,
    )


class JudgedByLabels:
    """Exports of a server whose files carry labels; of one that has to be read resource by resource nothing is begun or read (T-53)."""

    def __init__(self, upstream: BulkUpstream, by_read: Switch) -> None:
        self._upstream = upstream
        self._by_read = by_read

    def _require_labels(self) -> None:
        if self._by_read.on:
            raise UpstreamError("upstream leaves labels out of what it gives in bulk")

    async def kick_off(self, target: str, asking: Asking, body: bytes = b"") -> str:
        """Port `BulkUpstream`."""
        self._require_labels()
        return await self._upstream.kick_off(target, asking, body)

    async def manifest(self, url: str, asking: Asking) -> bytes | None:
        """Port `BulkUpstream`."""
        return await self._upstream.manifest(url, asking)

    async def cancel(self, url: str, asking: Asking) -> None:
        """Port `BulkUpstream`."""
        await self._upstream.cancel(url, asking)

    def pieces(self, url: str, asking: Asking) -> AsyncGenerator[bytes, None]:
        """Port `BulkUpstream`."""
        self._require_labels()
        return self._upstream.pieces(url, asking)
