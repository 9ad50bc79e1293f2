"""The review queue of break-glass, on the reviewer API (decisions §9; PCF-41): what was opened, used and ended, until it is reviewed.

`GET /break-glass[?state=open|expired|ended|reviewed]` and `POST /break-glass/{id}/review` with `{"note": "…"}`. A review closes
a grant: one that is still open ends with it. Nobody reviews a grant of their own.
"""

import msgspec

from proxy.audit.entry import Entry, GrantAct, GrantNote
from proxy.audit.grants import Queued, State
from proxy.enforcement.consultation import Desk, Told, asked_of
from proxy.errors import CallerError, Refusal
from proxy.fhir.interaction import RawRequest
from proxy.fhir.operation import instant, text_in
from proxy.fhir.query import pairs_of

QUEUE = "/break-glass"
REVIEW = "/break-glass/{id}/review"
SHORTEST_NOTE, LONGEST_NOTE = 10, 1000
_STATES = {state.value: state for state in State}


class _Reviewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a review."""

    note: str


async def listed(desk: Desk, raw: RawRequest) -> Told:
    """The latest grants, newest first, those of one state where one is asked for."""
    if raw.body:
        raise CallerError(Refusal.MALFORMED, "this method takes no body")
    now = desk.record.recorded
    wanted = _states_of(raw)
    found = [one for one in desk.house.grants.queue() if one.state(now) in wanted]
    form = {"states": sorted(state.value for state in wanted), "listed": len(found)}
    return Told({"grants": [_shown(one, now) for one in found]}, form)


def _states_of(raw: RawRequest) -> frozenset[State]:
    pairs = pairs_of(raw.target.partition("?")[2])
    if not pairs:
        return frozenset(State)
    names = [value for name, value in pairs if name == "state"]
    if len(names) != len(pairs) or not set(names) <= set(_STATES):
        raise CallerError(Refusal.PARAMETER, f"`state` is one of {', '.join(_STATES)}")
    return frozenset(_STATES[name] for name in names)


async def reviewed(desk: Desk, raw: RawRequest) -> Told:
    """Closes a grant with a note; `NOT_FOUND` where none of this id waits for review."""
    note = text_in(asked_of(raw, _Reviewed).note, SHORTEST_NOTE, LONGEST_NOTE)
    grant_id = raw.target.partition("?")[0].split("/")[2]
    record, now = desk.record, desk.record.recorded
    [queued] = desk.house.grants.queue(grant_id) or [None]
    if queued is None or queued.reviewed is not None:
        raise CallerError(Refusal.NOT_FOUND, "no grant of this id waits for review")
    reviewer = record.principal
    holder = (queued.note.issuer, queued.note.subject)
    if reviewer is None or (reviewer.issuer, reviewer.subject) == holder:
        raise CallerError(Refusal.FORBIDDEN, "nobody reviews a grant of their own")
    if queued.state(now) is State.OPEN:
        record.grants.append(_act(queued, GrantAct.ENDED))
    record.grants.append(_act(queued, GrantAct.REVIEWED, note))
    return Told({"grant": grant_id, "state": State.REVIEWED.value}, {"grant": grant_id})


def _act(queued: Queued, act: GrantAct, text: str = "") -> GrantNote:
    return msgspec.structs.replace(queued.note, act=act, text=text)


def _shown(queued: Queued, now: float) -> dict[str, object]:
    """A grant as the queue shows it; what is not yet is left out."""
    note, started = queued.note, queued.started
    shown: dict[str, object] = {
        "id": note.id,
        "state": queued.state(now).value,
        "patient": note.patient,
        "holder": {
            "issuer": note.issuer,
            "subject": note.subject,
            "client": note.client_id,
            "fhirUser": note.fhir_user,
            "name": started.actor.name,
        },
        "opened": instant(started.recorded),
        "expires": instant(note.expires),
        "reason": note.reason,
        "justification": note.text,
        "by": "the token's purpose" if note.trusted else "ceremony",
        "uses": queued.uses,
    }
    if queued.ended is not None:
        shown["ended"] = instant(queued.ended.recorded)
    if queued.reviewed is not None:
        shown["review"] = _review(queued.reviewed, note.id)
    return shown


def _review(entry: Entry, grant_id: str) -> dict[str, str]:
    notes = (
        one.text for one in entry.grants if one.id == grant_id and one.act is GrantAct.REVIEWED
    )
    reviewer = entry.actor.name or entry.actor.subject
    return {"by": reviewer, "at": instant(entry.recorded), "note": next(notes, "")}
