"""CDS Hooks: the service `patient-consent-consult` and its discovery (https://cds-hooks.org; the hook of LEAP and ASU SHARES).

May this actor have this patient's data for this purpose? Patient and actor are named by business identifiers. The answer is
one card: CONSENT_PERMIT with what is to be redacted, CONSENT_DENY, or NO_CONSENT (`decision.consult`). The actor is supposed to
have every scope: here Consents and policy alone answer. Every identifier of the patient must name the one same Patient,
else 404; those of the actor at most one Practitioner, and who is nobody known is held against every deny.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby

import msgspec

from proxy.audit.record import Record
from proxy.decision.case import open_case
from proxy.decision.consult import DENY, NO_CONSENT, PERMIT, TYPES, Consulted, consulted
from proxy.decision.model import Reason, Redaction, Verdict
from proxy.enforcement.consultation import EXPLAINED, Desk, Told, asked_of, demand_json
from proxy.enforcement.house import House
from proxy.errors import CallerError, Refusal
from proxy.facts.model import ActorClosure, Facts
from proxy.fhir.coding import ACT_CODE, Coding, Identifier, coding_of, system_of
from proxy.fhir.interaction import RawRequest
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.identity.supposed import with_purposes

HOOK = "patient-consent-consult"
DISCOVERY = "/cds-services"
CONSULT = f"{DISCOVERY}/{HOOK}"

MOST_IDENTIFIERS = 8
"""Identifiers of one patient, or of one actor."""


class SystemValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identifier; without system it names nobody."""

    value: str
    system: str = ""

    @property
    def identifier(self) -> Identifier:
        """As a comparable value."""
        return Identifier(system_of(self.system), self.value.strip())


class SystemCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Coding."""

    system: str
    code: str

    @property
    def coding(self) -> Coding:
        """As a comparable value."""
        return coding_of(self.system, self.code)


class Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The context of the hook; it has no further members. `content` is not looked at."""

    patient_id: tuple[SystemValue, ...]
    actor: tuple[SystemValue, ...]
    purpose_of_use: tuple[str, ...] | str = ()
    category: tuple[SystemCode, ...] = ()
    class_: tuple[SystemCode, ...] = msgspec.field(default=(), name="class")
    content: dict[str, object] | None = None


class Call(msgspec.Struct, frozen=True, rename="camel"):
    """A call of the service (CDS Hooks, HTTP request)."""

    hook: str
    hook_instance: str
    context: Context


def discovery() -> object:
    """What services there are (CDS Hooks, discovery)."""
    return {
        "services": [
            {
                "hook": HOOK,
                "id": HOOK,
                "title": "Consent decision",
                "description": "What a patient's Consents and the policy say to an actor and a purpose of use.",
                "usageRequirements": "A bearer token of a reviewer.",
            }
        ]
    }


async def consult(desk: Desk, raw: RawRequest) -> Told:
    """`POST /cds-services/patient-consent-consult`."""
    demand_json(raw)
    asked = asked_of(raw, Call)
    if asked.hook != HOOK:
        raise CallerError(Refusal.MALFORMED, "`hook` is not that of this service")
    context = asked.context
    for named in (context.patient_id, context.actor):
        if not 0 < len(named) <= MOST_IDENTIFIERS or not all(one.value.strip() for one in named):
            raise CallerError(
                Refusal.MALFORMED, "a patient or an actor has none, or too many identifiers"
            )
    actor = _supposed(context, desk.record)
    patient, closure = await _known(desk.house, context, actor)
    answer = await _answered(desk, actor, closure, patient, context)
    desk.record.touch(patient, EXPLAINED, None, (patient,), ())
    for consent in sorted(answer.consents):
        desk.record.touch(consent, EXPLAINED, None, (patient,), ())
    form = {**msgspec.to_builtins(context), "patient": patient, "decision": answer.word}
    return Told({"cards": [_card(answer, desk)]}, {"hook": HOOK, **form})


# ------------------------------------------------------------------------------------------ who, and about whom


def _supposed(context: Context, record: Record) -> Principal:
    """The actor as a caller: known by identifiers alone, with every scope to read."""
    stated = context.purpose_of_use
    principal = Principal(
        issuer="",
        subject="",
        client_id="",
        token_id="",
        kind=PrincipalKind.PRACTITIONER,
        scopes=parse_scopes("user/*.rs"),
        expires_at=record.recorded,
        identifiers=frozenset(one.identifier for one in context.actor),
    )
    return with_purposes(principal, [stated] if isinstance(stated, str) else stated)


async def _known(house: House, context: Context, actor: Principal) -> tuple[str, ActorClosure]:
    """The one patient, and everything the actor is, each of its identifiers looked up as person and as organisation."""
    if not all(one.identifier.system for one in context.patient_id):
        # Without a system it would be read as a reference, to somebody of whom nothing is known perhaps.
        raise CallerError(Refusal.NOT_FOUND, "an identifier without a system names no patient")
    first = context.patient_id[0].identifier
    asked = [replace(actor, patient_identifier=one.identifier) for one in context.patient_id] + [
        replace(
            actor,
            identifiers=frozenset({one.identifier}),
            organization=one.identifier,
            patient_identifier=first,
        )
        for one in context.actor
    ]
    closures = await asyncio.gather(*(house.facts.closure(one) for one in asked))
    patients = {
        patient
        for one in closures
        for patient in (one.restriction.patients if one.restriction else (None,))
    }
    if len(patients) != 1 or None in patients:
        raise CallerError(Refusal.NOT_FOUND, "the identifiers name no patient, or not one alone")
    return str(patients.pop()), _joined(closures)


def _joined(closures: list[ActorClosure]) -> ActorClosure:
    """One actor of all that was found; complete only if it is one Practitioner at most, and somebody at all."""
    references = frozenset[str]().union(*(one.references for one in closures))
    people = [one for one in references if one.startswith("Practitioner/")]
    if len(people) > 1:
        raise CallerError(Refusal.NOT_FOUND, "the identifiers of the actor name several people")
    return ActorClosure(
        references=references,
        identifiers=frozenset[Identifier]().union(*(one.identifiers for one in closures)),
        roles=frozenset[Coding]().union(*(one.roles for one in closures)),
        organization_types=frozenset[Coding]().union(*(one.organization_types for one in closures)),
        complete=bool(references) and all(one.complete for one in closures),
    )


# ------------------------------------------------------------------------------------------ the answer


_TYPE_SYSTEMS = frozenset({TYPES, "http://hl7.org/fhir/fhir-types"})
_PRIVACY = frozenset(
    {
        Coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        Coding("http://loinc.org", "59284-0"),
        Coding(ACT_CODE, "INFA"),
        Coding(ACT_CODE, "IDSCL"),
    }
)
"""Categories that every Consent followed here has; no other one is told apart, and in doubt the answer is a deny."""


async def _answered(
    desk: Desk, actor: Principal, closure: ActorClosure, patient: str, context: Context
) -> Consulted:
    house = desk.house
    compiled = house.in_force().compiled
    case = open_case(compiled, actor, closure, "read", house.zone, desk.record.recorded)
    facts = Facts(closure, desk.record.recorded, await house.facts.patients({patient}))
    classes = [one.coding for one in context.class_]
    types = frozenset(one.code for one in classes if one.system in _TYPE_SYSTEMS)
    answer = consulted(case, patient, facts, types)
    strange = len(types) < len(set(classes)) or not types <= house.definitions.resource_types
    if strange or not {one.coding for one in context.category} <= _PRIVACY:
        return Consulted(DENY, (_UNTOLD,), answer.consents)
    return answer


_UNTOLD = Reason("consent", Verdict.UNKNOWN, "", "a category or class that is not told apart here")

INDICATORS: Mapping[str, str] = {PERMIT: "info", DENY: "critical", NO_CONSENT: "warning"}


def _card(answer: Consulted, desk: Desk) -> object:
    house = desk.house
    return {
        "uuid": desk.record.id,
        "summary": answer.word,
        "detail": "; ".join(map(_told, answer.reasons)) or "nobody says anything",
        "indicator": INDICATORS[answer.word],
        "source": {"label": "FHIR consent gateway", "url": house.public_url},
        "extension": {
            "decision": answer.word,
            "obligations": list(obligations_of(answer, house.public_url)),
            "basedOn": [
                {"reference": f"{house.public_url}/{one}"} for one in sorted(answer.consents)
            ],
        },
    }


def _told(reason: Reason) -> str:
    source = f" {reason.source}" if reason.source else ""
    sentence = f": {reason.sentence}" if reason.sentence else ""
    return f"{reason.verdict.value} by {reason.voice}{source}{sentence}"


_REDACT = {"system": ACT_CODE, "code": "REDACT"}
"""`codes`: remove what is labelled with any of them; `exceptAnyOfCodes`: what is labelled with none of them."""


def obligations_of(answer: Consulted, public_url: str) -> Iterator[object]:
    """What the client must do; one that does not know an obligation must deny (standards CDS-4).

    Those beside REDACT have ids of our own: the operator of elements to redact, with `paths` and where there is one
    `argument`; `warn` with the texts that the reader is told; `notify` with who is told of the access.
    """
    if answer.codes:
        yield {"id": _REDACT, "parameters": {"codes": _codings(answer.codes)}}
    if answer.only:
        yield {"id": _REDACT, "parameters": {"exceptAnyOfCodes": _codings(answer.only)}}
    own = f"{public_url}/CodeSystem/obligation"
    for (operator, argument), group in groupby(
        sorted(answer.obligations.redactions, key=_step), _step
    ):
        parameters: dict[str, object] = {"paths": sorted(one.path for one in group)}
        argued = {"argument": argument} if argument else {}
        yield {"id": {"system": own, "code": operator}, "parameters": parameters | argued}
    told = sorted({recipient for recipient, _ in answer.obligations.notify})
    for code, member, values in (
        ("warn", "texts", sorted(answer.obligations.warn)),
        ("notify", "recipients", told),
    ):
        if values:
            yield {"id": {"system": own, "code": code}, "parameters": {member: values}}


def _step(one: Redaction) -> tuple[str, str]:
    return one.operator, one.argument


def _codings(codes: frozenset[Coding]) -> list[dict[str, str]]:
    return [{"system": one.system, "code": one.code} for one in sorted(codes)]
