"""`$everything`, beside the golden conversations: completeness, dates, and what comes with a page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.fhir.definitions import definitions_of
from tests.stage import CANARY, Json, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN, NURSE = "care-team-physician", "care-team-nurse"
MEMBERS = definitions_of("4.0.1").compartment_patient


def of_camille(rtype: str, name: str, **more: object) -> Json:
    return {
        "resourceType": rtype,
        "id": name,
        "subject": {"reference": "Patient/camille"},
        "status": "final",
        "code": {"text": name},
        **more,
    }


SECRET = {
    "security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    ]
}
HIDDEN = (CANARY + "medication", CANARY + "hidden", CANARY + "practitioner", "e-hidden")
EXTRA = [
    of_camille("Observation", "e-2020", effectiveDateTime="2020-05-05"),
    of_camille("Observation", "e-2021", effectiveDateTime="2021-05-05"),
    of_camille(
        "Observation", "e-span", effectivePeriod={"start": "2020-12-01", "end": "2021-02-01"}
    ),
    of_camille(
        "Observation",
        "e-hidden",
        meta=SECRET,
        code={"text": CANARY + "hidden"},
        performer=[{"reference": "Practitioner/only-hidden"}],
    ),
    {
        "resourceType": "Practitioner",
        "id": "only-hidden",
        "name": [{"family": CANARY + "practitioner"}],
    },
    {
        "resourceType": "MedicationRequest",
        "id": "e-request",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/camille"},
        "medicationReference": {"reference": "Medication/e-secret"},
    },
    {
        "resourceType": "Medication",
        "id": "e-secret",
        "meta": SECRET,
        "code": {"text": CANARY + "medication"},
    },
]


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of(bundle(*EXTRA)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def pages(stage: Stage, target: str, who: str) -> list[list[Json]]:
    """The entries of each page."""
    at: str | None = target
    found: list[list[Json]] = []
    while at:
        reply = await stage.ask(at, who)
        assert reply.status == 200
        assert who == "patient" or not any(one in reply.text for one in HIDDEN)
        found.append(reply.json.get("entry", []))
        at = reply.next
    return found


def names(entries: list[Json], mode: str) -> list[str]:
    return [
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in entries
        if one["search"]["mode"] == mode
    ]


async def searched(stage: Stage, who: str) -> set[str]:
    """What the compartment searches of the same caller give, type by type."""
    found = {"Patient/camille"}
    for rtype in MEMBERS:
        reply = await stage.ask(f"Patient/camille/{rtype}?_count=1000", who)
        if reply.status == 200:
            found |= set(reply.ids)
    return found


@pytest.mark.parametrize("who", [PHYSICIAN, NURSE, "patient"])
async def test_everything_is_what_the_searches_of_the_caller_give(scene: Scene, who: str) -> None:
    [entries] = await pages(scene.stage, "Patient/camille/$everything?_count=1000", who)
    assert set(names(entries, "match")) == await searched(scene.stage, who)


@pytest.mark.parametrize("count", [1, 3, 10])
async def test_pages_hold_together_what_one_page_holds(scene: Scene, count: int) -> None:
    [whole] = await pages(scene.stage, "Patient/camille/$everything?_count=1000", PHYSICIAN)
    parts = await pages(scene.stage, f"Patient/camille/$everything?_count={count}", PHYSICIAN)
    assert [one for part in parts for one in names(part, "match")] == names(whole, "match")
    assert all(len(names(part, "match")) <= count for part in parts)
    included = {one for part in parts for one in names(part, "include")}
    assert included == set(names(whole, "include"))


async def test_a_page_brings_what_it_refers_to_and_nothing_else(scene: Scene) -> None:
    for entries in await pages(scene.stage, "Patient/camille/$everything?_count=4", PHYSICIAN):
        matches = str([one for one in entries if one["search"]["mode"] == "match"])
        assert all(one in matches for one in names(entries, "include"))


async def test_what_only_hidden_resources_refer_to_does_not_come(scene: Scene) -> None:
    asked = scene.upstream.calls
    asked.clear()
    [entries] = await pages(scene.stage, "Patient/camille/$everything?_count=1000", PHYSICIAN)
    assert "Practitioner/only-hidden" not in names(entries, "include")
    assert not any("only-hidden" in call.target for call in asked)


async def test_what_is_referred_to_and_hidden_does_not_come(scene: Scene) -> None:
    assert (await scene.stage.ask("Medication/e-secret", PHYSICIAN)).status == 404
    [entries] = await pages(scene.stage, "Patient/camille/$everything?_count=1000", PHYSICIAN)
    assert "MedicationRequest/e-request" in names(entries, "match")
    assert "Medication/e-secret" not in names(entries, "include")


SPANS = [
    ("start=2021", {"e-2021", "e-span"}),
    ("end=2020", {"e-2020", "e-span"}),
    ("start=2020-06&end=2020-07", set()),
    ("start=2020-12-15&end=2020-12-16", {"e-span"}),
    ("start=2021-05-05&end=2021-05-05", {"e-2021"}),
]


@pytest.mark.parametrize(("span", "expected"), SPANS)
async def test_start_and_end_are_dates_of_care(scene: Scene, span: str, expected: set[str]) -> None:
    target = f"Patient/camille/$everything?_type=Observation&_count=1000&{span}"
    [entries] = await pages(scene.stage, target, PHYSICIAN)
    mine = {one for one in names(entries, "match") if one.startswith("Observation/e-")}
    assert mine == {f"Observation/{one}" for one in expected}


async def test_what_has_no_date_of_care_is_always_there(scene: Scene) -> None:
    target = "Patient/camille/$everything?_type=Patient,Group&start=1990&end=1991"
    [entries] = await pages(scene.stage, target, PHYSICIAN)
    assert "Patient/camille" in names(entries, "match")


async def test_upstream_is_never_asked_for_the_operation(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await pages(scene.stage, "Patient/camille/$everything?_count=5", PHYSICIAN)
    assert not any("$" in call.target or "_leg" in call.target for call in scene.upstream.calls)


async def test_the_journal_has_a_search_with_all_that_left(scene: Scene) -> None:
    scene.stage.entries()
    [entries] = await pages(scene.stage, "Patient/camille/$everything?_count=1000", PHYSICIAN)
    [entry] = scene.stage.entries()
    left = {
        one.partition("/_history")[0]
        for touched in entry.touched
        if touched.outcome in {"disclosed", "redacted"}
        for one in touched.references
    }
    assert entry.interaction == "search-type"
    assert left == set(names(entries, "match")) | set(names(entries, "include"))


async def test_a_page_link_of_one_patient_opens_no_other(scene: Scene) -> None:
    reply = await scene.stage.ask("Patient/camille/$everything?_count=1", PHYSICIAN)
    assert reply.next
    other = reply.next.replace("Patient/camille", "Patient/ines")
    assert (await scene.stage.ask(other, PHYSICIAN)).status == 404
    assert (await scene.stage.ask(reply.next, NURSE)).status == 404
