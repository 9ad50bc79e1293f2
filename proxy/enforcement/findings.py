"""What the judgement of resources shows that an operator should see to: labels nobody knows, bodies nobody can read.

What facts show is told where they are gathered. A finding is written down once for each label or kind of trouble of an
answer, with one resource that has it.
"""

from collections.abc import Iterable, Iterator

from proxy.decision.model import Reason, Verdict
from proxy.decision.residual import VOICE
from proxy.facts.finding import FindingKind, Tell
from proxy.fhir.envelope import named_in
from proxy.obligations.disclose import ILLEGIBLE, Judged

_KINDS = {
    "label": FindingKind.UNKNOWN_LABEL,
    "patient": FindingKind.UNTOLD_PATIENT,
    VOICE: FindingKind.UNREADABLE_RESIDUAL,
}
"""What an unknown verdict of each voice is; a Consent's is told where it is read."""


def report(judged: Iterable[Judged], find: Tell) -> None:
    """Tell of every decision that something unknown made, and of what could not be read at all."""
    judged = list(judged)
    hidden = {id(one.decision): one for one in judged if not one.permitted}
    hidden |= {id(one): one for one in judged if one.envelope is not None and not one.envelope.id}
    found: dict[tuple[FindingKind, str], str] = {}
    for one in hidden.values():
        where = (one.envelope.reference if one.envelope else named_in(one.raw)) or ""
        for kind, what in _found(one):
            found.setdefault((kind, what), where)
    for (kind, what), where in found.items():
        find(kind, f"{what} in {where or 'a resource without a name'}")


def _found(one: Judged) -> Iterator[tuple[FindingKind, str]]:
    if one.decision is None or one.decision is ILLEGIBLE:
        yield FindingKind.UNREADABLE_RESOURCE, "something that cannot be read"
        return
    if one.envelope is not None and not one.envelope.id:
        yield FindingKind.UNREADABLE_RESOURCE, "something without an id"
    for reason in one.decision.reasons:
        kind = _KINDS.get(reason.voice)
        if kind is not None and reason.verdict is Verdict.UNKNOWN and _is_troubling(reason):
            yield kind, reason.source


def _is_troubling(reason: Reason) -> bool:
    """Whether anything is wrong: that data have no label is no finding where the policy shuts unlabelled data."""
    return bool(reason.source)
