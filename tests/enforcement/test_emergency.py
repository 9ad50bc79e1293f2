"""Break-glass end to end: the ceremony, what a grant opens and for how long, and what it leaves in the journal."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from proxy.audit.entry import GrantAct
from tests.emergencies import (
    JSON,
    REASON,
    WHY,
    Clock,
    body,
    close_glass,
    ending,
    open_glass,
    opening,
    set_clock,
    values,
)  # fmt: skip
from tests.facts.consents import permit, r4
from tests.policy import packs
from tests.stage import ISSUER, NOW, ROOT, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCTOR = "outside-clinician"
COLLEAGUE = {
    "like": DOCTOR,
    "sub": "dr-second",
    "fhirUser": "Practitioner/dr-second",
    "jti": "second",
}
LINKED = "Observation/noe-and-camille"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream
    clock: Clock
    folder: Path


def more() -> bytes:
    """Beside the samples: a run of Observations of Noé, and a note that is about two patients."""
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    plain = {"resourceType": "Observation", "status": "final", "code": code}
    run = [
        {**plain, "id": f"noe-run-{number:02}", "subject": {"reference": "Patient/noe"}}
        for number in range(12)
    ]
    about_two = {
        "resourceType": "Task", "id": "noe-and-camille", "status": "requested", "intent": "order",
        "for": {"reference": "Patient/noe"}, "focus": {"reference": "Patient/camille"},
    }  # fmt: skip
    secret = {**run[0], "id": "noe-therapy", "meta": {"security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSYTHPN"}]}}  # fmt: skip
    return bundle(*run, about_two, secret)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    with pytest.MonkeyPatch.context() as patch:
        clock = set_clock(patch)
        upstream = Upstream(world_of(more()))
        async with serving(upstream.respond) as url, staged(folder, url) as stage:
            yield Scene(stage, upstream, clock, folder)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_open(scene: Scene) -> None:
    """Each test begins with no grant, at the same instant."""
    scene.clock.now = NOW
    for who in (DOCTOR, COLLEAGUE):
        for patient in ("noe", "marcel", "camille", "denise", "ines", "nobody"):
            await close_glass(scene.stage, who, f"Patient/{patient}")
    scene.stage.entries()
    scene.upstream.calls.clear()


async def seen(scene: Scene, target: str = "Patient/noe", who: Any = DOCTOR) -> int:
    return (await scene.stage.ask(target, who)).status


async def test_a_grant_is_started_used_and_ended(scene: Scene) -> None:
    assert await seen(scene) == 404
    opened = values(await open_glass(scene.stage, DOCTOR))
    assert opened["patient"] == {"reference": "Patient/noe"}
    assert opened["expires"] == "2026-11-22T13:00:00.000+00:00"
    answered = await scene.stage.ask("Patient/noe", DOCTOR)
    assert answered.status == 200
    assert answered.json["id"] == "noe"
    ended = values(await close_glass(scene.stage, DOCTOR))
    assert (ended["grant"], ended["ended"]) == (opened["grant"], "2026-11-22T09:00:00.000+00:00")
    assert await seen(scene) == 404
    acts = [(one.act, one.id) for entry in scene.stage.entries() for one in entry.grants]
    assert acts == [
        (act, opened["grant"]) for act in (GrantAct.STARTED, GrantAct.USED, GrantAct.ENDED)
    ]


async def test_the_journal_says_who_why_and_whom_to_tell(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    await seen(scene)
    started, used = scene.stage.entries()
    [note] = started.grants
    assert (note.text, note.reason) == (WHY, f"{REASON['system']}#ETREAT")
    assert (note.subject, note.fhir_user, note.client_id) == (
        "dr-outis",
        "Practitioner/dr-outis",
        "dossier-demo",
    )
    assert started.interaction == "operation"
    for entry, why in ((started, "break-glass-start"), (used, "break-glass-use")):
        assert {(one.recipient, one.patient, one.why) for one in entry.notices} == {
            ("patient", "Patient/noe", why),
            ("privacy-officer", "Patient/noe", why),
        }
    assert {one for judged in used.decisions for one in judged.grants} == {note.id}


async def test_what_is_permitted_under_a_grant_leaves_byte_for_byte(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    given = await scene.stage.ask("Observation/noe-glucose", DOCTOR)
    async with scene.stage.session.get(
        f"{scene.stage.upstream_url}/Observation/noe-glucose"
    ) as whole:
        assert given.body == await whole.read()


async def test_opening_and_ending_ask_nothing_upstream_and_tell_nothing_of_the_patient(
    scene: Scene,
) -> None:
    """Who does not exist, or has opposed, gets a grant like everybody; it opens nothing."""
    await seen(scene)
    scene.upstream.calls.clear()
    replies = {}
    for patient in ("noe", "marcel", "nobody"):
        reply = await open_glass(scene.stage, DOCTOR, f"Patient/{patient}")
        replies[patient] = {**values(reply), "grant": "", "patient": ""}
        assert {call.target.partition("?")[0].partition("/fhir/")[2] for call in scene.upstream.calls} <= {
            "Practitioner", "PractitionerRole", "Organization"}  # fmt: skip
    assert replies["noe"] == replies["marcel"] == replies["nobody"]
    assert [await seen(scene, f"Patient/{one}") for one in ("noe", "marcel", "nobody")] == [
        200,
        404,
        404,
    ]
    opposed, absent = [
        await scene.stage.ask(f"Patient/{one}", DOCTOR) for one in ("marcel", "nobody")
    ]
    assert opposed.body == absent.body


async def test_a_grant_is_of_one_person_one_client_and_one_patient(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    assert await seen(scene) == 200
    assert await seen(scene, who=COLLEAGUE) == 404
    assert await seen(scene, who={"like": DOCTOR, "client_id": "other"}) == 404
    assert await seen(scene, "Patient/camille") == 404
    assert (await scene.stage.ask("Condition?patient=denise", DOCTOR)).ids == []


async def test_another_purpose_than_treatment_is_not_served(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    iua = {"ihe_iua": {"subject_name": "x", "subject_role": [
        {"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}],
        "purpose_of_use": [{**REASON, "code": "HRESCH"}]}}  # fmt: skip
    researching = {"like": DOCTOR, "extensions": iua}
    assert await seen(scene, who=researching) in {403, 404}
    assert (await open_glass(scene.stage, researching)).status == 403


async def test_what_no_grant_opens_stays_hidden(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    for hidden in (
        "DocumentReference/noe-doc-masked",
        "Observation/noe-therapy",
        "Task/noe-and-camille",
    ):
        assert await seen(scene, hidden) == 404, hidden
    searched = (await scene.stage.ask("Observation?patient=noe&_count=50", DOCTOR)).ids
    assert "Observation/noe-run-00" in searched
    assert "Observation/noe-therapy" not in searched


async def test_the_scopes_of_the_token_bind_as_always(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    only = {"like": DOCTOR, "scope": "user/Patient.rs"}
    assert await seen(scene, who=only) == 200
    assert await seen(scene, "Observation/noe-glucose", only) == 403


async def test_a_grant_runs_out(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    later = {"like": DOCTOR, "exp": NOW + 86_400}
    scene.clock.now = NOW + 4 * 3600 - 1
    assert await seen(scene, who=later) == 200
    scene.clock.now = NOW + 4 * 3600
    assert await seen(scene, who=later) == 404
    assert (await close_glass(scene.stage, later)).status == 404


async def test_searches_versions_and_includes_are_judged_under_the_grant(scene: Scene) -> None:
    includes = "Observation?patient=noe&_include=Observation:subject&_count=50"
    assert (await scene.stage.ask(includes, DOCTOR)).ids == []
    await open_glass(scene.stage, DOCTOR)
    found = (await scene.stage.ask(includes, DOCTOR)).ids
    assert "Patient/noe" in found
    assert len(found) > 12
    assert await seen(scene, "Patient/noe/_history/1") == 200
    # the baseline opens no history in an emergency
    assert await seen(scene, "Patient/noe/_history") == 404
    used = [
        one for entry in scene.stage.entries() for one in entry.grants if one.act is GrantAct.USED
    ]
    assert len(used) == 2


async def test_a_page_link_made_under_a_grant_does_not_outlive_it(scene: Scene) -> None:
    await open_glass(scene.stage, DOCTOR)
    page = await scene.stage.ask("Observation?patient=noe&_count=5", DOCTOR)
    assert page.next
    second = await scene.stage.ask(page.next, DOCTOR)
    assert len(second.ids) == 5
    assert second.next
    await close_glass(scene.stage, DOCTOR)
    for link in (page.next, second.next):
        assert (await scene.stage.ask(link, DOCTOR)).status == 404
    await open_glass(scene.stage, DOCTOR)
    assert (await scene.stage.ask(page.next, DOCTOR)).status == 404  # another grant


async def test_page_links_of_others_do_not_change_with_a_grant(scene: Scene) -> None:
    who = "care-team-physician"
    page = await scene.stage.ask("Observation?patient=camille&_count=2", who)
    assert page.next
    before = await scene.stage.ask(page.next, who)
    await open_glass(scene.stage, who)
    after = await scene.stage.ask(page.next, who)
    await close_glass(scene.stage, who)
    assert (after.status, after.ids) == (before.status, before.ids)


async def test_opening_again_gives_the_grant_that_is_open(scene: Scene) -> None:
    first, again = [values(await open_glass(scene.stage, DOCTOR)) for _ in range(2)]
    assert first == again
    assert [len(entry.grants) for entry in scene.stage.entries()] == [1, 0]


async def test_a_person_has_few_grants_open_at_once(scene: Scene) -> None:
    for patient in ("noe", "marcel", "camille", "denise", "ines"):
        assert (await open_glass(scene.stage, DOCTOR, f"Patient/{patient}")).status == 200
    assert (await open_glass(scene.stage, DOCTOR, "Patient/leo")).status == 403
    assert (await open_glass(scene.stage, COLLEAGUE)).status == 200
    await close_glass(scene.stage, DOCTOR, "Patient/ines")
    assert (await open_glass(scene.stage, DOCTOR, "Patient/ines")).status == 200


async def test_more_grants_opened_at_the_same_moment_than_a_person_may_have_open_nothing(
    scene: Scene,
) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(open_glass(scene.stage, COLLEAGUE, f"Patient/x{number}"))
        last = group.create_task(open_glass(scene.stage, COLLEAGUE))
    counted = [values(await close_glass(scene.stage, COLLEAGUE, f"Patient/x{n}")) for n in range(5)]
    assert len(counted) == 5
    assert last.result().status in {200, 403}
    for number in range(5, 8):
        await close_glass(scene.stage, COLLEAGUE, f"Patient/x{number}")


NOT_ALLOWED: dict[str, Any] = {
    "a patient": "patient",
    "an insurer": "insurer",
    "a guardian": "legal-guardian",
    "a doctor without role": {
        "like": DOCTOR,
        "extensions": None,
        "fhirUser": "Practitioner/nobody",
    },
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
async def test_who_may_not_open_a_grant_is_refused_whatever_is_asked(
    scene: Scene, name: str
) -> None:
    who = NOT_ALLOWED[name]
    good = await open_glass(scene.stage, who)
    bad = await scene.stage.ask("$break-glass", who, "POST", JSON, b"{}")
    assert (good.status, bad.status, good.body) == (403, 403, bad.body)
    assert (await close_glass(scene.stage, who)).status == 403
    assert all(entry.grants == () for entry in scene.stage.entries())


WRONG: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"patient=noe", 400),
    "no Parameters": (b'{"resourceType":"Patient"}', 400),
    "a list": (b"[]", 400),
    "a member of the resource beside": (opening()[:-1] + b',"id":"x"}', 400),
    "a parameter twice": (opening()[:-2] + b',{"name":"reason","valueCoding":{}}]}', 400),
    "a name twice in an object": (opening().replace(b'"name":"reason"', b'"name":"reason","name":"x"'), 400),
    "no patient": (body(reason=("valueCoding", REASON), justification=("valueString", WHY)), 400),
    "no justification": (body(patient=("valueReference", {"reference": "Patient/noe"}), reason=("valueCoding", REASON)), 400),
    "a justification of blanks": (opening(why=" " * 40), 400),
    "a short justification": (opening(why="urgent"), 400),
    "a justification with a control character": (opening(why=WHY + "\x00"), 400),
    "an endless justification": (opening(why="x " * 600), 400),
    "another reason": (opening(reason={**REASON, "code": "HRESCH"}), 400),
    "a reason without system": (opening(reason={"code": "ETREAT"}), 400),
    "two patients": (opening("Patient/noe,Patient/camille"), 400),
    "no patient but a group": (opening("Group/everybody"), 400),
    "a patient of another server": (opening("http://elsewhere.example.org/fhir/Patient/noe"), 400),
    "a version of a patient": (opening("Patient/noe/_history/1"), 400),
    "a patient by identifier": (body(patient=("valueReference", {"identifier": {"value": "1"}}),
        reason=("valueCoding", REASON), justification=("valueString", WHY)), 400),
    "a patient as text": (body(patient=("valueString", "Patient/noe"), reason=("valueCoding", REASON),
        justification=("valueString", WHY)), 400),
    "hours of one's own": (opening()[:-2] + b',{"name":"hours","valueDecimal":24}]}', 400),
    "depth": (opening(reason={"a": [[[[[[[[1]]]]]]]]}), 400),
    "size": (opening(why="x" * 20_000), 413),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_a_body_that_is_not_exactly_what_is_asked_opens_nothing(
    scene: Scene, name: str
) -> None:
    sent, status = WRONG[name]
    reply = await scene.stage.ask("$break-glass", DOCTOR, "POST", JSON, sent)
    assert reply.status == status
    assert await seen(scene) == 404
    assert all(entry.grants == () for entry in scene.stage.entries())


WORDS: dict[str, tuple[str, dict[str, str]]] = {
    "a Category header": ("Patient/noe", {"Category": 'http://terminology.hl7.org/CodeSystem/v3-ActReason#BTG; scheme="http://hl7.org/fhir/tag/security"'}),
    "headers of other gateways": ("Patient/noe", {"X-Break-Glass": "true", "X-Purpose-Of-Use": "BTG"}),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
async def test_words_of_the_client_are_no_ceremony(scene: Scene, name: str) -> None:
    target, headers = WORDS[name]
    assert (await scene.stage.ask(target, DOCTOR, headers=headers)).status == 404


async def test_a_parameter_is_no_ceremony(scene: Scene) -> None:
    assert await seen(scene, "Observation?patient=noe&btg=true") == 400
    assert (
        await scene.stage.ask("$break-glass?patient=Patient/noe", DOCTOR, "POST", JSON, opening())
    ).status == 400


@pytest.mark.parametrize(
    ("method", "kind", "status"),
    [
        ("GET", None, 405),
        ("PUT", "application/fhir+json", 405),
        ("POST", "application/x-www-form-urlencoded", 415),
        ("POST", "application/json", 415),
        ("POST", None, 415),
    ],
)
async def test_the_ceremony_is_posted_as_fhir_json(
    scene: Scene, method: str, kind: str | None, status: int
) -> None:
    sent = None if method == "GET" else opening()
    headers = {"content-type": kind} if kind else {"content-type": ""} if sent else {}
    assert (await scene.stage.ask("$break-glass", DOCTOR, method, headers, sent)).status == status


async def test_nobody_unknown_hears_of_the_ceremony(scene: Scene) -> None:
    assert (await open_glass(scene.stage, None)).status == 401


async def test_a_grant_is_ended_by_its_id_and_only_by_its_holder(scene: Scene) -> None:
    grant = values(await open_glass(scene.stage, DOCTOR))["grant"]
    by_id = body(grant=("valueId", grant))
    assert (await scene.stage.ask("$end-break-glass", COLLEAGUE, "POST", JSON, by_id)).status == 404
    assert await seen(scene) == 200
    assert (await scene.stage.ask("$end-break-glass", DOCTOR, "POST", JSON, by_id)).status == 200
    assert await seen(scene) == 404
    both = orjson.dumps({"resourceType": "Parameters", "parameter": [
        *orjson.loads(ending())["parameter"], *orjson.loads(by_id)["parameter"]]})  # fmt: skip
    assert (await scene.stage.ask("$end-break-glass", DOCTOR, "POST", JSON, both)).status == 400


async def test_every_worker_sees_a_grant_and_its_end_at_once(scene: Scene) -> None:
    async with staged(scene.folder, scene.stage.upstream_url) as other:
        await open_glass(scene.stage, DOCTOR)
        assert (await other.ask("Patient/noe", DOCTOR)).status == 200
        await close_glass(other, DOCTOR)
        assert await seen(scene) == 404


async def test_a_restart_keeps_grants(scene: Scene) -> None:
    async with staged(scene.folder, scene.stage.upstream_url) as first:
        await open_glass(first, DOCTOR)
    async with staged(scene.folder, scene.stage.upstream_url) as second:
        assert (await second.ask("Patient/noe", DOCTOR)).status == 200


async def test_where_the_journal_cannot_write_there_is_no_grant(
    tmp_path: Path, scene: Scene
) -> None:
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(staged(tmp_path, scene.stage.upstream_url))
        before = await stage.ask("Patient/noe", DOCTOR)
        with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(FAIL, 'full'); END"
            )
            refused = await open_glass(stage, DOCTOR)
            other.execute("DROP TRIGGER full")
        other.close()
        assert (before.status, refused.status) == (404, 503)
        assert (await stage.ask("Patient/noe", DOCTOR)).status == 404


async def test_a_grant_that_no_entry_opened_opens_nothing(scene: Scene) -> None:
    """The index is only an index: pointed at another entry, it is of no use."""
    grant = values(await open_glass(scene.stage, COLLEAGUE))["grant"]
    with sqlite3.connect(scene.folder / "journal.db", isolation_level=None) as other:
        other.execute("UPDATE break_glass SET started_in = 1 WHERE id = ?", (grant,))
        assert await seen(scene, who=COLLEAGUE) == 503
        other.execute("DELETE FROM break_glass WHERE id = ?", (grant,))
    other.close()
    assert await seen(scene, who=COLLEAGUE) == 404


async def test_a_trusted_issuers_word_is_enough_and_leaves_the_same_trace(
    tmp_path: Path, scene: Scene
) -> None:
    pack = tmp_path / "policies"
    shutil.copytree(ROOT / "policies" / "baseline", pack)
    written = pack / "break-glass.yaml"
    trusting = f"most_open: 5\n  trusts_purpose_of: [{ISSUER}]\n"
    written.write_text(written.read_text().replace("most_open: 5\n", trusting))
    for folder, seen_there in ((pack, 200), (ROOT / "policies" / "baseline", 404)):
        place = tmp_path / f"run-{seen_there}"
        place.mkdir()
        async with staged(place, scene.stage.upstream_url, policies=folder) as stage:
            assert (await stage.ask("Patient/noe", DECLARING)).status == seen_there
            assert (await stage.ask("Patient/marcel", DECLARING)).status == 404
            assert (await stage.ask("Patient/noe", DOCTOR)).status == 404
            if seen_there == 200:
                await stage.ask("Observation?patient=noe", DECLARING)
                first, *_, last = stage.entries()
                assert {
                    (one.act, one.patient, one.trusted) for one in (*first.grants, *last.grants)
                } == {(GrantAct.USED, "Patient/noe", True)}
                assert {one.why for one in last.notices} == {"break-glass-use"}


DECLARING: dict[str, Any] = {
    "like": DOCTOR,
    "extensions": {
        "ihe_iua": {
            "subject_name": "Dr Paul Outis",
            "subject_role": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/practitioner-role",
                    "code": "doctor",
                }
            ],
            "purpose_of_use": [{**REASON, "code": "TREAT"}, {**REASON, "code": "BTG"}],
        }
    },
}


HOUSE = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
break_glass: {may_open: {kind: [practitioner]}, reasons: [act#ETREAT], ceiling: V}
rules:
  - id: consented
    effect: permit
    target: {principal: {kind: [practitioner]}, consent: [permit]}
  - id: emergency
    effect: permit
    lifts: [consent]
    target: {principal: {relationship: [break-glass]}, purpose: [BTG]}
    redact: {remove: [Observation.value]}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A house whose emergencies are redacted, and a patient who lets the first version of a result be seen only."""
    folder = tmp_path_factory.mktemp("ward")
    systems = f"systems:\n  act: {{system: {REASON['system']}}}\n"
    terms = packs.TERMS.replace("systems:\n", systems)
    policies = packs.write(folder / "policies", policy=HOUSE, terms=terms)
    system = "http://loinc.org"
    result = {
        "resourceType": "Observation",
        "id": "changed",
        "status": "final",
        "subject": {"reference": "Patient/p"},
    }
    versions = [
        {**result, "code": {"coding": [{"system": system, "code": code}]}}
        for code in ("1-0", "2-0")
    ]
    consent = r4(
        permit(
            {"code": [{"coding": [{"system": system, "code": "1-0"}]}]},
        )
    )
    people = (
        {"resourceType": "Patient", "id": "p"},
        {**consent, "id": "c", "patient": {"reference": "Patient/p"}},
    )
    upstream = Upstream(world_of(bundle(*people, versions[0]), bundle(versions[1]), samples=False))
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, policies=policies) as stage,
    ):
        yield stage


async def test_an_old_version_behind_a_current_one_that_only_a_grant_opens_is_a_use(
    ward: Stage,
) -> None:
    assert (await ward.ask("Observation/changed/_history/1", DOCTOR)).status == 404
    await open_glass(ward, DOCTOR, "Patient/p")
    ward.entries()
    assert (await ward.ask("Observation/changed/_history/1", DOCTOR)).status == 200
    [entry] = ward.entries()
    assert [one.act for one in entry.grants] == [GrantAct.USED]
    assert {one.why for one in entry.notices} == {"break-glass-use"}
    await close_glass(ward, DOCTOR, "Patient/p")


async def test_what_is_redacted_under_a_grant_cannot_be_searched_under_it(ward: Stage) -> None:
    guess = "Observation?value-quantity=5"
    assert (await ward.ask(guess, DOCTOR)).status == 200
    await open_glass(ward, DOCTOR, "Patient/p")
    assert (await ward.ask(guess, DOCTOR)).status == 400
    await close_glass(ward, DOCTOR, "Patient/p")


async def test_where_nothing_is_enforced_no_grant_is_used(tmp_path: Path, scene: Scene) -> None:
    observing = "mode: observe\nobserve_acknowledged: answers leave unfiltered\n"
    async with staged(tmp_path, scene.stage.upstream_url, more=observing) as stage:
        await open_glass(stage, DOCTOR)
        await stage.ask("Patient/noe", DOCTOR)
        started, read = stage.entries()
    assert [one.act for one in started.grants] == [GrantAct.STARTED]
    assert read.would is not None
    assert read.would.status == 200
    assert read.grants == ()
