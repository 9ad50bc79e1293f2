"""A page as it leaves: its Bundle built anew, sealed links, labels and warnings (https://hl7.org/fhir/R4/http.html#paging)."""

from collections.abc import Mapping, Sequence

from proxy.decision.model import Decision
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import OUTCOME
from proxy.enforcement.references import settled
from proxy.enforcement.single import answer
from proxy.facts.grant import Grant
from proxy.fhir.bundle import BundleType, OutEntry, bundle_of, high_water_mark
from proxy.fhir.coding import Coding
from proxy.fhir.envelope import Resource
from proxy.fhir.interaction import Answer, path_of
from proxy.fhir.query import encode_query
from proxy.fhir.search import canonical_query
from proxy.fhir.warning import header_of, outcome_of
from proxy.obligations.cursor import UNTOLD_TOTAL, Cursor, binding_of, seal
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Page, Source, collect
from proxy.obligations.places import Place


def room(hearing: Hearing) -> int:
    """How many matches the page may hold."""
    paging = hearing.house.paging
    return min(hearing.request.count or paging.default_count, paging.max_count)


async def page_of(hearing: Hearing, first: str, source: Source) -> Page:
    """The page that the request asks for: the first one, or the one that its page link leads to."""
    place = hearing.start.place if hearing.start else Place()
    return await collect(source.position(first, place), room(hearing), source)


async def bundle(
    hearing: Hearing, bundle_type: BundleType, page: Page, total: int | None
) -> Answer:
    """The Bundle, built anew."""
    leaving = (*page.matches, *page.included)
    shown = await _settled(hearing, leaving)
    if len(shown) < len(leaving):
        total = None  # it counts what does not show
    entries = _entries(hearing, shown)
    header, remarks = _warnings(hearing, bundle_type)
    body = bundle_of(
        bundle_type,
        [*entries, *remarks],
        public_url=hearing.house.public_url,
        links=_links(hearing, page, total),
        total=total,
        labels=marks([one.judged.decision for one in shown if one.judged.decision]),
    )
    return answer(body, {"x-intermediary": hearing.house.public_url, **header})


async def _settled(hearing: Hearing, shown: Sequence[Candidate]) -> list[Candidate]:
    """What is shown, each with the references in it that lead nowhere; without what cannot be freed of them."""
    told = await settled(hearing, [one.judged for one in shown])
    for one in told:
        if one.raw and not one.permitted:
            hearing.withhold(one)
    pairs = zip(shown, told, strict=True)
    return [one._replace(judged=judged) for one, judged in pairs if judged.permitted]


def marks(decisions: Sequence[Decision]) -> frozenset[Coding]:
    """The labels of what holds these resources: the highest confidentiality, and what goes on binding the recipient."""
    highest = high_water_mark(one.confidentiality for one in decisions)
    return frozenset(highest).union(*(one.obligations.binds for one in decisions))


def _warnings(
    hearing: Hearing, bundle_type: BundleType
) -> tuple[Mapping[str, str], tuple[OutEntry, ...]]:
    """What warns with the resources that leave: an entry of a searchset; elsewhere a header (bdl-2: a history has no `search`)."""
    warned = hearing.record.warned
    if not warned or bundle_type != "searchset":
        return header_of(warned), ()
    return {}, (OutEntry("", outcome_of(warned), OUTCOME),)


def _entries(hearing: Hearing, shown: Sequence[Candidate]) -> list[OutEntry]:
    """What leaves of each candidate; a deletion holds nothing to disclose, but is written down."""
    bodies = iter(hearing.disclose_all([one.judged for one in shown if one.judged.raw]))
    return [
        _entry(one, next(bodies)) if one.judged.raw else _deletion(hearing, one.judged)
        for one in shown
    ]


def _entry(one: Candidate, body: Resource) -> OutEntry:
    envelope = one.judged.envelope
    if envelope is None:
        raise ValueError("what leaves has been read")
    version, modified = envelope.version, envelope.last_updated
    return OutEntry(envelope.reference, body, one.mode, version, modified=modified)


def _deletion(hearing: Hearing, judged: Judged) -> OutEntry:
    """The entry of a history that says an instance was deleted; its envelope is that of its newest version."""
    envelope = judged.envelope
    if envelope is None:
        raise ValueError("whom a deletion is about is known")
    hearing.note(judged, "disclosed")
    version, modified = envelope.version, envelope.last_updated
    return OutEntry(envelope.reference, b"", "", version, deleted=True, modified=modified)


def _links(hearing: Hearing, page: Page, total: int | None) -> list[tuple[str, str]]:
    """Self and next; both name the gateway, and upstream's own page link is sealed inside."""
    public_url = hearing.house.public_url
    links = [("self", f"{public_url}/{hearing.self_target}")]
    if page.following:
        links.append(
            (
                "next",
                f"{public_url}/{path_of(hearing.request)}?_page={_sealed(hearing, page, page.following.place, total)}",
            )
        )
    return links


def _sealed(hearing: Hearing, page: Page, place: Place, total: int | None) -> str:
    """The link to what follows. INVARIANT: it does not outlive a break-glass grant that a page so far needed."""
    house, request = hearing.house, hearing.request
    needed = _grants_of(page).union(hearing.record.used)
    held = {grant.id for grant in needed if not grant.trusted}
    cursor = Cursor(
        binding=binding_of(hearing.case.principal, hearing.case.compiled.policies.digest),
        expires=hearing.now + house.paging.ttl_s,
        place=place,
        path=path_of(request),
        query=encode_query(canonical_query(request)),
        grants=tuple(sorted(held.union(hearing.start.grants if hearing.start else ()))),
        total=UNTOLD_TOTAL if total is None else total,
    )
    return seal(cursor, house.cursor_key, house.nonce())


def _grants_of(page: Page) -> set[Grant]:
    """The break-glass grants without which something on the page would not show."""
    decisions = (one.judged.decision for one in (*page.matches, *page.included))
    return {grant for decision in decisions if decision for grant in decision.grants}
