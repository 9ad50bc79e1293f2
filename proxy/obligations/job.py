"""Sealed export jobs: upstream's status URL, encrypted and bound to whoever began the export (T-40). Pure.

The gateway keeps no table of jobs: whoever shows the sealed job is judged anew, and any replica with the key can open it.
"""

import msgspec

from proxy.errors import CallerError, Refusal
from proxy.obligations.seal import opened, sealed

_PURPOSE = b"fhir-consent-proxy export job v1"


class Job(msgspec.Struct, frozen=True, array_like=True):
    """An export under way: upstream's status `url`, the `types` that it holds, the `request` that began it.

    `binding` is that of page links (`cursor.binding_of`); `expires` in seconds since the epoch.
    """

    binding: str
    expires: float
    url: str
    request: str
    types: tuple[str, ...]


_DECODER = msgspec.msgpack.Decoder(Job)


def seal_job(job: Job, key: bytes, nonce: bytes) -> str:
    """The job as URL-safe text. The nonce must be new for every call."""
    return sealed(msgspec.msgpack.encode(job), key, nonce, _PURPOSE)


def unseal_job(text: str, key: bytes, binding: str, now: float) -> Job:
    """The job; `CallerError(NOT_FOUND)` when it was altered, is another's or is over: one answer for all."""
    try:
        job = _DECODER.decode(opened(text, key, _PURPOSE) or b"")
    except msgspec.DecodeError:
        raise CallerError(Refusal.NOT_FOUND, "an export that was not begun here") from None
    if job.binding != binding or job.expires < now:
        raise CallerError(
            Refusal.NOT_FOUND, "an export of another caller or policy, or one that is over"
        )
    return job
