"""AuthZEN Access Evaluation and Access Evaluations (OpenID Authorization API 1.0, sections 6 and 7).

What AuthZEN leaves to the decision point is decided so:

- subject: a supposed caller. `type` says what `id` is (`SUBJECTS`); `properties.claims` are the claims of its token.
- action: a FHIR interaction (`LINES`); `vread` has `properties.version`.
- resource: FHIR type and id. Nothing said about it counts: it is judged as it stands upstream.
- context: `purposeOfUse`, in place of what the claims say.

The decision is true only if the gateway would really answer such a caller's request with this resource. Members that are
not understood change nothing and are told as `ignored`. What is malformed is 400; inside `evaluations`, a false decision.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from proxy.decision.explain import Explanation
from proxy.enforcement.consultation import Desk, Told, asked_of, caller_form, demand_json
from proxy.enforcement.hearing import OK
from proxy.enforcement.rehearsal import Considered, Rehearsal
from proxy.errors import TELLS, CallerError, Refusal
from proxy.fhir.coding import Identifier
from proxy.fhir.interaction import RawRequest
from proxy.identity.principal import Principal
from proxy.identity.supposed import with_identifiers, with_purposes

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"

MOST_EVALUATIONS = 50
"""Evaluations of one request; each asks upstream at least once."""


class Entity(msgspec.Struct, frozen=True):
    """A subject or a resource (section 5)."""

    type: str
    id: str
    properties: dict[str, object] = {}


class Action(msgspec.Struct, frozen=True):
    """An action (section 5.3)."""

    name: str
    properties: dict[str, object] = {}


class Evaluation(msgspec.Struct, frozen=True):
    """One access evaluation request (section 6.1)."""

    subject: Entity
    action: Action
    resource: Entity
    context: dict[str, object] = {}


class Options(msgspec.Struct, frozen=True):
    """How several evaluations are executed (section 7.1.2)."""

    evaluations_semantic: str = "execute_all"


class Evaluations(msgspec.Struct, frozen=True):
    """What of an access evaluations request is no default: the rest stays as written until it is merged."""

    evaluations: tuple[object, ...] = ()
    options: Options = Options()


_LAST: Mapping[str, frozenset[bool]] = {
    "execute_all": frozenset(),
    "deny_on_first_deny": frozenset({False}),
    "permit_on_first_permit": frozenset({True}),
}
"""By semantic: the decisions after which no further evaluation is executed."""


class _UnknownError(Exception):
    """A question about what does not exist here: the decision is false."""


# ------------------------------------------------------------------------------------------ who, and which request


LINES: Mapping[str, str] = {
    "read": "GET /{type}/{id}",
    "vread": "GET /{type}/{id}/_history/{version}",
    "history-instance": "GET /{type}/{id}/_history",
    "search-type": "GET /{type}?_id={id}",
}
"""The request by which a FHIR interaction (http://hl7.org/fhir/restful-interaction) reaches one resource."""

_TYPE = re.compile("[A-Z][A-Za-z]{0,63}")
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9.-]{1,64}")


def line_of(asked: Evaluation) -> str:
    """The request that is rehearsed; `_UnknownError` where there can be no such resource or interaction."""
    line = LINES.get(asked.action.name)
    if line is None:
        raise _UnknownError("`action.name` is no FHIR interaction that reaches one resource here")
    if _TYPE.fullmatch(asked.resource.type) is None or _ID.fullmatch(asked.resource.id) is None:
        raise _UnknownError("`resource` has no type and id that a FHIR resource can have")
    version = asked.action.properties.get("version", "") if asked.action.name == "vread" else "-"
    if not isinstance(version, str) or _ID.fullmatch(version) is None:
        raise _UnknownError("`action.properties.version` is no id of a version")
    return line.format(type=asked.resource.type, id=asked.resource.id, version=version)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the id of a type of subject is: the claim that states it, and where the Principal holds it."""

    claim: str
    field: str
    prefix: str = ""


SUBJECTS: Mapping[str, _Kind] = {
    **{
        rtype: _Kind("fhirUser", "fhir_user", f"{rtype}/")
        for rtype in ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
    },
    "client": _Kind("client_id", "client_id"),
    "user": _Kind("sub", "subject"),
}
"""Types of subject whose id a claim states."""

IDENTIFIER = "identifier"
"""The type of subject whose id is a business identifier, `system|value`."""


def caller_of(asked: Evaluation, desk: Desk) -> Principal:
    """The supposed caller; CallerError MALFORMED for claims that cannot be read or that name another."""
    subject = asked.subject
    kind = SUBJECTS.get(subject.type)
    if kind is None and subject.type != IDENTIFIER:
        raise _UnknownError("`subject.type` is none that names a caller here")
    claims = subject.properties.get("claims", {})
    if not isinstance(claims, dict):
        raise CallerError(Refusal.MALFORMED, "`subject.properties.claims` is no object")
    if kind is None:
        named = _identified(desk.suppose({"sub": subject.id, **claims}), subject.id)
    else:
        stated = f"{kind.prefix}{subject.id}"
        named = desk.suppose({"sub": subject.id, kind.claim: stated, **claims})
        if getattr(named, kind.field) != stated:
            raise CallerError(Refusal.MALFORMED, "`subject` and its claims name different callers")
    return _purposed(named, asked.context)


def _identified(principal: Principal, written: str) -> Principal:
    system, bar, value = written.rpartition("|")
    if not (bar and system and value):
        raise _UnknownError("`subject.id` is no identifier `system|value`")
    return with_identifiers(principal, frozenset({Identifier(system, value)}))


def _purposed(principal: Principal, context: Mapping[str, object]) -> Principal:
    if "purposeOfUse" not in context:
        return principal
    written = context["purposeOfUse"]
    return with_purposes(principal, [written] if isinstance(written, str) else written)


def ignored_in(asked: Evaluation) -> Iterator[str]:
    """The members that change nothing: a real request has no place for them."""
    understood = {
        "subject.properties": (asked.subject.properties, {"claims"}),
        "action.properties": (
            asked.action.properties,
            {"version"} if asked.action.name == "vread" else set(),
        ),
        "resource.properties": (asked.resource.properties, set()),
        "context": (asked.context, {"purposeOfUse"}),
    }
    for place, (members, known) in understood.items():
        yield from (f"{place}.{name}" for name in sorted(members.keys() - known))


# ------------------------------------------------------------------------------------------ the decision


LEAVES = frozenset({"disclosed", "redacted"})


@dataclass(frozen=True, slots=True)
class Decided:
    """A Decision of AuthZEN (section 5.5), and what the journal keeps of the question."""

    decision: bool
    context: Mapping[str, object]
    form: Mapping[str, object]

    @property
    def body(self) -> object:
        """As it leaves."""
        return {"decision": self.decision, "context": self.context}


async def decided(asked: Evaluation, desk: Desk) -> Decided:
    """Whether the resource would leave, and why; CallerError MALFORMED for a caller who cannot be read."""
    try:
        line, principal = line_of(asked), caller_of(asked, desk)
    except _UnknownError as unknown:
        context = {"id": desk.record.id, "reason_admin": {"404": str(unknown)}}
        return Decided(False, context, {"asked": msgspec.to_builtins(asked), "decision": False})
    rehearsal = await desk.rehearse(principal, line)
    told = _concerned(rehearsal, f"{asked.resource.type}/{asked.resource.id}")
    decision = leaves(rehearsal, told)
    form = {"request": line, "caller": caller_form(principal), "decision": decision}
    return Decided(decision, _context(desk, asked, rehearsal, told), form)


def _concerned(rehearsal: Rehearsal, reference: str) -> tuple[Considered, ...]:
    """What was considered of the resource itself: one version of it, or several."""
    return tuple(
        one for one in rehearsal.resources if one.reference.partition("/_history/")[0] == reference
    )


def leaves(rehearsal: Rehearsal, told: Sequence[Considered]) -> bool:
    """Whether the answer holds the resource; of a history, every version of it."""
    fates = {one.outcome for one in told}
    return rehearsal.status == OK and not fates.isdisjoint(LEAVES) and "withheld" not in fates


_NOTHING = Explanation("deny", ())


def _context(
    desk: Desk, asked: Evaluation, rehearsal: Rehearsal, told: Sequence[Considered]
) -> Mapping[str, object]:
    """Why, for a reviewer. What is hidden and what is absent are both false; only the reasons differ."""
    first = min(told, key=lambda one: one.outcome != "withheld", default=None)
    of_request = rehearsal.request or _NOTHING
    explanation = first.explanation if first else of_request
    sentences = [one.sentence for one in explanation.reasons if one.sentence]
    return {
        "id": desk.record.id,
        "reason_admin": {
            str(rehearsal.status): "; ".join(sentences) or rehearsal.detail or "no such resource"
        },
        "request": rehearsal.asked,
        "caller": rehearsal.caller,
        "policies": rehearsal.policies,
        "resources": [{"reference": one.reference, "outcome": one.outcome} for one in told],
        "reasons": explanation.reasons,
        "labels": explanation.labels,
        "redactions": explanation.demands,
        "redacted": sorted({path for one in told for path in one.redacted}),
        "warnings": explanation.warns,
        "changes": explanation.changes,
        "ignored": tuple(ignored_in(asked)),
    }


# ------------------------------------------------------------------------------------------ the endpoints


async def evaluation(desk: Desk, raw: RawRequest) -> Told:
    """`POST /access/v1/evaluation`."""
    demand_json(raw)
    one = await decided(asked_of(raw, Evaluation), desk)
    return Told(one.body, one.form)


async def evaluations(desk: Desk, raw: RawRequest) -> Told:
    """`POST /access/v1/evaluations`; without evaluations, one evaluation (section 7.1)."""
    demand_json(raw)
    asked = asked_of(raw, Evaluations)
    if not asked.evaluations:
        return await evaluation(desk, raw)
    if len(asked.evaluations) > MOST_EVALUATIONS:
        raise CallerError(Refusal.TOO_LARGE, f"more than {MOST_EVALUATIONS} evaluations")
    defaults = asked_of(raw, dict[str, object])
    last = _LAST.get(asked.options.evaluations_semantic)
    if last is None:
        raise CallerError(Refusal.MALFORMED, "`options.evaluations_semantic` is none of the three")
    made: list[Decided] = []
    for item in asked.evaluations:
        made.append(await _item(item, defaults, desk))
        if made[-1].decision in last:
            break
    return Told(
        {"evaluations": [one.body for one in made]}, {"evaluations": [one.form for one in made]}
    )


async def _item(item: object, defaults: Mapping[str, object], desk: Desk) -> Decided:
    """One of several evaluations: what is wrong with it is its own, and a false decision (section 7.2.1)."""
    try:
        return await decided(merged(item, defaults), desk)
    except CallerError as error:
        wrong = {"status": TELLS[error.refusal].status, "message": error.detail}
        context = {"id": desk.record.id, "error": wrong}
        return Decided(False, context, {"decision": False, "error": error.detail})


_ENTITIES = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}
"""Entities with their required members, which the default lends where they are left out."""


def merged(item: object, defaults: Mapping[str, object]) -> Evaluation:
    """An evaluation with the defaults it leaves out (section 7.1.1); CallerError MALFORMED."""
    if not isinstance(item, dict):
        raise CallerError(Refusal.MALFORMED, "an evaluation is no object")
    whole = {name: item.get(name, defaults.get(name)) for name in _ENTITIES}
    for name, required in _ENTITIES.items():
        own, lent = whole[name], defaults.get(name)
        if isinstance(own, dict) and isinstance(lent, dict):
            whole[name] = {one: lent[one] for one in required if one in lent} | own
    context = item.get("context", defaults.get("context", {}))
    try:
        return msgspec.convert({**whole, "context": context}, Evaluation)
    except msgspec.ValidationError as error:
        raise CallerError(
            Refusal.MALFORMED, f"an evaluation is incomplete or wrong: {error}"
        ) from None
