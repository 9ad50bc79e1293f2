"""HAPI FHIR answers the searches by which a care team is told, as the embedded server does."""

import aiohttp

from tests.activities import ON_THE_TEAM, WITH_GRACE, gathered, transaction


async def test_what_is_done_for_a_patient_proves_the_care_team(hapi: str) -> None:
    headers = {"content-type": "application/fhir+json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(hapi, data=transaction(False), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
    assert await gathered(hapi, "4.0.1") == ON_THE_TEAM
    assert await gathered(hapi, "4.0.1", grace_days=3) == WITH_GRACE
