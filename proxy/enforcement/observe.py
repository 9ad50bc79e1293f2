"""Observe: answers as upstream gives them, and a record of what enforcement would have done (`mode: observe`).

For the weeks before enforcement is switched on. Who cannot say who they are is refused as ever: observing opens no door
to strangers. Everything else passes unfiltered; beside it the whole flow is played, and its outcome stands in the journal
under `would`. What the flow thinks, and even that it breaks, changes nothing of the answer. Playing it asks upstream
itself, so that an observed request costs upstream about twice.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Protocol

from msgspec import structs

from proxy.audit.entry import Entry, Would
from proxy.audit.record import outcome_of
from proxy.enforcement.emergency import CEREMONIES
from proxy.enforcement.flow import PUBLIC, Enforcement
from proxy.enforcement.house import House
from proxy.errors import CallerError, OwnError, ProxyError, Refusal
from proxy.fhir.interaction import Answer, RawRequest, below_base, split_target
from proxy.fhir.outcome import answer_of
from proxy.fhir.paths import METHODS
from proxy.fhir.search import request_of
from proxy.identity.principal import Principal

UNNAMED = frozenset({Refusal.NO_TOKEN, Refusal.BAD_TOKEN})
"""Refusals that hold even where the gateway only observes."""


class Forward(Protocol):
    """Port: upstream, asked with the request as it came. `UpstreamError` when nothing usable came."""

    async def forward(self, raw: RawRequest) -> Answer:
        """The answer, as it is."""
        ...


@dataclass(slots=True)
class _Kept:
    """A journal that keeps the last entry for a moment."""

    entry: Entry | None = None

    async def record(self, entry: Entry) -> None:
        """Port `Journal`."""
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Observation:
    """Answers every request of the public listener, unfiltered."""

    house: House
    passage: Forward
    enforcement: Enforcement = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "enforcement", Enforcement(self.house))

    async def answer(self, raw: RawRequest) -> Answer:
        """One request, one answer, one journal entry. `OwnError` only when the journal cannot hold the entry."""
        if self._is_own(raw):
            return await self.enforcement.answer(raw)
        try:
            principal = await self.house.identify(raw)
        except ProxyError as error:
            if error.refusal in UNNAMED:
                return await self.enforcement.answer(raw)
            return await self._refused(raw, error)
        entry, given = await asyncio.gather(self._played(raw, principal), self._passed(raw))
        await self.house.journal.record(_observed(entry, given))
        return given

    def _is_own(self, raw: RawRequest) -> bool:
        """Whether the gateway itself is asked, and not the server: what it is, and the break-glass ceremony."""
        house = self.house
        try:
            asked = request_of(raw, house.base_path, house.public_url, house.definitions)
        except CallerError:
            return False
        return asked.interaction in PUBLIC or asked.operation in CEREMONIES

    async def _refused(self, raw: RawRequest, error: ProxyError) -> Answer:
        """Keys that cannot be had: nobody can be named, so nothing passes."""
        house = self.house
        given = answer_of(error.refusal, head=raw.method == "HEAD")
        record = house.record_of(raw)
        record.error = error
        await house.journal.record(record.entry(given.status))
        return given

    async def _passed(self, raw: RawRequest) -> Answer:
        """What is no plain request below the base does not go up even so: it might reach past the FHIR server's base."""
        try:
            below_base(split_target(raw.target)[0], self.house.base_path)
            if raw.method not in METHODS:
                raise CallerError(Refusal.METHOD, "not a method of the FHIR REST interface")
            return await self.passage.forward(raw)
        except ProxyError as error:
            return answer_of(error.refusal, head=raw.method == "HEAD")

    async def _played(self, raw: RawRequest, principal: Principal) -> Entry:
        """The entry that enforcement would have written."""
        kept, house = _Kept(), self.house

        async def identify(_: RawRequest) -> Principal:
            return principal

        try:
            exports = house.exports.rehearsed()
            played = replace(house, identify=identify, journal=kept, exports=exports)
            await Enforcement(played).answer(raw)
        except Exception as error:  # noqa: BLE001  (what only observes must break nothing)
            broken = OwnError(f"unforeseen {type(error).__name__}")
            record = house.record_of(raw)
            record.principal, record.error = principal, broken
            return record.entry(answer_of(broken.refusal).status)
        if kept.entry is None:
            raise OwnError("the flow recorded nothing")
        return kept.entry

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        """An unforeseen failure or a limit: recorded, and answered with a constant 503."""
        return await self.enforcement.broke(raw, what)

    async def oversized(self, raw: RawRequest) -> Answer:
        """A request whose body is larger than the limits."""
        return await self.enforcement.oversized(raw)

    async def unreadable(self, raw: RawRequest) -> Answer:
        """Bytes that are no HTTP request."""
        return await self.enforcement.unreadable(raw)


def _observed(entry: Entry, given: Answer) -> Entry:
    """The entry of what really was answered, with what would have been beside it; nobody is told or warned, no grant is used."""
    would = Would(entry.status, entry.refusal, entry.detail)
    outcome = outcome_of(given.status)
    return structs.replace(
        entry,
        status=given.status,
        outcome=outcome,
        refusal="",
        detail="",
        notices=(),
        grants=(),
        warnings=(),
        would=would,
    )
