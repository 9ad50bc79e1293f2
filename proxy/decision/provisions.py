"""Consent provisions judged (https://hl7.org/fhir/R4/consent.html §6.2.3, IHE PCF P.4.4): one voice per patient.

Laws, beside those of the package:
1. Elements of a provision AND, values inside one OR, an absent element does not constrain.
2. What cannot be told does not match a permit and matches a deny (threats T-197).
3. A nested provision of the other effect is an exception: it counts only where its parent matches, and then overrides
   it. One of the same effect counts beside its parent. Among siblings that match, deny wins.
4. A root permit that does not match because of *who asks, why or what for* is silent, so that another Consent may
   speak; because of *the data*, it denies ("nothing but 2022"). Where all acting Consents are silent: deny (PCF-4).
   A root deny that does not match says nothing at all.
5. A break-glass request is judged by provisions that name BTG first, then by subsumption (standards X-10).
Confidentiality U<L<M<N<R<V: permit covers that and lower, deny that and higher (X-5). Pure, total.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxy.decision.constraints import BREAK_GLASS, Asking, Question, in_context, matches
from proxy.decision.model import Reason, Verdict
from proxy.decision.terminology import most_specific, purpose_lineage
from proxy.facts.actors import excluded, is_named, names_caller
from proxy.facts.model import ConsentDirective, Provision
from proxy.fhir.coding import ACT_REASON, Coding, Effect

__all__ = [
    "BREAK_GLASS", "Combination", "ConsentVerdict", "Question", "codes_wanted", "consent_verdict", "excluded", "mentions_wanted",
    "names_caller",
]  # fmt: skip

Combination = Literal["deny-overrides", "most-recent"]
"""How several active Consents are combined (decisions §4, standards X-26)."""


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """The one voice of a patient's Consents; `not-applicable`: none is active, or none says anything about this.

    `named`: a permit came from a provision that names the caller as actor by reference or identifier. `consents`
    are the references of the acting Consents that were read.
    """

    verdict: Verdict
    named: bool = False
    reasons: tuple[Reason, ...] = ()
    consents: frozenset[str] = frozenset()


class _Voice(NamedTuple):
    """What one Consent says; `silent`: it denies only if no other one speaks."""

    directive: ConsentDirective
    verdict: Verdict
    nodes: tuple[Provision, ...] = ()
    silent: bool = False
    sentence: str = ""


def consent_verdict(
    directives: Sequence[ConsentDirective] | None,
    question: Question,
    combine: Combination = "deny-overrides",
) -> ConsentVerdict:
    """Judge one resource under all Consents of one patient; `None` = they could not be had."""
    if directives is None:
        return _UNREAD
    acting = [directive for directive in directives if directive.acts(question.now)]
    if not acting:
        return _NONE
    consents = frozenset(directive.reference for directive in acting)
    purposes = most_specific(question.purposes)
    if BREAK_GLASS in purposes:
        explicit = _combined(
            [_heard(one, Asking(question, purposes, exact=True)) for one in acting], combine
        )
        if _names_break_glass(explicit):
            return _verdict(explicit, consents, question)
    voices = [_heard(one, Asking(question, purposes)) for one in acting]
    return _verdict(_combined(voices, combine), consents, question)


def mentions_wanted(directives: Sequence[ConsentDirective]) -> frozenset[str]:
    """Give the references whose occurrence in a resource matters: `related` and `dependents` of any provision."""
    return frozenset(
        datum.reference
        for directive in directives
        for node in directive.root.nodes()
        for datum in node.data
        if datum.meaning in ("related", "dependents")
    )


def codes_wanted(directives: Sequence[ConsentDirective]) -> frozenset[Coding]:
    """Give the codings whose occurrence in a resource matters: `code` of any provision."""
    return frozenset(
        code for directive in directives for node in directive.root.nodes() for code in node.codes
    )


def _heard(directive: ConsentDirective, asking: Asking) -> _Voice:
    """One Consent's voice (law 4)."""
    if directive.problem is not None:
        return _Voice(directive, Verdict.UNKNOWN, sentence=f"not computable: {directive.problem}")
    if directive.acts_for and not _acts_for(directive, asking):
        return _Voice(directive, Verdict.NOT_APPLICABLE)
    nodes = _speaking(directive.root, asking)
    if nodes:
        return _Voice(directive, _VERDICTS[nodes[0].effect], tuple(nodes))
    if directive.base is Effect.DENY:
        return _Voice(directive, Verdict.NOT_APPLICABLE)
    inside = in_context(directive.root, asking, doubt=False)
    return _Voice(
        directive,
        Verdict.DENY,
        (directive.root,),
        silent=not inside,
        sentence=_UNCOVERED[inside],
    )


def _acts_for(directive: ConsentDirective, asking: Asking) -> bool:
    """Judge a research or treatment scope: a permit must own all purposes of the request, a deny any."""
    if not asking.purposes:
        return directive.base is Effect.DENY
    own = [
        not directive.acts_for.isdisjoint(purpose_lineage(purpose)) for purpose in asking.purposes
    ]
    return any(own) if directive.base is Effect.DENY else all(own)


def _speaking(node: Provision, asking: Asking) -> list[Provision]:
    """Give the provisions of one effect that decide at and below a node; empty = it does not match (law 3)."""
    if not node.period.covers(asking.question.now):
        return []
    matched = matches(node, asking)
    below = [
        deeper
        for child in node.provisions
        if matched or child.effect is node.effect
        for deeper in _speaking(child, asking)
    ]
    denying = [deeper for deeper in below if deeper.effect is Effect.DENY]
    return denying or below or ([node] if matched else [])


class _Combined(NamedTuple):
    """The verdict of all Consents, and the voices that made it."""

    verdict: Verdict
    voices: tuple[_Voice, ...] = ()


def _combined(voices: list[_Voice], combine: Combination) -> _Combined:
    """Unknown before deny before permit before silence; order never matters."""
    speaking = [voice for voice in voices if not voice.silent]
    unknown = [voice for voice in speaking if voice.verdict is Verdict.UNKNOWN]
    if unknown:
        return _Combined(Verdict.UNKNOWN, tuple(unknown))
    speaking = [voice for voice in speaking if voice.verdict is not Verdict.NOT_APPLICABLE]
    if combine == "most-recent":
        speaking = _latest(speaking)
    for verdict in (Verdict.DENY, Verdict.PERMIT):
        decisive = tuple(voice for voice in speaking if voice.verdict is verdict)
        if decisive:
            return _Combined(verdict, decisive)
    silent = tuple(voice for voice in voices if voice.silent)
    return _Combined(Verdict.DENY, silent) if silent else _Combined(Verdict.NOT_APPLICABLE)


def _latest(voices: list[_Voice]) -> list[_Voice]:
    """Keep the last recorded Consents; all of them, where one says not when it was recorded."""
    dates = [voice.directive.recorded for voice in voices]
    known = [date for date in dates if date is not None]
    if len(known) < len(dates) or not known:
        return voices
    last = max(known)
    return [voice for voice in voices if voice.directive.recorded == last]


def _names_break_glass(combined: _Combined) -> bool:
    named = Coding(ACT_REASON, BREAK_GLASS)
    return any(
        named in node.purposes
        for voice in combined.voices
        for node in voice.nodes
        if not voice.silent
    )


def _verdict(combined: _Combined, consents: frozenset[str], question: Question) -> ConsentVerdict:
    nodes = [node for voice in combined.voices for node in voice.nodes]
    named = combined.verdict is Verdict.PERMIT and any(
        is_named(actor, question.closure) and names_caller(actor, question.closure)
        for node in nodes
        for actor in node.actors
    )
    reasons = tuple(reason for voice in combined.voices for reason in _reasons(voice))
    return ConsentVerdict(combined.verdict, named, reasons, consents)


def _reasons(voice: _Voice) -> Iterator[Reason]:
    reference = voice.directive.reference
    if not voice.nodes:
        yield Reason("consent", voice.verdict, reference, voice.sentence)
    for node in voice.nodes:
        sentence = voice.sentence or _SENTENCES[node.effect]
        yield Reason("consent", voice.verdict, f"{reference}#{node.path}", sentence)


_VERDICTS = {Effect.PERMIT: Verdict.PERMIT, Effect.DENY: Verdict.DENY}
_SENTENCES = {Effect.PERMIT: "the patient permits this", Effect.DENY: "the patient denies this"}
_UNCOVERED = {
    True: "the patient permits other data only",
    False: "the patient permits other callers, purposes or actions only",
}
_UNREAD = ConsentVerdict(
    Verdict.UNKNOWN,
    reasons=(Reason("consent", Verdict.UNKNOWN, "Consent", "consents could not be read"),),
)
_NONE = ConsentVerdict(Verdict.NOT_APPLICABLE)
