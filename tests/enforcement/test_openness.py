"""`refusal: tell`: which requests name a patient, when a record is open, and that nothing else can be told."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.enforcement.openness import named_patients
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction
from tests.obligations.cases import DEFINITIONS, search
from tests.stage import BASELINE, Call, Stage, Upstream, bundle, serving, staged, world_of

NAMED = [
    ("Patient/p1", {"Patient/p1"}),
    ("Patient/p1/_history", {"Patient/p1"}),
    ("Patient/p1/_history/2", {"Patient/p1"}),
    ("Patient?_id=p1", {"Patient/p1"}),
    ("Patient?_id=p1,p2", {"Patient/p1", "Patient/p2"}),
    ("Observation?patient=p1", {"Patient/p1"}),
    ("Observation?subject=Patient/p1", {"Patient/p1"}),
    ("Observation?subject:Patient=p1", {"Patient/p1"}),
    ("Observation?subject=http://here/Patient/p1", {"Patient/p1"}),
    ("Observation?patient=p1,p2&subject=Patient/p3", {"Patient/p1", "Patient/p2", "Patient/p3"}),
    ("Observation?performer=Patient/p1", {"Patient/p1"}),
    ("Appointment?actor=Patient/p1", {"Patient/p1"}),
    ("Patient?link=Patient/p2", {"Patient/p2"}),
    ("Observation?subject=Group/g", set()),
    ("Observation?performer=Practitioner/a", set()),
    ("Observation/o", set()),
    ("Observation/o/_history", set()),
    ("Observation?_id=p1", set()),
    ("Observation?subject:missing=true", set()),
    ("Observation?subject:identifier=urn:x|p1", set()),
    ("Observation?subject:identifier=Patient/p1", set()),
    ("Patient?identifier=urn:x|p1", set()),
    ("Patient?name=Patient/p1", set()),
    ("Patient", set()),
    ("Observation?patient._id=p1", {"Patient/p1"}),
    ("Observation?encounter.patient=p1,p2", {"Patient/p1", "Patient/p2"}),
    ("Practitioner?_has:Observation:performer:patient=p1", {"Patient/p1"}),
    (
        "Patient?_has:Observation:patient:encounter.subject=Patient/p2&_id=p1",
        {"Patient/p1", "Patient/p2"},
    ),
    ("Observation?patient.name=p1", set()),
]


@pytest.mark.parametrize(("target", "named"), NAMED)
def test_a_request_names_patients_by_path_id_and_reference(target: str, named: set[str]) -> None:
    assert named_patients(search(target), DEFINITIONS) == named


# ---- end to end ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    policies = telling(tmp_path / "policies")
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, policies=policies) as stage,
    ):
        yield Scene(stage, upstream)


def telling(folder: Path) -> Path:
    """The baseline that tells."""
    shutil.copytree(BASELINE, folder, ignore=shutil.ignore_patterns("hospital"))
    told = 'policy: telling\nversion: "1"\nsource: house rule\nrefusal: tell\n'
    (folder / "telling.yaml").write_text(told)
    return folder


def shapes(calls: list[Call], patient: str) -> list[str]:
    """What upstream was asked, with the one patient's name left out."""
    return sorted(call.target.replace(patient, "*") for call in calls)


REQUESTS = ["Patient/{}", "Patient/{}/_history", "Patient?_id={}", "Observation?patient={}"]


@pytest.mark.parametrize("request_", REQUESTS)
async def test_upstream_is_asked_the_same_of_who_is_hidden_and_of_who_is_absent(
    scene: Scene, request_: str
) -> None:
    heard = []
    for patient in ("noe", "no-such-patient"):
        scene.upstream.calls.clear()
        reply = await scene.stage.ask(request_.format(patient), "care-team-physician")
        heard.append((reply.status, reply.body, shapes(scene.upstream.calls, patient)))
    assert heard[0] == heard[1]
    assert heard[0][0] == 403


async def test_the_journal_says_why_and_the_answer_does_not(scene: Scene) -> None:
    for target, detail in {
        "Patient/noe": "1 shut, 0 absent, 0 unknown",
        "Patient/no-such": "0 shut, 1 absent, 0 unknown",
        "Observation?patient=camille,noe,no-such": "1 shut, 1 absent, 0 unknown",
    }.items():
        reply = await scene.stage.ask(target, "care-team-physician")
        [entry] = scene.stage.entries()
        assert entry.detail.endswith(detail)
        assert entry.refusal == "patient-refused"
        assert detail not in reply.text
        shut = [one for one in entry.touched if one.outcome == "withheld"]
        assert len(shut) == int(detail[0])
        assert all(entry.decisions[one.decision].reasons for one in shut)


@pytest.mark.parametrize("failing", ["Patient", "Consent", "CareTeam"])
async def test_a_record_about_which_something_is_unknown_is_refused_alike(
    scene: Scene, failing: str
) -> None:
    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        broken = request.raw_path.startswith(f"/fhir/{failing}?") and "camille" in request.raw_path
        return web.Response(status=500) if broken else None

    scene.upstream.override = override
    told = await scene.stage.ask("Observation?patient=camille", "care-team-physician")
    scene.upstream.override = None
    absent = await scene.stage.ask("Observation?patient=no-such", "care-team-physician")
    assert (told.status, told.body) == (absent.status, absent.body)
    assert told.status == 403


async def test_what_is_looked_up_to_tell_is_kept_like_every_fact(tmp_path: Path) -> None:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, 3600, telling(tmp_path / "policies")) as stage,
    ):
        for _ in range(2):
            upstream.calls.clear()
            await stage.ask("Observation?patient=camille", "care-team-physician")
        assert [call.target.partition("?")[0] for call in upstream.calls] == ["/fhir/Observation"]


async def test_a_page_link_stops_when_the_record_is_shut(scene: Scene) -> None:
    first = await scene.stage.ask("Observation?patient=camille&_count=1", "care-team-physician")
    assert first.next
    broken = {
        "resourceType": "Consent", "id": "shut", "status": "active", "patient": {"reference": "Patient/camille"},
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "provision": {"type": "deny"},
    }  # fmt: skip
    scene.upstream.world = world_of(bundle(broken))
    assert (await scene.stage.ask(first.next, "care-team-physician")).status == 403


@pytest.mark.parametrize("scope", ["user/Observation.rs", "user/*.s"])
async def test_who_reads_no_patient_is_told_of_none(scene: Scene, scope: str) -> None:
    who = {"like": "care-team-physician", "scope": scope}
    for patient in ("noe", "no-such"):
        reply = await scene.stage.ask(f"Observation?patient={patient}", who)
        assert (reply.status, reply.ids) == (200, [])


def test_a_compartment_names_its_patient() -> None:
    request = FhirRequest(Interaction.SEARCH_TYPE, "Observation", compartment="Patient/p")
    assert named_patients(request, definitions_of("4.0.1")) == {"Patient/p"}


@pytest.mark.parametrize(
    ("owner", "named"), [("Patient/p", {"Patient/p"}), ("Encounter/e", set()), ("Device/d", set())]
)
@pytest.mark.parametrize("rtype", ["Observation", "*"])
def test_only_the_compartment_of_a_patient_names_one(
    owner: str, named: set[str], rtype: str
) -> None:
    request = FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=owner)
    assert named_patients(request, definitions_of("4.0.1")) == named
