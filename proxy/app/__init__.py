"""The composition root: builds the adapters and wires them; owns clock and randomness."""

from proxy.app.clock import clock_of
from proxy.app.delivery import NAME
from proxy.app.examining import explain, lint
from proxy.app.gateway import Gateway, start

__all__ = ["NAME", "Gateway", "clock_of", "explain", "lint", "start"]
