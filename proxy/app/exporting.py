"""What the gateway can export: what upstream states at start, within the limits of the settings."""

from proxy.app.ground import Ground
from proxy.enforcement.exporting import Exporting, Places
from proxy.errors import UpstreamError
from proxy.fhir.export import levels_of


async def exporting_of(ground: Ground) -> Exporting:
    """Exports; of no level where upstream's CapabilityStatement states none, or cannot be had."""
    limits = ground.settings.export
    try:
        levels = levels_of((await ground.wires.data.get("metadata")).body)
    except UpstreamError:
        levels = frozenset()
    return Exporting(
        levels,
        ground.wires.bulk,
        Places(limits.concurrent),
        float(limits.job_s),
        float(limits.file_s),
        limits.poll_s,
        limits.line_bytes,
    )
