"""What is not understood is denied, written down for the operator, and counted without a name."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.decision.model import Decision, Reason, Verdict
from proxy.enforcement.findings import report
from proxy.facts.finding import FindingKind
from proxy.fhir.coding import Effect
from proxy.obligations.disclose import ILLEGIBLE, Judged
from tests.obligations.test_disclose import PATIENT, READER, permitted
from tests.stage import Json, Stage, Upstream, bundle, serving, staged, world_of

LABEL = Reason("label", Verdict.UNKNOWN, "urn:x#odd", "a label that nobody knows")
UNLABELLED = Reason("label", Verdict.UNKNOWN, "", "no confidentiality label")
UNTOLD = Reason("patient", Verdict.UNKNOWN, "Patient", "whom it is about cannot be told")
TOKEN = Reason("token", Verdict.UNKNOWN, "ihe_pcf", "not understood")
RULE = Reason("policy", Verdict.DENY, "insurers-never", "")
CONSENT = Reason("consent", Verdict.UNKNOWN, "Consent/c", "")


def told(*judged: Judged) -> list[tuple[FindingKind, str]]:
    found: list[tuple[FindingKind, str]] = []
    report(judged, lambda kind, about: found.append((kind, about)))
    return found


def denied(*reasons: Reason) -> Judged:
    return Judged(PATIENT, READER.read(PATIENT), Decision(Effect.DENY, reasons))


FOUND: list[tuple[Judged, list[tuple[FindingKind, str]]]] = [
    (denied(LABEL), [(FindingKind.UNKNOWN_LABEL, "urn:x#odd in Patient/a")]),
    (denied(UNTOLD), [(FindingKind.UNTOLD_PATIENT, "Patient in Patient/a")]),
    (denied(TOKEN, RULE), [(FindingKind.UNREADABLE_RESIDUAL, "ihe_pcf in Patient/a")]),
    (denied(LABEL, LABEL), [(FindingKind.UNKNOWN_LABEL, "urn:x#odd in Patient/a")]),
    (denied(UNLABELLED), []),
    (denied(Reason("label", Verdict.DENY, "urn:x#known", "")), []),
    (denied(RULE), []),
    (denied(CONSENT), []),
    (permitted(PATIENT), []),
    (
        Judged(PATIENT, READER.read(PATIENT), ILLEGIBLE),
        [(FindingKind.UNREADABLE_RESOURCE, "something that cannot be read in Patient/a")],
    ),
    (
        Judged(b'{"resourceType":"Patient","id":"b"', None, None),
        [(FindingKind.UNREADABLE_RESOURCE, "something that cannot be read in a resource without a name")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("judged", "found"), FOUND)
def test_what_is_not_understood_is_told_and_nothing_else(
    judged: Judged, found: list[tuple[FindingKind, str]]
) -> None:
    assert told(judged) == found


def test_a_label_of_a_thousand_resources_is_one_finding() -> None:
    many = [denied(LABEL) for _ in range(1000)]
    assert told(*many) == [(FindingKind.UNKNOWN_LABEL, "urn:x#odd in Patient/a")]


# ---- end to end ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of(bundle(UNREADABLE, ODD)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        yield Scene(stage, upstream)


UNREADABLE: Json = {
    "resourceType": "Consent", "id": "broken", "status": "active", "patient": {"reference": "Patient/camille"},
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "provision": {"type": "deny", "modifierExtension": [{"url": "http://example.org/x", "valueBoolean": True}]},
}  # fmt: skip
ODD: Json = {
    "resourceType": "Observation", "id": "odd", "status": "final", "code": {"text": "x"},
    "subject": {"reference": "Patient/susan"}, "meta": {"security": [{"system": "http://example.org/odd", "code": "ODD"}]},
}  # fmt: skip


def counted(metrics: str, kind: str) -> float:
    line = next(
        one for one in metrics.splitlines() if f'proxy_findings_total{{kind="{kind}"' in one
    )
    return float(line.rpartition(" ")[2])


async def test_an_unreadable_consent_denies_and_is_counted_once_while_facts_are_kept(
    scene: Scene,
) -> None:
    for _ in range(3):
        assert (await scene.stage.ask("Patient/camille", "care-team-physician")).status == 404
    entries = scene.stage.entries()
    [finding] = [one for entry in entries for one in entry.findings]
    assert finding[0] == "unreadable-consent"
    assert finding[1].startswith("Consent/broken")
    metrics = await scene.stage.metrics()
    assert counted(metrics, "unreadable-consent") == 1
    assert "broken" not in metrics
    assert "camille" not in metrics


async def test_a_label_that_nobody_knows_is_found_whenever_its_resource_is_judged(
    scene: Scene,
) -> None:
    reply = await scene.stage.ask("Observation/odd", "psychiatrist")
    assert reply.status == 404
    [entry] = scene.stage.entries()
    assert entry.findings == (("unknown-label", "http://example.org/odd#ODD in Observation/odd"),)
    assert counted(await scene.stage.metrics(), "unknown-label") == 1


HOSPITAL = "https://sante.example.org/organisations/hopital-saint-aubin"


async def test_a_caller_who_is_not_known_completely_is_a_finding(scene: Scene) -> None:
    double: Json = {
        "resourceType": "Organization", "id": "double",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": HOSPITAL}],
    }  # fmt: skip
    scene.upstream.world = world_of(bundle(double, double | {"id": "double-2"}))
    assert (await scene.stage.ask("Patient/camille", "care-team-physician")).status == 503
    [entry] = scene.stage.entries()
    assert [kind for kind, _ in entry.findings] == ["incomplete-closure"]
    assert "Organization/double, Organization/double-2" in entry.findings[0][1]
    assert counted(await scene.stage.metrics(), "incomplete-closure") == 1


@pytest.mark.parametrize("failing", ["Consent", "CareTeam", "RelatedPerson"])
async def test_a_hidden_record_that_cannot_be_looked_up_hides_no_other(
    scene: Scene, failing: str
) -> None:
    scene.upstream.world = world_of()

    async def broken(request: web.BaseRequest) -> web.StreamResponse | None:
        about = (
            f"/fhir/{failing}?patient=" in request.raw_path and "Patient/noe" in request.raw_path
        )
        return web.Response(status=500) if about else None

    heard = []
    for override in (broken, None):
        scene.upstream.override = override
        reply = await scene.stage.ask("Observation?_count=500", "psychiatrist")
        heard.append(reply.ids)
    assert heard[0] == heard[1] != []
