"""A Hearing: one understood request of a known caller, with its case, its record and the facts gathered for it.

Whatever interaction it is, resources come in through `ask` and are judged through `judge`: there is no second way.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from proxy.audit.record import Record
from proxy.decision.case import Case
from proxy.decision.decide import Decider
from proxy.enforcement import findings
from proxy.enforcement.emergency import trusted_grants
from proxy.enforcement.house import House
from proxy.enforcement.inheritance import heirs
from proxy.errors import CallerError, Refusal, UnsupportedError, UpstreamError
from proxy.facts.documents import Reading
from proxy.facts.elements import Json
from proxy.facts.grant import NO_GRANTS, Grant
from proxy.facts.lookup import CHUNK
from proxy.facts.model import Facts, PatientFacts
from proxy.fhir.envelope import Envelope, Matter, Resource
from proxy.fhir.interaction import FhirRequest, Interaction, RawRequest
from proxy.fhir.reader import EnvelopeReader
from proxy.fhir.search import relative_url
from proxy.obligations.cursor import Cursor
from proxy.obligations.disclose import ILLEGIBLE, Disclosed, Judged, disclose, illegible
from proxy.obligations.subset import opens, part_of, parts

OK = 200
_UPSTREAM_STATUS = {
    404: Refusal.NOT_FOUND,
    410: Refusal.NOT_FOUND,
    400: Refusal.PARAMETER,
    422: Refusal.PARAMETER,
}
"""Upstream statuses that say something of the request; every other one but 200 is upstream's failure (decisions §8)."""
_UNSUPPORTED = frozenset({405, 501})
_NOTHING: frozenset[str] = frozenset()
MOST_AT_ONCE = 4 * CHUNK
"""Patients of whom one call looks up facts: those of the largest page, each about one."""
NOTHING_OVER: Mapping[str, Envelope] = MappingProxyType({})


@dataclass(slots=True)
class Hearing:
    """One request while it is heard. `request` is the one that is performed, `link` the page link it came by."""

    house: House
    raw: RawRequest
    request: FhirRequest
    record: Record
    case: Case
    reader: EnvelopeReader
    start: Cursor | None = None
    link: str = ""
    grants: Mapping[str, Grant] = field(default_factory=lambda: NO_GRANTS)
    """The break-glass grants that the caller has open, by patient."""
    facts: dict[str, PatientFacts] = field(default_factory=dict)
    holding: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    """The documents that hold a Binary, as far as they were asked for."""

    @property
    def now(self) -> float:
        """The instant of the request; one request has one instant."""
        return self.record.recorded

    @property
    def self_target(self) -> str:
        """What the `self` link names, below the base."""
        return self.link or relative_url(self.request)

    @property
    def authorization(self) -> str:
        """The caller's own credentials, where they go up."""
        return self.raw.headers.get("authorization", "") if self.house.forwards_token else ""

    def as_read(self) -> "Hearing":
        """The same hearing as of a read, whatever the caller does; who exports reads what may be exported."""
        case = self.case
        if self.request.interaction is Interaction.EXPORT:
            return self
        read = self.house.cases.open(
            case.compiled,
            case.principal,
            case.closure,
            Interaction.READ.value,
            case.zone,
            self.now,
        )
        return replace(self, case=read)

    async def ask(self, target: str) -> bytes:
        """The body upstream gives for a target; what does not exist there is `NOT_FOUND`."""
        answer = await self.house.upstream.get(target, self.raw.request_id, self.authorization)
        if answer.status == OK:
            return answer.body
        refusal = _UPSTREAM_STATUS.get(answer.status)
        if refusal is None:
            failure = UnsupportedError if answer.status in _UNSUPPORTED else UpstreamError
            raise failure(f"upstream answered with status {answer.status}")
        raise CallerError(refusal, f"upstream answered with status {answer.status}")

    async def judge(
        self,
        resources: Sequence[Resource],
        *,
        whole: bytes | None = None,
        over: Mapping[str, Envelope] = NOTHING_OVER,
    ) -> list[Judged]:
        """Each resource with its envelope and Decision.

        `whole`: a body that holds them all. `over`: by `Type/id` the current version, whose labels and patients hold for older ones.
        """
        envelopes = await self._read(resources, whole, over)
        facts = await self._facts(envelopes)
        reader = self._reader_for_facts()
        if reader is not self.reader:
            self.reader = reader
            envelopes = await self._read(resources, whole, over)
        decide = Decider(self.case, facts)
        judged = (
            Judged(raw, envelope, None if envelope is None else decide(envelope))
            for raw, envelope in zip(resources, envelopes, strict=True)
        )
        told = [
            one._replace(decision=ILLEGIBLE) if illegible(one) or self._is_shut(one) else one
            for one in judged
        ]
        findings.report(told, self.record.find)
        self.house.witness(self.case, facts, told)
        return told

    def _is_shut(self, judged: Judged) -> bool:
        """Whether a part of it is asked for, and it does not open so that a part could be cut from it."""
        envelope = judged.envelope
        if envelope is None or not parts(self.request, envelope.type):
            return False
        return not opens(judged.raw)

    async def _read(
        self, resources: Sequence[Resource], whole: bytes | None, over: Mapping[str, Envelope]
    ) -> list[Envelope | None]:
        """The envelopes, with the labels of the documents they were made from."""
        policies = self.case.compiled.policies
        reading = Reading(self.reader.read, policies.labels.labels_of, policies.digest)
        envelopes = _read(self.reader, resources, whole, over)
        return await heirs(envelopes, self.house.documents, reading, self.holding)

    def _reader_for_facts(self) -> EnvelopeReader:
        """The reader that also looks for what the token or some Consent gathered so far speaks of."""
        restriction = self.case.closure.restriction
        asked: frozenset[str] = frozenset()
        mentions = restriction.mentions if restriction else asked
        dates = restriction is not None and restriction.is_detailed
        for known in self.facts.values():
            asked |= known.codes
            mentions |= known.mentions
            dates = dates or known.detailed
        if not (asked or dates or mentions):
            return self.reader
        return self.reader.wanting(asked, dates=dates, mentions=mentions)

    async def _facts(self, envelopes: list[Envelope | None]) -> Facts:
        about = {envelope.patients or _NOTHING for envelope in envelopes if envelope is not None}
        for missing in _parted(about, self.facts):
            self.facts.update(await self.house.facts.patients(missing, self.record.find))
        grants = {**trusted_grants(self.case, self.facts), **self.grants}
        return Facts(self.case.closure, self.now, self.facts, grants)

    def disclose(self, judged: Judged) -> Disclosed:
        """What leaves of a permitted and settled resource; written down."""
        if judged.astray is None:
            raise ValueError("what leaves is settled first: `references.settled`")
        disclosed = disclose(judged, self.house.pseudonym_key)
        altered = disclosed.altered
        self.note(judged, "redacted" if altered else "disclosed", altered)
        envelope = judged.envelope
        if envelope is None or not parts(self.request, envelope.type):
            return disclosed
        body = part_of(bytes(disclosed.body), envelope.type, self.request, self.house.definitions)
        return disclosed._replace(body=body)

    def disclose_all(self, page: Sequence[Judged]) -> list[Resource]:
        """What leaves of each permitted resource; written down matter by matter."""
        groups: dict[tuple[int, Matter], list[str]] = {}
        bodies: list[Resource] = []
        for judged in page:
            raw, envelope, decision = judged.raw, judged.envelope, judged.decision
            if (
                judged.astray != _NOTHING
                or envelope is None
                or envelope.matter is None
                or decision is None
                or decision.alters
                or parts(self.request, envelope.type)
            ):
                bodies.append(self.disclose(judged).body)
                continue
            key = (id(decision), envelope.matter)
            group = groups.get(key)
            if group is None:
                patients = envelope.matter.sorted_patients
                group = groups[key] = self.record.group("disclosed", decision, patients)
            group.append(envelope.versioned)
            bodies.append(raw)
        return bodies

    def withhold(self, judged: Judged) -> None:
        """Writes down that a resource does not leave."""
        self.note(judged, "withheld")

    def note(self, judged: Judged, outcome: str, redacted: tuple[str, ...] = ()) -> None:
        """Writes down what became of a resource."""
        envelope = judged.envelope
        if envelope is None:
            self.record.touch("", outcome, judged.decision, (), redacted)
            return
        version = f"/_history/{envelope.version}" if envelope.version else ""
        patients = tuple(sorted(envelope.patients or ()))
        self.record.touch(
            envelope.reference + version, outcome, judged.decision, patients, redacted
        )


def _parted(about: Collection[frozenset[str]], known: Collection[str]) -> Iterator[frozenset[str]]:
    """The patients of whom no facts are known: those that one call affords, of what is about the fewest; and apart from them the others.

    What names very many, hidden or not, must not use up the look-ups of all that stands on the same page (T-211).
    """
    missing = _NOTHING.union(*about) - set(known)
    first = missing
    if len(missing) > MOST_AT_ONCE:
        first = _NOTHING
        for patients in sorted(about, key=len):
            if len(first | patients & missing) > MOST_AT_ONCE:
                break
            first |= patients & missing
    yield from filter(None, (first, missing - first))


def _read(
    reader: EnvelopeReader,
    resources: Sequence[Resource],
    whole: bytes | None,
    over: Mapping[str, Envelope],
) -> list[Envelope | None]:
    """The envelopes, each with the labels and patients of what is `over` it; None for what cannot be read."""
    envelopes = reader.read_all(resources, whole)
    if not over:
        return envelopes
    return [envelope and _under(envelope, over.get(envelope.reference)) for envelope in envelopes]


def _under(envelope: Envelope, current: Envelope | None) -> Envelope:
    return envelope if current is None else envelope.under(current)
