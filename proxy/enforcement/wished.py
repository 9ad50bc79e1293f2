"""What of an export is asked for: whom it names, and which lines answer it, told by what the caller sees of them (Bulk Data Access).

Upstream narrows an export by data that the caller may not see, or not at all. So a line leaves only where what is shown of it
answers the request; and patients go up by name only where the caller sees them, for upstream may say who does not exist.
"""

from collections.abc import Sequence

from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import CONSULTED
from proxy.errors import UpstreamError
from proxy.fhir.bundle import NO_RESOURCE, FrameError, frame_of
from proxy.fhir.conditions import holding
from proxy.fhir.content import tree_of
from proxy.fhir.dates import interval_of
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.kickoff import Wish
from proxy.fhir.pointers import references_in
from proxy.fhir.query import encode_query
from proxy.obligations.disclose import Judged, disclose
from proxy.obligations.guard import reads_cut


async def named_patients(hearing: Hearing, named: Sequence[str]) -> tuple[str, ...]:
    """Those of the patients (`Patient/x`) that the caller may export, in the order they were named."""
    if not named:
        return ()
    # of those too who are not there, so that they cost what those who are hidden cost (T-227)
    hearing.facts.update(await hearing.house.facts.patients(frozenset(named), hearing.record.find))
    ids = ",".join(one.partition("/")[2] for one in named)
    asked = encode_query([("_id", ids), ("_count", str(len(named)))])
    body = await hearing.ask(f"Patient?{asked}")
    try:
        frame = frame_of(body, "searchset")
    except FrameError as error:
        raise UpstreamError(str(error)) from None
    held = [one.resource for one in frame.entry if one.resource is not NO_RESOURCE]
    seen = set[str]()
    for one in await hearing.judge(held, whole=body):
        if one.permitted and one.envelope is not None:
            seen.add(one.envelope.reference)
            hearing.note(one, CONSULTED)
        else:
            hearing.withhold(one)
    return tuple(one for one in named if one in seen)


def is_wished(hearing: Hearing, one: Judged, wish: Wish, patients: frozenset[str] | None) -> bool:
    """Whether a line that leaves is one of those that are asked for. `patients`: whose lines alone; `None`: everybody's."""
    if one.envelope is None:
        return False
    return (
        _is_in_time(hearing, one.envelope.last_updated, wish.until)
        and not (wish.is_dated and _is_cut(hearing, one))
        and _is_of_patients(hearing, one, patients)
        and _answers(hearing, one, wish)
    )


def _is_in_time(hearing: Hearing, updated: str, until: str) -> bool:
    zone = hearing.house.zone
    when, last = interval_of(updated, zone), interval_of(until, zone)
    return when is None or last is None or when.start <= last.end


def changed(rtype: str) -> FhirRequest:
    """A search for when resources of a type were changed: what `_since` and `_until` read."""
    read = SearchParameter("_lastUpdated", "", ())
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=(read,))


def _is_cut(hearing: Hearing, one: Judged) -> bool:
    """Whether parts of it are cut out, so that nothing may depend on when it was changed."""
    envelope, decision = one.envelope, one.decision
    if envelope is None or envelope.inline is None or decision is None:
        return False
    return reads_cut(changed(envelope.type), envelope.type, decision, hearing.house.definitions)


def _is_of_patients(hearing: Hearing, one: Judged, patients: frozenset[str] | None) -> bool:
    """Whether what is shown of it refers to one of the patients; or it is about one, and nothing is cut out that may say so.

    That a line is there would else tell whom a part names that is redacted, or a reference that is pruned.
    """
    if patients is None or one.envelope is None:
        return patients is None
    shown = disclose(one, hearing.house.pseudonym_key)
    named = {one.envelope.reference, *map(hearing.reader.normal, references_in(bytes(shown.body)))}
    about = one.envelope.patients or frozenset()
    return not patients.isdisjoint(named if shown.redacted else named | about)


def _answers(hearing: Hearing, one: Judged, wish: Wish) -> bool:
    """Whether what is shown of it fulfils all conditions of one of the searches for its type."""
    searches = wish.filters_of(one.envelope.type) if one.envelope else ()
    if not searches:
        return True
    shown = tree_of(bytes(disclose(one, hearing.house.pseudonym_key).body))
    return any(
        {condition.constraint for condition in search.conditions}
        <= holding(shown, search.conditions, hearing.reader.normal)
        for search in searches
    )
