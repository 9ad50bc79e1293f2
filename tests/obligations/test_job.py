import msgspec
import pytest

from proxy.errors import CallerError, Refusal
from proxy.obligations.cursor import Cursor, seal
from proxy.obligations.job import Job, seal_job, unseal_job
from proxy.obligations.places import Place
from proxy.obligations.seal import NONCE_BYTES

KEY, NONCE = b"k" * 32, bytes(NONCE_BYTES)
JOB = Job("owner", 100.0, "http://up/job/1", "$export", ("Patient",))


def refused(text: str, binding: str = "owner", now: float = 0.0) -> str:
    with pytest.raises(CallerError) as caught:
        unseal_job(text, KEY, binding, now)
    assert caught.value.refusal is Refusal.NOT_FOUND
    return caught.value.detail


def test_a_job_opens_for_its_owner_until_it_is_over() -> None:
    text = seal_job(JOB, KEY, NONCE)
    assert unseal_job(text, KEY, "owner", 100.0) == JOB
    assert refused(text, now=100.1)
    assert refused(text, binding="another")
    assert "up" not in text


def test_a_page_link_is_no_job() -> None:
    cursor = Cursor("owner", 100.0, Place(hint="http://up"), "$export", "")
    assert refused(seal(cursor, KEY, NONCE))


def test_another_replica_s_key_opens_nothing() -> None:
    assert refused(seal_job(JOB, b"x" * 32, NONCE))
    assert refused(seal_job(msgspec.structs.replace(JOB, binding="x"), KEY, NONCE))
