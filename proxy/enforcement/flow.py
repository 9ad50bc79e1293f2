"""The flow of one request, top to bottom: understand, identify, open the case, perform, record (architecture §2)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from proxy.audit.record import Record, standing_of
from proxy.decision.case import Case
from proxy.decision.decide import decide_request
from proxy.enforcement import compartments
from proxy.enforcement.composed import docref, lastn
from proxy.enforcement.document import document
from proxy.enforcement.emergency import CEREMONIES, ceremony_of, is_trusted, open_grants
from proxy.enforcement.equal_cost import at_equal_cost
from proxy.enforcement.everything import everything, require_usable
from proxy.enforcement.export import perform as export
from proxy.enforcement.export import require_offered
from proxy.enforcement.hearing import OK, Hearing
from proxy.enforcement.histories import histories, history
from proxy.enforcement.house import House, InForce
from proxy.enforcement.openness import require_open
from proxy.enforcement.several import search
from proxy.enforcement.single import answer, read, vread
from proxy.enforcement.summary import summary
from proxy.errors import CallerError, OwnError, ProxyError, Refusal
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import Answer, FhirRequest, Interaction, RawRequest, path_of
from proxy.fhir.membership import searched_types
from proxy.fhir.outcome import answer_of
from proxy.fhir.query import pairs_of
from proxy.fhir.reader import EnvelopeReader
from proxy.fhir.search import relative_url, request_of, with_parameters
from proxy.identity.constrained import conditions_of
from proxy.identity.principal import Principal
from proxy.obligations.cursor import Cursor, binding_of, unseal
from proxy.obligations.guard import fulfillable, guard

PERFORM: Mapping[Interaction, Callable[[Hearing], Awaitable[Answer]]] = {
    Interaction.READ: read,
    Interaction.VREAD: vread,
    Interaction.HISTORY_INSTANCE: history,
    Interaction.HISTORY_TYPE: histories,
    Interaction.HISTORY_SYSTEM: histories,
    Interaction.SEARCH_TYPE: search,
    Interaction.EVERYTHING: everything,
    Interaction.LASTN: lastn,
    Interaction.DOCREF: docref,
    Interaction.DOCUMENT: document,
    Interaction.SUMMARY: summary,
}
"""What each interaction is performed by; what is not here never goes up."""


REFUSE: Mapping[Interaction, Callable[[Hearing], None]] = {
    Interaction.SEARCH_TYPE: compartments.require_usable,
    Interaction.EVERYTHING: require_usable,
}
"""What of several searches is refused for its shape and who asks, before anything is looked up; the rest is guarded like any search."""


def _refuse_nothing(_: Hearing) -> None:
    """Of one search the guard tells."""


async def _capabilities(house: House) -> Answer:
    return answer(await house.capability(), {})


async def _smart_configuration(house: House) -> Answer:
    if house.smart_configuration is None:
        raise CallerError(Refusal.NOT_FOUND, "no issuer states its SMART endpoints")
    return Answer(OK, {"content-type": "application/json"}, house.smart_configuration)


PUBLIC: Mapping[Interaction, Callable[[House], Awaitable[Answer]]] = {
    Interaction.CAPABILITIES: _capabilities,
    Interaction.SMART_CONFIGURATION: _smart_configuration,
}
"""What needs no token: it says what the gateway is, and nothing of anybody (SMART App Launch 2.2, conformance)."""


class Enforcement:
    """Answers every request of the public listener."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def answer(self, raw: RawRequest) -> Answer:
        """One request, one answer, one journal entry. `OwnError` only when the journal cannot hold the entry."""
        record = self._house.record_of(raw)
        try:
            given = await self._flow(raw, record)
        except ProxyError as error:
            record.error = error
            given = answer_of(error.refusal, head=raw.method == "HEAD")
        try:
            await self._house.journal.record(record.entry(given.status))
        except BaseException:
            if given.more is not None:
                await given.more.aclose()
            raise
        return given

    async def _flow(self, raw: RawRequest, record: Record) -> Answer:
        understood = self._understood(raw)
        if isinstance(understood, FhirRequest):
            record.request = understood
            public = PUBLIC.get(understood.interaction)
            if public is not None:
                return await public(self._house)
        principal = record.principal = await self._house.identify(raw)
        if principal.undecided:
            raise CallerError(Refusal.FORBIDDEN, principal.undecided)
        if isinstance(understood, CallerError):
            raise understood
        if understood.interaction is Interaction.OPERATION:
            case, _ = await self._case(understood, record, principal)
            return await CEREMONIES[understood.operation](ceremony_of(self._house, record, case))
        if understood.interaction is Interaction.EXPORT:
            return await export(await self._exporting(raw, understood, record, principal))
        hearing = await self._open(raw, understood, record, principal)
        REFUSE.get(understood.interaction, _refuse_nothing)(hearing)
        await require_open(hearing)
        return await at_equal_cost(PERFORM[understood.interaction], hearing)

    def _understood(self, raw: RawRequest) -> FhirRequest | CallerError:
        """The request, or why it cannot be understood; that is said only to a caller who is known."""
        house = self._house
        try:
            return request_of(raw, house.base_path, house.public_url, house.definitions)
        except CallerError as error:
            return error

    async def _open(
        self, raw: RawRequest, request: FhirRequest, record: Record, principal: Principal
    ) -> Hearing:
        """Judges what can be judged before upstream is asked for any patient's data."""
        house = self._house
        start, link = None, ""
        if request.cursor:
            start, link = self._start(request, principal, record), relative_url(request)
            request = record.request = self._continued(request, start)
        case, in_force = await self._case(request, record, principal)
        grants = open_grants(house, case, record.recorded)
        granted = bool(grants) or is_trusted(case)
        _admit(case, request, record, house.definitions, granted=granted)
        guard(request, case, house.definitions)
        if granted and case.emergency is not None:
            guard(request, case.emergency, house.definitions)
        if case.behind is not None:
            guard(request, case.behind, house.definitions)
        if start is not None and not {one.id for one in grants.values()}.issuperset(start.grants):
            raise CallerError(
                Refusal.NOT_FOUND, "a page link under a break-glass grant that is over"
            )
        reader = self._reader(in_force, case)
        return Hearing(house, raw, request, record, case, reader, start, link, grants)

    async def _exporting(
        self, raw: RawRequest, request: FhirRequest, record: Record, principal: Principal
    ) -> Hearing:
        """The hearing of a step of an export, which judges its own shape; no grant opens anything in bulk."""
        require_offered(self._house, request)
        case, in_force = await self._case(request, record, principal)
        return Hearing(self._house, raw, request, record, case, self._reader(in_force, case))

    def _reader(self, in_force: InForce, case: Case) -> EnvelopeReader:
        house = self._house
        scopes = case.principal.scopes
        conditions = conditions_of(scopes, house.definitions, house.public_url)
        return in_force.reader.under(fulfillable(conditions, case))

    async def _case(
        self, request: FhirRequest, record: Record, principal: Principal
    ) -> tuple[Case, InForce]:
        """The caller's case, and the policies it stands under."""
        house = self._house
        in_force = house.in_force()
        closure = await house.facts.closure(principal, record.find)
        case = house.cases.open(
            in_force.compiled,
            principal,
            closure,
            request.judged_as.value,
            house.zone,
            record.recorded,
        )
        record.standing = standing_of(case)
        return case, in_force

    def _start(self, request: FhirRequest, principal: Principal, record: Record) -> Cursor:
        binding = binding_of(principal, record.policy_digest)
        start = unseal(request.cursor, self._house.cursor_key, binding, record.recorded)
        if start.path != path_of(request):
            raise CallerError(Refusal.NOT_FOUND, "a page link on another path")
        return start

    def _continued(self, request: FhirRequest, start: Cursor) -> FhirRequest:
        """The request that a page link continues, understood anew."""
        bare = replace(request, cursor="")
        return with_parameters(
            bare, pairs_of(start.query), self._house.definitions, self._house.public_url
        )

    async def broke(self, raw: RawRequest, what: str) -> Answer:
        """An unforeseen failure or a limit: recorded, and answered with a constant 503."""
        return await self._refused(raw, OwnError(what))

    async def oversized(self, raw: RawRequest) -> Answer:
        """A request whose body is larger than the limits."""
        return await self._refused(
            raw, CallerError(Refusal.TOO_LARGE, "the body is larger than limits.body_bytes")
        )

    async def unreadable(self, raw: RawRequest) -> Answer:
        """Bytes that are no HTTP request: refused like every malformed request, nothing of them is kept."""
        return await self._refused(
            raw, CallerError(Refusal.MALFORMED, "what came is no HTTP request")
        )

    async def _refused(self, raw: RawRequest, error: ProxyError) -> Answer:
        record = self._house.record_of(raw)
        record.error = error
        given = answer_of(error.refusal, head=raw.method == "HEAD")
        await self._house.journal.record(record.entry(given.status))
        return given


def _admit(
    case: Case, request: FhirRequest, record: Record, definitions: Definitions, *, granted: bool
) -> None:
    """Refuses who may have none of the types that the request asks for; the others of them are left out, entry by entry."""
    types: Iterable[str] = searched_types(request, definitions)
    if request.interaction is Interaction.HISTORY_SYSTEM:
        types = sorted(definitions.resource_types)
    decisions = [decide_request(case, one, granted=granted) for one in types]
    if not any(one.permits for one in decisions):
        record.decide(decisions[0])
        if not case.closure.complete:
            # A doubt about the caller matches every deny; that a look-up failed is no word about the caller (decisions §8).
            raise OwnError("who the caller is could not be looked up")
        raise CallerError(Refusal.FORBIDDEN, "scope or role does not cover the interaction")
