"""The review queue of break-glass: who sees it, what it says, and how a grant is closed."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from proxy.audit.entry import GrantAct
from tests.emergencies import JSON, WHY, Clock, ending, opening, set_clock, values
from tests.office import OFFICER, Office, opened
from tests.stage import NOW, ROOT, Reply, authorization, claims_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCTOR = "outside-clinician"
NOTE = "checked with the ward: the emergency was real"


@dataclass(frozen=True, slots=True)
class Scene:
    office: Office
    clock: Clock

    async def ceremony(self, name: str, body: bytes) -> Reply:
        url = URL(f"{self.office.public}/fhir/${name}", encoded=True)
        sent = {**authorization(DOCTOR), **JSON}
        async with self.office.session.post(url, headers=sent, data=body) as answer:
            return Reply(answer.status, {}, await answer.read())

    async def opened(self, patient: str = "Patient/noe") -> str:
        return str(values(await self.ceremony("break-glass", opening(patient)))["grant"])

    async def queue(self, state: str = "", who: Any = OFFICER) -> Reply:
        query = f"?state={state}" if state else ""
        return await self.office.ask(f"/break-glass{query}", who=who, method="GET")

    async def shown(self, grant: str, state: str = "") -> dict[str, Any]:
        found = [one for one in (await self.queue(state)).json["grants"] if one["id"] == grant]
        return found[0] if found else {}

    async def review(self, grant: str, note: str = NOTE, who: Any = OFFICER) -> Reply:
        return await self.office.ask(f"/break-glass/{grant}/review", {"note": note}, who)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        clock = set_clock(patch)
        async with opened_office(tmp_path_factory) as office:
            yield Scene(office, clock)


def opened_office(factory: pytest.TempPathFactory) -> Any:
    return opened(factory.mktemp("office"))


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def same_instant(scene: Scene) -> AsyncIterator[None]:
    """Each test begins at the same instant, with nothing open."""
    scene.clock.now = NOW
    yield
    scene.clock.now = NOW
    for patient in ("noe", "camille"):
        await scene.ceremony("end-break-glass", ending(f"Patient/{patient}"))


async def test_an_open_grant_says_who_for_whom_why_and_how_often(scene: Scene) -> None:
    grant = await scene.opened()
    await scene.office.get("Patient/noe", DOCTOR)
    await scene.office.get("Condition?patient=noe", DOCTOR)
    shown = await scene.shown(grant, "open")
    assert shown == {
        "id": grant,
        "state": "open",
        "patient": "Patient/noe",
        "holder": {
            "issuer": "https://idp.example.org", "subject": "dr-outis", "client": "dossier-demo",
            "fhirUser": "Practitioner/dr-outis", "name": "Dr Paul Outis",
        },
        "opened": "2026-11-22T09:00:00.000+00:00",
        "expires": "2026-11-22T13:00:00.000+00:00",
        "reason": "http://terminology.hl7.org/CodeSystem/v3-ActReason#ETREAT",
        "justification": WHY,
        "by": "ceremony",
        "uses": 2,
    }  # fmt: skip


async def test_a_grant_goes_from_open_to_ended_to_reviewed(scene: Scene) -> None:
    grant = await scene.opened()
    await scene.ceremony("end-break-glass", ending())
    assert (await scene.shown(grant, "ended"))["ended"] == "2026-11-22T09:00:00.000+00:00"
    reply = await scene.review(grant)
    assert (reply.status, reply.json) == (200, {"grant": grant, "state": "reviewed"})
    shown = await scene.shown(grant, "reviewed")
    assert shown["review"] == {
        "by": "Olga Officer",
        "at": "2026-11-22T09:00:00.000+00:00",
        "note": NOTE,
    }
    assert await scene.shown(grant, "ended") == {}
    assert (await scene.review(grant)).status == 404


async def test_a_grant_that_ran_out_is_expired(scene: Scene) -> None:
    grant = await scene.opened()
    scene.clock.now = NOW + 4 * 3600
    later = {**OFFICER, "exp": NOW + 86_400}
    listed = (await scene.queue("expired", later)).json["grants"]
    assert [one["id"] for one in listed] == [grant]
    assert (await scene.review(grant, who=later)).status == 200


async def test_a_review_of_an_open_grant_ends_it(scene: Scene) -> None:
    grant = await scene.opened()
    assert (await scene.office.get("Patient/noe", DOCTOR)).status == 200
    assert (await scene.review(grant)).status == 200
    assert (await scene.office.get("Patient/noe", DOCTOR)).status == 404
    acts = [one.act for entry in scene.office.entries() for one in entry.grants if one.id == grant]
    assert acts[-2:] == [GrantAct.ENDED, GrantAct.REVIEWED]


async def test_every_look_and_every_review_is_recorded(scene: Scene) -> None:
    grant = await scene.opened()
    before = len(scene.office.entries())
    await scene.queue()
    await scene.review(grant)
    await scene.review("nothing")
    looked, reviewed, missed = scene.office.entries()[before:]
    assert [one.actor.subject for one in (looked, reviewed, missed)] == ["officer"] * 3
    assert [one.text for one in reviewed.grants if one.act is GrantAct.REVIEWED] == [NOTE]
    assert (missed.status, missed.grants) == (404, ())


@pytest.mark.parametrize("who", [None, DOCTOR, "patient"])
async def test_only_reviewers_see_or_close_anything(scene: Scene, who: Any) -> None:
    grant = await scene.opened()
    status = 401 if who is None else 403
    assert (await scene.queue(who=who)).status == status
    assert (await scene.review(grant, who=who)).status == status
    assert (await scene.shown(grant))["state"] == "open"


async def test_nobody_reviews_a_grant_of_their_own(scene: Scene) -> None:
    """A doctor who is a reviewer as well; by the person, whatever application is used."""
    grant = await scene.opened()
    both = {**OFFICER, "sub": "dr-outis", "client_id": "another"}
    assert (await scene.review(grant, who=both)).status == 403
    assert (await scene.shown(grant))["state"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/break-glass/{grant}/review", {"note": "fine"}, 400),
        ("/break-glass/{grant}/review", {"note": " " * 40}, 400),
        ("/break-glass/{grant}/review", {"note": "x" * 1001}, 400),
        ("/break-glass/{grant}/review", {}, 400),
        ("/break-glass/{grant}/review", {"note": NOTE, "state": "open"}, 400),
        ("/break-glass/{grant}/review", b"{", 400),
        ("/break-glass/{grant}%20/review", {"note": NOTE}, 404),
        ("/break-glass/{grant}/", {"note": NOTE}, 404),
    ],
)
async def test_a_review_is_exactly_a_note(scene: Scene, path: str, body: Any, status: int) -> None:
    grant = await scene.opened()
    assert (await scene.office.ask(path.format(grant=grant), body)).status == status
    assert (await scene.shown(grant))["state"] == "open"


@pytest.mark.parametrize("query", ["state=closed", "state=", "patient=noe", "state=open&limit=1"])
async def test_the_queue_is_asked_by_state_alone(scene: Scene, query: str) -> None:
    assert (await scene.office.ask(f"/break-glass?{query}", method="GET")).status == 400


async def test_what_waits_for_review_is_counted(scene: Scene) -> None:
    async def counted() -> float:
        url = f"{scene.office.gateway.admin_url}/metrics"
        async with scene.office.session.get(url) as answer:
            text = await answer.text()
        [line] = re.findall(r"^proxy_break_glass_unreviewed (\S+)$", text, re.MULTILINE)
        return float(line)

    before = await counted()
    grant = await scene.opened("Patient/camille")
    assert await counted() == before + 1
    await scene.review(grant)
    assert await counted() == before


MANUAL = (ROOT / "docs" / "operations.md").read_text()
CEREMONY = re.compile(r"^curl [^\n]*\$FHIR/'?(\$(?:end-)?break-glass)' -d '([^']+)'$", re.MULTILINE)


async def test_the_ceremony_of_the_manual_works(scene: Scene) -> None:
    lines = CEREMONY.findall(MANUAL)
    assert [name for name, _ in lines] == ["$break-glass", "$end-break-glass"]
    for name, body in lines:
        assert (await scene.ceremony(name.removeprefix("$"), body.encode())).status == 200


async def test_the_review_of_the_manual_works(scene: Scene) -> None:
    grant = await scene.opened()
    for line in ("/break-glass?state=ended", "/break-glass/$GRANT/review"):
        assert line in MANUAL
    [note] = re.findall(r"/break-glass/\$GRANT/review\" -d '([^']+)'", MANUAL)
    assert (await scene.office.ask(f"/break-glass/{grant}/review", note.encode())).status == 200


async def test_an_explanation_of_a_caller_with_a_grant_is_one_under_the_grant(scene: Scene) -> None:
    asked = {"claims": claims_of(DOCTOR), "request": "GET /Patient/noe"}
    assert (await scene.office.ask("/explain", asked)).json["status"] == 404
    await scene.opened()
    told = (await scene.office.ask("/explain", asked)).json
    assert told["status"] == 200
    [patient] = told["resources"]
    assert patient["explanation"]["effect"] == "permit"
    assert "break-glass-reads" in [one["source"] for one in patient["explanation"]["reasons"]]
    assert all(note.act is not GrantAct.USED for note in scene.office.entries()[-1].grants)
