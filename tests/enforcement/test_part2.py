"""42 CFR 2.51 end to end, under policies/us-part2: an emergency opens what a missing consent keeps shut, and everybody is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.decision.cases import judge_cases
from proxy.policy.load import load, load_cases
from tests.emergencies import close_glass, open_glass
from tests.stage import ROOT, Stage, Upstream, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PACK = ROOT / "policies" / "us-part2"
NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
SUSAN, RECORD = "Patient/susan", "Observation/susan-urine-may"
STRANGER, REFUSED = "outside-clinician", "general-practitioner"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        serving(Upstream(world_of()).respond) as url,
        staged(folder, url, policies=PACK) as stage,
    ):
        yield Scene(stage)


async def test_an_emergency_opens_the_record_with_the_notice_and_tells_patient_and_officer(
    scene: Scene,
) -> None:
    stage = scene.stage
    assert (await stage.ask(RECORD, STRANGER)).status == 404
    assert (await open_glass(stage, STRANGER, SUSAN)).status == 200
    stage.entries()
    answer = await stage.ask(RECORD, STRANGER)
    assert (answer.status, answer.headers["warning"]) == (200, f'299 - "{NOTICE}"')
    [entry] = stage.entries()
    assert entry.warnings == (NOTICE,)
    told = [(one.recipient, one.patient) for one in entry.notices]
    assert told == [("patient", SUSAN), ("privacy-officer", SUSAN)]
    assert (await close_glass(stage, STRANGER, SUSAN)).status == 200
    assert (await stage.ask(RECORD, STRANGER)).status == 404


async def test_whom_the_patient_refused_by_name_is_refused_in_an_emergency_too(
    scene: Scene,
) -> None:
    stage = scene.stage
    assert (await open_glass(stage, REFUSED, SUSAN)).status == 200
    stage.entries()
    answer = await stage.ask(RECORD, REFUSED)
    assert (answer.status, answer.headers.get("warning")) == (404, None)
    [entry] = stage.entries()
    assert (entry.notices, entry.warnings) == ((), ())
    await close_glass(stage, REFUSED, SUSAN)


async def test_the_pack_answers_as_its_cases_say() -> None:
    policies = load(PACK)
    assert judge_cases(policies, load_cases(PACK, policies)) == []
