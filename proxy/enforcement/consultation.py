"""A consultation: one question of a reviewer, and the desk at which it is answered.

Whatever the question's form (`explain`, AuthZEN, CDS Hooks), what supposed callers would be answered is found out by
rehearsal: there is no second way. The desk writes down of what was told before it is told.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import msgspec

from proxy.audit.record import Record, actor_of
from proxy.enforcement.house import House
from proxy.enforcement.rehearsal import Rehearsal, rehearse, rehearse_all, rehearsed_request
from proxy.errors import CallerError, Refusal
from proxy.fhir.codec import parse_strict
from proxy.fhir.interaction import RawRequest
from proxy.identity.principal import Principal

EXPLAINED = "explained"
"""What became of a resource whose existence, labels and reasons a reviewer was told."""

LONGEST_QUESTION = 65_536
"""Bytes of a question; its journal entry keeps all of it. A token's claims are far smaller."""
DEEPEST_QUESTION = 32
"""Levels of JSON of a question."""

JSON = "application/json"

Asked = TypeVar("Asked")

Suppose: TypeAlias = Callable[[Mapping[str, object]], Principal]
"""The Principal that claims would name; CallerError MALFORMED."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a reviewer is told: the answer's body, and what the journal keeps of the question; both become JSON."""

    body: object
    form: object


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one question is answered. `record` is that of the reviewer's own request."""

    house: House
    suppose: Suppose
    record: Record

    async def rehearse(self, principal: Principal, line: str, *, whole: bool = False) -> Rehearsal:
        """What a supposed caller would be answered to `GET /Type/id`; every resource considered is written down.

        `whole`: with the pages that follow.
        """
        raw = rehearsed_request(line, self.house)
        play = rehearse_all if whole else rehearse
        rehearsal = await play(self.house, principal, raw)
        for one in rehearsal.resources:
            self.record.touch(one.reference, EXPLAINED, None, one.patients, ())
        return rehearsal


Consult: TypeAlias = Callable[[Desk, RawRequest], Awaitable[Told]]
"""Answers one form of question; `CallerError` for one that cannot be understood."""


def asked_of(raw: RawRequest, form: type[Asked]) -> Asked:
    """Read the body of a question, strictly; CallerError MALFORMED or TOO_LARGE."""
    parse_strict(raw.body, LONGEST_QUESTION, DEEPEST_QUESTION)
    try:
        return msgspec.json.decode(raw.body, type=form)
    except msgspec.DecodeError:
        raise CallerError(Refusal.MALFORMED, "the body is not the question it should be") from None


def demand_json(raw: RawRequest) -> None:
    """Refuse a body that is not called JSON; CallerError MALFORMED (AuthZEN, HTTPS binding)."""
    if raw.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise CallerError(Refusal.MALFORMED, "the content type of a question is application/json")


def caller_form(principal: Principal) -> object:
    """A supposed caller, as the journal keeps it."""
    told: object = msgspec.to_builtins(actor_of(principal))
    return told
