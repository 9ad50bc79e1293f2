"""What enforcement would have changed, told from a journal of `mode: observe`: the decision diff report.

Counted by what decides: refusals of whole requests, resources withheld by rule or voice, redactions by element. Nobody
and nothing is named but rules, types and one journal entry that stands for the rest. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from proxy.audit.entry import Entry, Judged, Touched


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of difference. `example` is the id of a journal entry that has it."""

    what: str
    why: str
    who: str
    requests: int
    resources: int
    example: str


@dataclass(frozen=True, slots=True)
class ObservedReport:
    """All differences, most frequent first. `unchanged` requests would have been answered as they were."""

    requests: int
    unchanged: int
    refused: tuple[Line, ...]
    withheld: tuple[Line, ...]
    redacted: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    what: str
    why: str
    who: str


_Found = Mapping[_Key, list[tuple[str, int]]]
"""By kind: (entry id, number of resources)."""


def observed_report(entries: Iterable[Entry]) -> ObservedReport:
    """The report on every entry that was only observed; others are left out."""
    refused: dict[_Key, list[tuple[str, int]]] = defaultdict(list)
    withheld: dict[_Key, list[tuple[str, int]]] = defaultdict(list)
    redacted: dict[_Key, list[tuple[str, int]]] = defaultdict(list)
    requests = unchanged = 0
    for entry in entries:
        if entry.would is None:
            continue
        requests += 1
        found = [
            *_noted(refused, entry, _refusals(entry)),
            *_noted(withheld, entry, _withholdings(entry)),
            *_noted(redacted, entry, _redactions(entry)),
        ]
        unchanged += not found
    return ObservedReport(requests, unchanged, _lines(refused), _lines(withheld), _lines(redacted))


def _noted(
    into: dict[_Key, list[tuple[str, int]]], entry: Entry, found: Iterable[tuple[_Key, int]]
) -> Iterator[_Key]:
    for key, resources in found:
        into[key].append((entry.id, resources))
        yield key


def _lines(found: _Found) -> tuple[Line, ...]:
    lines = (
        Line(
            key.what,
            key.why,
            key.who,
            requests=len({entry for entry, _ in occurrences}),
            resources=sum(count for _, count in occurrences),
            example=occurrences[0][0],
        )
        for key, occurrences in found.items()
    )
    return tuple(sorted(lines, key=lambda one: (-one.requests, one.what, one.why, one.who)))


def _refusals(entry: Entry) -> Iterator[tuple[_Key, int]]:
    """A whole request that would have been refused; one hidden resource is told as withheld instead."""
    would = entry.would
    if would is None or not would.refusal or (would.refusal == "not-found" and entry.touched):
        return
    if would.refusal == "not-found" and entry.outcome != "permitted":
        return  # upstream had nothing either
    rules = [_why(judged) for judged in entry.decisions if judged.effect != "permit"]
    why = rules[0] if would.refusal == "forbidden" and rules else would.detail
    yield _Key(f"{would.status} {_asked(entry)}", why, _who(entry)), 0


def _withholdings(entry: Entry) -> Iterator[tuple[_Key, int]]:
    for touched in entry.touched:
        if touched.outcome == "withheld":
            yield (
                _Key(_kind(entry, touched), _reason(entry, touched), _who(entry)),
                len(touched.references),
            )


def _redactions(entry: Entry) -> Iterator[tuple[_Key, int]]:
    for touched in entry.touched:
        for path in touched.redacted:
            yield _Key(path, _reason(entry, touched), _who(entry)), len(touched.references)


def _asked(entry: Entry) -> str:
    return f"{entry.interaction or entry.method} {entry.type}".strip()


def _kind(entry: Entry, touched: Touched) -> str:
    """The type of resources that fared alike; an unreadable one has none."""
    reference = touched.references[0] if touched.references else ""
    return f"{entry.interaction} {reference.partition('/')[0] or 'unreadable'}"


def _reason(entry: Entry, touched: Touched) -> str:
    if touched.decision < 0:
        return "cannot be read"
    return _why(entry.decisions[touched.decision])


def _why(judged: Judged) -> str:
    """The rules, and the voices that are no rule, that decide; each once."""
    said = (
        source if voice == "policy" and source else f"{voice}: {sentence}"
        for voice, _, source, sentence in judged.reasons
    )
    return ", ".join(dict.fromkeys(said))


def _who(entry: Entry) -> str:
    roles = sorted({code for _, code in (*entry.actor.roles, *entry.standing.roles)})
    return " ".join(filter(None, (entry.actor.kind, "/".join(roles))))
