"""A rehearsal: a supposed caller's request through the very same flow, with ports that keep what passes and record nothing.

Upstream is asked as it would be, with the gateway's own rights; nothing of what it answers leaves but names, labels and
reasons. The flow itself does not know that it is rehearsed: only its House is another one.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo

import msgspec

from proxy.audit.entry import Entry
from proxy.decision.case import Case, CaseBook, CompiledPolicies
from proxy.decision.changes import Change
from proxy.decision.explain import (
    UNREADABLE,
    Explanation,
    changes_that_permit,
    explain_request,
    explain_resource,
)
from proxy.decision.model import Decision
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House, Upstream
from proxy.errors import CallerError, Refusal
from proxy.facts.model import ActorClosure, Facts
from proxy.fhir.interaction import Answer, RawRequest
from proxy.identity.principal import Principal
from proxy.obligations.disclose import ILLEGIBLE, Judged

MOST_PAGES = 20
"""Pages of one answer that are played to explain a whole list."""

_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*)")


@dataclass(frozen=True, slots=True)
class Considered:
    """One resource that was judged. `redacted`: element paths.

    `outcome`: disclosed, redacted, withheld, or `permitted` where it may leave but does not in this answer (an include
    of no match, the current version beside an older one), `consulted` where the answer counts it or a chain led through it.
    """

    reference: str
    outcome: str
    patients: tuple[str, ...]
    redacted: tuple[str, ...]
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a caller would be answered, and why. `refusal` and `detail` are empty where the answer is no refusal.

    `request` is the explanation of the request itself; `None` where it was refused before it could be judged.
    `upstream`: what was asked of upstream for it, which alone can have kept anything from being considered. `pages`: how many
    pages of the answer were played; `more` where others follow.
    """

    asked: str
    caller: str
    status: int
    refusal: str
    detail: str
    policies: str
    request: Explanation | None
    resources: tuple[Considered, ...]
    upstream: tuple[str, ...] = ()
    pages: int = 1
    more: bool = False


def rehearsed_request(line: str, house: House) -> RawRequest:
    """The raw request of a line `GET /Observation?patient=P1`, below the base; CallerError MALFORMED for any other."""
    matched = _LINE.fullmatch(line.strip())
    if matched is None:
        raise CallerError(
            Refusal.MALFORMED, "a request is written `GET /Type/id` or `GET /Type?name=value`"
        )
    headers = {"accept": "application/fhir+json"}
    if matched[2].partition("?")[0].endswith("/$export"):
        headers["prefer"] = "respond-async"  # without which it is none
    target = house.base_path + matched[2]
    return RawRequest(matched[1], target, headers, b"", house.new_id())


async def rehearse(house: House, principal: Principal, raw: RawRequest) -> Rehearsal:
    """Play a request of a supposed caller; `OwnError` never, because nothing is recorded."""
    return (await _played(house, principal, raw))[0]


async def rehearse_all(house: House, principal: Principal, raw: RawRequest) -> Rehearsal:
    """Play a request and the page links of its answers, `MOST_PAGES` at most; each resource is told once."""
    whole, following = await _played(house, principal, raw)
    while following and whole.pages < MOST_PAGES:
        target = house.base_path + following.removeprefix(house.public_url)
        page, after = await _played(house, principal, replace(raw, target=target))
        if page.refusal:
            break
        following = after
        whole = _joined(whole, page)
    return replace(whole, more=bool(following))


_LEFT_TO_A_PAGE = ("permitted", "consulted")
"""What an earlier page says of what a later one shows: it could be seen, or was counted."""


def _joined(whole: Rehearsal, page: Rehearsal) -> Rehearsal:
    """Two pages as one. What one page considered and left to the next is told as that one tells it."""
    told = {one.reference: one for one in whole.resources if one.reference}
    for one in page.resources:
        if one.reference and told.get(one.reference, one).outcome in {
            one.outcome,
            *_LEFT_TO_A_PAGE,
        }:
            told[one.reference] = one
    unreadable = tuple(one for one in (*whole.resources, *page.resources) if not one.reference)
    asked = tuple(dict.fromkeys((*whole.upstream, *page.upstream)))
    resources = (*told.values(), *dict.fromkeys(unreadable))
    return replace(whole, resources=resources, upstream=asked, pages=whole.pages + 1)


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Linked(msgspec.Struct):
    """What of an answer says that another page follows."""

    link: tuple[_Link, ...] = ()


def _following(answer: Answer) -> str:
    """The link to the next page of an answer of ours; empty for the last, and for what is no Bundle."""
    try:
        links = msgspec.json.decode(answer.body, type=_Linked).link
    except msgspec.DecodeError:
        return ""
    return next((one.url for one in links if one.relation == "next"), "")


async def _played(house: House, principal: Principal, raw: RawRequest) -> tuple[Rehearsal, str]:
    """What one request of a supposed caller comes to, and the link to the page that follows."""
    kept = _Kept()
    cases = _KeptCases()
    upstream = _Listened(house.upstream)

    async def identify(_: RawRequest) -> Principal:
        return principal

    stage = replace(
        house,
        identify=identify,
        journal=kept,
        cases=cases,
        witness=kept.see,
        upstream=upstream,
        exports=house.exports.rehearsed(),
    )
    answer = await Enforcement(stage).answer(raw)
    [entry] = kept.entries
    # What went up although the ordinary rules shut it out went up by a break-glass grant.
    went_up = entry.refusal != Refusal.FORBIDDEN.value
    request = (
        explain_request(cases.case, entry.type, granted=went_up)
        if cases.case and entry.type
        else None
    )
    rehearsal = Rehearsal(
        asked=f"{raw.method} {raw.target.removeprefix(house.base_path)}",
        caller=principal.fhir_user or principal.subject,
        status=entry.status,
        refusal=entry.refusal,
        detail=entry.detail,
        policies=entry.policy_digest,
        request=request,
        resources=await _considered(kept, entry),
        upstream=tuple(upstream.targets),
    )
    return rehearsal, _following(answer)


@dataclass(slots=True)
class _Listened:
    """Upstream, and what it was asked."""

    upstream: Upstream
    targets: list[str] = field(default_factory=list)

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        """Port `Upstream`."""
        self.targets.append(target)
        return await self.upstream.get(target, request_id, authorization)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One resource as it was judged."""

    case: Case
    facts: Facts
    judged: Judged


@dataclass(slots=True)
class _Kept:
    """A journal that keeps its entries for a moment, and the witness of what was judged."""

    entries: list[Entry] = field(default_factory=list)
    seen: list[_Seen] = field(default_factory=list)

    async def record(self, entry: Entry) -> None:
        """Port `Journal`."""
        self.entries.append(entry)

    def see(self, case: Case, facts: Facts, judged: Sequence[Judged]) -> None:
        """Port `Witness`."""
        self.seen += [_Seen(case, facts, one) for one in judged]


class _KeptCases(CaseBook):
    """A case book that remembers the case that was opened."""

    case: Case | None = None

    def open(
        self,
        compiled: CompiledPolicies,
        principal: Principal,
        closure: ActorClosure,
        interaction: str,
        zone: tzinfo,
        now: float | None = None,
    ) -> Case:
        """The case, opened before or now."""
        self.case = super().open(compiled, principal, closure, interaction, zone, now)
        return self.case


async def _considered(kept: _Kept, entry: Entry) -> tuple[Considered, ...]:
    """Everything that was judged, in order, each once; others get their turn in between."""
    fates = {
        reference: (one.outcome, one.redacted)
        for one in entry.touched
        for reference in one.references
    }
    changes: dict[int, tuple[Change, ...]] = {}
    found: dict[Considered, None] = {}
    for seen in kept.seen:
        found[_explained(seen, entry.type, fates, changes)] = None
        await asyncio.sleep(0)
    return tuple(found)


def _explained(
    seen: _Seen,
    rtype: str,
    fates: dict[str, tuple[str, tuple[str, ...]]],
    changes: dict[int, tuple[Change, ...]],
) -> Considered:
    """One resource, explained. `changes` by decision: one decision is of one signature, so what would change it is too."""
    raw, envelope, decision = seen.judged.raw, seen.judged.envelope, seen.judged.decision
    if envelope is None or decision is None:
        return Considered("", "withheld", (), (), UNREADABLE)
    if id(decision) not in changes:
        changes[id(decision)] = _changes(seen, decision, rtype)
    told = explain_resource(seen.case, raw, envelope, decision, changes[id(decision)])
    otherwise = ("permitted" if decision.permits else "withheld", ())
    outcome, redacted = fates.get(envelope.versioned, otherwise)
    patients = tuple(sorted(envelope.patients or ()))
    return Considered(envelope.versioned, outcome, patients, redacted, told)


def _changes(seen: _Seen, decision: Decision, rtype: str) -> tuple[Change, ...]:
    """What would change a refusal; a letter that does not open is opened by no fact."""
    envelope = seen.judged.envelope
    if envelope is None or decision is ILLEGIBLE:
        return ()
    return changes_that_permit(seen.case, envelope, decision, seen.facts, rtype)
