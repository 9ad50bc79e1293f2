"""`check --against`: which recorded decisions the new policies would change, told by rule (PAP)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxy.audit.entry import Entry
from proxy.audit.journal_file import JournalFile
from proxy.audit.replay import Change, changes
from proxy.decision.case import compile_policies
from proxy.errors import Finding, UnusableError
from proxy.policy.load import load


def compared(directory: Path, against: Path, journal: Path, since: float) -> Iterator[str]:
    """The report, line by line: one line for each kind of change, most frequent first; `UnusableError`."""
    if not journal.is_file():
        raise UnusableError(Finding("--journal", 1, f"there is no file `{journal}`"))
    if not against.is_dir():
        raise UnusableError(Finding("--against", 1, f"there is no directory `{against}`"))
    old, new = (compile_policies(load(one)) for one in (against, directory))
    count = _Count()
    found = list(changes(count.passing(JournalFile(journal).entries(since)), old, new))
    yield f"{count.decisions} recorded decisions of {count.entries} requests, {len(found)} would change"
    if old.policies.labels != new.policies.labels:
        yield "note: labels.yaml differs; codes that the old set did not look for are not in the journal"
    yield from _told(found)


class _Count:
    """How many entries and decisions were looked at."""

    def __init__(self) -> None:
        self.entries = 0
        self.decisions = 0

    def passing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries, counted."""
        for entry in entries:
            self.entries += 1
            self.decisions += len(entry.decisions)
            yield entry


def _told(found: list[Change]) -> Iterator[str]:
    """Changes of one kind share a line; one entry of the journal stands for them."""
    kinds: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for one in found:
        kinds[_kind(one)].append(one)
    for kind, alike in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0])):
        effect, why, who, what = kind
        resources = sum(one.resources for one in alike)
        yield f"{len(alike):>6}  {effect}  {what} by {who}: {why}"
        yield f"        {resources} resources; for example entry {alike[0].entry_id}"


def _kind(one: Change) -> tuple[str, ...]:
    effects = (
        "redaction" if one.old.effect == one.new.effect else f"{one.old.effect} → {one.new.effect}"
    )
    why = f"{_because(one.old.why)} → {_because(one.new.why)}"
    if one.old.effect == one.new.effect:
        why = f"{_redacted(one.old.redacted)} → {_redacted(one.new.redacted)}"
    who = f"{one.kind} {'/'.join(one.roles)}".strip()
    return effects, why, who, f"{one.interaction} {one.type}"


def _because(why: tuple[str, ...]) -> str:
    return ", ".join(f"`{one}`" for one in why)


def _redacted(entries: tuple[tuple[str, str, str], ...]) -> str:
    return ", ".join(f"{operator} {path}" for operator, path, _ in entries) or "nothing"
