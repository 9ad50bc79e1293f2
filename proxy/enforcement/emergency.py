"""Break-glass enforced: the ceremony that opens and ends grants, and the grants a request is heard with (decisions §9).

`POST [base]/$break-glass` and `POST [base]/$end-break-glass`, each with a Parameters resource. What is answered depends on
who asks and on the shape of the request alone: upstream is not asked, so a grant for a patient who does not exist, or who
is opposed to break-glass, is opened like any other and opens nothing. The grant begins to exist with the journal entry of
the request that opened it; where that cannot be written there is none.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from uuid import NAMESPACE_URL, uuid5

from msgspec import structs

from proxy.audit.entry import Actor, GrantAct
from proxy.audit.record import Record, note_of
from proxy.decision.case import Case
from proxy.decision.emergency import BREAK_GLASS, Emergency
from proxy.enforcement.house import House
from proxy.errors import CallerError, Refusal
from proxy.facts.grant import NO_GRANTS, Grant, Holder, by_patient, holder_of
from proxy.fhir.codec import Json
from proxy.fhir.coding import ACT_REASON
from proxy.fhir.interaction import Answer, Interaction, RawRequest
from proxy.fhir.operation import coding_in, instant, parameters, parameters_of, patient_in, text_in
from proxy.fhir.outcome import CONTENT_TYPE
from proxy.identity.principal import Principal
from proxy.policy.break_glass import BreakGlass

LONGEST_JUSTIFICATION = 1000
TOLD = ("patient", "privacy-officer")
"""Who is told of a start."""

_OPENING = {"patient": "valueReference", "reason": "valueCoding", "justification": "valueString"}
_ENDING = {"patient": "valueReference", "grant": "valueId"}


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One request of the ceremony, by a caller who may open grants."""

    house: House
    record: Record
    emergency: Emergency
    principal: Principal
    body: bytes

    @property
    def holder(self) -> Holder:
        """For whom a grant is."""
        return holder_of(self.principal)

    @property
    def held(self) -> tuple[Grant, ...]:
        """What the caller has open, the first opened first."""
        most = self.emergency.section.most_open
        return self.house.grants.open_of(self.holder, self.record.recorded, most)


def ceremony_of(house: House, record: Record, case: Case) -> Ceremony:
    """The ceremony; `FORBIDDEN` for who may not open grants, or asks for a purpose that none serves."""
    emergency = case.compiled.emergency
    if emergency is None or case.emergency is None:
        raise CallerError(
            Refusal.FORBIDDEN, "the policies let the caller open no break-glass grant"
        )
    return Ceremony(house, record, emergency, case.principal, record.raw.body)


MOST_SKEW_S = 60.0


def is_freshly_known(section: BreakGlass, principal: Principal, now: float) -> bool:
    """Whether the person was authenticated as strongly and as lately as the policy wants for a grant (T-185)."""
    if section.acr and principal.acr not in section.acr:
        return False
    if section.authenticated_within is None:
        return True
    known = principal.authenticated_at
    return known is not None and (
        -MOST_SKEW_S <= now - known <= section.authenticated_within * 60.0
    )


async def open_grant(ceremony: Ceremony) -> Answer:
    """Opens a grant for one patient; one that is open already is given again."""
    section, record = ceremony.emergency.section, ceremony.record
    if not is_freshly_known(section, ceremony.principal, record.recorded):
        raise CallerError(
            Refusal.FORBIDDEN, "the caller's authentication is not strong or fresh enough"
        )
    given = _complete(parameters_of(ceremony.body, _OPENING), _OPENING)
    patient = patient_in(given["patient"], ceremony.house.public_url)
    reason = coding_in(given["reason"])
    if reason not in ceremony.emergency.reasons:
        raise CallerError(Refusal.PARAMETER, "the reason is none that the policies accept")
    text = text_in(given["justification"], section.justification, LONGEST_JUSTIFICATION)
    held = ceremony.held
    for grant in held:
        if grant.patient == patient:
            return _told(grant)
    if len(held) >= section.most_open:
        raise CallerError(
            Refusal.FORBIDDEN, "the caller has as many grants open as the policies let"
        )
    now = record.recorded
    grant = Grant(
        id=ceremony.house.new_id(),
        holder=ceremony.holder,
        patient=patient,
        opened=now,
        expires=now + section.seconds,
        reason=f"{reason.system}#{reason.code}",
    )
    record.grants.append(note_of(grant, GrantAct.STARTED, text))
    for recipient in TOLD:
        record.notify(recipient, patient, "break-glass-start")
    return _told(grant)


async def end_grant(ceremony: Ceremony) -> Answer:
    """Ends what the caller has open for a patient, or the one grant named; `NOT_FOUND` where there is none."""
    given = parameters_of(ceremony.body, _ENDING)
    if len(given) != 1:
        raise CallerError(Refusal.PARAMETER, "the body names either a patient or a grant")
    if "patient" in given:
        patient = patient_in(given["patient"], ceremony.house.public_url)
        ended = [one for one in ceremony.held if one.patient == patient]
    else:
        ended = [one for one in ceremony.held if one.id == given["grant"]]
    if not ended:
        raise CallerError(Refusal.NOT_FOUND, "the caller has no such grant open")
    ceremony.record.grants += [note_of(one, GrantAct.ENDED) for one in ended]
    return _told(ended[0], ended=ceremony.record.recorded)


CEREMONIES: Mapping[str, Callable[[Ceremony], Awaitable[Answer]]] = {
    "break-glass": open_grant,
    "end-break-glass": end_grant,
}
"""What each operation of the ceremony is performed by."""


def _complete(given: Mapping[str, Json], wanted: Collection[str]) -> Mapping[str, Json]:
    if set(given) != set(wanted):
        raise CallerError(Refusal.PARAMETER, "a parameter of the body is missing")
    return given


def _told(grant: Grant, ended: float | None = None) -> Answer:
    """The answer: which grant, for whom, until when."""
    values = {
        "grant": ("valueId", grant.id),
        "patient": ("valueReference", {"reference": grant.patient}),
        "opened": ("valueInstant", instant(grant.opened)),
        "expires": ("valueInstant", instant(grant.expires)),
    }
    if ended is not None:
        values["ended"] = ("valueInstant", instant(ended))
    headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    return Answer(HTTPStatus.OK, headers, parameters(values))


# ---- the end of a grant that nobody ended -----------------------------------------------------------------------------


async def note_expired(house: House) -> None:
    """Writes down the end of each grant that ran out; `OwnError` where the journal cannot hold it.

    Two workers that notice it at one moment write entries of one id, whose AuditEvents are one.
    """
    for note in house.grants.run_out(house.clock()):
        record = house.record_of(RawRequest("", "", {}, b"", note.id))
        record.grants.append(structs.replace(note, act=GrantAct.EXPIRED, text=""))
        entry = structs.replace(
            record.entry(HTTPStatus.OK),
            id=str(uuid5(NAMESPACE_URL, f"{note.id}/expired")),
            interaction=Interaction.OPERATION.value,
            actor=_GATEWAY,
        )
        await house.journal.record(entry)


_GATEWAY = Actor(client_id="fhir-consent-proxy", kind="system")
"""Who ends a grant that ran out."""


# ---- what a request is heard with ------------------------------------------------------------------------------------


def open_grants(house: House, case: Case, now: float) -> Mapping[str, Grant]:
    """The grants that the caller has open, by patient; nobody else's are even looked for."""
    emergency = case.compiled.emergency
    if emergency is None or case.emergency is None:
        return NO_GRANTS
    holder = holder_of(case.principal)
    return by_patient(house.grants.open_of(holder, now, emergency.section.most_open))


def is_trusted(case: Case) -> bool:
    """Whether the purpose of the token counts as a grant for whichever patient it is used for."""
    emergency = case.compiled.emergency
    return emergency is not None and case.emergency is not None and emergency.trusts(case.principal)


def trusted_grants(case: Case, patients: Collection[str]) -> Mapping[str, Grant]:
    """The grants that a token makes whose purpose is trusted: one for each patient, as long as the token lives."""
    if not is_trusted(case):
        return NO_GRANTS
    return by_patient(_trusted(case, patient) for patient in sorted(patients))


def _trusted(case: Case, patient: str) -> Grant:
    """The same token and patient are the same grant, in every worker; the review queue has it once."""
    who = case.principal
    parts = (who.issuer, who.token_id, who.subject, who.client_id, patient)
    name = "\0".join(parts)
    return Grant(
        id=str(uuid5(NAMESPACE_URL, name)),
        holder=holder_of(who),
        patient=patient,
        opened=0.0,
        expires=who.expires_at,
        reason=f"{ACT_REASON}#{BREAK_GLASS}",
        trusted=True,
    )
