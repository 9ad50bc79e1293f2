"""The command line: what is asked for on standard output, one line for each mistake, exit codes."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import jwt
import orjson
import pytest
import structlog
from aiohttp import web

from proxy import cli
from proxy.audit.entry import Entry, Notice
from proxy.audit.findings import findings_report
from proxy.audit.journal_file import JournalFile
from proxy.cli.auditing import findings
from proxy.cli.noticing import as_json, as_text, notices_of
from proxy.identity.development import development_keys, development_token
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from proxy.settings import environment
from tests.policy import packs

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "fhir-samples"
CLAIMS = SAMPLES / "tokens" / "care-team-physician.json"
BASELINE = ROOT / "policies" / "baseline"
START_S = 20


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        return self.err.splitlines()


Run = Callable[..., Ran]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Run]:
    def ran(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["proxy", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        written = capfdbinary.readouterr()
        code = ended.value.code
        return Ran(
            code if isinstance(code, int) else -1, written.out.decode(), written.err.decode()
        )

    yield ran
    structlog.reset_defaults()


# ---- arguments and files that cannot be used -----------------------------------------------------------------------

MISTAKES = [
    (("bogus",), 2, "No such command"),
    (("serve",), 2, "--config"),
    (("serve", "--config", "gateway.yaml", "--workers", "0"), 2, "--workers"),
    (("serve", "--config", "nowhere.yaml"), 2, "nowhere.yaml:1: "),
    (("serve", "--config", "."), 2, ".:1: "),
    (("serve", "--config", "broken.yaml"), 2, "broken.yaml:2: "),
    (("serve", "--config", "binary.yaml"), 2, "binary.yaml:1: "),
    (("serve", "--config", "list.yaml"), 2, "list.yaml:1: "),
    (("check",), 2, "POLICY_DIR"),
    (("check", "nowhere"), 1, "nowhere:1: "),
    (("check", "broken.yaml"), 1, "broken.yaml:1: "),
    (("token",), 2, "--claims"),
    (("token", "--claims", "nowhere.json", "--insecure-development"), 2, "nowhere.json:1: "),
    (("token", "--claims", "broken.yaml", "--insecure-development"), 2, "broken.yaml:1: "),
    (("token", "--claims", "list.json", "--insecure-development"), 2, "list.json:1: "),
    (("token", "--claims", "binary.yaml", "--insecure-development"), 2, "binary.yaml:1: "),
    (("token", "--claims", CLAIMS), 2, "--insecure-development"),
    (("token", "--claims", CLAIMS, "--key", "nowhere.pem"), 2, "nowhere.pem:1: "),
    (("token", "--claims", CLAIMS, "--key", "list.json"), 2, "list.json:1: "),
    (("sandbox",), 2, "--port"),
    (("sandbox", "--port", "many"), 2, "--port"),
    (("sandbox", "--port", "65536"), 2, "--port"),
    (("sandbox", "--port", "0", "--fhir-version", "3.0.2"), 2, "--fhir-version"),
    (("sandbox", "--port", "0", "--data", "nowhere"), 2, "nowhere:1: "),
    (("sandbox", "--port", "0", "--data", "data"), 2, "no FHIR resource"),
    (("sandbox", "--port", "0", "--data", "wrong-data"), 2, "wrong.json"),
    (("demo", "faster"), 2, "faster"),
    (("rewrite",), 2, "No such command"),
    (("explain", "--config", "good.yaml", "--claims", CLAIMS), 2, "request"),
    (("explain", "--config", "good.yaml", "GET /Patient"), 2, "--claims"),
    (
        ("explain", "--config", "good.yaml", "--claims", "list.json", "GET /Patient"),
        2,
        "list.json:1: ",
    ),
    (
        ("explain", "--config", "good.yaml", "--claims", CLAIMS, "GET /Patient"),
        2,
        "good.yaml:1: `upstream.url`",
    ),
    (
        ("explain", "--config", "nowhere.yaml", "--claims", CLAIMS, "GET /Patient"),
        2,
        "nowhere.yaml:1: ",
    ),
    (("lint",), 2, "--config"),
    (("lint", "--config", "good.yaml"), 2, "good.yaml:1: `upstream.url`"),
    (("lint", "--config", "good.yaml", "--format", "xml"), 2, "xml"),
    (("audit", "verify"), 2, "--config"),
    (("audit", "verify", "--config", "nowhere.yaml"), 2, "nowhere.yaml:1: "),
    (("audit", "verify", "--config", "good.yaml"), 2, "good.yaml:1: `audit.journal`"),
    (("audit", "report", "--config", "good.yaml"), 2, "--patient"),
    (("audit", "export", "--config", "good.yaml", "--since", "tomorrow"), 2, "good.yaml:1: "),
]


@pytest.mark.parametrize(
    ("arguments", "code", "named"), MISTAKES, ids=lambda one: str(one)[:60].replace(str(ROOT), "")
)
def test_a_mistake_is_one_line_that_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    arguments: tuple[object, ...],
    code: int,
    named: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("listen: {port: 0}\nlisten: {port: 1}\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "list.json").write_text("[1]\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "claims.json").write_text('{"sub": "x"}')
    (tmp_path / "wrong-data").mkdir()
    (tmp_path / "wrong-data" / "wrong.json").write_text('{"resourceType": "Nonsense", "id": "1"}')
    configuration(tmp_path, "http://127.0.0.1:9/fhir", "good.yaml")
    ran = run(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert len(ran.complaints) == 1, ran.err
    assert named in ran.err
    assert "Traceback" not in ran.err


def test_every_finding_has_a_line_of_its_own(tmp_path: Path, run: Run) -> None:
    (tmp_path / "gateway.yaml").write_text("policies: here\nwhatever: true\n")
    ran = run("serve", "--config", tmp_path / "gateway.yaml")
    assert ran.code == 2
    assert len(ran.complaints) == 3
    assert all(line.startswith(f"{tmp_path / 'gateway.yaml'}:") for line in ran.complaints)
    assert f"{tmp_path / 'gateway.yaml'}:2: unknown key `whatever`" in ran.complaints


def test_policies_that_cannot_be_used_are_named_with_their_line(tmp_path: Path, run: Run) -> None:
    packs.write(tmp_path / "pack", policy=packs.POLICY.replace("effect: deny", "effect: maybe"))
    configuration(tmp_path, "http://127.0.0.1:9/fhir", policies=tmp_path / "pack")
    ran = run("serve", "--config", tmp_path / "gateway.yaml")
    assert (ran.code, len(ran.complaints)) == (2, 1)
    assert ran.err.startswith(f"{tmp_path / 'pack' / 'policy.yaml'}:11: ")


def test_several_workers_without_a_shared_key_are_refused(tmp_path: Path, run: Run) -> None:
    configuration(tmp_path, "http://127.0.0.1:9/fhir")
    ran = run("serve", "--config", tmp_path / "gateway.yaml", "--workers", 2)
    assert (ran.code, len(ran.complaints)) == (2, 1)
    assert "paging: {key: {env: PAGING_KEY}}" in ran.err


# ---- check, schema, token ------------------------------------------------------------------------------------------


def test_the_baseline_is_in_order(run: Run) -> None:
    ran = run("check", BASELINE)
    assert (ran.code, ran.err) == (0, "")
    assert "all as expected" in ran.out


def test_a_case_that_comes_out_otherwise_is_named_with_its_line(tmp_path: Path, run: Run) -> None:
    policy = packs.POLICY.replace("rules:", "unlabelled: N\nrules:")
    wrong = packs.CASES.replace("consent: [permit]}", "consent: [permit, none]}")
    packs.write(tmp_path, policy=policy, cases=wrong)
    ran = run("check", tmp_path)
    assert (ran.code, ran.out, len(ran.complaints)) == (1, "", 1)
    assert ran.err.startswith(f"{tmp_path / 'tests' / 'cases.yaml'}:10: doctor · read · plain")


SHADOWED = """\
  - id: team-again
    effect: permit
    target: {principal: {relationship: [care-team], role: [physician]}, consent: [permit], purpose: [TREAT]}
"""


def test_check_names_a_rule_that_changes_nothing_and_what_shadows_it(
    tmp_path: Path, run: Run
) -> None:
    policy = packs.POLICY.replace(
        "rules:", "unlabelled: N\ndefault_purpose: {practitioner: TREAT}\nrules:"
    )
    good = run("check", packs.write(tmp_path / "good", policy=policy))
    assert good.code == 0, good.err
    packs.write(tmp_path / "house", policy=policy + SHADOWED)
    ran = run("check", tmp_path / "house")
    assert ran.code == 1
    file = tmp_path / "house/policy.yaml"
    assert (
        f"{file}:16: rule `team-again` is shadowed, it adds nothing to `team` ({file}:7)" in ran.err
    )


def test_check_notes_a_campaign_that_is_over_and_does_not_refuse_it(
    tmp_path: Path, run: Run
) -> None:
    policy = packs.POLICY.replace("rules:", "unlabelled: N\nrules:")
    past = packs.CAMPAIGN.replace("2026-10-15", "2020-10-15").replace("2027-01-31", "2021-01-31")
    cases = packs.CAMPAIGN_CASES.replace("2026-", "2020-").replace("2027-", "2021-")
    packs.write(tmp_path, policy=policy + past)
    (tmp_path / "tests/campaign.yaml").write_text(cases)
    ran = run("check", tmp_path)
    assert ran.code == 0, ran.err
    note, line = ran.out.splitlines()
    assert (
        note
        == f"{tmp_path}/policy.yaml:22: note: campaign `winter` ended with 2021-01-31; take `nurses-vaccinate` out"
    )
    assert "3 rules" in line


def test_a_rule_without_a_case_is_named_where_it_stands(tmp_path: Path, run: Run) -> None:
    policy = packs.POLICY.replace("rules:", "unlabelled: N\nrules:")
    cases = packs.CASES.replace('  masked: {type: Observation, label: ["fr#MASQUE_PS"]}\n', "")
    packs.write(tmp_path, policy=policy, cases=cases)
    ran = run("check", tmp_path)
    place = f"{tmp_path / 'policy.yaml'}:11: "
    assert (ran.code, ran.complaints) == (
        1,
        [f"{place}rule `masked` is exercised by no test case"],
    )


@pytest.mark.parametrize(("arguments", "key"), [((), "rules"), (("--config",), "upstream")])
def test_the_schemas_are_json_schema(run: Run, arguments: tuple[str, ...], key: str) -> None:
    ran = run("schema", *arguments)
    schema = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert key in schema["properties"]


def test_the_policy_schema_is_the_one_in_its_file(run: Run) -> None:
    assert run("schema").out == (ROOT / "policies/schema/policy.schema.json").read_text()


def test_a_token_bears_the_claims_the_audience_and_the_lifetime(tmp_path: Path, run: Run) -> None:
    pem, jwks = development_keys(fresh=True)
    (tmp_path / "key.pem").write_bytes(pem)
    key = ("--key", tmp_path / "key.pem")
    ran = run("token", "--claims", CLAIMS, *key, "--audience", "urn:us", "--lifetime", 60)
    assert (ran.code, ran.err) == (0, "")
    [jwk] = jwt.PyJWKSet.from_dict(orjson.loads(jwks)).keys
    claims = jwt.decode(ran.out.strip(), jwk.key, algorithms=["ES256"], audience="urn:us")
    assert claims["sub"] == "dr-martin"
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_of_the_published_key_needs_the_word_for_it(run: Run) -> None:
    assert run("token", "--claims", CLAIMS).code == 2
    assert run("token", "--claims", CLAIMS, "--insecure-development").out.count(".") == 2


# ---- what runs until it is told to stop ----------------------------------------------------------------------------


def configuration(
    directory: Path,
    upstream: str,
    name: str = "gateway.yaml",
    policies: Path = BASELINE,
    more: str = "",
) -> Path:
    (directory / "keys.json").write_bytes(development_keys()[1])
    text = f"""\
listen: {{port: 0}}
admin: {{port: 0}}
upstream: {{url: "{upstream}"}}
identity:
  issuers:
    - issuer: https://idp.example.org
      audience: http://127.0.0.1:8080/fhir
      jwks: {{file: keys.json}}
policies: {policies}
audit: {{journal: "sqlite:///journal.db"}}
{more}"""
    (directory / name).write_text(text)
    return directory / name


@contextmanager
def running(
    directory: Path, *arguments: object, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    known = {**environment(), "PYTHONPATH": str(ROOT), **settings}
    with (directory / "err").open("wb") as err, (directory / "out").open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  (ourselves, no shell)
            [sys.executable, "-m", "proxy", *map(str, arguments)], stdout=out, stderr=err, env=known
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def ready(directory: Path, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(START_S * 20):
        lines = (directory / "out").read_text().splitlines()
        if lines:
            assert len(lines) == 1
            assert lines[0].startswith("ready http://127.0.0.1:")
            return lines[0].removeprefix("ready ")
        assert process.poll() is None, (directory / "err").read_text()
        await asyncio.sleep(0.05)
    raise AssertionError((directory / "err").read_text())


async def ended(process: "subprocess.Popen[bytes]") -> int:
    return await asyncio.to_thread(process.wait, START_S)


async def status_of(url: str) -> int:
    token = development_token(json.loads(CLAIMS.read_text()), None, time.time())
    headers = {"authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        return answer.status


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    store = Store()
    load_samples(store, sorted(SAMPLES.glob("*.json")))
    sandbox = await start_sandbox(store)
    yield sandbox.url
    await sandbox.close()


@dataclass
class Program:
    """The command line as a process of its own: what it asks is served by this one."""

    directory: Path

    async def ran(self, *arguments: object) -> Ran:
        with running(self.directory, *arguments) as process:
            code = await ended(process)
        return Ran(code, (self.directory / "out").read_text(), (self.directory / "err").read_text())


async def test_a_request_is_explained_as_text_and_as_json(tmp_path: Path, upstream: str) -> None:
    config, program = configuration(tmp_path, upstream), Program(tmp_path)
    arguments = (
        "explain",
        "--config",
        config,
        "--claims",
        SAMPLES / "tokens" / "care-team-nurse.json",
    )
    text = await program.ran(*arguments, "GET /Patient?_id=camille,noe")
    assert (text.code, text.err) == (0, "")
    lines = [line.strip() for line in text.out.splitlines()]
    assert lines[:3] == [
        "GET /Patient?_id=camille,noe as Practitioner/nurse-nora",
        "answer: 200",
        "request: permit",
    ]
    assert lines[3].startswith("asked of upstream: Patient?_id=camille")
    assert "~ Patient/camille/_history/1: redacted about Patient/camille" in lines
    assert "redacted: Patient.address, Patient.telecom" in lines
    assert any(
        f"permit by policy care-team-nurse-reads ({BASELINE}/treatment.yaml:" in one
        for one in lines
    )
    assert "- Patient/noe/_history/1: withheld about Patient/noe" in lines
    assert "would change the answer: a Consent of Patient/noe that permits this" in lines
    assert lines[-1] == "considered: 1 redacted, 1 withheld"
    told = json.loads((await program.ran(*arguments, "GET /Patient/noe", "--format", "json")).out)
    assert (told["status"], told["refusal"]) == (404, "not-found")
    assert [one["outcome"] for one in told["resources"]] == ["withheld"]
    assert not (tmp_path / "journal.db").exists()


async def test_a_request_that_is_refused_is_told_with_its_true_reason(
    tmp_path: Path, upstream: str
) -> None:
    config = configuration(tmp_path, upstream)
    arguments = ("explain", "--config", config, "--claims", SAMPLES / "tokens" / "insurer.json")
    ran = await Program(tmp_path).ran(*arguments, "GET /Patient")
    assert ran.code == 0
    assert (
        "answer: 403, refused: forbidden (scope or role does not cover the interaction)" in ran.out
    )
    assert "deny by policy insurers-never (" in ran.out
    assert "would change the answer: no single fact that can be tried" in ran.out
    assert "considered" not in ran.out


async def test_consents_are_linted_and_one_that_is_unsupported_is_no_success(
    tmp_path: Path, upstream: str
) -> None:
    config, program = configuration(tmp_path, upstream), Program(tmp_path)
    whole = await program.ran("lint", "--config", config)
    assert (whole.code, whole.err) == (0, "")
    assert "INACTIVE    Consent/ines-draft/_history/1 Patient/ines: status draft" in whole.out
    spoilt = json.loads((SAMPLES / "10-patient-camille.json").read_text())
    [consent] = [
        one["resource"]
        for one in spoilt["entry"]
        if one["resource"].get("id") == "camille-treatment"
    ]
    consent["modifierExtension"] = [{"url": "urn:x", "valueBoolean": True}]
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{upstream}/Consent/camille-treatment", json=consent) as answer,
    ):
        assert answer.status == 200
    own = await program.ran("lint", "--config", config, "--patient", "camille")
    assert own.code == 1
    assert (
        "UNSUPPORTED Consent/camille-treatment/_history/2 Patient/camille: modifierExtension"
        in own.out
    )
    assert own.out.splitlines()[-1] == "1 ENFORCEABLE, 1 UNSUPPORTED"
    told = json.loads((await program.ran("lint", "--config", config, "--format", "json")).out)
    assert {one["status"] for one in told} == {"ENFORCEABLE", "INACTIVE", "UNSUPPORTED"}
    assert (await program.ran("lint", "--config", config, "--patient", "Patient/leo")).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_says_ready_serves_and_ends_with_nought_on_a_signal(
    tmp_path: Path, upstream: str, number: signal.Signals
) -> None:
    config = configuration(tmp_path, upstream)
    with running(tmp_path, "serve", "--config", config) as process:
        url = await ready(tmp_path, process)
        assert url.endswith("/fhir")
        assert await status_of(f"{url}/Patient/camille") == 200
        assert await status_of(f"{url}/Patient/noe") == 404
        process.send_signal(number)
        assert await ended(process) == 0
    logged = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    assert [line["event"] for line in logged] == ["serving", "draining", "stopped"]
    assert "camille" not in (tmp_path / "err").read_text()


@pytest.fixture
async def slow_upstream(upstream: str) -> AsyncIterator[str]:
    """The same server, which takes a second over one patient."""

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/Patient/denise"):
            await asyncio.sleep(1)
        origin = upstream.removesuffix("/fhir")
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, origin + request.path_qs, data=await request.read()
            ) as answer,
        ):
            kind = {"content-type": answer.headers["content-type"]}
            return web.Response(status=answer.status, body=await answer.read(), headers=kind)

    runner = web.ServerRunner(web.Server(forward))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/fhir"
    await runner.cleanup()


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_is_under_way_is_answered_before_serve_ends(
    tmp_path: Path, slow_upstream: str, workers: int
) -> None:
    config = configuration(tmp_path, slow_upstream, more="paging: {key: {env: PAGING_KEY}}\n")
    arguments = ("serve", "--config", config, "--workers", workers)
    with running(tmp_path, *arguments, PAGING_KEY="k" * 40) as process:
        url = await ready(tmp_path, process)
        async with asyncio.TaskGroup() as group:
            under_way = group.create_task(status_of(f"{url}/Patient/denise"))
            await asyncio.sleep(0.4)
            process.terminate()
        assert under_way.result() == 200
        assert await ended(process) == 0


async def test_the_ready_line_names_the_listener_whatever_clients_see(
    tmp_path: Path, upstream: str
) -> None:
    config = configuration(tmp_path, upstream, more='public_url: "https://fhir.example.org/r4"\n')
    with running(tmp_path, "serve", "--config", config) as process:
        url = await ready(tmp_path, process)
        assert await status_of(f"{url}/metadata") == 200


async def test_a_port_in_use_is_one_line(tmp_path: Path, upstream: str) -> None:
    config = configuration(tmp_path, upstream, more="paging: {key: {env: PAGING_KEY}}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for more in ((), ("--workers", 2)):
            arguments = ("serve", "--config", config, *more)
            with running(tmp_path, *arguments, PROXY_LISTEN__PORT=port, PAGING_KEY="k" * 40) as one:
                assert await ended(one) == 2
            [line] = (tmp_path / "err").read_text().splitlines()
            assert line.startswith(f"{config}:1: ")
            assert "address already in use" in line
            assert port in line
        with running(tmp_path, "sandbox", "--port", port) as sandbox:
            assert await ended(sandbox) == 2
        assert len((tmp_path / "err").read_text().splitlines()) == 1


async def test_an_upstream_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    config = configuration(tmp_path, "http://127.0.0.1:9/fhir")
    with running(tmp_path, "serve", "--config", config) as process:
        assert await ended(process) == 2
    [line] = (tmp_path / "err").read_text().splitlines()
    assert line.startswith(f"{config}:1: `upstream.url`")


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell the children of a process")
    return [int(one) for one in children.read_text().split()]


async def test_workers_share_a_port_and_stop_together(tmp_path: Path, upstream: str) -> None:
    config = configuration(tmp_path, upstream, more="paging: {key: {env: PAGING_KEY}}\n")
    arguments = ("serve", "--config", config, "--workers", 2)
    with running(tmp_path, *arguments, PAGING_KEY="k" * 40) as process:
        url = await ready(tmp_path, process)
        assert len(workers_of(process)) == 2
        assert [await status_of(f"{url}/Patient/camille") for _ in range(4)] == [200] * 4
        process.terminate()
        assert await ended(process) == 0


async def test_when_one_worker_dies_all_stop(tmp_path: Path, upstream: str) -> None:
    config = configuration(tmp_path, upstream, more="paging: {key: {env: PAGING_KEY}}\n")
    arguments = ("serve", "--config", config, "--workers", 2)
    with running(tmp_path, *arguments, PAGING_KEY="k" * 40) as process:
        await ready(tmp_path, process)
        first, second = workers_of(process)
        os.kill(first, signal.SIGKILL)
        assert await ended(process) == 1
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)


async def falls_silent(url: str) -> bool:
    for _ in range(START_S * 20):
        try:
            await status_of(url)
        except aiohttp.ClientConnectorError:
            return True
        except aiohttp.ClientError:  # it is closing
            continue
        await asyncio.sleep(0.05)
    return False


async def test_workers_do_not_outlive_their_parent(tmp_path: Path, upstream: str) -> None:
    config = configuration(tmp_path, upstream, more="paging: {key: {env: PAGING_KEY}}\n")
    arguments = ("serve", "--config", config, "--workers", 2)
    with running(tmp_path, *arguments, PAGING_KEY="k" * 40) as process:
        url = await ready(tmp_path, process)
        process.kill()
        await ended(process)
        assert await falls_silent(f"{url}/metadata")


async def test_the_sandbox_serves_what_it_was_given(tmp_path: Path) -> None:
    with running(tmp_path, "sandbox", "--port", 0, "--data", SAMPLES) as process:
        url = await ready(tmp_path, process)
        assert await status_of(f"{url}/Patient/camille") == 200
        process.terminate()
        assert await ended(process) == 0


# ---- audit ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def used(tmp_path: Path, upstream: str) -> Path:
    """A configuration whose journal has one permitted, one hidden and one refused request."""
    config = configuration(tmp_path, upstream)
    with running(tmp_path, "serve", "--config", config) as process:
        url = await ready(tmp_path, process)
        for target in ("Patient/camille", "DocumentReference/camille-doc-surgery", "Patient/noe"):
            await status_of(f"{url}/{target}")
        process.terminate()
        assert await ended(process) == 0
    return config


async def test_an_unbroken_journal_verifies_and_a_forged_one_names_the_entry(
    used: Path, run: Run
) -> None:
    ran = run("audit", "verify", "--config", used)
    assert (ran.code, ran.err) == (0, "")
    assert "unbroken, 3 entries" in ran.out
    with sqlite3.connect(used.parent / "journal.db") as journal:
        journal.execute(
            "UPDATE entry SET entry = replace(entry, 'camille', 'charlie') WHERE seq = 2"
        )
        [(identifier,)] = journal.execute("SELECT id FROM entry WHERE seq = 2")
    journal.close()
    ran = run("audit", "verify", "--config", used)
    assert (ran.code, ran.out, len(ran.complaints)) == (1, "", 1)
    assert identifier in ran.err


async def test_the_report_tells_who_accessed_a_record(used: Path, run: Run) -> None:
    ran = run("audit", "report", "--config", used, "--patient", "camille", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    accesses = json.loads(ran.out)
    assert [(one["who"], one["outcome"]) for one in accesses] == [
        ("Dr Élise Martin", "disclosed"),
        ("Dr Élise Martin", "denied"),
    ]
    same = run("audit", "report", "--config", used, "--patient", "Patient/camille")
    assert same.out.count("Dr Élise Martin") == 2
    later = ("--since", "2999-01-01", "--format", "json")
    assert run("audit", "report", "--config", used, "--patient", "camille", *later).out == "[]\n"


async def test_the_export_is_ndjson_of_audit_events(used: Path, run: Run) -> None:
    ran = run("audit", "export", "--config", used)
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert len(events) >= 3
    assert {event["resourceType"] for event in events} == {"AuditEvent"}
    assert run("audit", "export", "--config", used, "--since", "2999-01-01T00:00:00Z").out == ""


def shut_to_the_unlabelled(folder: Path) -> Path:
    """The baseline, but what has no confidentiality label stays shut; without the cases that expect otherwise."""
    changed = folder / "changed"
    shutil.copytree(ROOT / "policies/baseline", changed)
    treatment = changed / "treatment.yaml"
    treatment.write_text(treatment.read_text().replace("unlabelled: N", "unlabelled: deny"))
    return changed


async def test_recorded_decisions_that_other_policies_would_change_are_told_by_rule(
    used: Path, run: Run, tmp_path: Path
) -> None:
    journal, baseline = used.parent / "journal.db", ROOT / "policies/baseline"
    same = run("check", baseline, "--against", baseline, "--journal", journal)
    assert same.code == 0
    assert same.out.splitlines()[1] == "3 recorded decisions of 3 requests, 0 would change"
    later = ("--journal", journal, "--since", "2999-01-01")
    none = run("check", baseline, "--against", baseline, *later)
    assert "0 recorded decisions of 0 requests, 0 would change" in none.out
    opened = run(
        "check", baseline, "--against", shut_to_the_unlabelled(tmp_path), "--journal", journal
    )
    told = opened.out.splitlines()[1:]
    assert told[0] == "3 recorded decisions of 3 requests, 1 would change"
    assert "deny → permit  read Patient by practitioner 10/doctor: `label`, " in told[1]
    assert told[1].endswith("→ `care-team-reads`, `consent`")
    assert "1 resources; for example entry " in told[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--against", "policies"),
        ("--journal", "journal.db"),
        ("--against", "nowhere", "--journal", "journal.db"),
        ("--against", ROOT / "policies/baseline", "--journal", "nowhere.db"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journal.db").touch()
    ran = run("check", ROOT / "policies/ihe-pcf/deny", *arguments)
    assert (ran.code, len(ran.complaints)) == (1, 1)


def test_notices_are_told_by_patient() -> None:
    notices = (Notice("patient", "Patient/a", "reads"), Notice("privacy-officer", "", "reads"))
    entry = Entry("e1", 0.0, "r", "permitted", 200, "GET", "/", notices=notices)
    told = as_text(notices_of([entry], "")).splitlines()
    assert told == [
        "1970-01-01T00:00:00.000+00:00 patient of Patient/a: reads, by unknown",
        "1970-01-01T00:00:00.000+00:00 privacy-officer of nobody: reads, by unknown",
    ]
    assert [one["why"] for one in json.loads(as_json(notices_of([entry], "Patient/a")))] == [
        "reads"
    ]
    assert as_text(notices_of([entry], "Patient/b")) == "no notices"


def test_findings_are_told_one_a_line() -> None:
    odd = ("unknown-label", "urn:x#odd in Observation/o")
    entries = [Entry(n, 0.0, "r", "denied", 404, "GET", "/", findings=(odd,)) for n in "ab"]
    assert findings(findings_report(entries)) == (
        "1970-01-01T00:00:00.000+00:00 unknown-label: urn:x#odd in Observation/o "
        "(2 times since 1970-01-01T00:00:00.000+00:00)"
    )


async def test_a_journal_without_findings_says_so(used: Path, run: Run) -> None:
    for more in ([], ["--kind", "dead-reference"], ["--since", "2026-01-01"]):
        ran = run("audit", "findings", "--config", used, *more)
        assert (ran.code, ran.out.strip()) == (0, "no findings")
    assert run("audit", "findings", "--config", used, "--format", "json").out == "[]\n"
    assert run("audit", "findings", "--config", used, "--kind", "nonsense").code == 2


async def test_a_journal_without_notices_says_so(used: Path, run: Run) -> None:
    ran = run("audit", "notices", "--config", used, "--patient", "camille")
    assert (ran.code, ran.out.strip()) == (0, "no notices")


async def test_what_was_refused_for_good_waits_again(used: Path, run: Run) -> None:
    journal = JournalFile(used.parent / "journal.db")
    [first, *_] = journal.undelivered(1)
    journal.mark_stuck(first.seq, "the repository answered 422")
    ran = run("audit", "retry", "--config", used)
    assert ran.out == "1 entries and 0 notices wait for delivery again\n"
    assert (journal.stuck(), journal.undelivered(1)) == ([], [first])
