"""Who answers now: everything that is made of the policies in force, exchanged as a whole when another set comes into force.

INVARIANT: one request, one set. A request is answered by the enforcer it began with, and so by one set of policies, the
facts that set asks for, its cases, and its page links; what it was made of is forgotten with the last such request.
"""

from dataclasses import replace

import structlog

from proxy.app.ground import Ground
from proxy.app.house import house_under
from proxy.app.reviewing import review_of
from proxy.decision.case import CompiledPolicies
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House, InForce
from proxy.enforcement.observe import Observation
from proxy.fhir.interaction import Answer, RawRequest
from proxy.wire.server import Enforcer

_LOG = structlog.get_logger("proxy.app")


class Current:
    """Port `Enforcer`: the enforcer that is current when a request begins."""

    def __init__(self, enforcer: Enforcer) -> None:
        self.enforcer = enforcer

    def exchange(self, other: "Current") -> None:
        """From now on the enforcer of another one answers what begins."""
        self.enforcer = other.enforcer

    async def answer(self, raw: RawRequest) -> Answer:
        """The whole flow."""
        return await self.enforcer.answer(raw)

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        """An unforeseen failure."""
        return await self.enforcer.broke(raw, what)

    async def oversized(self, raw: RawRequest) -> Answer:
        """A request larger than the limits."""
        return await self.enforcer.oversized(raw)

    async def unreadable(self, raw: RawRequest) -> Answer:
        """Bytes that are no HTTP request."""
        return await self.enforcer.unreadable(raw)


class Answering:
    """What answers the public listener and, where reviewers are named, the reviewer API."""

    def __init__(self, ground: Ground, house: House) -> None:
        self.ground = ground
        self.house = house
        self.public = Current(enforcer_of(ground, house))
        review = review_of(ground, house)
        self.review = None if review is None else Current(review)

    @property
    def compiled(self) -> CompiledPolicies:
        """The policies in force."""
        return self.ground.compiled

    @property
    def lasting(self) -> House:
        """A house for what outlasts a change of policies: its records name those that are in force by then."""
        return replace(self.house, in_force=self._in_force)

    def _in_force(self) -> InForce:
        return self.house.in_force()

    async def prepared(self, compiled: CompiledPolicies) -> "Answering":
        """All of it made anew under other policies, beside what answers; nothing is exchanged yet.

        `UnusableError` where the settings do not fit these policies, `UpstreamError` where a search they need cannot be proven.
        """
        ground = replace(self.ground, compiled=compiled)
        return Answering(ground, await house_under(ground, self.house, self.compiled))

    def exchange(self, other: "Answering") -> None:
        """From now on another set answers what begins; in one step, for no request can begin within it."""
        self.ground, self.house = other.ground, other.house
        self.public.exchange(other.public)
        if self.review is not None and other.review is not None:
            self.review.exchange(other.review)


def enforcer_of(ground: Ground, house: House) -> Enforcer:
    """What answers the public listener: enforcement, or the observation that the operator acknowledged."""
    settings = ground.settings
    if settings.mode == "enforce":
        return Enforcement(house)
    _LOG.warning("observing", meaning="answers leave unfiltered; nothing is enforced but identity")
    return Observation(house, ground.wires.passage(settings.listen.base_path, ground.public_url))
