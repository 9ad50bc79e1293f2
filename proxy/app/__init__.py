"""The composition root: builds the adapters and wires them; owns clock and randomness."""

from proxy.app.delivery import NAME
from proxy.app.examining import explain, lint
from proxy.app.gateway import Gateway, start
from proxy.app.ground import clock_of

__all__ = ["NAME", "Gateway", "clock_of", "explain", "lint", "start"]
