"""Break-glass for end-to-end tests: bodies of the ceremony, and a clock that can be set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from proxy.app import gateway as gateway_module
from proxy.settings import Settings
from tests.stage import NOW, Reply, Stage

JSON = {"content-type": "application/fhir+json"}
REASON = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"}
WHY = "found unconscious in the street, no relative at hand"


def body(**parameters: Any) -> bytes:
    """A Parameters resource: name -> (element, value)."""
    listed = [{"name": name, element: value} for name, (element, value) in parameters.items()]
    return orjson.dumps({"resourceType": "Parameters", "parameter": listed})


def opening(patient: str = "Patient/noe", reason: Any = REASON, why: str = WHY) -> bytes:
    return body(
        patient=("valueReference", {"reference": patient}),
        reason=("valueCoding", reason),
        justification=("valueString", why),
    )


def ending(patient: str = "Patient/noe") -> bytes:
    return body(patient=("valueReference", {"reference": patient}))


async def open_glass(stage: Stage, who: Any, patient: str = "Patient/noe") -> Reply:
    return await stage.ask("$break-glass", who, "POST", JSON, opening(patient))


async def close_glass(stage: Stage, who: Any, patient: str = "Patient/noe") -> Reply:
    return await stage.ask("$end-break-glass", who, "POST", JSON, ending(patient))


def values(reply: Reply) -> dict[str, Any]:
    """The values of a Parameters answer by name."""
    assert reply.status == 200, reply.text
    return {
        one["name"]: next(value for name, value in one.items() if name != "name")
        for one in reply.json["parameter"]
    }


@dataclass(slots=True)
class Clock:
    """The instant at which gateways of a test live."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Gateways that are started from now on read this clock."""
    clock = Clock()

    def clock_of(_: Settings) -> Callable[[], float]:
        return clock

    monkeypatch.setattr(gateway_module, "clock_of", clock_of)
    return clock
