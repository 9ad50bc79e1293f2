"""Time between two edges of a patient's Consents (FHIR Period, ends inclusive): within it, the same ones are in force.

Facts are kept and frozen, so what follows from them is worked out once for each epoch: it is found again by the
identity of the facts, because hashing a thousand Consents is slow. Pure.
"""

from bisect import bisect_left, bisect_right
from functools import lru_cache
from math import inf, nextafter
from typing import Generic, NamedTuple, TypeVar

from proxy.facts.model import ConsentDirective

T = TypeVar("T")
Directives = tuple[ConsentDirective, ...]


class Same(Generic[T]):
    """A value that is compared by identity; it is held, so that nothing else can take that identity."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value


class Edges(NamedTuple):
    """When the periods of Consents and their provisions begin and end, each sorted; seconds since the epoch of Unix."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]

    def beginning(self, now: float) -> float:
        """Give the first instant of the epoch in which `now` lies; minus infinity where none is before."""
        begun, ended = bisect_right(self.starts, now), bisect_left(self.ends, now)
        begin = self.starts[begun - 1] if begun else -inf
        # an end belongs to what ends there: what follows begins right after it
        return max(begin, nextafter(self.ends[ended - 1], inf)) if ended else begin


def instant_of(directives: Same[Directives], now: float) -> float:
    """Give one instant for all those at which the same Consents and provisions are in force as at `now`."""
    return edges_of(directives).beginning(now)


@lru_cache(maxsize=2048)
def edges_of(directives: Same[Directives]) -> Edges:
    """Collect the edges of all Consents, read from their periods and those of every provision."""
    nodes = (node.period for one in directives.value for node in one.root.nodes())
    periods = {*nodes, *(one.period for one in directives.value)}
    starts = sorted({period.start for period in periods if period.start is not None})
    ends = sorted({period.end for period in periods if period.end is not None})
    return Edges(tuple(starts), tuple(ends))
