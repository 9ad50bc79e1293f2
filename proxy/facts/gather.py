"""Gather: look up, in few batches, what the decisions of one request need to know (PIP; decisions §3, §5).

Laws: (1) no exception leaves `closure` and `patients`: what could not be had is unknown inside the value; (2) what is
unknown is never cached; (3) upstream's word is checked: another patient's resource, another status, another type are
not believed; (4) the number of look-ups is bounded whatever the patients' records hold (threats T-189..T-191, T-211).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from proxy.errors import Finding, UnusableError
from proxy.facts.cache import FactCache, Found
from proxy.facts.caller import caller_of
from proxy.facts.directive import directive_of
from proxy.facts.elements import Json
from proxy.facts.lookup import Budget, FhirReader, Parameters, chunks_of
from proxy.facts.model import ActorClosure, ConsentDirective, Membership, PatientFacts
from proxy.facts.relationship import (
    CARE_TEAM,
    GENERAL_PRACTITIONER,
    GUARDIAN,
    TRUSTED_PERSON,
    Reading,
    memberships_of_care_team,
    memberships_of_general_practitioner,
    memberships_of_related_person,
    patient_of,
)  # fmt: skip
from proxy.facts.resolve import Resolved, named_by, resolved
from proxy.identity.principal import Principal

__all__ = ["FhirReader", "GatherSettings", "Gatherer"]

MAX_CONSENTS = 2000
"""Consents of one patient; one who has more is unknown, and so denied."""
BREATH = 100
"""Consents read before others get their turn."""


@dataclass(frozen=True, slots=True)
class GatherSettings:
    """How facts are gathered. `wanted`: the relationships that the policies use; others are not looked up.

    `ttl` in seconds; `cached` patients at most; `max_lookups` for one call.
    """

    fhir_version: str
    zone: tzinfo
    bases: tuple[str, ...] = ()
    wanted: frozenset[str] = frozenset({CARE_TEAM, GENERAL_PRACTITIONER, GUARDIAN, TRUSTED_PERSON})
    ttl: float = 30
    cached: int = 20_000
    max_lookups: int = 20


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of resource that proves relationships."""

    resource_type: str
    parameter: str
    read: Callable[[Json, Reading], tuple[Membership, ...]]
    proves: frozenset[str]
    extra: tuple[tuple[str, str], ...] = ()


_KINDS = (
    _Kind("CareTeam", "patient", memberships_of_care_team, frozenset({CARE_TEAM}), (("status", "active"),)),
    _Kind("Patient", "_id", memberships_of_general_practitioner, frozenset({GENERAL_PRACTITIONER})),
    _Kind("RelatedPerson", "patient", memberships_of_related_person, frozenset({GUARDIAN, TRUSTED_PERSON})),
)  # fmt: skip

_Closures = FactCache[tuple[object, ...], ActorClosure]


class Gatherer:
    """Gathers facts and keeps them for a while; `clock` gives seconds since the epoch."""

    def __init__(
        self, reader: FhirReader, settings: GatherSettings, clock: Callable[[], float]
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._reading = Reading(settings.zone, settings.bases)
        self._kinds = [kind for kind in _KINDS if not kind.proves.isdisjoint(settings.wanted)]
        self._patients = FactCache[str, PatientFacts](settings.ttl, settings.cached, clock)
        self._closures: _Closures = FactCache(settings.ttl, settings.cached, clock)

    async def patients(self, ids: Collection[str]) -> Mapping[str, PatientFacts]:
        """Give the facts about each patient (`Patient/x`)."""
        return await self._patients.get(ids, self._look_up)

    async def closure(self, principal: Principal) -> ActorClosure:
        """Give everything the caller is; `complete` is false where a look-up failed."""
        key = (
            principal.issuer, principal.kind, principal.fhir_user, principal.identifiers, principal.organization,
            principal.roles, principal.pcf, principal.patient_identifier,
        )  # fmt: skip

        async def look_up(
            keys: list[tuple[object, ...]],
        ) -> Mapping[tuple[object, ...], Found[ActorClosure]]:
            budget = Budget(self._reader, self._settings.max_lookups)
            return {keys[0]: await caller_of(principal, budget, self._reading, self._clock())}

        return (await self._closures.get([key], look_up))[key]

    def invalidate(self, patient: str) -> None:
        """Forget what is known about a patient, after a write that may change it."""
        self._patients.invalidate(patient)

    def forget(self) -> None:
        """Forget everything, after a write to what says who callers are (PractitionerRole, Organization, Group…)."""
        self._patients.clear()
        self._closures.clear()

    async def sentinel(self, patient_id: str) -> None:
        """Prove at start-up that upstream honours the searches: an id that does not exist must find nothing.

        `patient_id` is random. Raises `UnusableError` where it finds something, `UpstreamError` where it fails.
        """
        searches = [("Consent", _about([f"Patient/{patient_id}"]))]
        searches += [
            (kind.resource_type, ((kind.parameter, patient_id), *kind.extra))
            for kind in self._kinds
        ]
        ignoring = [kind for kind, search in searches if await self._reader.search(kind, search)]
        if ignoring:
            raise UnusableError(*(_ignores(kind) for kind in ignoring))

    # ---- patients ----------------------------------------------------------------------------------------------

    async def _look_up(self, patients: list[str]) -> Mapping[str, Found[PatientFacts]]:
        """Look up every kind for every chunk of patients at once, then what their Consents name."""
        budget = Budget(self._reader, self._settings.max_lookups)
        chunks = chunks_of([one for one in patients if one.startswith("Patient/")])
        gathered = await asyncio.gather(*(self._chunk(budget, chunk) for chunk in chunks))
        directives = {
            patient: told for by_patient, _ in gathered for patient, told in by_patient.items()
        }
        memberships = {
            patient: told for _, by_patient in gathered for patient, told in by_patient.items()
        }
        answer = await self._resolve(budget, directives)
        return {
            patient: self._found(patient, directives.get(patient), memberships.get(patient), answer)
            for patient in patients
        }

    async def _chunk(
        self, budget: Budget, patients: list[str]
    ) -> tuple[dict[str, list[ConsentDirective] | None], dict[str, list[Membership] | None]]:
        consents, *others = await asyncio.gather(
            budget.search("Consent", *_about(patients)),
            *(
                budget.search(kind.resource_type, *_search_of(kind, patients))
                for kind in self._kinds
            ),
        )
        return await self._directives(patients, consents), self._memberships(patients, others)

    async def _directives(
        self, patients: list[str], consents: list[Json] | None
    ) -> dict[str, list[ConsentDirective] | None]:
        """Sort Consents by patient and read them. One of nobody in particular might be anybody's; another's is ignored."""
        if consents is None:
            return dict.fromkeys(patients)
        sorted_: dict[str, list[Json]] = {patient: [] for patient in patients}
        for consent in consents:
            # either spelling: a Consent that is wrong for this version is still somebody's
            named = {self._reading.reference(consent.get(key)) for key in ("patient", "subject")}
            for patient in {one for one in named if one and one.startswith("Patient/")} or patients:
                if patient in sorted_:
                    sorted_[patient].append(consent)
        return {patient: await self._read(own) for patient, own in sorted_.items()}

    async def _read(self, consents: list[Json]) -> list[ConsentDirective] | None:
        """Read one patient's Consents; patients can write them, so their number is bounded (T-210)."""
        if len(consents) > MAX_CONSENTS:
            return None
        settings, read = self._settings, []
        for number, consent in enumerate(consents, 1):
            read.append(directive_of(consent, settings.fhir_version, settings.zone, settings.bases))
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return read

    def _memberships(
        self, patients: list[str], answers: Iterable[list[Json] | None]
    ) -> dict[str, list[Membership] | None]:
        """Sort memberships by patient; one failed kind makes all of them unknown."""
        sorted_: dict[str, list[Membership]] = {patient: [] for patient in patients}
        for kind, resources in zip(self._kinds, answers, strict=True):
            if resources is None:
                return dict.fromkeys(patients)
            for resource in resources:
                patient = patient_of(resource, self._reading)
                if patient in sorted_:
                    sorted_[patient] += kind.read(resource, self._reading)
        return dict(sorted_)

    async def _resolve(
        self, budget: Budget, directives: Mapping[str, list[ConsentDirective] | None]
    ) -> Resolved:
        """Look up what the Consents name and only upstream can tell: members of groups, dead references."""
        asked = _affordable((named_by(known or ()) for known in directives.values()), budget.left)
        answers = await asyncio.gather(
            *(budget.by_id(kind, ids) for kind, ids in sorted(asked.items()))
        )
        by_type = {
            kind: (asked[kind], answer) for kind, answer in zip(sorted(asked), answers, strict=True)
        }
        return Resolved.of(by_type, self._reading, self._clock())

    def _found(
        self,
        patient: str,
        directives: list[ConsentDirective] | None,
        memberships: list[Membership] | None,
        answer: Resolved,
    ) -> Found[PatientFacts]:
        told = None if directives is None else [resolved(one, answer) for one in directives]
        complete = (
            None if told is None or None in told else tuple(one for one in told if one is not None)
        )
        facts = PatientFacts(patient, complete, None if memberships is None else tuple(memberships))
        return Found(facts, answer.until, keep=complete is not None and memberships is not None)


def _affordable(
    wishes: Iterable[Mapping[str, frozenset[str]]], look_ups: int
) -> dict[str, frozenset[str]]:
    """What may be asked for, as ids by type: the patient whose Consents name most must not leave the others unknown (T-210)."""
    asked: dict[str, frozenset[str]] = {}
    for wish in sorted(wishes, key=lambda one: (len(one), sum(map(len, one.values())))):
        more = {**asked, **{kind: asked.get(kind, frozenset()) | ids for kind, ids in wish.items()}}
        if sum(len(chunks_of(sorted(ids))) for ids in more.values()) > look_ups:
            break
        asked = more
    return asked


def _about(patients: Iterable[str]) -> Parameters:
    return (("patient", ",".join(patients)), ("status", "active"))


def _search_of(kind: _Kind, patients: list[str]) -> Parameters:
    values = [one.partition("/")[2] for one in patients] if kind.parameter == "_id" else patients
    return ((kind.parameter, ",".join(values)), *kind.extra)


def _ignores(kind: str) -> Finding:
    return Finding(
        "gateway.yaml",
        0,
        f"upstream.url: the server finds a {kind} for a patient that does not exist, so it ignores the search "
        f"parameter; enable it, or strict handling of unknown parameters",
    )
