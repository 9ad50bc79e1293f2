"""Notices end to end: a nurse reads under a rule that obliges, the patient's Communication and the officer's report arrive."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from fhir.resources.R4B.communication import Communication

from proxy.audit.notify import signature_of
from proxy.errors import UnusableError
from tests.stage import BASELINE, Upstream, serving, staged

SECRET = "0123456789abcdef0123456789abcdef"
TEXT = "une consultation de votre dossier a eu lieu"


@pytest.fixture
def telling(tmp_path: Path) -> Path:
    """The baseline pack, with notices for what the care team reads."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for path in BASELINE.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for rule in content.get("rules", []) if "policy" in content else []:
            if rule["id"] == "care-team-reads":
                rule["notify"] = ["patient", "privacy-officer"]
        (folder / path.name).write_text(yaml.safe_dump(content))
    return folder


def settings(tmp_path: Path, repository: str, webhook: str, secret: str = SECRET) -> str:
    (tmp_path / "hook").write_text(secret)
    return f"""
notices:
  repository: {{url: "{repository}"}}
  patient: first
  texts: {{access: "{TEXT}"}}
  webhook: {{url: "{webhook}", secret: {{file: "{tmp_path / "hook"}"}}}}
"""


async def test_the_patient_and_the_officer_are_told(
    tmp_path: Path, telling: Path, upstream: Upstream
) -> None:
    posted: list[tuple[bytes, str, str]] = []

    async def hook(request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        posted.append(
            (await request.read(), headers["x-gateway-signature"], headers["x-gateway-notice"])
        )
        return web.Response()

    async with serving(hook) as webhook:
        more = settings(tmp_path, upstream.url, webhook)
        async with staged(tmp_path, upstream.url, policies=telling, more=more) as stage:
            for _ in range(2):
                answer = await stage.ask("Patient/camille", "care-team-physician")
                assert answer.status == 200
            found = upstream.world.store.everything("Communication")
            for _ in range(200):
                found = upstream.world.store.everything("Communication")
                if len(posted) == 2 and found:
                    break
                await asyncio.sleep(0.02)
    [version] = found.values()
    message = json.loads(version.body or b"")
    Communication.model_validate(message)
    assert message["recipient"] == [{"reference": "Patient/camille"}]
    assert message["payload"] == [{"contentString": TEXT}]
    reports = [json.loads(body) for body, _, _ in posted]
    assert {one["patient"] for one in reports} == {"Patient/camille"}
    assert all(given == signature_of(body, SECRET.encode()) for body, given, _ in posted)
    assert [one["id"] for one in reports] == [name for _, _, name in posted]


async def test_a_short_secret_is_refused(tmp_path: Path, telling: Path, upstream: Upstream) -> None:
    more = settings(tmp_path, upstream.url, upstream.url, "short")
    with pytest.raises(AssertionError, match="at least 32 characters") as raised:
        async with staged(tmp_path, upstream.url, policies=telling, more=more):
            pass
    assert isinstance(raised.value.__cause__, UnusableError)
