"""The `audit` commands; each only reads its arguments and says what came out."""

import sys
from typing import Annotated

import typer

from proxy.audit.findings import findings_report
from proxy.audit.observed import observed_report
from proxy.cli import auditing, examining, noticing
from proxy.cli.options import As, Config, FhirVersion, Format, Since, Told
from proxy.cli.telling import NOT_BEGUN, NOT_IN_ORDER, refusing, say
from proxy.errors import Finding, UnusableError
from proxy.facts.finding import FindingKind
from proxy.settings import environment, load_settings

audit = typer.Typer(help="Verify, report from and export the audit journal.", no_args_is_help=True)


@audit.command()
def verify(config: Config) -> None:
    """Prove that no journal entry was altered, removed or inserted; name the first that was."""
    with refusing(NOT_BEGUN, str(config)):
        journal = auditing.journal_of(load_settings(config, environment()), config)
    with refusing(NOT_IN_ORDER, str(journal.path)):
        broken = journal.verify()
        if broken is not None:
            raise UnusableError(Finding(str(journal.path), broken.seq, str(broken)))
        say(f"{journal.path}: unbroken, {sum(head.length for head in journal.heads())} entries")


@audit.command()
def report(
    config: Config,
    patient: Annotated[str, typer.Option(help="The patient's id, `P1` or `Patient/P1`.")],
    since: Since = "1970-01-01",
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
) -> None:
    """Show who accessed a patient's record, when, for what purpose, and what came out."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        accesses = auditing.report(journal, patient, auditing.instant_of(since, settings.zone))
    if form is Format.JSON:
        say(auditing.as_json(accesses))
    else:
        auditing.print_table(accesses)


@audit.command()
def notices(
    config: Config,
    since: Since = "1970-01-01",
    patient: Annotated[str, typer.Option(help="Of one patient only: `P1` or `Patient/P1`.")] = "",
    form: As = Told.TEXT,
) -> None:
    """Show who is to be told of which access: the notices that the journal holds."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        start = auditing.instant_of(since, settings.zone)
        about = f"Patient/{patient.removeprefix('Patient/')}" if patient else ""
        found = list(noticing.notices_of(journal.entries(start), about))
    say(noticing.as_json(found) if form is Told.JSON else noticing.as_text(found))


@audit.command()
def findings(
    config: Config,
    since: Since = "1970-01-01",
    kind: Annotated[FindingKind | None, typer.Option(help="Of one kind only.")] = None,
    form: As = Told.TEXT,
) -> None:
    """Tell what the gateway could not understand, and which resource it was: what `proxy_findings_total` counts."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        start = auditing.instant_of(since, settings.zone)
        told = findings_report(journal.entries(start), kind.value if kind else "")
    say(examining.as_json(told) if form is Told.JSON else auditing.findings(told))


@audit.command()
def retry(config: Config) -> None:
    """Deliver again what a receiver refused for good, AuditEvents and notices, after the cause was repaired."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        events, notices = auditing.retried(journal, settings)
    say(f"{events} entries and {notices} notices wait for delivery again")


@audit.command()
def export(
    config: Config,
    since: Since = "1970-01-01",
    fhir_version: Annotated[FhirVersion, typer.Option(help="Of the AuditEvents.")] = FhirVersion.R4,
) -> None:
    """Write the AuditEvents of the journal as NDJSON to standard output."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        start = auditing.instant_of(since, settings.zone)
        for line in auditing.exported(journal, settings, start, fhir_version.value):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


@audit.command()
def observed(
    config: Config,
    since: Since = "1970-01-01",
    form: As = Told.TEXT,
) -> None:
    """Tell what enforcement would have refused, withheld and redacted while `mode: observe`, by rule."""
    with refusing(NOT_BEGUN, str(config)):
        settings = load_settings(config, environment())
        journal = auditing.journal_of(settings, config)
        start = auditing.instant_of(since, settings.zone)
        told = observed_report(journal.entries(start))
    say(examining.as_json(told) if form is Told.JSON else auditing.differences(told))
