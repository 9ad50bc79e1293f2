"""Gather: look up, in few batches, what the decisions of one request need to know (PIP; decisions §3, §5).

Laws: (1) no exception leaves `closure` and `patients`: what could not be had is unknown inside the value; (2) what is
unknown is never cached; (3) upstream's word is checked: another patient's resource, another status, another type are
not believed; (4) the number of look-ups is bounded whatever the patients' records hold (threats T-189..T-191, T-211).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial

import orjson

from proxy.errors import Finding, UnusableError
from proxy.facts.activity import patients_of, teams_named
from proxy.facts.cache import FactCache, Found
from proxy.facts.caller import caller_of
from proxy.facts.directive import directive_of, unidentified
from proxy.facts.elements import Json
from proxy.facts.finding import FindingKind, Tell, untold
from proxy.facts.lookup import Budget, FhirReader, Parameters, Sifted, chunks_of
from proxy.facts.model import ActorClosure, ConsentDirective, Membership, PatientFacts
from proxy.facts.proofs import Kind, Window, kinds_for
from proxy.facts.relationship import (
    CARE_TEAM,
    GENERAL_PRACTITIONER,
    GUARDIAN,
    TRUSTED_PERSON,
    Reading,
)
from proxy.facts.resolve import Resolved, named_by, resolved, with_members
from proxy.identity.principal import Principal

__all__ = ["FhirReader", "GatherSettings", "Gatherer"]

MAX_CONSENTS = 2000
"""Consents of one patient; one who has more is unknown, and so denied."""
MAX_PEOPLE = 2000
"""Patient resources that are kept: they are larger than facts."""
BREATH = 100
"""Consents read before others get their turn."""


@dataclass(frozen=True, slots=True)
class GatherSettings:
    """How facts are gathered. `wanted`: the relationships that the policies use; others are not looked up.

    `care_team_from` names the resource types that prove `care-team`, `grace_days` for how long what has ended still does.
    `ttl` in seconds; `cached` patients at most; `max_lookups` for one call.
    """

    fhir_version: str
    zone: tzinfo
    bases: tuple[str, ...] = ()
    wanted: frozenset[str] = frozenset({CARE_TEAM, GENERAL_PRACTITIONER, GUARDIAN, TRUSTED_PERSON})
    care_team_from: frozenset[str] = frozenset({"CareTeam"})
    grace_days: int = 0
    ttl: float = 30
    cached: int = 20_000
    max_lookups: int = 20


_People = FactCache[str, bytes | None]
_Closures = FactCache[tuple[object, ...], ActorClosure]


def _known_by(principal: Principal) -> tuple[object, ...]:
    """All of a principal that what it is depends on, and all of whom it acts for."""
    own = (
        principal.issuer, principal.kind, principal.fhir_user, principal.identifiers, principal.organization,
        principal.situation, principal.roles, principal.pcf, principal.patient_identifier,
    )  # fmt: skip
    return own if principal.delegator is None else (*own, _known_by(principal.delegator))


class Gatherer:
    """Gathers facts and keeps them for a while; `clock` gives seconds since the epoch."""

    def __init__(
        self, reader: FhirReader, settings: GatherSettings, clock: Callable[[], float]
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._reading = Reading(settings.zone, settings.bases, settings.grace_days)
        self._kinds = kinds_for(settings.wanted, settings.care_team_from)
        self._patients = FactCache[str, PatientFacts](settings.ttl, settings.cached, clock)
        self._people: _People = FactCache(settings.ttl, min(settings.cached, MAX_PEOPLE), clock)
        self._closures: _Closures = FactCache(settings.ttl, settings.cached, clock)

    async def patients(
        self, ids: Collection[str], tell: Tell = untold
    ) -> Mapping[str, PatientFacts]:
        """Give the facts about each patient (`Patient/x`). `tell` hears what is found while they are looked up."""

        async def look_up(wanted: list[str]) -> Mapping[str, Found[PatientFacts]]:
            return await self._look_up(wanted, tell)

        return await self._patients.get(ids, look_up)

    async def closure(self, principal: Principal, tell: Tell = untold) -> ActorClosure:
        """Give everything the caller is; `complete` is false where a look-up failed."""
        key = _known_by(principal)

        async def look_up(
            keys: list[tuple[object, ...]],
        ) -> Mapping[tuple[object, ...], Found[ActorClosure]]:
            budget = Budget(self._reader, self._settings.max_lookups, tell)
            return {keys[0]: await caller_of(principal, budget, self._reading, self._clock())}

        return (await self._closures.get([key], look_up))[key]

    async def people(self, ids: Collection[str], tell: Tell = untold) -> Mapping[str, bytes | None]:
        """Give the Patient resource of each patient (`Patient/x`): empty where there is none, `None` where it is unknown."""

        async def look_up(wanted: list[str]) -> Mapping[str, Found[bytes | None]]:
            budget = Budget(self._reader, self._settings.max_lookups, tell)
            sifted = await budget.each("Patient", {one.partition("/")[2] for one in wanted})
            bodies = {f"Patient/{one.get('id')}": orjson.dumps(one) for one in sifted.found}
            failed = {f"Patient/{one}" for one in sifted.failed}
            return {
                one: Found(None, keep=False) if one in failed else Found(bodies.get(one, b""))
                for one in wanted
            }

        return await self._people.get(ids, look_up)

    def invalidate(self, patient: str) -> None:
        """Forget what is known about a patient, after a write that may change it."""
        self._patients.invalidate(patient)
        self._people.invalidate(patient)

    def forget(self) -> None:
        """Forget everything, after a write to what says who callers are (PractitionerRole, Organization, Group…)."""
        self._patients.clear()
        self._people.clear()
        self._closures.clear()

    async def sentinel(self, patient_id: str) -> None:
        """Prove at start-up that upstream honours the searches: an id that does not exist must find nothing.

        `patient_id` is random. Raises `UnusableError` where it finds something, `UpstreamError` where it fails.
        """
        searches = self.searches(f"Patient/{patient_id}")
        ignoring = [kind for kind, search in searches if await self._reader.search(kind, search)]
        if ignoring:
            raise UnusableError(*(_ignores(kind) for kind in dict.fromkeys(ignoring)))

    def searches(self, patient: str) -> list[tuple[str, Parameters]]:
        """The searches that the facts about a patient (`Patient/x`) take, before what they name is looked up."""
        return [
            ("Consent", _about([patient])),
            *(
                (kind.resource_type, kind.parameters([patient], filters))
                for kind in self._kinds
                for filters in kind.filters(self._window())
            ),
        ]

    # ---- patients ----------------------------------------------------------------------------------------------

    async def _look_up(self, patients: list[str], tell: Tell) -> Mapping[str, Found[PatientFacts]]:
        """Look up every kind for every chunk of patients at once, then what is named there."""
        budget = Budget(self._reader, self._settings.max_lookups, tell)
        chunks = chunks_of([one for one in patients if one.startswith("Patient/")])
        parts = await asyncio.gather(*(self._chunk(budget, chunk, tell) for chunk in chunks))
        known = {patient: told for part in parts for patient, told in part.items()}
        answer = await self._resolve(budget, known.values())
        return {
            patient: self._found(patient, known.get(patient, _NOTHING), answer, tell)
            for patient in patients
        }

    async def _chunk(self, budget: Budget, patients: list[str], tell: Tell) -> dict[str, "_Known"]:
        window = self._window()
        searches = [(kind, one) for kind in self._kinds for one in kind.filters(window)]
        consents, *others = await asyncio.gather(
            budget.sift("Consent", patients, _about, self._is_sortable),
            *(
                budget.sift(kind.resource_type, patients, partial(kind.parameters, filters=one))
                for kind, one in searches
            ),
        )
        directives = await self._directives(patients, consents, tell)
        memberships = self._memberships(patients, [kind for kind, _ in searches], others)
        return {patient: _Known(directives[patient], memberships[patient]) for patient in patients}

    def _window(self) -> Window:
        settings = self._settings
        return Window(
            self._clock(), settings.zone, settings.grace_days, settings.ttl, settings.fhir_version
        )

    def _is_sortable(self, consents: list[Json]) -> bool:
        """Whether every Consent is somebody's: one that is nobody's might be anybody's who was asked about."""
        return all(self._whose(consent) for consent in consents)

    def _whose(self, consent: Json) -> frozenset[str]:
        # either spelling: a Consent that is wrong for this version is still somebody's
        named = (self._reading.reference(consent.get(key)) for key in ("patient", "subject"))
        return frozenset(one for one in named if one and one.startswith("Patient/"))

    async def _directives(
        self, patients: list[str], consents: Sifted, tell: Tell
    ) -> dict[str, list[ConsentDirective] | None]:
        """Sort Consents by patient and read them. One of nobody in particular might be anybody's; another's is ignored."""
        sorted_: dict[str, list[Json]] = {patient: [] for patient in patients}
        for asked, found in consents.parts:
            for consent in found:
                for patient in self._whose(consent) or asked:
                    if patient in sorted_:
                        sorted_[patient].append(consent)
        return {
            patient: None if patient in consents.failed else await self._read(patient, own, tell)
            for patient, own in sorted_.items()
        }

    async def _read(
        self, patient: str, consents: list[Json], tell: Tell
    ) -> list[ConsentDirective] | None:
        """Read one patient's Consents; patients can write them, so their number is bounded (T-210)."""
        if len(consents) > MAX_CONSENTS:
            tell(FindingKind.TOO_MANY_CONSENTS, patient)
            return None
        settings, read = self._settings, []
        for number, consent in enumerate(consents, 1):
            read.append(directive_of(consent, settings.fhir_version, settings.zone, settings.bases))
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return read

    def _memberships(
        self, patients: list[str], kinds: Iterable[Kind], answers: Iterable[Sifted]
    ) -> dict[str, list[Membership] | None]:
        """Sort memberships by patient; one failed search makes all of a patient's unknown."""
        sorted_: dict[str, list[Membership]] = {patient: [] for patient in patients}
        failed: set[str] = set()
        for kind, answer in zip(kinds, answers, strict=True):
            failed |= answer.failed
            for resource in answer.found:
                told = kind.read(resource, self._reading)
                for patient in patients_of(resource, self._reading) & sorted_.keys():
                    sorted_[patient] += told
        return {patient: None if patient in failed else own for patient, own in sorted_.items()}

    async def _resolve(self, budget: Budget, known: Iterable["_Known"]) -> Resolved:
        """Look up what is named and only upstream can tell: members of groups and teams, dead references."""
        asked = _affordable((one.names() for one in known), budget.left)
        answers = await asyncio.gather(
            *(budget.each(kind, ids) for kind, ids in sorted(asked.items()))
        )
        by_type = {
            kind: (
                asked[kind] - answer.failed,
                [one for one in answer.found if one.get("id") in asked[kind]],
            )
            for kind, answer in zip(sorted(asked), answers, strict=True)
        }
        return Resolved.of(by_type, self._reading, self._clock())

    def _found(
        self, patient: str, known: "_Known", answer: Resolved, tell: Tell
    ) -> Found[PatientFacts]:
        told = (
            None
            if known.directives is None
            else [resolved(one, answer) for one in known.directives]
        )
        directives = (
            None if told is None or None in told else tuple(one for one in told if one is not None)
        )
        for directive in directives or ():
            _report(directive, tell)
        memberships = with_members(known.memberships, patient, answer, self._reading)
        facts = PatientFacts(patient, directives, memberships)
        return Found(facts, answer.until, keep=directives is not None and memberships is not None)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read for one patient, before what it names was looked up; `None` = unknown."""

    directives: list[ConsentDirective] | None
    memberships: list[Membership] | None

    def names(self) -> Mapping[str, frozenset[str]]:
        """What must be looked up, as ids by type."""
        named = named_by(self.directives or ())
        teams = teams_named(self.memberships or ())
        return {**named, "CareTeam": named.get("CareTeam", frozenset()) | teams} if teams else named


_NOTHING = _Known(None, None)


def _report(directive: ConsentDirective, tell: Tell) -> None:
    """Tell of a Consent that cannot be computed, and of actors in it whom nobody can identify."""
    if directive.inert is not None:
        return
    if directive.problem is not None:
        tell(FindingKind.UNREADABLE_CONSENT, f"{directive.reference}: {directive.problem}")
    for node in directive.root.nodes():
        for actor in filter(unidentified, node.actors):
            about = f"{directive.reference} {node.path}: {actor.reference or 'an actor'}"
            tell(FindingKind.DEAD_REFERENCE, about)


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


def _ignores(kind: str) -> Finding:
    return Finding(
        "gateway.yaml",
        0,
        f"upstream.url: the server finds a {kind} for a patient that does not exist, so it ignores the search "
        f"parameter; enable it, or strict handling of unknown parameters",
    )
