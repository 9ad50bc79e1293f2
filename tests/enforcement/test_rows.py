"""What stands in a row that goes with a pruned reference, and which searches read it; the answers stand in tests/worlds/test_held_worlds.py."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.obligations.prune import goes_with
from tests.stage import Json, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
CAMILLE = {"reference": "Patient/camille"}
GONE = {"reference": "RelatedPerson/r-no-such"}


def attended(name: str, *participants: tuple[Json, str]) -> Json:
    rows = [
        {"individual": who, "type": [{"coding": [{"system": "urn:t", "code": code}]}]}
        for who, code in participants
    ]
    return {"resourceType": "Encounter", "id": name, "status": "finished", "class": {"code": "AMB"}, "subject": CAMILLE, "participant": rows}  # fmt: skip


DOCTOR = {"reference": "Practitioner/dr-martin"}

DETAIL = {"kind": "Task", "status": "completed", "performer": [DOCTOR]}


def planned(name: str, *activities: Json) -> Json:
    return {"resourceType": "CarePlan", "id": name, "status": "active", "intent": "plan", "subject": CAMILLE, "activity": list(activities)}  # fmt: skip


EXTRA = [
    planned("r-row", {"reference": GONE, "detail": DETAIL}),
    planned("r-rest", {"reference": GONE, "detail": DETAIL}, {"detail": DETAIL}),
    attended("r-both", (GONE, "PART"), (DOCTOR, "ADM")),
    attended("r-seen", (DOCTOR, "PART")),
    attended("r-gone", (GONE, "ADM")),
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


OURS = "_id=r-both,r-seen,r-gone"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("participant-type=PART", ["r-seen"]),
        ("participant-type=ADM", ["r-both"]),
        ("participant-type=urn:t|ADM", ["r-both"]),
        ("participant-type=ADM,PART", ["r-both", "r-seen"]),
        ("participant-type=ADM&participant-type=PART", []),
        ("participant-type:missing=false", ["r-seen"]),
        ("participant-type:not=X", ["r-seen"]),
        ("_sort=participant-type", ["r-seen"]),
        ("status=finished", ["r-both", "r-gone", "r-seen"]),
        ("_summary=count&participant-type=PART", []),
    ],
)
async def test_nothing_is_found_by_what_is_gone(scene: Scene, query: str, found: list[str]) -> None:
    reply = await scene.stage.ask(f"Encounter?{OURS}&{query}", PHYSICIAN)
    assert reply.status == 200
    assert sorted(reply.ids) == [f"Encounter/{one}" for one in found]
    assert reply.json["total"] == (1 if "count" in query else len(found))


GOES = [
    ("Encounter", "participant.type", True),
    ("Encounter", "participant", True),
    ("Encounter", "location.period", True),
    ("Encounter", "status", False),
    ("Encounter", "identifier", False),
    ("AuditEvent", "entity.name", True),
    ("CarePlan", "activity.detail.code", True),
    ("Composition", "section.code", True),
    ("Condition", "stage.summary", True),
    ("Condition", "evidence.code", False),
    ("DocumentReference", "relatesTo.code", True),
    ("Immunization", "reaction.date", True),
    ("Observation", "component.code", False),
    ("Patient", "name", False),
    ("Patient", "contact.name", True),
]


@pytest.mark.parametrize(("rtype", "path", "goes"), GOES)
async def test_which_elements_stand_in_a_row_that_may_go(rtype: str, path: str, goes: bool) -> None:
    assert goes_with(rtype, path, definitions_of("4.0.1").references[rtype]) is goes


@pytest.mark.parametrize("version", FHIR_VERSIONS)
async def test_a_participant_is_a_row_in_every_version(version: str) -> None:
    references = definitions_of(version).references["Encounter"]
    assert goes_with("Encounter", "participant.type", references)
    assert not goes_with("Encounter", "identifier", references)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("CarePlan?_id=r-row,r-rest", ["r-rest", "r-row"]),
        ("CarePlan?_id=r-row,r-rest&performer=Practitioner/dr-martin", ["r-rest"]),
        ("CarePlan?_id=r-row,r-rest&performer:Practitioner.family=Martin", ["r-rest"]),
        ("CarePlan?_id=r-row,r-rest&performer:missing=true", ["r-row"]),
        ("CarePlan?_id=r-row,r-rest&performer:missing=false", ["r-rest"]),
        ("Practitioner/dr-martin/CarePlan?_id=r-row,r-rest", ["r-rest"]),
        ("CarePlan?_id=r-row&_include=CarePlan:performer", ["r-row"]),
        ("CarePlan?_id=r-rest&_include=CarePlan:performer", ["dr-martin", "r-rest"]),
        ("Practitioner?_id=dr-martin&_revinclude=CarePlan:performer", ["dr-martin", "r-rest"]),
        ("Practitioner?_id=dr-martin&_has:CarePlan:performer:_id=r-row", []),
        ("Practitioner?_id=dr-martin&_has:CarePlan:performer:_id=r-rest", ["dr-martin"]),
    ],
)
async def test_nobody_is_found_by_who_stands_in_a_row_that_is_gone(
    scene: Scene, query: str, found: list[str]
) -> None:
    """The row goes with another reference in it, though who is named beside that is no secret."""
    reply = await scene.stage.ask(query, PHYSICIAN)
    assert reply.status == 200, reply.text
    assert sorted(one["resource"]["id"] for one in reply.json.get("entry", ())) == found
