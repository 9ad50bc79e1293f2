"""`$lastn` and `$docref`, beside the golden conversations: how observations are grouped."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.enforcement.composed import _latest, codes_of, taken_at
from proxy.fhir.coding import CONFIDENTIALITY, INLINE_LABEL
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate
from tests.attacks.records import ACT_CODE, NURSE, PHYSICIAN, ZED, about
from tests.stage import BASELINE, Json, Upstream, bundle, serving, staged, world_of

LABEL_V = {"system": CONFIDENTIALITY, "code": "V"}
LABEL_R = {"system": CONFIDENTIALITY, "code": "R"}
PROCESS = {"system": ACT_CODE, "code": "PROCESSINLINELABEL"}

CODES = [
    ({"coding": [{"system": "s", "code": "a"}]}, [("s", "a")]),
    ({"coding": [{"code": "a"}, {"system": "t", "code": "b"}]}, [("", "a"), ("t", "b")]),
    ({"text": "x"}, [("text", "x")]),
    ({"coding": [{"system": "s"}], "text": "x"}, [("text", "x")]),
    ({"coding": "no list"}, [("text", "")]),
    (None, [("text", "")]),
    ([1], [("text", "")]),
]


@pytest.mark.parametrize(("code", "expected"), CODES)
def test_an_observation_is_of_its_codings(code: object, expected: list[tuple[str, str]]) -> None:
    assert codes_of(json.dumps({"code": code}).encode()) == expected


WHEN = [
    ({"effectiveDateTime": "2026-01-01", "issued": "2026-02-01T00:00:00Z"}, "2026-01-01"),
    ({"effectiveInstant": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
    ({"effectivePeriod": {"start": "2026-01-01", "end": "2026-02-01"}}, "2026-01-01"),
    ({"effectivePeriod": "2026-01-01"}, ""),
    ({"effectiveTiming": {"event": ["2026-01-01"]}}, ""),
    ({"issued": "2026-02-01T00:00:00Z", "meta": {"lastUpdated": "2026-02-01T00:00:00Z"}}, ""),
    ({"effectiveDateTime": 2026}, ""),
]


@pytest.mark.parametrize(("observation", "expected"), WHEN)
def test_an_observation_was_taken_when_it_says(observation: object, expected: str) -> None:
    assert taken_at(json.dumps(observation).encode()) == expected


def candidate(number: int, codes: list[str]) -> Candidate:
    raw = json.dumps({"code": {"coding": [{"system": "s", "code": one} for one in codes]}})
    return Candidate(f"o{number}", Judged(raw.encode(), None, None), visible=True, mode="match")


ROWS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=2), max_size=12)


@given(ROWS, st.integers(1, 4))
def test_the_latest_is_kept_and_nothing_stands_twice(rows: list[list[str]], most: int) -> None:
    ordered = [candidate(number, codes) for number, codes in enumerate(rows)]
    kept = list(_latest(ordered, most))
    assert len({one.key for one in kept}) == len(kept)
    assert kept == sorted(kept, key=ordered.index)
    if rows:
        assert kept[0] == ordered[0]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_of_observations_with_one_code_each_the_first_of_each_code_are_kept(
    rows: list[str], most: int
) -> None:
    kept = list(_latest([candidate(n, [code]) for n, code in enumerate(rows)], most))
    expected = [f"o{n}" for n, code in enumerate(rows) if rows[:n].count(code) < most]
    assert [one.key for one in kept] == expected


LABORATORY = [{"coding": [{"code": "laboratory"}]}]


def measured(own: str, code: str, **more: object) -> Json:
    return about("Observation", own, status="final", code={"coding": [{"code": code}]}, category=LABORATORY, **more)  # fmt: skip


MEASURED = (
    measured("a1", "x", effectiveDateTime="2026-01-01"), measured("a2", "x", effectiveDateTime="2026-02-01"),
    measured("b1", "y", effectiveDateTime="2026-01-03"), measured("b2", "y"),
)  # fmt: skip
_LAST = "Observation/$lastn?patient=zed&category=laboratory"
REDACTED = [
    ("Observation.code", _LAST, 400),
    ("Observation.effective", _LAST, 400),
    ("Observation.issued", _LAST, 200),
    ("Observation.category", _LAST, 400),
    ("Observation.subject", _LAST, 400),
    ("*.subject", _LAST, 400),
    ("Observation.code.text", _LAST, 400),
    ("Observation.category", "Observation/$lastn?patient=zed&code=x", 200),
    ("Observation.note", _LAST, 200),
    ("Condition.code", _LAST, 200),
]


def policies(folder: Path, path: str) -> Path:
    """The baseline, and a rule that lets physicians see Observations without some element."""
    made = folder / "policies"
    shutil.copytree(BASELINE, made, ignore=shutil.ignore_patterns("tests", "hospital"))
    (made / "less.yaml").write_text(
        f"""
policy: less
version: "1"
source: a test
rules:
  - id: physicians-see-less
    description: Physicians see less of some.
    effect: permit
    target: {{principal: {{role: [physician]}}, consent: [permit], purpose: [TREAT]}}
    redact: {{remove: ["{path}"]}}
"""
    )
    return made


@pytest.mark.parametrize(("path", "target", "status"), REDACTED)
async def test_the_last_ones_are_not_told_by_what_is_redacted(
    tmp_path: Path, path: str, target: str, status: int
) -> None:
    upstream = Upstream(world_of(bundle(*ZED, *MEASURED)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, policies=policies(tmp_path, path)) as stage,
    ):
        upstream.calls.clear()
        reply = await stage.ask(target, PHYSICIAN)
        assert reply.status == status, reply.body
        if status == 400:
            assert not any("/Observation" in one.target for one in upstream.calls)


async def test_the_last_ones_are_those_that_show(tmp_path: Path) -> None:
    """What is hidden, and what is cut out of some, moves neither group nor order."""
    shut = measured("a3", "x", effectiveDateTime="2026-03-01", meta={"security": [LABEL_V]})
    cut = measured("a4", "x", effectiveDateTime="2026-04-01", meta={"security": [PROCESS]})
    cut["code"]["extension"] = [{"url": INLINE_LABEL, "valueCoding": LABEL_R}]
    plain, hiding = world_of(bundle(*ZED, *MEASURED)), world_of(bundle(*ZED, *MEASURED, shut, cut))
    upstream = Upstream(plain)
    async with serving(upstream.respond) as url, staged(tmp_path, url) as stage:
        for most, found in ((1, ["a2", "b1"]), (2, ["a2", "b1", "a1", "b2"])):
            for world in (plain, hiding):
                upstream.world = world
                reply = await stage.ask(f"{_LAST}&max={most}", NURSE)
                assert sorted(reply.ids) == sorted(f"Observation/{one}" for one in found), reply.ids
                assert reply.json["total"] == len(found)
