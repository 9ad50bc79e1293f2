"""All conformance cases; importing this adds them to `CASES`."""

from tests.sandbox import (
    conformance_reading,
    conformance_searches,
    conformance_searching,
    conformance_writing,
)
from tests.sandbox.conformance_bundles import URN

__all__ = [
    "URN",
    "conformance_reading",
    "conformance_searches",
    "conformance_searching",
    "conformance_writing",
]
