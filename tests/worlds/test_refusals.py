"""Every refusal on the way a request is understood: each is reached by a request, and without it that request gets further."""

import traceback
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir import (
    chains,
    composed,
    interaction,
    membership,
    negotiation,
    operation,
    parameters,
    query,
    search,
)
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import RawRequest
from proxy.fhir.search import request_of
from tests.worlds.refusals import ELSEWHERE, REFUSED, Asked
from tests.worlds.removals import raises_of, unraised

MODULES = (
    search, parameters, query, chains, negotiation, membership, composed, interaction, operation,
)  # fmt: skip
PATHS = {module.__file__: module.__name__ for module in MODULES}
DEFINITIONS = definitions_of("4.0.1")
PUBLIC = "http://gateway.example.org/fhir"


class Refused(NamedTuple):
    """What was said, and where."""

    refusal: Refusal
    module: str
    line: int


def refused(asked: Asked) -> Refused | None:
    """Why a request is not understood; `None` where it is."""
    target = asked.target if asked.target.startswith("/") else f"/fhir/{asked.target}"
    raw = RawRequest(
        asked.method, target, dict(asked.headers), asked.body, "r1", repeated=asked.repeated
    )
    try:
        request_of(raw, "/fhir", PUBLIC, DEFINITIONS)
    except CallerError as error:
        return _where(error)
    return None


def _where(error: CallerError) -> Refused:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename in PATHS]
    sites = {PATHS[one.filename]: raises_of(PATHS[one.filename]) for one in frames}
    # A refusal may be made by one function and raised in another one, or raised again.
    at = next(one for one in frames if one.lineno in sites[PATHS[one.filename]])
    return Refused(error.refusal, PATHS[at.filename], at.lineno or 0)


def every_refusal() -> Iterator[tuple[str, int, str]]:
    """Module, line and function of each."""
    for module in MODULES:
        for line, name in raises_of(module.__name__).items():
            yield module.__name__, line, name


@pytest.mark.parametrize("asked", REFUSED, ids=lambda one: one.target[:60])
def test_without_a_refusal_its_request_gets_further(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refused(asked)
    assert found is not None
    unraised(found.module, found.line)(monkeypatch)
    try:
        left = refused(asked)
    except Exception:  # it breaks where nobody is left to refuse it  # noqa: BLE001
        return
    alike = left is not None and left.refusal is found.refusal
    assert alike == bool(asked.twice)


def test_each_refusal_is_reached_by_a_request_of_its_own() -> None:
    found = [refused(asked) for asked in REFUSED]
    reached = [(one.module, one.line) for one in found if one is not None]
    assert len(reached) == len(set(reached)) == len(REFUSED)
    left = {name for module, line, name in every_refusal() if (module, line) not in reached}
    assert left == set(ELSEWHERE)
