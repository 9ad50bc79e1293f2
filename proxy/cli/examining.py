"""`explain` and `lint` as text and JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from proxy.decision.changes import Change
from proxy.decision.explain import Because, Explanation
from proxy.enforcement.rehearsal import Considered, Rehearsal
from proxy.facts.lint import Linted

_MARKS = {"disclosed": "+", "redacted": "~", "permitted": "o", "consulted": "o", "withheld": "-"}
UNSUPPORTED = "UNSUPPORTED"


def as_json(value: object) -> str:
    """Give any value made of dataclasses, lists and texts as JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def explained(rehearsal: Rehearsal) -> str:
    """Give a rehearsal as lines of text."""
    return "\n".join(_lines(rehearsal))


def _lines(rehearsal: Rehearsal) -> Iterator[str]:
    yield f"{rehearsal.asked} as {rehearsal.caller}"
    refused = f", refused: {rehearsal.refusal} ({rehearsal.detail})" if rehearsal.refusal else ""
    yield f"answer: {rehearsal.status}{refused}"
    if rehearsal.request is not None:
        yield f"request: {rehearsal.request.effect}"
        yield from _told(rehearsal.request)
    yield from (f"asked of upstream: {target}" for target in rehearsal.upstream)
    for one in rehearsal.resources:
        yield from _considered(one)
    if rehearsal.more:
        yield "more pages follow that were not played"
    if rehearsal.request is not None and rehearsal.request.effect == "permit":
        fates = Counter(one.outcome for one in rehearsal.resources)
        counted = ", ".join(f"{fates[name]} {name}" for name in _MARKS if fates[name])
        pages = f" on {rehearsal.pages} pages" if rehearsal.pages > 1 else ""
        yield f"considered{pages}: {counted or 'nothing'}"


def _considered(one: Considered) -> Iterator[str]:
    about = f" about {', '.join(one.patients)}" if one.patients else ""
    yield f"{_MARKS[one.outcome]} {one.reference or 'an unreadable entry'}: {one.outcome}{about}"
    yield from _told(one.explanation)
    if one.redacted:
        yield f"    redacted: {', '.join(one.redacted)}"


def _told(explanation: Explanation) -> Iterator[str]:
    for because in explanation.reasons:
        yield f"    {_because(because, explanation.effect)}"
    for label in explanation.labels:
        yield f"    label {label.label} from {label.origin}"
    if explanation.demands:
        yield f"    demands: {', '.join(explanation.demands)}"
    if explanation.warns:
        yield f"    warns: {'; '.join(explanation.warns)}"
    if explanation.notifies:
        yield f"    notifies: {', '.join(explanation.notifies)}"
    if explanation.effect == "deny":
        yield f"    would change the answer: {_changes(explanation.changes)}"


def _because(because: Because, effect: str) -> str:
    lifted = "lifted " if (effect, because.verdict) == ("permit", "deny") else ""
    voice = f"{lifted}{because.verdict} by {because.voice} {because.source}".rstrip()
    place = f" ({because.place})" if because.place else ""
    sentence = f": {because.sentence}" if because.sentence else ""
    basis = f" [{because.basis}]" if because.basis else ""
    return f"{voice}{place}{sentence}{basis}"


def _changes(changes: tuple[Change, ...]) -> str:
    return "; or ".join(one.sentence for one in changes) or "no single fact that can be tried"


def linted(consents: Iterable[Linted]) -> str:
    """Give what becomes of each Consent as lines of text, and how many there are of each status."""
    lines, statuses = [], Counter[str]()
    for one in consents:
        statuses[one.status] += 1
        of = one.patient or "of nobody who can be told"
        lines.append(f"{one.status:11} {one.consent} {of}{f': {one.why}' if one.why else ''}")
    counted = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return "\n".join([*lines, counted or "no Consent"])


def is_unsupported(consents: Iterable[Linted]) -> bool:
    """Whether some Consent cannot be computed."""
    return any(one.status == UNSUPPORTED for one in consents)
