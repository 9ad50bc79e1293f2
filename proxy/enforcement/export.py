"""Bulk export: kick-off, status, files and deletion of a job that the gateway owns (https://hl7.org/fhir/uv/bulkdata/export.html).

Laws:
- Refused from the shape of the request and from who asks, before upstream hears of it; where upstream cannot export, every
  caller hears the same 501. A rule of the policies must name `export`.
- Who began a job holds it: for anybody else it does not exist. Every step is judged anew, with today's policy and facts.
- What the steps answer depends on the request alone (`fhir.export`); what was found is told by the lines of the files.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec

from proxy.decision.decide import decide_request, decide_resource
from proxy.decision.handling import conveyed
from proxy.enforcement.compartments import guarded
from proxy.enforcement.exporting import Asking
from proxy.enforcement.hearing import OK, Hearing
from proxy.enforcement.house import House
from proxy.enforcement.lines import File, lines_of
from proxy.enforcement.wished import changed, named_patients
from proxy.errors import CallerError, OwnError, Refusal
from proxy.facts.model import Facts
from proxy.fhir import export
from proxy.fhir.interaction import (
    FILE_OF_EXPORT,
    KICK_OFF,
    STATUS_OF_EXPORT,
    Answer,
    FhirRequest,
    Interaction,
    path_of,
)
from proxy.fhir.kickoff import Wish, asked_of_upstream, posted, query_of, wish_of
from proxy.fhir.ndjson import MEDIA_TYPE
from proxy.fhir.negotiation import require_async
from proxy.fhir.operation import instant
from proxy.fhir.query import encode_query, pairs_of
from proxy.fhir.warning import header_of
from proxy.obligations.cursor import binding_of
from proxy.obligations.guard import fulfillable
from proxy.obligations.includes import references_of
from proxy.obligations.job import Job, seal_job, unseal_job

ACCEPTED = 202
_JSON = {"content-type": "application/json"}


async def perform(hearing: Hearing) -> Answer:
    """One step of an export."""
    return await _STEPS[hearing.request.operation, hearing.raw.method](hearing)


def require_offered(house: House, request: FhirRequest) -> None:
    """Refuse what upstream cannot export, whoever asks."""
    level = request.type if request.operation == KICK_OFF else None
    offered = house.exports.levels
    if not offered or (level is not None and level not in offered):
        raise CallerError(Refusal.NOT_SUPPORTED, "upstream has no such export")


async def _kick_off(hearing: Hearing) -> Answer:
    house, request = hearing.house, hearing.request
    require_async(hearing.raw.headers)
    wish = _wish(hearing)
    types = _admitted(hearing, wish)
    _require_filters(hearing, wish, types)
    if request.type == export.GROUP:
        await _group(hearing, f"{request.type}/{request.id}")
    patients = await named_patients(hearing, wish.patients)
    # Where nobody is left whom the caller sees, there is nothing to ask upstream for, be they hidden or not there.
    url = "" if wish.patients and not patients else await _begun(hearing, wish, types, patients)
    expires = hearing.now + house.exports.job_s
    job = Job(_binding(hearing), expires, url, _with_query(request, query_of(wish)), types)
    sealed = seal_job(job, house.cursor_key, house.nonce())
    if len(sealed) > export.LONGEST_JOB:
        raise CallerError(Refusal.TOO_LARGE, "the export names more than its links can hold")
    return Answer(ACCEPTED, {"content-location": _url(hearing, STATUS_OF_EXPORT, _job=sealed)}, b"")


async def _begun(
    hearing: Hearing, wish: Wish, types: tuple[str, ...], patients: tuple[str, ...]
) -> str:
    """The status URL of the job that upstream begins. Named or narrowed, the types go up, so that it exports no more than may leave."""
    every = types == export.types_of(hearing.request.type, hearing.house.definitions)
    asked = replace(wish, types=() if every else types, patients=patients)
    query, body = asked_of_upstream(asked)
    target = _with_query(hearing.request, query)
    return await hearing.house.exports.upstream.kick_off(target, _asking(hearing), body)


def _with_query(request: FhirRequest, query: str) -> str:
    return "?".join(filter(None, (path_of(request), query)))


def _wish(hearing: Hearing) -> Wish:
    """What is asked for. Patients are named in a body alone, and of a Group none: who is in it would be told by it."""
    house, request = hearing.house, hearing.request
    if any(name == "patient" for name, _ in request.pairs):
        raise CallerError(Refusal.PARAMETER, "`patient` is given in a POST")
    is_posted = hearing.raw.method == "POST"
    more = posted(hearing.raw.body, house.public_url) if is_posted else ()
    wish = wish_of(request.pairs + more, house.definitions, house.public_url)
    if wish.patients and request.type != export.PATIENT:
        raise CallerError(Refusal.PARAMETER, "`patient` narrows an export of patients alone")
    return wish


def _require_filters(hearing: Hearing, wish: Wish, types: tuple[str, ...]) -> None:
    """Refuses searches of types that are not exported, and whatever reads what may be redacted for the caller."""
    conditions = [condition for one in wish.filters for condition in one.conditions]
    if len(fulfillable(conditions, hearing.case)) < len(set(conditions)):
        raise CallerError(
            Refusal.PARAMETER, "`_typeFilter` reads an element that is redacted for this caller"
        )
    if wish.is_dated:
        # When a redacted view changed would tell that what is hidden in it did (T-61).
        for rtype in types:
            guarded(hearing, changed(rtype))
    if not {one.rtype for one in wish.filters} <= set(types):
        raise CallerError(Refusal.PARAMETER, "`_typeFilter` searches a type that is not exported")


def _admitted(hearing: Hearing, wish: Wish) -> tuple[str, ...]:
    """The types that are exported: all that were named, or else those of the level that may be."""
    named = wish.types
    if named:
        _require_admitted(hearing, named)
        return named
    every = export.types_of(hearing.request.type, hearing.house.definitions)
    found = tuple(one for one in every if decide_request(hearing.case, one).permits)
    if not found:
        _require_admitted(hearing, every)
    return found


def _require_admitted(hearing: Hearing, types: tuple[str, ...]) -> None:
    for rtype in types:
        decision = decide_request(hearing.case, rtype)
        if not decision.permits:
            hearing.record.decide(decision)
            if not hearing.case.closure.complete:
                raise OwnError("who the caller is could not be looked up")
            raise CallerError(Refusal.FORBIDDEN, "scope or policy does not cover this export")


async def _group(hearing: Hearing, reference: str) -> bytes:
    """The Group, which must be open to the caller, its members apart: whether it exists says nothing of who is in it.

    Were it judged as the record of each of its members, one who opposes would close it, and so be told from one who is no member.
    """
    case = hearing.case
    _require_admitted(hearing, (export.GROUP,))
    body = await hearing.ask(reference)
    [envelope] = hearing.reader.read_all([body])
    if envelope is None or envelope.reference != reference:
        raise CallerError(Refusal.NOT_FOUND, "the group cannot be read")
    roster = msgspec.structs.replace(envelope, patients=frozenset(), matter=None)
    decision = decide_resource(case, roster, Facts(case.closure, hearing.now, {}, {}))
    if not decision.permits:
        hearing.record.touch(envelope.reference, "withheld", decision, (), ())
        raise CallerError(Refusal.NOT_FOUND, "withheld")
    return body


async def _status(hearing: Hearing) -> Answer:
    house = hearing.house
    sealed = export.job_of(hearing.request.pairs)
    job = _job(hearing, sealed)
    made = await _made(hearing, job)
    if made is None:
        # Upstream's own words on progress would tell how much there is (T-64).
        return Answer(ACCEPTED, {"retry-after": str(house.exports.poll_s)}, b"")
    request = f"{house.public_url}/{job.request}"

    def url_of(rtype: str) -> str:
        return _url(hearing, FILE_OF_EXPORT, _job=sealed, _type=rtype)

    return Answer(OK, _JSON, export.written(made.instant, request, job.types, url_of))


async def _file(hearing: Hearing) -> Answer:
    """All that upstream has of a type, in one file; warnings stand at its head, for no line could bear them."""
    house = hearing.house
    sealed, rtype = export.file_of(hearing.request.pairs)
    job = _job(hearing, sealed)
    if rtype not in job.types:
        raise CallerError(Refusal.NOT_FOUND, "the export has no such file")
    made = await _made(hearing, job)
    if made is None:
        raise CallerError(Refusal.NOT_FOUND, "the export is under way, and has no files")
    told = conveyed(hearing.case)
    given = pairs_of(job.request.partition("?")[2])
    wish = wish_of(given, house.definitions, house.public_url)
    file = File(rtype, told, wish, await _whose(hearing, wish, job))
    lines = lines_of(hearing, made.urls(rtype), file, _asking(hearing))
    first = await anext(lines)
    headers = {"content-type": MEDIA_TYPE, "x-intermediary": house.public_url, **header_of(told)}
    return Answer(OK, headers, first, lines)


async def _whose(hearing: Hearing, wish: Wish, job: Job) -> frozenset[str] | None:
    """Whose lines alone a file holds: those of the patients that are named, or that the Group lists; `None`: everybody's.

    Upstream gives what refers to any member. That something about somebody else is there would tell of a hidden one; so
    a Group that lists no patient gives nothing.
    """
    if wish.patients:
        return frozenset(wish.patients)
    rtype, _, rest = job.request.partition("?")[0].partition("/")
    if rtype != export.GROUP:
        return None
    body = await _group(hearing, f"{rtype}/{rest.partition('/')[0]}")
    members = references_of(body, ("member.entity",), hearing.reader.normal)
    return frozenset(one for one in members if one.startswith("Patient/"))


async def _cancel(hearing: Hearing) -> Answer:
    job = _job(hearing, export.job_of(hearing.request.pairs), admitted=False)
    if job.url:
        await hearing.house.exports.upstream.cancel(job.url, _asking(hearing))
    return Answer(ACCEPTED, {}, b"")


async def _made(hearing: Hearing, job: Job) -> export.Manifest | None:
    """What upstream has made; nothing where it was asked for nothing; `None` while the export is under way."""
    exports = hearing.house.exports
    if not job.url:
        return export.Manifest(instant(job.expires - exports.job_s), ())
    body = await exports.upstream.manifest(job.url, _asking(hearing))
    return None if body is None else export.manifest_of(body)


def _job(hearing: Hearing, sealed: str, *, admitted: bool = True) -> Job:
    """The caller's own job; what it holds must still be admitted, unless it is to end."""
    job = unseal_job(sealed, hearing.house.cursor_key, _binding(hearing), hearing.now)
    if admitted:
        _require_admitted(hearing, job.types)
    return job


def _binding(hearing: Hearing) -> str:
    return binding_of(hearing.case.principal, hearing.record.policy_digest)


def _asking(hearing: Hearing) -> Asking:
    return Asking(hearing.raw.request_id, hearing.authorization)


def _url(hearing: Hearing, operation: str, **parameters: str) -> str:
    path = path_of(FhirRequest(Interaction.EXPORT, operation=operation))
    return f"{hearing.house.public_url}/{path}?{encode_query(list(parameters.items()))}"


_STEPS: Mapping[tuple[str, str], Callable[[Hearing], Awaitable[Answer]]] = {
    (KICK_OFF, "GET"): _kick_off,
    (KICK_OFF, "POST"): _kick_off,
    (STATUS_OF_EXPORT, "GET"): _status,
    (STATUS_OF_EXPORT, "DELETE"): _cancel,
    (FILE_OF_EXPORT, "GET"): _file,
}
"""What each step is performed by, by operation and method."""
