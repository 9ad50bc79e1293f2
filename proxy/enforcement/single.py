"""read and vread: one resource, or nothing (https://hl7.org/fhir/R4/http.html#read, #vread, #cread).

A conditional read is judged like any other; only then it is asked whether the caller holds what would leave (T-60).
A redacted view has no versions: which there are would tell that what is hidden has changed (T-61).
"""

from collections.abc import Mapping
from http import HTTPStatus

from proxy.enforcement.hearing import OK, Hearing
from proxy.enforcement.newest import Newest, last_before_deletion
from proxy.enforcement.references import judged_whole, settled
from proxy.errors import CallerError, OversizedError, Refusal, UpstreamError
from proxy.facts.finding import FindingKind
from proxy.fhir.envelope import Envelope, Resource, is_another, is_cut_off
from proxy.fhir.interaction import Answer, path_of
from proxy.fhir.outcome import CONTENT_TYPE
from proxy.fhir.warning import header_of
from proxy.obligations.cursor import binding_of
from proxy.obligations.disclose import Judged, disclose
from proxy.obligations.validators import is_held, view_tag


async def read(hearing: Hearing) -> Answer:
    """The current version."""
    return await _single(hearing, await current(hearing))


async def vread(hearing: Hearing) -> Answer:
    """An older version, judged by the labels and patients of both it and the newest (T-47)."""
    newest = (await standing(hearing)).judged
    older = await _permitted(hearing, path_of(hearing.request), over=newest.envelope)
    if not (leaves_whole(hearing, newest) and leaves_whole(hearing, older)):
        hearing.withhold(older)
        raise CallerError(Refusal.NOT_FOUND, "a redacted view has no versions")
    return await _single(hearing, older)


def leaves_whole(hearing: Hearing, judged: Judged) -> bool:
    """Whether a resource leaves at all, and as it came."""
    return judged.permitted and not disclose(judged, hearing.house.pseudonym_key).redacted


async def current(hearing: Hearing) -> Judged:
    """The current version of the instance that the request names, permitted; otherwise it is absent."""
    return await _permitted(hearing, f"{hearing.request.type}/{hearing.request.id}", over=None)


async def standing(hearing: Hearing) -> Newest:
    """The current version, or of a deleted instance the last one before its deletion: what all its versions are judged by (T-50).

    Where it is neither, it is absent; what is hidden, deleted and never there takes the same steps to tell.
    """
    try:
        return Newest(await current(hearing))
    except CallerError as error:
        if error.refusal is not Refusal.NOT_FOUND:
            raise
        last = await last_before_deletion(hearing, f"{hearing.request.type}/{hearing.request.id}")
        if last is None:
            raise
        if not last.judged.permitted:
            hearing.withhold(last.judged)
            raise
        _use(hearing, last.judged)
        return last


async def _permitted(hearing: Hearing, target: str, over: Envelope | None) -> Judged:
    body = await _body(hearing, target)
    [judged] = await judged_whole(
        hearing, [body], over={} if over is None else {over.reference: over}
    )
    # What is there and cannot be judged is hidden, and so absent; only half an answer, or another one, is a failure.
    if is_cut_off(body) or is_another(body, hearing.request.type, hearing.request.id):
        raise UpstreamError("upstream answered with another resource, or with none at all")
    if not judged.permitted or judged.envelope is None or not judged.envelope.id:
        hearing.withhold(judged)
        raise CallerError(Refusal.NOT_FOUND, "withheld")
    _use(hearing, judged)
    return judged


def _use(hearing: Hearing, judged: Judged) -> None:
    """What only a newest version behind a grant lets through is a use of it, whichever version leaves, and if none does."""
    if judged.decision is not None:
        hearing.record.use(judged.decision.grants)


async def _body(hearing: Hearing, target: str) -> Resource:
    """A version as upstream gives it. What is too large to be judged is hidden, and so absent."""
    try:
        return await hearing.ask(target)
    except OversizedError as error:
        hearing.record.find(FindingKind.UNREADABLE_RESOURCE, f"something too large in {target}")
        hearing.record.touch(target, "withheld", None, (), ())
        raise CallerError(Refusal.NOT_FOUND, error.detail) from None


async def _single(hearing: Hearing, permitted: Judged) -> Answer:
    [judged] = await settled(hearing, [permitted])
    if not judged.permitted:
        hearing.withhold(judged)
        raise CallerError(Refusal.NOT_FOUND, "withheld")
    disclosed = hearing.disclose(judged)
    house, body = hearing.house, bytes(disclosed.body)
    binding = binding_of(hearing.case.principal, hearing.case.compiled.policies.digest)
    tag = view_tag(body, binding, house.cursor_key)
    headers = {"etag": tag, **header_of(hearing.record.warned)}
    if disclosed.altered:
        headers["x-intermediary"] = house.public_url
    if is_held(hearing.raw.headers.get("if-none-match", ""), tag):
        return Answer(HTTPStatus.NOT_MODIFIED, headers, b"")
    return answer(body, headers)


def answer(body: Resource, extra: Mapping[str, str]) -> Answer:
    """A 200 with FHIR JSON."""
    return Answer(OK, {"content-type": CONTENT_TYPE, **extra}, bytes(body))
