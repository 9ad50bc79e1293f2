"""AuditEvents of one request, as IHE BALP wants them: a pure view of a journal entry (https://profiles.ihe.net/ITI/BALP).

Laws:
1. A profile is claimed only by an event that satisfies it; refused and failed requests claim none (outcome is fixed to 0).
2. A RESTful event names only patients and resources that were disclosed; whom a decision withheld stands in an
   authorization event alone (T-220).
3. One event per patient; at least one event per entry.
4. The same entry gives the same ids, so delivery may be repeated.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from proxy.audit import balp
from proxy.audit.agent import (
    Caller,
    Observer,
    authorization_agents,
    observer_reference,
    purposes_of,
    rest_agents,
    token_profiles,
)
from proxy.audit.balp import About, Json, Shape, coding
from proxy.audit.break_glass import patients_of, purposes_under, told
from proxy.audit.credential import without_credentials
from proxy.audit.entity import (
    consent_entity,
    data_entity,
    patient_entity,
    query_entity,
    request_entities,
    token_entities,
)
from proxy.audit.entry import Entry, Judged, Touched
from proxy.audit.event_r5 import r5_of
from proxy.audit.policy_change import POLICIES, event_of
from proxy.errors import TELLS, Refusal
from proxy.fhir.coding import Coding

__all__ = ["Observer", "events_of"]

_DISCLOSED = frozenset({"disclosed", "redacted", "consulted", "explained"})
"""`consulted`: the answer counts the resource, or depends on it by a chain. `explained`: a reviewer was told of it, its labels
and why it is shown or not."""
_OUTCOMES = {"permitted": balp.SUCCESS, "denied": balp.MINOR_FAILURE}
_TELLS = {refusal.value: tell.text for refusal, tell in TELLS.items()}
_RESTFUL = frozenset(
    {
        "batch", "capabilities", "create", "delete", "history", "history-instance", "history-system",
        "history-type", "operation", "patch", "read", "search", "search-system", "search-type",
        "transaction", "update", "vread",
    }
)  # fmt: skip
_BY_CONSENT = "Consent denied access to this user"
_BY_VOICE = {
    "consent": _BY_CONSENT,
    "label": "a security label denied access to this user",
    "policy": "the policy of the house denied access to this user",
    "scope": "the scopes of the token do not cover this access",
}
_BY_DEFAULT = "no rule and no Consent permits access to this user"
_BY_DOUBT = "what the decision needs could not be known, access was denied"


def events_of(entry: Entry, *, observer: Observer, fhir_version: str = "4.0.1") -> list[Json]:
    """The AuditEvents of one entry: R4, or R5-shaped for a `fhir_version` 5.x; RESTful events first.

    Ids are `gw-` and a UUID derived from the entry's id and the event's index.
    """
    safe = without_credentials(entry)
    bodies = list(_bodies(safe, observer))
    events = [_identified(safe.id, index, body) for index, body in enumerate(bodies)]
    return [r5_of(event) for event in events] if fhir_version.startswith("5") else events


def _bodies(entry: Entry, observer: Observer) -> Iterator[Json]:
    if entry.interaction == POLICIES:
        yield event_of(entry, observer, _instant(entry.recorded))
        return
    yield from _rest_events(entry, observer)
    yield from _authorization_events(entry, observer)


def _identified(entry_id: str, index: int, body: Json) -> Json:
    name = uuid5(NAMESPACE_URL, f"{entry_id}/{index}")
    return {"resourceType": "AuditEvent", "id": f"gw-{name}", **body}


def _rest_events(entry: Entry, observer: Observer) -> Iterator[Json]:
    shape = balp.SHAPES.get(entry.interaction, balp.OTHER)
    if entry.outcome != "permitted":
        yield _refused(entry, shape, observer)
        return
    for resource, patient in _subjects(entry, shape.about):
        yield told(_answered(entry, shape, observer, resource, patient), entry, patient)


def _subjects(entry: Entry, about: About) -> list[tuple[str, str]]:
    """(resource, patient) of each event of an answered request; empty where there is none."""
    disclosed = [touched for touched in entry.touched if left(entry, touched)]
    asked = _asked(entry)
    if about is About.RESOURCE and disclosed:
        return [
            (reference, patient)
            for one in disclosed
            for reference in one.references
            for patient in one.patients or ("",)
        ]
    patients = _patients_of(disclosed) or patients_of(entry) or _patient_asked(entry, about)
    return [(asked, patient) for patient in patients]


def left(entry: Entry, touched: Touched) -> bool:
    """Whether resources left the gateway: where it only observed, all of them did."""
    return touched.outcome in _DISCLOSED or entry.would is not None


def _patients_of(disclosed: list[Touched]) -> list[str]:
    return list(dict.fromkeys(patient for touched in disclosed for patient in touched.patients))


def _patient_asked(entry: Entry, about: About) -> list[str]:
    """The patient that is itself the resource asked for, where the answer named none."""
    is_patient = about in {About.RESOURCE, About.INSTANCE} and entry.type == "Patient"
    return [f"Patient/{entry.resource_id}" if is_patient and entry.resource_id else ""]


def _asked(entry: Entry) -> str:
    if not (entry.type and entry.resource_id):
        return ""
    version = f"/_history/{entry.version}" if entry.version else ""
    return f"{entry.type}/{entry.resource_id}{version}"


def _answered(entry: Entry, shape: Shape, observer: Observer, resource: str, patient: str) -> Json:
    caller = Caller(entry.actor, entry.peer)
    entities = _entities(entry, shape.about, observer, resource)
    if patient:
        entities.append(patient_entity(patient))
    claims = balp.profile_url(shape, patient=bool(patient)) if caller.peer and entities else ""
    profiles = [claims, *token_profiles(caller)] if claims else []
    return _rest(entry, shape, observer, caller, entities) | _claimed(profiles)


def _refused(entry: Entry, shape: Shape, observer: Observer) -> Json:
    """A denied or failed request: as it was asked, and the constant sentence that the caller was told."""
    caller = Caller(entry.actor, entry.peer, named=False)
    entities = _entities(entry, shape.about, observer, _asked(entry))
    told = {"outcomeDesc": _TELLS.get(entry.refusal, TELLS[Refusal.UNAVAILABLE].text)}
    return _rest(entry, shape, observer, caller, entities) | told


def _entities(entry: Entry, about: About, observer: Observer, resource: str) -> list[Json]:
    """The data or the query entity; a request for an instance that names none is kept as it was written."""
    if about is About.NOTHING:
        return []
    if about is About.QUERY or not resource:
        return [query_entity(entry, observer)]
    return [data_entity(resource, exists=entry.outcome == "permitted")]


def _rest(
    entry: Entry, shape: Shape, observer: Observer, caller: Caller, entities: list[Json]
) -> Json:
    found = [*entities, *request_entities(entry)]
    return {
        "type": coding(balp.REST),
        **_subtype(entry.interaction),
        "action": shape.action,
        "recorded": _instant(entry.recorded),
        "outcome": _OUTCOMES.get(entry.outcome, balp.SERIOUS_FAILURE),
        "agent": rest_agents(caller, shape, observer),
        "source": _source(observer, balp.APPLICATION_SERVER),
        **({"entity": found} if found else {}),
    }


def _subtype(interaction: str) -> Json:
    if not interaction:
        return {}
    code = interaction if interaction in _RESTFUL else "operation"
    return {"subtype": [coding(Coding(balp.RESTFUL, code))]}


def _authorization_events(entry: Entry, observer: Observer) -> Iterator[Json]:
    """One per patient and decision that read a Consent or denied; a permit without Consent is told by its RESTful event."""
    for judged in entry.decisions:
        if entry.would is not None and judged.effect != "permit":
            continue  # nothing was denied: the gateway only observed
        if judged.consents or judged.effect != "permit":
            for patient in dict.fromkeys(judged.patients):
                yield _authorization(entry, judged, patient, observer)


def _authorization(entry: Entry, judged: Judged, patient: str, observer: Observer) -> Json:
    caller = Caller(entry.actor, entry.peer, named=judged.effect == "permit")
    consents = judged.consents_of(patient)
    conforms = bool(consents and caller.peer and caller.is_user and caller.has_organization)
    entities = [patient_entity(patient), *map(consent_entity, consents)]
    purposes = purposes_under(judged, purposes_of(entry.actor).get("purposeOfUse", []))
    return {
        **_claimed([balp.AUTHZ_PROFILE] if conforms else []),
        "type": coding(balp.SECURITY_ALERT),
        "subtype": [coding(balp.AUTHZ_CONSENT if conforms else balp.AUTHZ_ROLE)],
        "action": "E",
        "recorded": _instant(entry.recorded),
        **_verdict(judged),
        **({"purposeOfEvent": purposes} if purposes else {}),
        "agent": authorization_agents(caller, observer),
        "source": _source(observer, balp.SECURITY_SERVER),
        "entity": [*entities, *token_entities(entry.actor)],
    }


def _verdict(judged: Judged) -> Json:
    if judged.effect == "permit":
        return {"outcome": balp.SUCCESS}
    return {"outcome": balp.SERIOUS_FAILURE, "outcomeDesc": _sentence(judged)}


def _sentence(judged: Judged) -> str:
    """Why access was denied, as a constant of its kind: rule texts may be written by anybody."""
    against = {voice: verdict for voice, verdict, *_ in judged.reasons if verdict == "deny"}
    for voice, sentence in _BY_VOICE.items():
        if voice in against:
            return sentence
    if any(verdict == "unknown" for _, verdict, *_ in judged.reasons):
        return _BY_DOUBT
    return _BY_CONSENT if judged.consents and not judged.reasons else _BY_DEFAULT


def _claimed(profiles: list[str]) -> Json:
    return {"meta": {"profile": profiles}} if profiles else {}


def _source(observer: Observer, kind: Coding) -> Json:
    return {
        "site": observer.name,
        "observer": observer_reference(observer),
        "type": [coding(kind)],
    }


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
