"""The commands, as the contract names them; each only reads its arguments and says what came out."""

import io
import sys
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from proxy import app as application
from proxy import demo as demonstration
from proxy.cli import auditing, comparing, examining, policies
from proxy.cli.audit_commands import audit
from proxy.cli.options import As, Config, FhirVersion, Since, Told
from proxy.cli.running import run, serve, stop_signal
from proxy.cli.sources import claims_of, resources_in
from proxy.cli.telling import (
    NOT_BEGUN,
    NOT_IN_ORDER,
    complain,
    log_to_standard_error,
    refusing,
    say,
)
from proxy.cli.workers import serve_with_workers
from proxy.errors import Finding, UnusableError
from proxy.identity.development import development_token
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from proxy.settings import environment, load_settings, read_file

PROGRAM = "fhir-consent-proxy"
app = typer.Typer(
    name=PROGRAM,
    help="A consent and security-label gateway in front of any FHIR server.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(audit, name="audit")


def main() -> None:
    """Run the command line; exits the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without some letter is no error
    sys.exit(_code(lambda: app(prog_name=PROGRAM, standalone_mode=False)))


def _code(command: Callable[[], object]) -> int:
    """Give the exit code; wrong arguments become one line."""
    try:
        code = command()
    except TyperException as error:
        if error.format_message():
            complain([f"{PROGRAM}: {error.format_message()} (see `{PROGRAM} --help`)"])
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0


@app.command("serve")
def serve_(
    config: Config,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
) -> None:
    """Run the gateway until SIGTERM; print one line `ready URL` when it serves."""
    log_to_standard_error()
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        if workers > 1:
            run(serve_with_workers(config, settings, workers))
        else:
            run(serve(settings, shared=worker))


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running, and print tokens and URLs.")
    ] = False,
) -> None:
    """Let several people ask the same of a gateway before an embedded FHIR server, and show what each gets."""
    log_to_standard_error()
    with refusing(NOT_BEGUN, "demo"):
        wrong = run(demonstration.demonstrate(stop_signal if keep else None))
    if wrong:
        complain(wrong)
        raise typer.Exit(NOT_IN_ORDER)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")],
    data: Annotated[
        Path | None, typer.Option(help="A directory of FHIR resources to load.")
    ] = None,
    fhir_version: Annotated[
        FhirVersion, typer.Option(help="The FHIR version served.")
    ] = FhirVersion.R4,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Run only the embedded FHIR server, which is no production server; print one line `ready URL`."""
    log_to_standard_error()
    with refusing(NOT_BEGUN, str(data or f"{host}:{port}")):
        store = Store(fhir_version.value)
        if data is not None:
            load_samples(store, resources_in(data))
        run(_run_sandbox(store, host, port))


async def _run_sandbox(store: Store, host: str, port: int) -> None:
    stop = stop_signal()
    running = await start_sandbox(store, host, port)
    say(f"ready {running.url}")
    await stop.wait()
    await running.close()


@app.command()
def token(
    claims: Annotated[Path, typer.Option(help="A JSON object of claims.")],
    key: Annotated[
        Path | None, typer.Option(help="A private P-256 key, PEM; absent: the published one.")
    ] = None,
    insecure_development: Annotated[
        bool, typer.Option("--insecure-development", help="Sign with a key that is published.")
    ] = False,
    audience: Annotated[
        str, typer.Option(help="The audience, instead of the one in the claims.")
    ] = "",
    lifetime: Annotated[float, typer.Option(min=1, help="Seconds until the token expires.")] = 3600,
) -> None:
    """Print a signed development token."""
    with refusing(NOT_BEGUN, str(key or claims)):
        if key is None and not insecure_development:
            message = "a token needs `--key FILE`; or `--insecure-development` to sign with a key that everybody has"
            raise UnusableError(Finding(str(claims), 1, message))
        said = {**claims_of(claims), **({"aud": audience} if audience else {})}
        pem = None if key is None else read_file(key, "the key")
        say(development_token(said, pem, time.time(), lifetime))


@app.command()
def check(
    policy_dir: Annotated[
        Path, typer.Argument(metavar="POLICY_DIR", help="A directory of policies.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="OLD_POLICY_DIR", help="Tell which recorded decisions would change."),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="The journal that `--against` reads: the SQLite file.")
    ] = None,
    since: Since = "1970-01-01",
) -> None:
    """Check policy files against their schema and each other, and run their test cases."""
    with refusing(NOT_IN_ORDER, str(policy_dir)):
        say(policies.examined(policy_dir, time.time()))
        if against is None and journal is None:
            return
        if against is None or journal is None:
            message = "`--against` and `--journal` belong together"
            raise UnusableError(Finding("--against", 1, message))
        start = auditing.instant_of(since, UTC)
        for line in comparing.compared(policy_dir, against, journal, start):
            say(line)


@app.command()
def schema(
    config: Annotated[
        bool, typer.Option("--config", help="The schema of gateway.yaml instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of policy files."""
    say(policies.schema_of_settings() if config else policies.schema_of_policies())


@app.command()
def explain(
    config: Config,
    claims: Annotated[Path, typer.Option(help="A JSON object of claims: the supposed caller.")],
    request: Annotated[
        str, typer.Argument(help="`GET /Observation?patient=P1`, below the FHIR base.")
    ],
    form: As = Told.TEXT,
) -> None:
    """Say what a caller would be answered, and why: every resource considered, and what would change the answer."""
    log_to_standard_error()
    with refusing(NOT_BEGUN, str(config)):
        settings, said = load_settings(config, environment()), claims_of(claims)
        rehearsal = run(application.explain(settings, environment(), said, request))
    say(examining.as_json(rehearsal) if form is Told.JSON else examining.explained(rehearsal))


@app.command()
def lint(
    config: Config,
    patient: Annotated[str, typer.Option(help="Only this patient's: `P1` or `Patient/P1`.")] = "",
    form: As = Told.TEXT,
) -> None:
    """Say what becomes of each Consent: ENFORCEABLE, INACTIVE, UNSUPPORTED or LIMIT; exit 1 if any is UNSUPPORTED."""
    log_to_standard_error()
    about = f"Patient/{patient.removeprefix('Patient/')}" if patient else ""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        consents = run(application.lint(settings, environment(), about))
    say(examining.as_json(consents) if form is Told.JSON else examining.linted(consents))
    if examining.is_unsupported(consents):
        raise typer.Exit(NOT_IN_ORDER)
