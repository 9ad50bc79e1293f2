"""The stage of the demo: everything in one process and one temporary directory, which is removed at the end."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from proxy import app
from proxy.audit.agent import Observer
from proxy.audit.report import export
from proxy.demo import show
from proxy.demo.playing import Event, Sign, audit_events, play, queued
from proxy.demo.scenario import PEOPLE, SCENARIO, Step
from proxy.errors import Finding, UnusableError
from proxy.identity.development import development_keys, development_token
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from proxy.settings import load_settings, read_file

DELIVERY_S = 10.0
DELIVERY_STEP_S = 0.05
TOKEN_S = 12 * 3600.0
_PACKAGE = Path(__file__).resolve().parents[1]

_CONFIGURATION = """\
listen: {{port: 0}}
admin: {{port: 0, reviewers: {{roles: ["practitioner-role#ict"]}}}}
upstream: {{url: "{upstream}", fhir_version: "4.0.1"}}
identity:
  issuers:
    - issuer: https://idp.example.org
      audience: http://127.0.0.1:8080/fhir
      jwks: {{file: keys.json}}
policies: {policies}
facts: {{ttl_s: 0}} # a Consent that is changed behind the gateway's back acts on the next request
audit: {{journal: "sqlite:///journal.db", repository: {{url: "{upstream}"}}}}
"""


OFFICER = "privacy-officer"
"""Who reviews; only the demo has this person."""
_OFFICER: Mapping[str, object] = {
    "iss": "https://idp.example.org",
    "aud": "http://127.0.0.1:8080/fhir",
    "sub": OFFICER,
    "client_id": "review-demo",
    "jti": f"sample-{OFFICER}",
    "scope": "openid",
    "extensions": {
        "ihe_iua": {
            "subject_name": "Paule Registre",
            "subject_role": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/practitioner-role",
                    "code": "ict",
                }
            ],
        }
    },
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A running FHIR server with the samples, a gateway before it, and who signs tokens for it."""

    upstream_url: str
    gateway: app.Gateway
    sign: Sign


def data_directory(name: str) -> Path:
    """Give `policies` or `fhir-samples`: of the installed package, else of the source checkout."""
    for directory in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if directory.is_dir():
            return directory
    raise UnusableError(
        Finding(name, 1, "neither the package nor the source checkout holds this directory")
    )


async def demonstrate(stop_signal: Callable[[], asyncio.Event] | None = None) -> list[str]:
    """Play the scenario and print what came out; give a line for each thing that came out wrong.

    With `stop_signal` everything stays until the event that it gives is set.
    """
    screen = show.console()
    async with staged() as stage:
        outcomes = await play(stage.gateway.url, stage.upstream_url, stage.sign)
        show.show_outcomes(screen, outcomes, stage.gateway.journal.file.entries())
        officer = stage.sign(OFFICER)
        show.show_queue(screen, await queued(stage.gateway.admin_url, officer))
        events, missing = await recorded(stage)
        show.show_audit(screen, events)
        show.show_end(screen, outcomes, len(events))
        if stop_signal is not None:
            show.show_kept(screen, _kept(stage))
            await stop_signal().wait()
    wrong = [str(one) for one in outcomes if not one.is_right]
    return [*wrong, f"{missing} AuditEvents were not delivered in time"] if missing else wrong


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Everything started, and stopped and removed at the end."""
    store = Store("4.0.1")
    load_samples(store, sorted(data_directory("fhir-samples").glob("*.json")))
    sandbox = await start_sandbox(store)
    try:
        async with before(sandbox.url) as stage:
            yield stage
    finally:
        await sandbox.close()
        store.close()


@asynccontextmanager
async def before(upstream_url: str) -> AsyncIterator[Stage]:
    """A gateway before any FHIR server that holds the samples, in a directory that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as directory:
        key, jwks = development_keys(fresh=True)
        gateway = await _gateway(Path(directory), upstream_url, jwks)
        try:
            yield Stage(
                upstream_url, gateway, signer(data_directory("fhir-samples") / "tokens", key)
            )
        finally:
            await gateway.close()


async def _gateway(directory: Path, upstream: str, jwks: bytes) -> app.Gateway:
    (directory / "keys.json").write_bytes(jwks)
    policies = orjson.dumps(str(data_directory("policies") / "baseline")).decode()
    config = directory / "gateway.yaml"
    config.write_text(_CONFIGURATION.format(upstream=upstream, policies=policies), "utf-8")
    return await app.start(load_settings(config, {}), {})


def signer(tokens: Path, key_pem: bytes) -> Sign:
    """Give who signs the claim sets of a directory."""

    def sign(name: str) -> str:
        claims = (
            _OFFICER
            if name == OFFICER
            else orjson.loads(read_file(tokens / f"{name}.json", "the claims"))
        )
        return development_token(claims, key_pem, time.time(), TOKEN_S)

    return sign


async def recorded(stage: Stage) -> tuple[list[Event], int]:
    """The AuditEvents that reach the FHIR server within `DELIVERY_S`, and how many of the journal's are missing."""
    journal = stage.gateway.journal.file
    for _ in range(int(DELIVERY_S / DELIVERY_STEP_S)):
        if not journal.undelivered(1):
            break
        await asyncio.sleep(DELIVERY_STEP_S)
    events = await audit_events(stage.upstream_url)
    observer = Observer(stage.gateway.url, app.NAME)
    due = {orjson.loads(line)["id"] for line in export(journal.entries(), observer)}
    return events, len(due - {event.get("id") for event in events})


def _kept(stage: Stage) -> Iterator[str]:
    """Lines to copy: addresses, and one request for each person."""
    yield ""
    yield f"gateway      {stage.gateway.url}"
    yield f"admin        {stage.gateway.admin_url}/metrics"
    yield f"FHIR server  {stage.upstream_url} (open, behind the gateway)"
    yield f"\n# The review queue of break-glass\nexport REVIEWER='{stage.sign(OFFICER)}'"
    yield f'curl -H "Authorization: Bearer $REVIEWER" {stage.gateway.admin_url}/break-glass'
    targets = {
        step.person: step.target
        for part in reversed(SCENARIO)
        for step in reversed(part.steps)
        if isinstance(step, Step)
    }
    for person in PEOPLE:
        yield f"\n# {person.title}"
        token = stage.sign(person.token)
        yield f"curl -H 'Authorization: Bearer {token}' '{stage.gateway.url}/{targets[person]}'"
    yield "\nCtrl-C ends the demo"
