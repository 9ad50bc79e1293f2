"""The demo: the table holds, what is wrong is said, and nothing is left behind."""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from proxy.demo import playing
from proxy.demo import stage as stage_module
from proxy.demo.playing import Event, play
from proxy.demo.scenario import (
    INSURER,
    OUTSIDER,
    PEOPLE,
    PHYSICIAN,
    SCENARIO,
    Ceremony,
    Change,
    Part,
    Step,
)
from proxy.demo.stage import data_directory, demonstrate, staged
from proxy.errors import UnusableError

Written = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def test_every_line_comes_out_as_it_should_and_nothing_is_left_behind(
    capsys: Written, own_temporary_directory: Path
) -> None:
    assert await demonstrate() == []
    shown = capsys.readouterr().out
    count = sum(len(part.steps) for part in SCENARIO)
    assert f"{count} of {count} as expected" in shown
    assert "✗" not in shown
    assert '"resourceType": "AuditEvent"' in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert left_in(own_temporary_directory) == []


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def test_the_table_says_which_rule_or_consent_decided(capsys: Written) -> None:
    await demonstrate()
    shown = capsys.readouterr().out
    for source in (
        "care-team-reads", "masked-from-professionals", "insurers-never", "denied-by-the-patient",
        "Consent/ines-dr-outis", "general-practitioner-reads-masked", "there is none",
    ):  # fmt: skip
        assert source in shown


def scenario(*steps: Step | Change | Ceremony) -> tuple[Part, ...]:
    return (Part("a part", steps),)


def with_scenario(monkeypatch: pytest.MonkeyPatch, *steps: Step | Change | Ceremony) -> None:
    monkeypatch.setattr(playing, "SCENARIO", scenario(*steps))


WRONG = [
    (Step(PHYSICIAN, "Patient/noe", "whole"), "absent"),
    (Step(PHYSICIAN, "Patient/camille", "absent"), "whole"),
    (Step(PHYSICIAN, "Patient/camille", "without telecom"), "whole"),
    (Step(PHYSICIAN, "Observation?patient=camille&_count=50", "30 entries"), "29 entries"),
    (Step(PHYSICIAN, "Observation?patient=camille&_format=xml", "29 entries"), "status 406"),
    (Change("Consent/no-such-consent", "inactive"), "status"),
    (Ceremony(INSURER, "Patient/noe", "opened"), "refused"),
    (Ceremony(OUTSIDER, "Patient/noe", "ended"), "status 404"),
    (Ceremony(OUTSIDER, "Patient/noe and all others", "opened"), "status 400"),
]


@pytest.mark.parametrize(("step", "came_out"), WRONG, ids=lambda one: str(one)[:60])
async def test_what_comes_out_otherwise_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: Written, step: Step | Change | Ceremony, came_out: str
) -> None:
    with_scenario(monkeypatch, step)
    [line] = await demonstrate()
    assert f"got `{came_out}" in line
    assert "✗" in capsys.readouterr().out


async def test_break_glass_is_shown_from_its_opening_to_the_queue(capsys: Written) -> None:
    await demonstrate()
    shown = capsys.readouterr().out
    for text in (
        "$break-glass", "$end-break-glass", "break-glass-reads", "Consent/marcel-opposes-break-glass",
        "Emergency Override Started", "Emergency Override Stopped", '"code": "BTG"',
    ):  # fmt: skip
        assert text in shown
    queue = shown.partition("The review queue of break-glass")[2].partition("The AuditEvents")[0]
    [noe] = [line.split() for line in queue.splitlines() if "Patient/noe" in line]
    assert noe[:6] == ["Patient/noe", "Dr", "Paul", "Outis", "ended", "2"]


async def test_audit_events_that_do_not_arrive_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_scenario(monkeypatch, Step(PHYSICIAN, "Patient/camille", "whole"))

    async def none_arrive(_: str) -> list[Event]:
        return []

    monkeypatch.setattr(stage_module, "audit_events", none_arrive)
    [line] = await demonstrate()
    assert re.fullmatch(r"\d+ AuditEvents were not delivered in time", line)


async def test_a_hidden_resource_that_could_be_told_from_an_absent_one_is_found() -> None:
    """Against the bare FHIR server, whose 404 names the id, nothing counts as absent."""
    step = Step(PHYSICIAN, "DocumentReference/no-such-document", "absent")
    async with staged() as stage:
        open_house = await play(stage.upstream_url, stage.upstream_url, stage.sign)
        guarded = await play(stage.gateway.url, stage.upstream_url, stage.sign)
    [bare] = [one for one in open_house if one.request.endswith(step.target)]
    assert not bare.is_right
    assert bare.outcome == "status 404, unlike absent"
    assert all(one.is_right for one in guarded)


async def test_the_scenario_leaves_the_consent_as_it_was() -> None:
    changes = [step for part in SCENARIO for step in part.steps if isinstance(step, Change)]
    assert {change.consent: change.status for change in changes} == {
        "Consent/ines-dr-outis": "active"
    }
    async with staged() as stage:
        first = await play(stage.gateway.url, stage.upstream_url, stage.sign)
        second = await play(stage.gateway.url, stage.upstream_url, stage.sign)
    assert [one.outcome for one in first] == [one.outcome for one in second]


async def test_kept_running_it_prints_a_line_to_copy_for_each_person(
    monkeypatch: pytest.MonkeyPatch, capsys: Written
) -> None:
    with_scenario(monkeypatch, Step(PHYSICIAN, "Patient/camille", "whole"))
    statuses: list[int] = []

    class Stop(asyncio.Event):
        async def wait(self) -> Literal[True]:
            shown = capsys.readouterr().out
            curls = re.findall(
                r"^curl -H 'Authorization: (.+)' '(http://.+)'$", shown, re.MULTILINE
            )
            statuses.extend([await _status(url, token) for token, url in curls])
            return True

    assert await demonstrate(Stop) == []
    assert statuses == [200, 200, 404, 404, 200, 200, 403]


async def _status(url: str, token: str) -> int:
    async with (
        aiohttp.ClientSession(headers={"authorization": token}) as session,
        session.get(url) as answer,
    ):
        return answer.status


def test_the_samples_and_policies_that_come_with_the_product_are_found() -> None:
    assert (data_directory("policies") / "baseline" / "terms.yaml").is_file()
    assert (data_directory("fhir-samples") / "tokens").is_dir()


def test_in_an_installed_package_its_own_copies_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_data" / "policies").mkdir(parents=True)
    monkeypatch.setattr(stage_module, "_PACKAGE", tmp_path)
    assert data_directory("policies") == tmp_path / "_data" / "policies"
    with pytest.raises(UnusableError):
        data_directory("fhir-samples")


def test_every_person_has_a_claim_set_and_asks_something() -> None:
    asking = {step.person for part in SCENARIO for step in part.steps if isinstance(step, Step)}
    assert asking == set(PEOPLE)
    for person in PEOPLE:
        assert (data_directory("fhir-samples") / "tokens" / f"{person.token}.json").is_file()
