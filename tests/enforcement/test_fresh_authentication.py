"""Break-glass asks how strongly and how lately its opener was authenticated, where the policy says so (T-185)."""

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from proxy.enforcement.emergency import MOST_SKEW_S, is_freshly_known
from proxy.policy.break_glass import BreakGlass
from tests.emergencies import JSON, opening
from tests.situations import DOCTOR, principal_of
from tests.stage import BASELINE, NOW, Upstream, serving, staged, world_of

LEAST = {"may_open": {"role": ["physician"]}, "reasons": ["v3-ActReason#ETREAT"]}
WHO = principal_of("Practitioner/dr-martin", DOCTOR, "TREAT")


def known(section: dict[str, object], acr: str = "", at: float | None = None) -> bool:
    principal = replace(WHO, acr=acr, authenticated_at=at)
    return is_freshly_known(
        BreakGlass.model_validate_json(orjson.dumps(LEAST | section)), principal, NOW
    )


@pytest.mark.parametrize(
    ("section", "acr", "at", "expected"),
    [
        ({}, "", None, True),
        ({"acr": ["eidas2", "eidas3"]}, "eidas3", None, True),
        ({"acr": ["eidas2"]}, "eidas1", NOW, False),
        ({"acr": ["eidas2"]}, "", NOW, False),
        ({"authenticated_within": 10}, "", NOW - 600, True),
        ({"authenticated_within": 10}, "", NOW - 601, False),
        ({"authenticated_within": 10}, "", NOW + MOST_SKEW_S, True),
        ({"authenticated_within": 10}, "", NOW + MOST_SKEW_S + 1, False),
        ({"authenticated_within": 10}, "", None, False),
        ({"authenticated_within": 10, "acr": ["a"]}, "a", NOW, True),
        ({"authenticated_within": 10, "acr": ["a"]}, "b", NOW, False),
    ],
)
def test_strength_and_freshness_are_asked_as_the_policy_says(
    section: dict[str, object], acr: str, at: float | None, expected: bool
) -> None:
    assert known(section, acr, at) is expected


DOCTOR_NOW = {"like": "outside-clinician", "acr": "eidas2", "auth_time": NOW - 60}


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (DOCTOR_NOW, 200),
        ({**DOCTOR_NOW, "auth_time": NOW - 3600}, 403),
        ({**DOCTOR_NOW, "auth_time": None}, 403),
        ({**DOCTOR_NOW, "acr": "eidas1"}, 403),
        ({**DOCTOR_NOW, "acr": None}, 403),
        ({**DOCTOR_NOW, "auth_time": "yesterday"}, 401),
    ],
)
async def test_who_is_not_freshly_known_opens_nothing(
    tmp_path: Path, who: dict[str, object], status: int
) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(BASELINE, pack)
    path = pack / "break-glass.yaml"
    path.write_text(
        path.read_text().replace(
            "break_glass:\n", "break_glass:\n  acr: [eidas2]\n  authenticated_within: 15\n"
        )
    )
    async with (
        serving(Upstream(world_of()).respond) as url,
        staged(tmp_path, url, policies=pack) as stage,
    ):
        answer = await stage.ask("$break-glass", who, "POST", JSON, opening())
        assert answer.status == status
        [entry] = stage.entries()
        assert bool(entry.grants) is (status == 200)
