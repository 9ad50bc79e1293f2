"""The House: everything the flow is given, made once by `app`: ports, policies, constants, clock and dice."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol, TypeAlias

from proxy.audit.entry import Entry, GrantNote
from proxy.audit.grants import Queued
from proxy.audit.record import Record
from proxy.decision.case import Case, CaseBook, CompiledPolicies
from proxy.enforcement.exporting import NO_EXPORTS, Exporting
from proxy.facts.decoys import NO_DECOYS, DecoySource
from proxy.facts.documents import Holding, Reading
from proxy.facts.finding import Tell, untold
from proxy.facts.grant import Grant, Holder
from proxy.facts.model import ActorClosure, Facts, PatientFacts
from proxy.fhir.coding import Coding
from proxy.fhir.definitions import Definitions
from proxy.fhir.envelope import Envelope
from proxy.fhir.interaction import Answer, RawRequest
from proxy.fhir.reader import EnvelopeReader
from proxy.identity.principal import Principal
from proxy.obligations.disclose import Judged
from proxy.obligations.redact import PseudonymKey


class Upstream(Protocol):
    """Port: the FHIR server. `target` is relative to its base; `UpstreamError` when nothing usable came."""

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        """GET, or a long search by POST."""
        ...


class FactSource(Protocol):
    """Port: facts, gathered and cached. What cannot be had is unknown inside the value, never an exception."""

    async def closure(self, principal: Principal, tell: Tell = untold) -> ActorClosure:
        """Everything the caller is, for Consents and care teams."""
        ...

    async def patients(
        self, ids: Collection[str], tell: Tell = untold
    ) -> Mapping[str, PatientFacts]:
        """The facts about these patients (`Patient/x`). `tell` hears what is found while they are looked up."""
        ...

    async def people(self, ids: Collection[str], tell: Tell = untold) -> Mapping[str, bytes | None]:
        """Their Patient resources; empty where there is none, `None` where it is unknown."""
        ...


class Journal(Protocol):
    """Port: the journal."""

    async def record(self, entry: Entry) -> None:
        """Returns when the entry is durable; `OwnError` otherwise."""
        ...


class DocumentSource(Protocol):
    """Port: the labels of documents that resources were made from."""

    async def labels(
        self, references: Collection[str], reading: Reading
    ) -> Mapping[str, frozenset[Coding] | None]:
        """The labels of each document (`Type/id`); `None`, or none at all, where they are unknown."""
        ...

    async def holding(self, binaries: Collection[str]) -> Holding:
        """The documents that have each Binary (`Binary/id`) as content, as they came; none where they are unknown."""
        ...

    async def kept_holding(self, binaries: Collection[str]) -> Holding:
        """The same, as it may have been for a while."""
        ...

    async def holders(
        self, holding: Holding, reading: Reading
    ) -> Mapping[str, tuple[Envelope, ...]]:
        """The same, each with its own labels and those that it inherits."""
        ...


class NoDocuments:
    """Knows no document: what was made from one, or is the content of one, is withheld."""

    async def labels(
        self, references: Collection[str], reading: Reading
    ) -> Mapping[str, frozenset[Coding] | None]:
        """Nothing is known of any."""
        return dict.fromkeys(references)

    async def holding(self, binaries: Collection[str]) -> Holding:
        """Nothing is known of any."""
        return dict.fromkeys(binaries, ())

    async def kept_holding(self, binaries: Collection[str]) -> Holding:
        """Nothing is known of any."""
        return dict.fromkeys(binaries, ())

    async def holders(
        self, holding: Holding, reading: Reading
    ) -> Mapping[str, tuple[Envelope, ...]]:
        """Nothing is known of any."""
        return dict.fromkeys(holding, ())


class TargetSource(Protocol):
    """Port: the resources that references lead to."""

    async def bodies(
        self, references: Collection[str], most: int, tell: Tell = untold
    ) -> Mapping[str, bytes]:
        """The resource of each reference (`Type/id`), in at most `most` look-ups; missing where there is none or it is unknown."""
        ...


class NoTargets:
    """Knows no resource: whatever is referred to is not there."""

    async def bodies(
        self, references: Collection[str], most: int, tell: Tell = untold
    ) -> Mapping[str, bytes]:
        """Nothing is there."""
        del references, most, tell
        return {}


class GrantSource(Protocol):
    """Port: break-glass grants, as the journal has them."""

    def open_of(self, holder: Holder, now: float, most: int) -> tuple[Grant, ...]:
        """The grants that a holder has open, the first opened first, at most `most`; `OwnError` if they cannot be read."""
        ...

    def queue(self, grant_id: str = "") -> tuple[Queued, ...]:
        """The latest grants, newest first; or the one of this id."""
        ...

    def run_out(self, now: float) -> tuple[GrantNote, ...]:
        """Grants whose time is over, and whose end nobody has written down."""
        ...


class NoGrants:
    """Nobody holds a grant."""

    def open_of(self, holder: Holder, now: float, most: int) -> tuple[Grant, ...]:
        """None."""
        del holder, now, most
        return ()

    def queue(self, grant_id: str = "") -> tuple[Queued, ...]:
        """None."""
        del grant_id
        return ()

    def run_out(self, now: float) -> tuple[GrantNote, ...]:
        """None."""
        del now
        return ()


Witness: TypeAlias = Callable[[Case, Facts, Sequence[Judged]], None]
"""Port: is shown what was judged, and with which facts; it changes nothing."""


def nobody(case: Case, facts: Facts, judged: Sequence[Judged]) -> None:
    """No witness."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The policies in force, and the envelope reader that knows which codes they ask for."""

    compiled: CompiledPolicies
    reader: EnvelopeReader


@dataclass(frozen=True, slots=True)
class Paging:
    """How pages are made: matches per page, how many upstream pages one answer may read, life of a page link.

    `max_consulted`: visible resources that one link of a chain may lead through; `max_counted`: that are counted.
    """

    default_count: int
    max_count: int
    max_upstream_pages: int
    ttl_s: float
    max_consulted: int
    max_counted: int


@dataclass(frozen=True, slots=True)
class House:
    """Ports, policies, constants, clock and dice. `public_url` and `upstream_url` have no trailing slash."""

    upstream: Upstream
    identify: Callable[[RawRequest], Awaitable[Principal]]
    facts: FactSource
    journal: Journal
    in_force: Callable[[], InForce]
    cases: CaseBook
    capability: Callable[[], Awaitable[bytes]]
    smart_configuration: bytes | None
    """`/.well-known/smart-configuration`; `None` where no issuer states its endpoints."""
    definitions: Definitions
    public_url: str
    base_path: str
    upstream_url: str
    forwards_token: bool
    zone: tzinfo
    paging: Paging
    cursor_key: bytes
    pseudonym_key: PseudonymKey
    clock: Callable[[], float]
    new_id: Callable[[], str]
    nonce: Callable[[], bytes]
    witness: Witness = nobody
    grants: GrantSource = field(default_factory=NoGrants)
    documents: DocumentSource = field(default_factory=NoDocuments)
    exports: Exporting = NO_EXPORTS
    targets: TargetSource = field(default_factory=NoTargets)
    tie_breaker: str = ""
    """What every search is sorted by at last; nothing where upstream cannot."""
    decoys: DecoySource = NO_DECOYS
    max_lookups: int = 20
    """Look-ups that one request may cause."""

    def record_of(self, raw: RawRequest) -> Record:
        """The record of a request, begun now, under the policies in force: every entry says which they were."""
        digest = self.in_force().compiled.policies.digest
        return Record(self.new_id(), self.clock(), raw, digest)
