"""`audit`: the journal verified, reported from and exported (ATNA, BALP 1:52.4.1)."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path

from rich.console import Console
from rich.table import Table

from proxy.app.delivery import NAME
from proxy.audit.agent import Observer
from proxy.audit.findings import FindingReport
from proxy.audit.journal_file import JournalFile
from proxy.audit.notice_book import Postbox
from proxy.audit.observed import ObservedReport
from proxy.audit.report import Access, access_report, export
from proxy.cli.running import address_of
from proxy.errors import Finding, UnusableError
from proxy.settings import Settings

TABLE_WIDTH = 160
"""Columns of a report that goes to no terminal."""


def journal_of(settings: Settings, config: Path) -> JournalFile:
    """Give the journal that a configuration names; `UnusableError` if there is none."""
    path = Path(settings.audit.journal.removeprefix("sqlite:///"))
    if not path.is_file():
        raise UnusableError(Finding(str(config), 1, f"`audit.journal`: there is no file `{path}`"))
    return JournalFile(path)


def instant_of(text: str, zone: tzinfo) -> float:
    """Give the instant of an ISO 8601 date or date-time, in a zone where it has none; `UnusableError` if it is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        message = f"`{text}` is no date or date-time of ISO 8601"
        raise UnusableError(Finding("--since", 1, message)) from None
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def retried(journal: JournalFile, settings: Settings) -> tuple[int, int]:
    """Let what was refused for good wait for delivery again; how many AuditEvents' entries, and how many notices."""
    events = len(journal.stuck())
    journal.retry_stuck()
    recipients = ("patient", "privacy-officer")
    boxes = (Postbox(journal.path, one, "each", settings.zone) for one in recipients)
    return events, sum(box.retry_stuck() for box in boxes)


def report(journal: JournalFile, patient: str, since: float) -> list[Access]:
    """Give the accesses to one patient's data; `patient` with or without `Patient/`."""
    reference = f"Patient/{patient.removeprefix('Patient/')}"
    return access_report(journal.entries(since, reference), reference)


def findings(told: Iterable[FindingReport]) -> str:
    """Give findings as one line each."""
    lines = [
        f"{one.last} {one.kind}: {one.about} ({one.times} times since {one.first})" for one in told
    ]
    return "\n".join(lines) or "no findings"


def as_json(accesses: list[Access]) -> str:
    """Give the accesses as a JSON list."""
    return json.dumps([dataclasses.asdict(one) for one in accesses], indent=2, ensure_ascii=False)


def print_table(accesses: list[Access]) -> None:
    """Print the accesses as a table."""
    table = Table("when", "who", "what", "purpose", "outcome", "by")
    for one in accesses:
        who = f"{one.who}, {one.organization}" if one.organization else one.who
        what = f"{one.interaction} {', '.join(one.what)}"
        cells = (one.when, who, what, ", ".join(one.why), one.outcome, ", ".join(one.basis))
        table.add_row(*cells)
    console = Console(file=sys.stdout)
    Console(file=sys.stdout, width=None if console.is_terminal else TABLE_WIDTH).print(table)


def exported(
    journal: JournalFile, settings: Settings, since: float, fhir_version: str
) -> Iterator[bytes]:
    """Give the AuditEvents of the entries as lines of NDJSON."""
    observer = Observer(settings.public_url or address_of(settings), NAME)
    return export(journal.entries(since), observer, fhir_version)


def differences(told: ObservedReport) -> str:
    """Give the decision diff report as lines of text."""
    return "\n".join(_differences(told))


def _differences(told: ObservedReport) -> Iterator[str]:
    yield f"{told.requests} requests observed, {told.unchanged} would be answered as they were"
    parts = {"refused": told.refused, "withheld": told.withheld, "redacted": told.redacted}
    for name, lines in parts.items():
        for one in lines:
            of = f" {one.resources} resources in" if one.resources else ""
            yield f"{name}:{of} {one.requests} requests, {one.what} by {one.who}: {one.why}"
            yield f"    for example entry {one.example}"
