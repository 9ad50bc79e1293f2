"""The whole demo scenario against a real HAPI FHIR server: the same outcomes, and every AuditEvent taken."""

import aiohttp

from proxy.demo.playing import play
from proxy.demo.stage import before, data_directory, recorded


async def test_the_demo_comes_out_on_hapi_as_on_the_embedded_server(hapi: str) -> None:
    async with aiohttp.ClientSession() as session:
        for file in sorted(data_directory("fhir-samples").glob("*.json")):
            headers = {"content-type": "application/fhir+json"}
            async with session.post(hapi, data=file.read_bytes(), headers=headers) as answer:
                assert answer.status == 200, await answer.text()
    async with before(hapi) as stage:
        outcomes = await play(stage.gateway.url, stage.upstream_url, stage.sign)
        assert [str(one) for one in outcomes if not one.is_right] == []
        assert len(outcomes) > 20
        _, missing = await recorded(stage)
        assert stage.gateway.journal.file.stuck() == []
        assert missing == 0
