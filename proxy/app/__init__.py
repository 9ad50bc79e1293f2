"""The composition root: builds the adapters and wires them; owns clock and randomness."""

from proxy.app.examining import explain, lint
from proxy.app.gateway import NAME, Gateway, clock_of, start

__all__ = ["NAME", "Gateway", "clock_of", "explain", "lint", "start"]
