"""`Patient/x/$summary`, composed of searches (http://hl7.org/fhir/uv/ips/OperationDefinition/summary; threats T-34; decision 0116).

Laws:
- It is made of what the caller's own searches give, and of nothing else; its narrative is written from what leaves.
- A section says the same whether nothing exists, nothing may be seen, or the caller may not search for it at all.
- Nothing is left out silently because something failed: then there is no summary.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from proxy import __version__
from proxy.enforcement.compartments import guarded
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import marks
from proxy.enforcement.matching import CONSULTED, matching, source_of, target_of
from proxy.enforcement.references import settled
from proxy.enforcement.single import answer, current
from proxy.enforcement.supporting import is_admitted, lenient, supporting
from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, Refusal
from proxy.fhir.capability import SOFTWARE
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.document import Part, document_of
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.interaction import Answer, FhirRequest, Interaction, SearchParameter
from proxy.fhir.narrative import name_of, read
from proxy.fhir.operation import instant
from proxy.fhir.summary import (
    Filled,
    Heading,
    Shown,
    author_of,
    composition_of,
    filled,
    searches,
)
from proxy.fhir.warning import header_of
from proxy.obligations.disclose import Judged, disclose
from proxy.obligations.pages import Position, collect, visible

PATIENT = "Patient"
ASKED = 100
"""Matches that each search asks for at once."""
AHEAD = 8
"""Searches that are asked at once."""


async def summary(hearing: Hearing) -> Answer:
    """The summary of a patient; who is hidden is absent."""
    patient = await _patient(hearing)
    found = await _visible(hearing, _about(patient))
    patient, *entries = await settled(hearing, [patient, *found])
    if not patient.permitted:
        hearing.withhold(patient)
        raise CallerError(Refusal.NOT_FOUND, "withheld")
    shown = dict(_shown(hearing, entries))
    sections = filled((one for one, _ in shown.values()), hearing.house.zone)
    chosen = _chosen(hearing, shown, sections)
    beside = await supporting(hearing, [patient, *chosen])
    brought = await settled(hearing, [one.judged for one in beside])
    return _leaving(hearing, Content(patient, chosen, dict(_shown(hearing, brought)), sections))


@dataclass(frozen=True, slots=True)
class Content:
    """What leaves: the patient, what stands in the sections, what that refers to; and the sections."""

    patient: Judged
    chosen: Sequence[Judged]
    brought: Mapping[str, tuple[Shown, Judged]]
    sections: Sequence[Filled]

    @property
    def all(self) -> list[Judged]:
        """Every resource, in the order of the document."""
        return [self.patient, *self.chosen, *(judged for _, judged in self.brought.values())]


# ---- what it is made of ------------------------------------------------------------------------------------------------


async def _patient(hearing: Hearing) -> Judged:
    """The patient: the one of an id, or the only one whom the caller sees by an identifier."""
    if hearing.request.id:
        return await current(hearing)
    search = FhirRequest(Interaction.SEARCH_TYPE, PATIENT, parameters=hearing.request.parameters)
    heard = replace(hearing, request=search)
    source = source_of(heard, "searchset", matching(heard))
    page = await collect(Position(target_of(heard, search, ASKED)), 2, source)
    if len(page.matches) != 1:
        raise CallerError(Refusal.NOT_FOUND, "not one patient is seen by the identifier")
    return page.matches[0].judged


def _about(patient: Judged) -> str:
    return patient.envelope.reference if patient.envelope else ""


def _legs(hearing: Hearing, patient: str) -> Iterator[Leg]:
    """The caller's searches; what the caller may not search holds nothing."""
    about = SearchParameter("patient", "", (patient,))
    for rtype, more in searches(hearing.house.definitions.resource_types):
        search = FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=(about, *more))
        if is_admitted(hearing, rtype) and _is_open(hearing, search):
            heard = replace(hearing, request=search)
            yield Leg(target_of(heard, search, ASKED), matching(heard), lambda _: True)


def _is_open(hearing: Hearing, search: FhirRequest) -> bool:
    """Whether a search reads nothing that may be redacted for the caller."""
    try:
        guarded(hearing, search)
    except CallerError:
        return False
    return True


async def _visible(hearing: Hearing, patient: str) -> list[Judged]:
    """Everything about the patient that these searches show; `TOO_COSTLY` beyond `paging.max_counted`."""
    legs = list(_legs(hearing, patient))
    if not legs:
        return []
    source = source_of(hearing, "searchset", matching(hearing))
    source = united(replace(source, fetch=lenient(source.fetch)), legs, AHEAD)
    found: list[Judged] = []
    async with aclosing(visible(Position(beginning(legs)), source)) as candidates:
        async for one in candidates:
            envelope = one.judged.envelope
            if envelope is None or patient not in (envelope.patients or ()):
                continue
            found.append(one.judged)
            if len(found) > hearing.house.paging.max_counted:
                raise CallerError(Refusal.TOO_COSTLY, "more is visible than can be summarised")
    return found


def _shown(
    hearing: Hearing, entries: Iterable[Judged]
) -> Iterator[tuple[str, tuple[Shown, Judged]]]:
    """What leaves of each entry, by reference; what cannot be read cannot be told of."""
    for one in _permitted(hearing, entries):
        if one.envelope is None:
            continue
        try:
            tree = read(bytes(disclose(one, hearing.house.pseudonym_key).body))
        except UnreadableError:
            hearing.withhold(one)
            continue
        yield one.envelope.reference, (Shown(one.envelope.reference, tree), one)


def _permitted(hearing: Hearing, entries: Iterable[Judged]) -> Iterator[Judged]:
    for one in entries:
        if one.permitted:
            yield one
        else:
            hearing.withhold(one)


def _chosen(
    hearing: Hearing, shown: dict[str, tuple[Shown, Judged]], sections: Iterable[Filled]
) -> list[Judged]:
    """What stands in a section, in order; the summary depends on the rest without showing it."""
    kept = dict.fromkeys(one.reference for each in sections for one in each.entries)
    for reference, (_, judged) in shown.items():
        if reference not in kept:
            hearing.note(judged, CONSULTED)
    return [shown[one][1] for one in kept]


# ---- how it leaves -----------------------------------------------------------------------------------------------------


def _leaving(hearing: Hearing, content: Content) -> Answer:
    """The Bundle: Composition, patient, author, entries."""
    house = hearing.house
    labels = marks([one.decision for one in content.all if one.decision])
    author = f"urn:uuid:{house.new_id()}"
    composition = _composition(hearing, content, author, labels)
    bodies = hearing.disclose_all(content.all)
    urls = [f"{house.public_url}/{_about(one)}" for one in content.all]
    patient, *rest = map(Part, urls, bodies)
    device = Part(author, author_of(SOFTWARE, __version__, house.definitions.fhir_version))
    first = Part(f"urn:uuid:{house.new_id()}", composition)
    name = f"urn:uuid:{house.new_id()}"
    body = document_of(name, instant(hearing.now), [first, patient, device, *rest], labels)
    headers = header_of(hearing.record.warned)
    return answer(body, {"x-intermediary": house.public_url, **headers})


def _composition(
    hearing: Hearing, content: Content, author: str, labels: frozenset[Coding]
) -> bytes:
    house, normal = hearing.house, hearing.reader.normal
    highest = [one.code for one in labels if one.system == CONFIDENTIALITY]

    def named(text: str) -> str:
        known = content.brought.get(normal(text) or "")
        return "" if known is None else name_of(known[0].tree, lambda _: "")

    heading = Heading(
        base=house.public_url,
        patient=f"{house.public_url}/{_about(content.patient)}",
        author=author,
        date=instant(hearing.now),
        confidentiality="".join(highest[:1]),
        fhir_version=house.definitions.fhir_version,
    )
    return composition_of(heading, content.sections, named)
