"""The reviewer API on the admin listener, for those whom `admin.reviewers` names (decisions §8, peers E5).

`POST /explain`, body `{"claims": {…}, "request": "GET /Observation?patient=P1"}`; the AuthZEN evaluations (`authzen`); the
CDS service `patient-consent-consult` (`cds_hooks`); the review queue of break-glass (`review_queue`). Who may not review is refused in the words of every refusal. Each
use is recorded before its answer leaves: who asked, as whom, and every resource whose fate was told.
"""

from collections.abc import Callable, Mapping

import msgspec
import orjson

from proxy.audit.entry import Entry
from proxy.audit.record import Record, words_of
from proxy.enforcement import authzen, cds_hooks, review_queue
from proxy.enforcement.consultation import (
    JSON,
    Consult,
    Desk,
    Suppose,
    Told,
    asked_of,
    caller_form,
)
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.routes import route_of
from proxy.errors import CallerError, ProxyError, Refusal
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import Answer, RawRequest
from proxy.fhir.outcome import answer_of

MOST_AT_ONCE = 4
"""Consultations at once: those who review never starve those who are served."""


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for an explanation."""

    claims: dict[str, object]
    request: str


async def explained(desk: Desk, raw: RawRequest) -> Told:
    """What a caller with these claims would be answered to one request line, and why."""
    asked = asked_of(raw, _Asked)
    supposed = desk.suppose(asked.claims)
    rehearsal = await desk.rehearse(supposed, asked.request, whole=True)
    return Told(rehearsal, {"request": rehearsal.asked, "caller": caller_form(supposed)})


CONSULTATIONS: Mapping[tuple[str, str], Consult] = {
    ("POST", "/explain"): explained,
    ("POST", authzen.EVALUATION): authzen.evaluation,
    ("POST", authzen.EVALUATIONS): authzen.evaluations,
    ("POST", cds_hooks.CONSULT): cds_hooks.consult,
    ("GET", review_queue.QUEUE): review_queue.listed,
    ("POST", review_queue.REVIEW): review_queue.reviewed,
}
"""Method and path of each form of question; only reviewers are answered."""

DISCOVERIES: Mapping[tuple[str, str], Callable[[], object]] = {
    ("GET", cds_hooks.DISCOVERY): cds_hooks.discovery,
}
"""Documents that say what may be asked; they tell nothing of anybody, and need no token."""

ROUTES = (*CONSULTATIONS, *DISCOVERIES)
"""Methods and paths of the reviewer API."""


class Review:
    """Answers reviewers, as the public listener's enforcement answers others."""

    def __init__(
        self, house: House, enforcement: Enforcement, reviewers: frozenset[Coding], suppose: Suppose
    ) -> None:
        self._house = house
        self._reviewers = reviewers
        self._suppose = suppose
        self.broke = enforcement.broke
        self.oversized = enforcement.oversized
        self.unreadable = enforcement.unreadable

    async def answer(self, raw: RawRequest) -> Answer:
        """One request, one answer, one journal entry. `OwnError` only when the journal cannot hold the entry."""
        house = self._house
        record = house.record_of(raw)
        form = words_of(raw)
        try:
            told = await self._told(raw, record)
            given = Answer(200, {"content-type": JSON}, orjson.dumps(told.body))
            form = orjson.dumps(told.form).decode()
        except ProxyError as error:
            record.error = error
            given = answer_of(error.refusal)
        await house.journal.record(_entry(record, given.status, form))
        return given

    async def _told(self, raw: RawRequest, record: Record) -> Told:
        """The answer, and what the journal keeps of the question."""
        route = route_of(raw.method, raw.target.partition("?")[0], ROUTES)
        if route in DISCOVERIES:
            return Told(DISCOVERIES[route](), {})
        reviewer = record.principal = await self._house.identify(raw)
        if reviewer.undecided:
            raise CallerError(Refusal.FORBIDDEN, reviewer.undecided)
        if self._reviewers.isdisjoint(reviewer.roles):
            raise CallerError(Refusal.FORBIDDEN, "the caller has no role of admin.reviewers")
        consult = CONSULTATIONS.get(route)
        if consult is None:
            raise CallerError(Refusal.NOT_FOUND, "no consultation has this path")
        return await consult(Desk(self._house, self._suppose, record), raw)


def _entry(record: Record, status: int, form: str) -> Entry:
    """The journal entry; what was asked is kept as it was understood, or else as it came."""
    return msgspec.structs.replace(record.entry(status), interaction="operation", form=form)
