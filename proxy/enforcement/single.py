"""read and vread: one resource, or nothing (https://hl7.org/fhir/R4/http.html#read, #vread)."""

from collections.abc import Mapping

from proxy.enforcement.hearing import OK, Hearing
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.envelope import Envelope, Resource, named_in
from proxy.fhir.interaction import Answer, path_of
from proxy.fhir.outcome import CONTENT_TYPE
from proxy.fhir.warning import header_of
from proxy.obligations.disclose import Judged


async def read(hearing: Hearing) -> Answer:
    """The current version."""
    return _single(hearing, await current(hearing))


async def vread(hearing: Hearing) -> Answer:
    """An older version, judged by the labels and patients of both versions (T-47)."""
    newest = await current(hearing)
    return _single(
        hearing, await _permitted(hearing, path_of(hearing.request), over=newest.envelope)
    )


async def current(hearing: Hearing) -> Judged:
    """The current version of the instance that the request names, permitted; otherwise it is absent."""
    return await _permitted(hearing, f"{hearing.request.type}/{hearing.request.id}", over=None)


async def _permitted(hearing: Hearing, target: str, over: Envelope | None) -> Judged:
    body = await hearing.ask(target)
    [judged] = await hearing.judge([body], over=over)
    # What is there and cannot be judged is hidden, and so absent; only another answer is a failure.
    found = judged.envelope.reference if judged.envelope else named_in(body)
    if found != f"{hearing.request.type}/{hearing.request.id}":
        raise UpstreamError("upstream answered with another resource, or with none at all")
    if not judged.permitted:
        hearing.withhold(judged)
        raise CallerError(Refusal.NOT_FOUND, "withheld")
    if judged.decision is not None:
        # What only a current version behind a grant lets through is a use of it, whichever version leaves.
        hearing.record.use(judged.decision.grants)
    return judged


def _single(hearing: Hearing, judged: Judged) -> Answer:
    disclosed = hearing.disclose(judged)
    warned = header_of(hearing.record.warned)
    if disclosed.redacted:
        return answer(disclosed.body, {"x-intermediary": hearing.house.public_url, **warned})
    version = judged.envelope.version if judged.envelope else ""
    return answer(disclosed.body, {"etag": f'W/"{version}"', **warned} if version else warned)


def answer(body: Resource, extra: Mapping[str, str]) -> Answer:
    """A 200 with FHIR JSON."""
    return Answer(OK, {"content-type": CONTENT_TYPE, **extra}, bytes(body))
