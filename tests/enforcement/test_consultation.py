"""A question is read strictly, and what is rehearsed for it is written down."""

import msgspec
import pytest

from proxy.enforcement.consultation import (
    DEEPEST_QUESTION,
    LONGEST_QUESTION,
    asked_of,
    caller_form,
    demand_json,
)
from proxy.errors import CallerError, Refusal
from proxy.fhir.interaction import RawRequest
from tests.situations import DOCTOR, principal_of


class Question(msgspec.Struct):
    what: str
    why: object = None


def raw(body: bytes, content_type: str | None = "application/json") -> RawRequest:
    headers = {} if content_type is None else {"content-type": content_type}
    return RawRequest("POST", "/question", headers, body, "r")


def test_a_question_is_read() -> None:
    assert asked_of(raw(b'{"what":"x","other":1}'), Question) == Question("x")


DEEP = b'{"what":"x","why":' + b"[" * DEEPEST_QUESTION + b"]" * DEEPEST_QUESTION + b"}"
WRONG = [
    (b"", Refusal.MALFORMED),
    (b"[]", Refusal.MALFORMED),
    (b"null", Refusal.MALFORMED),
    (b'{"what":1}', Refusal.MALFORMED),
    (b"{}", Refusal.MALFORMED),
    (b'{"what":"x","what":"x"}', Refusal.MALFORMED),
    (b'{"what":"x","\\u0077hat":"y"}', Refusal.MALFORMED),
    (b'{"what":"x","why":NaN}', Refusal.MALFORMED),
    (b'{"what":"\xff"}', Refusal.MALFORMED),
    (b'{"what":"x"} {}', Refusal.MALFORMED),
    (DEEP, Refusal.MALFORMED),
    (b'{"what":"x","why":' + b"[" * 50_000, Refusal.MALFORMED),
    (b" " * LONGEST_QUESTION + b"{}", Refusal.TOO_LARGE),
]


@pytest.mark.parametrize(("body", "refusal"), WRONG)
def test_what_two_parsers_could_read_differently_is_no_question(
    body: bytes, refusal: Refusal
) -> None:
    with pytest.raises(CallerError) as refused:
        asked_of(raw(body), Question)
    assert refused.value.refusal is refusal


def test_a_question_that_is_almost_too_deep_is_read() -> None:
    depth = DEEPEST_QUESTION - 1
    body = b'{"what":"x","why":' + b"[" * depth + b"]" * depth + b"}"
    assert asked_of(raw(body), Question).what == "x"


@pytest.mark.parametrize("stated", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_json_however_it_is_written(stated: str) -> None:
    demand_json(raw(b"{}", stated))


@pytest.mark.parametrize("stated", [None, "", "text/plain", "application/jsonp", "application/x-www-form-urlencoded"])  # fmt: skip
def test_what_is_not_called_json_is_malformed(stated: str | None) -> None:
    with pytest.raises(CallerError) as refused:
        demand_json(raw(b"{}", stated))
    assert refused.value.refusal is Refusal.MALFORMED


def test_a_supposed_caller_is_kept_as_every_caller_is() -> None:
    kept = caller_form(principal_of("Practitioner/x", DOCTOR, "TREAT"))
    assert isinstance(kept, dict)
    assert (kept["fhir_user"], *kept["purposes"]) == ("Practitioner/x", "TREAT")
