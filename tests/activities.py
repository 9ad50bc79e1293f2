"""What is done for patients, on a real FHIR server: who of whom is of the care team, and who is not.

`gathered` looks it up as the gateway does, over HTTP. Every practitioner is named after what makes them of the team.
"""

from typing import Any

import aiohttp
import orjson

from proxy.facts.gather import Gatherer, GatherSettings
from proxy.facts.proofs import KINDS
from proxy.facts.relationship import CARE_TEAM
from proxy.wire.client import Reach, UpstreamClient, UpstreamReader
from proxy.wire.credentials import Fixed
from tests.facts.consents import PARIS
from tests.stage import NOW

Json = dict[str, Any]
SOURCES = frozenset(one.resource_type for one in KINDS if CARE_TEAM in one.proves)
PATIENTS = ("act-1", "act-2")
PEOPLE = ("team", "stay", "leaver", "gone", "manager", "in-team", "visit", "invited", "old-visit")
ON_THE_TEAM = {"act-1": {"team", "stay", "manager", "in-team", "visit"}, "act-2": {"visit"}}
WITH_GRACE = {"act-1": ON_THE_TEAM["act-1"] | {"leaver"}, "act-2": ON_THE_TEAM["act-2"]}
"""With three days of grace."""


def resources(r5: bool) -> list[Json]:
    """Everything, in the words of R4 or of R5."""
    return [
        *({"resourceType": "Patient", "id": one} for one in PATIENTS),
        *({"resourceType": "Practitioner", "id": f"act-{one}"} for one in PEOPLE),
        _team("act-team", "team", {"subject": _ref("Patient/act-1")}),
        _team("act-general", "in-team", {}),
        _encounter("act-stay", "stay", "in-progress", {"start": "2026-11-20"}, r5),
        _encounter("act-left", "leaver", "completed" if r5 else "finished", {"start": "2026-11-01", "end": "2026-11-20"}, r5),
        _encounter("act-gone", "gone", "completed" if r5 else "finished", {"start": "2019-01-01", "end": "2019-01-02"}, r5),
        {
            "resourceType": "EpisodeOfCare", "id": "act-episode", "status": "active", "patient": _ref("Patient/act-1"),
            "careManager": _ref("Practitioner/act-manager"), "careTeam" if r5 else "team": [_ref("CareTeam/act-general")],
        },
        _appointment("act-visit", "2026-11-22", "visit", "invited", PATIENTS),
        _appointment("act-old", "2025-11-22", "old-visit", "invited", PATIENTS),
    ]  # fmt: skip


def _ref(reference: str) -> Json:
    return {"reference": reference}


def _team(own: str, member: str, more: Json) -> Json:
    participant = [{"member": _ref(f"Practitioner/act-{member}")}]
    return {"resourceType": "CareTeam", "id": own, "status": "active", "participant": participant, **more}  # fmt: skip


def _encounter(own: str, who: str, status: str, period: Json, r5: bool) -> Json:
    named = {("actor" if r5 else "individual"): _ref(f"Practitioner/act-{who}")}
    code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
    return {
        "resourceType": "Encounter", "id": own, "status": status, "subject": _ref("Patient/act-1"),
        "class": [{"coding": [code]}] if r5 else code, "participant": [named], "actualPeriod" if r5 else "period": period,
    }  # fmt: skip


def _appointment(own: str, day: str, who: str, invited: str, patients: tuple[str, ...]) -> Json:
    accepted = [*(f"Patient/{one}" for one in patients), f"Practitioner/act-{who}"]
    parts = [{"actor": _ref(one), "status": "accepted"} for one in accepted]
    asked = {"actor": _ref(f"Practitioner/act-{invited}"), "status": "needs-action"}
    return {
        "resourceType": "Appointment", "id": own, "status": "booked", "start": f"{day}T14:00:00+01:00",
        "end": f"{day}T14:30:00+01:00", "participant": [*parts, asked],
    }  # fmt: skip


def transaction(r5: bool) -> bytes:
    """A transaction that writes everything."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources(r5)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


async def gathered(base_url: str, version: str, grace_days: int = 0) -> dict[str, set[str]]:
    """Who is of the care team of each patient now; the server has proven before that it honours the searches."""
    async with aiohttp.ClientSession() as session:
        reach = Reach(base_url, Fixed(), 10_000_000)
        reader = UpstreamReader(UpstreamClient(session, reach), base_url, max_pages=5)
        settings = GatherSettings(
            version,
            PARIS,
            (base_url,),
            frozenset({CARE_TEAM}),
            care_team_from=SOURCES,
            grace_days=grace_days,
        )
        gatherer = Gatherer(reader, settings, lambda: NOW)
        await gatherer.sentinel("nobody-of-this-name")
        known = await gatherer.patients([f"Patient/{one}" for one in PATIENTS])
    return {
        name.removeprefix("Patient/"): {
            (one.actor.reference or "").removeprefix("Practitioner/act-")
            for one in facts.memberships or ()
            if one.period.covers(NOW)
        }
        for name, facts in known.items()
    }
