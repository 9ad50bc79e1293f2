"""Chained searches: each link is a search of the caller's own, and only what it shows leads on (FHIR search, chaining and `_has`).

Laws:
- The answer is that of two searches by the same caller, the second naming what the first one shows (decision 107).
- Whether a request is refused depends on its shape and on what the caller may see; a search inside a request needs all that
  it would need alone: scope, role, guard.
- What a chain led through is written down as consulted.
"""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

from proxy.decision.decide import decide_request
from proxy.enforcement.emergency import is_trusted
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import MOST_ASKED, Tie, consulted, matching, source_of, target_of
from proxy.enforcement.references import shown_references
from proxy.errors import CallerError, OwnError, Refusal
from proxy.fhir.chains import joining
from proxy.fhir.interaction import FhirRequest, Link, SearchParameter
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Position


class Resolved(NamedTuple):
    """A search without chains, and what its matches must be tied to."""

    request: FhirRequest
    ties: tuple[Tie, ...] = ()


def require_admitted(hearing: Hearing) -> None:
    """Refuses a request whose chains lead to no type that the caller may search; before upstream is asked."""
    _require_admitted(hearing, hearing.request)


def _require_admitted(hearing: Hearing, request: FhirRequest) -> None:
    for link in request.links:
        admitted = _admitted(hearing, link)
        if not admitted:
            _refuse(hearing, link)
        for inner in admitted:
            _require_admitted(hearing, inner)


def _admitted(hearing: Hearing, link: Link) -> list[FhirRequest]:
    """The searches of a link that the caller may make."""
    granted = bool(hearing.grants) or is_trusted(hearing.case)
    return [
        one for one in link.inner if decide_request(hearing.case, one.type, granted=granted).permits
    ]


def _refuse(hearing: Hearing, link: Link) -> None:
    hearing.record.decide(decide_request(hearing.case, link.inner[0].type))
    if not hearing.case.closure.complete:
        raise OwnError("who the caller is could not be looked up")
    raise CallerError(Refusal.FORBIDDEN, "scope or role does not cover what a chain leads to")


async def resolve(hearing: Hearing) -> Resolved | None:
    """The search with every chain followed; `None` where some chain leads to nothing."""
    resolved = Resolved(hearing.request)
    for link in hearing.request.links:
        reached = await _reached(hearing, link)
        if not reached:
            return None
        resolved = _narrowed(resolved, link, reached, hearing)
    return _with_one_id(resolved)


async def _reached(hearing: Hearing, link: Link) -> frozenset[str]:
    """What a link leads to (`Type/id`), as far as the caller sees what it leads through."""
    reached: set[str] = set()
    most = hearing.house.paging.max_consulted
    for inner in _admitted(hearing, link):
        search = replace(hearing, request=inner, start=None, link="")
        resolved = await resolve(search)
        if resolved is None:
            continue
        start = Position(target_of(search, resolved.request, MOST_ASKED))
        source = source_of(search, "searchset", matching(search, resolved.ties))
        async with aclosing(consulted(search, start, source, most)) as found:
            async for one in found:
                reached.update(_led_to(hearing, link, one))
                if len(reached) > most:
                    raise CallerError(Refusal.TOO_COSTLY, f"a chain leads to more than {most}")
    return frozenset(reached)


def _led_to(hearing: Hearing, link: Link, one: Judged) -> Iterable[str]:
    """Where a resource that was found leads: to itself, or to what it refers to."""
    if one.envelope is None:
        return ()
    if not link.reverse:
        return (one.envelope.reference,)
    paths = _paths(hearing, one.envelope.type, link.name)
    head = f"{hearing.request.type}/"
    named = shown_references(hearing, one, paths)
    return (reference for reference in named if reference.startswith(head))


def _paths(hearing: Hearing, rtype: str, name: str) -> tuple[str, ...]:
    param = joining(rtype, name, hearing.house.definitions)
    return () if param is None else param.paths


def _narrowed(
    resolved: Resolved, link: Link, reached: frozenset[str], hearing: Hearing
) -> Resolved:
    """The search with a plain parameter in the place of a chain. Sorted, so that equal searches are spelled alike."""
    request, ties = resolved
    if link.reverse:
        ids = tuple(sorted(one.partition("/")[2] for one in reached))
        plain, tie = SearchParameter("_id", "", ids), Tie((), reached)
    else:
        plain = SearchParameter(link.name, "", tuple(sorted(reached)))
        tie = Tie(_paths(hearing, request.type, link.name), reached)
    limited = replace(request, parameters=(*request.parameters, plain))
    return Resolved(limited, (*ties, tie))


def _with_one_id(resolved: Resolved) -> Resolved | None:
    """Several `_id` become the one list that all of them allow: servers differ in what they make of several."""
    request = resolved.request
    lists = [one.values for one in request.parameters if one.name == "_id"]
    if len(lists) < 2 or not request.links:  # noqa: PLR2004  (several)
        return resolved
    shared = frozenset(lists[0]).intersection(*lists[1:])
    others = tuple(one for one in request.parameters if one.name != "_id")
    one = SearchParameter("_id", "", tuple(sorted(shared)))
    return (
        resolved._replace(request=replace(request, parameters=(*others, one))) if shared else None
    )
