"""Records made up for attacks: one patient with a care team and a Consent, and what is said about the patient."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.stage import Json, Stage, Upstream, bundle, serving, staged, world_of

PHYSICIAN, NURSE, OUTSIDE = "care-team-physician", "care-team-nurse", "outside-clinician"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPE = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    ]
}


def resource(rtype: str, own: str, **elements: Any) -> Json:
    """Any resource."""
    return {"resourceType": rtype, "id": own, **elements}


def consent(own: str, effect: str, **provision: Any) -> Json:
    """A Consent of the made-up patient; `provision` are elements of its root provision."""
    return resource(
        "Consent",
        own,
        status="active",
        scope=SCOPE,
        category=[{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        patient={"reference": "Patient/zed"},
        dateTime="2026-01-01",
        provision={"type": effect, **provision},
    )


def about(rtype: str, own: str, **elements: Any) -> Json:
    """A resource about the made-up patient, with a canary in it."""
    subject = {"reference": "Patient/zed"}
    return resource(rtype, own, subject=subject, language="x-CANARY", **elements)


ZED = (
    resource("Patient", "zed"),
    resource(
        "CareTeam",
        "zed-team",
        status="active",
        subject={"reference": "Patient/zed"},
        participant=[
            {"member": {"reference": f"Practitioner/{who}"}} for who in ("dr-martin", "nurse-nora")
        ],
    ),
    consent("zed-permits", "permit"),
)
"""A patient whose care team reads everything."""


@asynccontextmanager
async def gateway(folder: Path, *extra: Json) -> AsyncIterator[tuple[Stage, Upstream]]:
    """A gateway in front of the samples and more."""
    upstream = Upstream(world_of(bundle(*extra)) if extra else world_of())
    async with serving(upstream.respond) as upstream.url, staged(folder, upstream.url) as stage:
        yield stage, upstream


def answering(upstream: Upstream, path: str, body: bytes, **headers: str) -> None:
    """From now on upstream answers data requests below `path` with these very bytes."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        target = request.raw_path.removeprefix("/fhir")
        if "_count=500" in target or not target.startswith(path):
            return None
        return web.Response(body=body, headers={"Content-Type": "application/fhir+json", **headers})

    upstream.override = override


def searchset(*resources: bytes) -> bytes:
    """A page of a search with these very resources."""
    entries = b",".join(b'{"resource":%b,"search":{"mode":"match"}}' % one for one in resources)
    return b'{"resourceType":"Bundle","type":"searchset","entry":[%b]}' % entries
