"""A rehearsed request comes out as the real one does, tells why, and leaves no trace."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from proxy.audit.entry import Entry
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.rehearsal import (
    MOST_PAGES,
    Considered,
    Rehearsal,
    rehearse,
    rehearse_all,
    rehearsed_request,
)
from proxy.errors import CallerError, Refusal
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.supposed import supposed_principal
from tests.stage import (
    ISSUER,
    NOW,
    PUBLIC,
    Json,
    Stage,
    Upstream,
    bundle,
    claims_of,
    serving,
    staged,
    world_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
ISSUERS = {
    ISSUER: Issuer(ISSUER, "http://127.0.0.1:8080/fhir", frozenset({"ES256"}), profile_of("smart", (PUBLIC,)))
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream
    house: House

    async def told(self, who: str | Json, line: str) -> Rehearsal:
        principal = supposed_principal(claims_of(who), ISSUERS, NOW)
        return await rehearse(self.house, principal, rehearsed_request(line, self.house))

    async def whole(self, who: str | Json, line: str) -> Rehearsal:
        principal = supposed_principal(claims_of(who), ISSUERS, NOW)
        return await rehearse_all(self.house, principal, rehearsed_request(line, self.house))

    async def considered(self, who: str | Json, line: str) -> dict[str, Considered]:
        found = (await self.told(who, line)).resources
        return {one.reference.partition("/_history")[0]: one for one in found}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream, houses, made = Upstream(world_of()), list[House](), Enforcement.__init__

    def seen(self: Enforcement, house: House) -> None:
        houses.append(house)
        made(self, house)

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(upstream.respond))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Enforcement, "__init__", seen)
            stage = await stack.enter_async_context(staged(tmp_path_factory.mktemp("gateway"), url))
        yield Scene(stage, upstream, houses[-1])


PEOPLE = [
    "care-team-physician", "care-team-nurse", "denied-clinician", "general-practitioner", "insurer", "legal-guardian",
    "outside-clinician", "patient", "psychiatrist",
]  # fmt: skip
TARGETS = [
    "/Patient",
    "/Patient?_count=2",
    "/Patient/camille",
    "/Patient/nobody",
    "/Observation?patient=camille&_include=Observation:subject",
    "/Condition",
    "/DocumentReference",
    "/Consent",
    "/Practitioner/dr-martin",
    "/Patient/camille/_history",
    "/Patient/camille/_history/1",
    "/Condition/_history?_count=100",
    "/_history?_count=1000",
    "/Observation?bogus=1",
    "/Nonsense",
    "/metadata",
    "/Patient/$everything",
    "/Observation?_page=AAAA",
]


def fates_of(entry: Entry) -> set[tuple[str, str, tuple[str, ...]]]:
    return {
        (reference, one.outcome, one.redacted)
        for one in entry.touched
        for reference in one.references
    }


@pytest.mark.parametrize(("who", "target"), list(itertools.product(PEOPLE, TARGETS)))
async def test_a_rehearsal_comes_out_as_the_request_does(
    scene: Scene, who: str, target: str
) -> None:
    scene.stage.entries()
    reply = await scene.stage.ask(target, who)
    [entry] = scene.stage.entries()
    told = await scene.told(who, f"GET {target}")
    assert scene.stage.entries() == []
    assert (told.status, told.refusal, told.detail) == (reply.status, entry.refusal, entry.detail)
    fates = {(one.reference, one.outcome, one.redacted) for one in told.resources}
    assert {one for one in fates if one[1] != "permitted"} == fates_of(entry)
    for one in told.resources:
        assert one.explanation.reasons
        permits = one.explanation.effect == "permit"
        # a view that is redacted has no versions, whatever permits it
        unversioned = "_history" in target and bool(one.explanation.demands)
        assert unversioned or permits == (one.outcome in {"disclosed", "redacted", "permitted"})


async def test_a_rehearsal_holds_no_content_of_any_record(scene: Scene) -> None:
    told = str(await scene.told("care-team-physician", "GET /Patient"))
    for content in ("Durand", "CANARY-", "birthDate", "1984"):
        assert content not in told


async def test_upstream_is_asked_without_anybodys_token(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.told("care-team-physician", "GET /Patient")
    assert scene.upstream.calls
    assert all("authorization" not in call.headers for call in scene.upstream.calls)


async def test_every_voice_is_told_by_name(scene: Scene) -> None:
    seen = await scene.considered("denied-clinician", "GET /Patient?_id=denise")
    sources = {(one.voice, one.source) for one in seen["Patient/denise"].explanation.reasons}
    assert ("consent", "Consent/denise-denies-dr-blanc/_history/1#provision") in sources
    seen = await scene.considered("care-team-nurse", "GET /Condition?patient=marcel")
    hiv = seen["Condition/marcel-hiv"].explanation
    assert [(one.voice, one.source) for one in hiv.reasons] == [
        ("policy", "restricted-needs-clearance")
    ]
    assert hiv.reasons[0].place.endswith("confidentiality.yaml:11")
    assert "meta.security[1]" in {one.origin for one in hiv.labels}
    assert [one.sentence for one in hiv.changes] == ["the role physician in the token"]


async def test_what_is_redacted_is_told_by_path(scene: Scene) -> None:
    seen = await scene.considered("care-team-nurse", "GET /Patient/camille")
    patient = seen["Patient/camille"]
    assert (patient.outcome, patient.redacted) == (
        "redacted",
        ("Patient.address", "Patient.telecom"),
    )
    assert "remove Patient.telecom" in patient.explanation.demands


async def test_what_is_pruned_is_told_by_path_and_what_it_led_to_is_not_considered(
    scene: Scene,
) -> None:
    led = {"reference": "Patient/camille"}
    told = {
        "resourceType": "Observation", "id": "astray", "status": "final", "subject": led,
        "encounter": {"reference": "Encounter/of-nobody"}, "partOf": [{"reference": "Procedure/p"}],
    }  # fmt: skip
    part = {"resourceType": "Procedure", "id": "p", "status": "completed", "subject": led}
    before, scene.upstream.world = scene.upstream.world, world_of(bundle(told, part))
    try:
        seen = await scene.considered("care-team-physician", "GET /Observation/astray")
    finally:
        scene.upstream.world = before
    assert seen.keys() == {"Observation/astray"}
    astray = seen["Observation/astray"]
    assert (astray.outcome, astray.redacted) == ("redacted", ("Observation.encounter.reference",))


async def test_a_change_that_is_told_is_true_of_the_gateway(scene: Scene) -> None:
    """The role that is said to be missing is put into a real token."""
    target = "Condition/marcel-hiv"
    assert (await scene.stage.ask(target, "care-team-nurse")).status == 404
    physician = claims_of("care-team-physician")["extensions"]["ihe_iua"]["subject_role"]
    claims = claims_of("care-team-nurse")
    claims["extensions"]["ihe_iua"]["subject_role"] += physician
    assert (await scene.stage.ask(target, claims)).status == 200


async def test_a_request_that_is_refused_is_explained_without_asking_for_data(scene: Scene) -> None:
    scene.upstream.calls.clear()
    told = await scene.told("insurer", "GET /Patient")
    assert (told.status, told.resources) == (403, ())
    assert told.request is not None
    assert {one.source for one in told.request.reasons} >= {"insurers-never"}
    assert not [call for call in scene.upstream.calls if call.target.startswith("/fhir/Patient")]


async def test_an_entry_that_is_no_resource_is_told_as_unreadable(scene: Scene) -> None:
    unreadable = b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"id":"x"}}]}'

    async def instead(request: web.BaseRequest) -> web.StreamResponse | None:
        if "/Observation" not in request.path:
            return None
        return web.Response(body=unreadable, content_type="application/fhir+json")

    scene.upstream.override = instead
    try:
        told = await scene.told("care-team-physician", "GET /Observation")
    finally:
        scene.upstream.override = None
    [one] = told.resources
    assert (one.reference, one.outcome, one.explanation.effect) == ("", "withheld", "deny")


LINES = ["", "Patient", "GET", "GET Patient", "get /Patient", "GET  /Patient", "GET /Pa tient", "GET /Patient\nX", "GET http://x/Patient", "GET /é"]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
async def test_what_is_no_request_line_is_malformed(scene: Scene, line: str) -> None:
    with pytest.raises(CallerError) as refused:
        rehearsed_request(line, scene.house)
    assert refused.value.refusal is Refusal.MALFORMED


async def test_a_write_is_refused_as_it_would_be(scene: Scene) -> None:
    told = await scene.told("care-team-physician", "DELETE /Patient/camille")
    assert (told.status, told.request, told.resources) == (405, None, ())


# ---- a whole list --------------------------------------------------------------------------------------------------


def told_of(rehearsal: Rehearsal) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.reference: (one.outcome, one.redacted) for one in rehearsal.resources}


LISTS = ["/Patient", "/Observation?patient=camille", "/Condition?patient=marcel", "/Observation?patient=marcel&_include=Observation:subject", "/Patient/camille/_history"]  # fmt: skip


@pytest.mark.parametrize("who", ["care-team-physician", "care-team-nurse", "outside-clinician"])
@pytest.mark.parametrize("target", LISTS)
async def test_a_list_is_told_alike_however_it_is_cut_into_pages(
    scene: Scene, who: str, target: str
) -> None:
    mark = "&" if "?" in target else "?"
    uncut = await scene.told(who, f"GET {target}{mark}_count=200")
    cut = await scene.whole(who, f"GET {target}{mark}_count=3")
    assert told_of(cut) == told_of(uncut)
    assert len(cut.resources) == len(uncut.resources)
    assert not cut.more
    assert (cut.pages > 1) == (sum(one.outcome in {"disclosed", "redacted"} for one in uncut.resources if one.reference.startswith(target[1:4])) > 3)  # fmt: skip


async def test_every_resource_of_a_patient_is_considered_with_labels_and_their_origins(
    scene: Scene,
) -> None:
    told = await scene.whole("care-team-nurse", "GET /Condition?patient=marcel&_count=1")
    store = await scene.house.upstream.get("Condition?patient=marcel&_count=500")
    held = {f"Condition/{one['resource']['id']}" for one in orjson.loads(store.body)["entry"]}
    assert {one.reference.partition("/_history")[0] for one in told.resources} == held
    fates = {one.outcome for one in told.resources}
    assert fates == {"disclosed", "withheld"}
    for one in told.resources:
        assert one.explanation.labels
        assert all(label.origin for label in one.explanation.labels)
        assert bool(one.explanation.changes) == (one.outcome == "withheld")


async def test_what_the_gateway_asked_of_upstream_is_told(scene: Scene) -> None:
    """What upstream was not asked for is not considered: a token for one patient narrows the search."""
    told = await scene.whole("patient", "GET /Condition")
    assert told.upstream
    assert all(one.startswith("Condition?") for one in told.upstream)
    claims = {**claims_of("patient"), "scope": "patient/*.rs"}
    assert claims["patient"]
    narrow = await scene.whole(claims, "GET /Condition")
    assert any("camille" in one for one in narrow.upstream)


async def test_a_list_without_end_is_cut_and_said_to_be(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.enforcement.rehearsal.MOST_PAGES", 2)
    told = await scene.whole("care-team-physician", "GET /Observation?patient=camille&_count=1")
    assert (told.pages, told.more) == (2, True)
    assert MOST_PAGES > 2


async def test_a_page_that_fails_ends_the_list_and_is_said_to_follow(scene: Scene) -> None:
    pages = itertools.count()

    async def instead(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.path.endswith("/Observation") and next(pages) > 0:
            return web.Response(status=500)
        return None

    scene.upstream.override = instead
    try:
        told = await scene.whole("care-team-physician", "GET /Observation?patient=camille&_count=1")
    finally:
        scene.upstream.override = None
    assert (told.status, told.refusal, told.pages, told.more) == (200, "", 1, True)


async def test_a_refused_list_is_one_page(scene: Scene) -> None:
    told = await scene.whole("insurer", "GET /Patient")
    assert (told.status, told.pages, told.more, told.upstream) == (403, 1, False, ())


async def test_what_a_rehearsal_finds_is_not_counted(scene: Scene) -> None:
    label = {"system": "http://example.org/odd", "code": "ODD"}
    odd: Json = {
        "resourceType": "Observation", "id": "odd", "status": "final", "code": {"text": "x"},
        "subject": {"reference": "Patient/camille"}, "meta": {"security": [label]},
    }  # fmt: skip
    whole, scene.upstream.world = scene.upstream.world, world_of(bundle(odd))
    try:
        counted = []
        for real in (False, True):
            if real:
                await scene.stage.ask("Observation/odd", "care-team-physician")
            else:
                await scene.told("care-team-physician", "GET /Observation/odd")
            lines = (await scene.stage.metrics()).splitlines()
            counted.append(
                [one for one in lines if 'kind="unknown-label"' in one and "_total" in one]
            )
    finally:
        scene.upstream.world = whole
    assert [found[0].rpartition(" ")[2] for found in counted] == ["0.0", "1.0"]


async def test_what_a_chain_led_through_is_told(scene: Scene) -> None:
    told = await scene.whole("care-team-physician", "GET /Observation?patient._id=susan&_count=1")
    fates = {one.reference.partition("/_history")[0]: one.outcome for one in told.resources}
    assert fates["Patient/susan"] == "consulted"
    assert fates["Observation/susan-urine-may"] == "withheld"
    assert "patient._id" not in " ".join(told.upstream)


async def test_what_one_page_counts_is_told_as_the_page_that_shows_it_tells(scene: Scene) -> None:
    line = "GET /Observation?patient=susan&_count=1&_total=accurate"
    whole, counted = [
        {one.reference.partition("/_history")[0]: one.outcome for one in told.resources}
        for told in (
            await scene.whole("care-team-physician", line),
            await scene.told("care-team-physician", line),
        )
    ]
    assert counted["Observation/susan-hemoglobin"] == "consulted"
    assert whole["Observation/susan-hemoglobin"] == "disclosed"
