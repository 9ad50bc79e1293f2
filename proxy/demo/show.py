"""How the demo looks in a terminal of 100 columns."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.json import JSON
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from proxy.audit.entry import Entry, Judged
from proxy.demo.playing import Event, Grant, Outcome
from proxy.demo.scenario import DENIED, OUTSIDER

WIDTH = 100


def console() -> Console:
    """Give a console on standard output: as wide as the terminal, or 100 columns where there is none."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def show_outcomes(screen: Console, outcomes: Sequence[Outcome], entries: Iterable[Entry]) -> None:
    """Print the table: who, request, expected, outcome, and why by the journal."""
    known = {entry.request_id: entry for entry in entries}
    for part, lines in itertools.groupby(outcomes, key=lambda one: one.part):
        table = _titled(part)
        for name, width in _COLUMNS:
            table.add_column(name, width=width, overflow="fold")
        for line in lines:
            entry = known.get(line.request_id)
            table.add_row(*_row(line, why(entry) if entry else []))
        screen.print(table)


_COLUMNS = (("who", 13), ("request", 19), ("expected", 8), ("outcome", 10), ("why", 34))
_MOST_REASONS = 4
_MOST_PERMITS_BESIDE_DENIES = 2


def _titled(title: str) -> Table:
    style = "bold"
    return Table(
        box=box.SIMPLE_HEAD, width=WIDTH, title=title, title_justify="left", title_style=style
    )


def _row(line: Outcome, reasons: Sequence[str]) -> tuple[str | Text, ...]:
    mark, style = ("✓", "green") if line.is_right else ("✗", "bold red")
    outcome = Text(f"{mark} {line.outcome}", style=style)
    shown = "\n".join(reasons)
    if line.person is None:
        asked = Text(f"sets {_broken(line.request)}", style="cyan")
        return Text("Inès", style="cyan"), asked, line.expected, outcome, shown
    return line.person.title, _broken(line.request), line.expected, outcome, shown


def _broken(request: str) -> str:
    """The request on two lines, where it is best read; without what only asks for large pages."""
    if request.startswith("$"):
        return request.replace(" ", "\n")
    asked = request.removeprefix("GET ").partition("&_count")[0]
    return asked.replace("?", "\n?") if "?" in asked else asked.replace("/", "/\n")


def why(entry: Entry) -> list[str]:
    """Give the rules and Consents that decided, as the journal has them: those that permitted, less those that denied."""
    permitting, denying = (_sources(entry.decisions, effect) for effect in ("permit", "deny"))
    if not permitting:
        return _shortened(denying, _MOST_REASONS) or _NO_REASON.get(entry.refusal, [])
    most = _MOST_PERMITS_BESIDE_DENIES if denying else _MOST_REASONS
    less = _shortened(denying, _MOST_REASONS - most)
    return [*_shortened(permitting, most), *(f"less: {source}" for source in less)]


def _shortened(reasons: list[str], most: int) -> list[str]:
    rest = len(reasons) - most
    return [*reasons[:most], *([f"and {rest} more"] if rest > 0 else [])]


_NO_REASON = {"not-found": ["there is none"]}


def _sources(decisions: Iterable[Judged], effect: str) -> list[str]:
    found = (source for judged in decisions if judged.effect == effect for source in _of(judged))
    return list(dict.fromkeys(found))


def _of(judged: Judged) -> Iterator[str]:
    """The reasons that speak for a decision: a Consent without version and provision, no source by its sentence."""
    for _, verdict, source, sentence in judged.reasons:
        if (verdict == "permit") == (judged.effect == "permit"):
            is_consent = source.startswith("Consent/")
            yield (
                source.partition("/_history")[0].partition("#")[0]
                if is_consent
                else (source if "-" in source else sentence)
            )


def show_queue(screen: Console, grants: Sequence[Grant]) -> None:
    """Print the review queue of break-glass, as the privacy officer sees it."""
    table = _titled("The review queue of break-glass, as the privacy officer sees it")
    for name in ("patient", "opened by", "state", "uses", "justification"):
        table.add_column(name, overflow="fold")
    for grant in grants:
        holder = grant.get("holder")
        who = str(holder.get("name", "")) if isinstance(holder, dict) else ""
        shown = (grant["patient"], who, grant["state"], grant["uses"], grant["justification"])
        table.add_row(*map(str, shown))
    screen.print(table)


def show_audit(screen: Console, events: Sequence[Event]) -> None:
    """Print how many AuditEvents of each kind arrived, and one of them in full."""
    table = _titled("The AuditEvents that the gateway delivered to the FHIR server")
    for name in ("kind (profile of BALP)", "outcome", "how many"):
        table.add_column(name)
    for (kind, outcome), count in sorted(Counter(map(kind_of, events)).items()):
        table.add_row(kind, outcome, str(count))
    screen.print(table)
    for title, tells in _SHOWN_WHOLE:
        shown = next((one for one in events if tells(one)), None)
        if shown is not None:
            screen.print(Panel(JSON.from_data(shown, indent=1), title=title, width=WIDTH))


_OUTCOMES = {
    "0": "success", "4": "minor failure", "8": "serious failure", "12": "major failure",
}  # fmt: skip
"""Codes of http://hl7.org/fhir/audit-event-outcome."""


_OVERRIDES = {"110127": "Emergency Override Started", "110138": "Emergency Override Stopped"}
"""Codes of DICOM PS3.16 CID 401."""


def _tells_of_denial(event: Event) -> bool:
    return "Practitioner/dr-blanc" in _agents(event) and event.get("outcome") != "0"


def _tells_of_use(event: Event) -> bool:
    """Whether it is the reading of a patient under a break-glass grant."""
    return kind_of(event)[0] == "PatientRead" and "purposeOfEvent" in event


_SHOWN_WHOLE: tuple[tuple[str, Callable[[Event], bool]], ...] = (
    (f"One in full: {DENIED.title}, asks for Denise's record", _tells_of_denial),
    (f"Another: {OUTSIDER.title}, reads Noé's record under a break-glass grant", _tells_of_use),
)


def kind_of(event: Event) -> tuple[str, str]:
    """Give the profile of an AuditEvent by its last name, and its outcome in a word."""
    meta = event.get("meta")
    profiles = meta.get("profile", []) if isinstance(meta, dict) else []
    names = [str(one).rpartition("/")[2].removeprefix("IHE.BasicAudit.") for one in profiles]
    subtypes = event.get("subtype")
    found = [one.get("code", "") for one in subtypes] if isinstance(subtypes, list) else []
    codes = [_OVERRIDES.get(code, code) for code in found]
    outcome = str(event.get("outcome", ""))
    return next(iter([*names, *codes]), "other"), _OUTCOMES.get(outcome, outcome)


def _agents(event: Event) -> frozenset[str]:
    agents = event.get("agent")
    whos = [one.get("who", {}) for one in agents] if isinstance(agents, list) else []
    return frozenset(str(who.get("reference", "")) for who in whos)


def show_end(screen: Console, outcomes: Sequence[Outcome], events: int) -> None:
    """Print the last line."""
    right = sum(one.is_right for one in outcomes)
    style = "bold green" if right == len(outcomes) else "bold red"
    screen.print(Text(f"{right} of {len(outcomes)} as expected, {events} AuditEvents", style=style))


def show_kept(screen: Console, lines: Iterable[str]) -> None:
    """Print lines that can be copied: never wrapped, never coloured."""
    for line in lines:
        screen.print(Text(line), soft_wrap=True)
