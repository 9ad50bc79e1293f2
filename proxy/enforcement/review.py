"""The reviewer API: `POST /explain` on the admin listener, for those whom `admin.reviewers` names (decisions §8, peers E5).

Body `{"claims": {…}, "request": "GET /Observation?patient=P1"}`. Who may not review is refused in the words of every
refusal. Each use is recorded before its answer leaves: who asked, as whom, and every resource whose fate was told.
"""

from collections.abc import Callable, Mapping

import msgspec
import orjson

from proxy.audit.entry import Entry
from proxy.audit.record import Record, actor_of
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.rehearsal import Rehearsal, rehearse, rehearsed_request
from proxy.errors import CallerError, ProxyError, Refusal
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import Answer, RawRequest
from proxy.fhir.outcome import answer_of
from proxy.identity.principal import Principal

EXPLAINED = "explained"
"""What became of a resource whose existence, labels and reasons a reviewer was told."""

LONGEST_QUESTION = 65_536
"""Bytes of a request for an explanation; its journal entry keeps all of it. A token's claims are far smaller."""
MOST_AT_ONCE = 4
"""Explanations at once: those who review never starve those who are served."""

ROUTES = (("POST", "/explain"),)
"""Methods and paths of the reviewer API."""

Suppose = Callable[[Mapping[str, object]], Principal]
"""The Principal that claims would name; CallerError MALFORMED."""


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for an explanation."""

    claims: dict[str, object]
    request: str


class Review:
    """Answers requests for explanations, as the public listener's enforcement answers others."""

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
        record = Record(house.new_id(), house.clock(), raw)
        form: str | None = None
        try:
            given, form = await self._explained(raw, record)
        except ProxyError as error:
            record.error = error
            given = answer_of(error.refusal)
        await house.journal.record(_entry(record, given.status, form))
        return given

    async def _explained(self, raw: RawRequest, record: Record) -> tuple[Answer, str]:
        """The answer, and what the journal keeps of the question."""
        reviewer = record.principal = await self._house.identify(raw)
        if self._reviewers.isdisjoint(reviewer.roles):
            raise CallerError(Refusal.FORBIDDEN, "the caller has no role of admin.reviewers")
        asked = _asked(raw)
        supposed = self._suppose(asked.claims)
        rehearsal = await rehearse(
            self._house, supposed, rehearsed_request(asked.request, self._house)
        )
        record.policy_digest = rehearsal.policies
        for one in rehearsal.resources:
            record.touch(one.reference, EXPLAINED, None, one.patients, ())
        return Answer(200, {"content-type": "application/json"}, orjson.dumps(rehearsal)), _form(
            rehearsal, supposed
        )


def _asked(raw: RawRequest) -> _Asked:
    try:
        return msgspec.json.decode(raw.body, type=_Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        detail = "the body is no JSON object with `claims` and `request`"
        raise CallerError(Refusal.MALFORMED, detail) from None


def _form(rehearsal: Rehearsal, supposed: Principal) -> str:
    """Who was explained to the reviewer, and which request."""
    caller = msgspec.to_builtins(actor_of(supposed))
    return orjson.dumps({"request": rehearsal.asked, "caller": caller}).decode()


def _entry(record: Record, status: int, form: str | None) -> Entry:
    """The journal entry; what was asked is kept as it was understood, or else as it came."""
    entry = msgspec.structs.replace(record.entry(status), interaction="operation")
    return entry if form is None else msgspec.structs.replace(entry, form=form)
