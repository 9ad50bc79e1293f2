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
from dataclasses import dataclass, replace
from datetime import UTC
from functools import lru_cache
from typing import Literal, NamedTuple

from proxy.decision.applicable import Applicable, Live, Rule, applicable
from proxy.decision.constraints import BREAK_GLASS, Context, Question
from proxy.decision.contents import Contents, contents_of
from proxy.decision.model import Reason, Verdict
from proxy.decision.terminology import most_specific
from proxy.facts.actors import names_caller
from proxy.facts.denylist import excluded
from proxy.facts.epochs import Directives, Same, instant_of
from proxy.facts.model import ActorClosure, ConsentDirective
from proxy.facts.selection import in_force
from proxy.fhir.coding import ACT_REASON, Coding, Effect
from proxy.fhir.envelope import Envelope

__all__ = [
    "BREAK_GLASS", "Combination", "ConsentVerdict", "Question", "codes_wanted", "consent_verdict", "excluded",
    "names_caller",
]  # fmt: skip

Combination = Literal["deny-overrides", "most-recent"]
"""How several active Consents are combined (decisions §4, standards X-26)."""


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """The one voice of a patient's Consents; `not-applicable`: none is active, or none says anything about this.

    `named`: it came from a provision that names the caller as actor by reference or identifier. `consents`
    are the references of the acting Consents that were read.
    """

    verdict: Verdict
    named: bool = False
    reasons: tuple[Reason, ...] = ()
    consents: frozenset[str] = frozenset()
    opposed: bool = False
    """Whether it is a deny that names break-glass: the patient's express opposition, which nothing lifts (decisions §9)."""


class _Voice(NamedTuple):
    """What one Consent says; `silent`: it denies only if no other one speaks."""

    directive: ConsentDirective
    verdict: Verdict
    lives: tuple[Live, ...] = ()
    silent: bool = False
    sentence: str = ""


def consent_verdict(
    directives: Sequence[ConsentDirective] | None,
    question: Question,
    combine: Combination = "deny-overrides",
) -> ConsentVerdict:
    """Judge one resource under all Consents of one patient; `None` = they could not be had.

    Where `directives` is a tuple, what all resources of a request have in common is worked out once.
    """
    if directives is None:
        return _UNREAD
    if not directives:
        return _NONE
    same = Same(directives if isinstance(directives, tuple) else tuple(directives))
    prepared = _prepared(
        same,
        Same(question.closure),
        question.action,
        question.purposes,
        instant_of(same, question.now),
        combine,
    )
    return prepared.steady or _judged(prepared, question, combine)


class _Heard(NamedTuple):
    """Whom to hear: not computable, able to speak, and silent whatever the resource is."""

    unknown: tuple[ConsentDirective, ...]
    contents: Contents
    silent: tuple[ConsentDirective, ...]


class _Prepared(NamedTuple):
    """Consents reduced to one request; `explicit` (break-glass only): with BTG taken literally (law 5).

    `steady`: the verdict on every resource, where nothing that can speak asks for anything of it.
    """

    consents: frozenset[str]
    all: _Heard
    explicit: _Heard | None
    steady: ConsentVerdict | None = None


@lru_cache(maxsize=2048)
def _prepared(
    directives: Same[Directives],
    closure: Same[ActorClosure],
    action: str,
    purposes: frozenset[str],
    now: float,
    combine: Combination,
) -> _Prepared:
    by_date = combine == "most-recent"
    consents = in_force(directives, now, by_date=by_date)
    context = Context(closure.value, action, most_specific(purposes), now)
    contexts = [context]
    if BREAK_GLASS in context.purposes:
        contexts.append(context._replace(exact=True))
    applied = [applicable(consents, one, by_date=by_date) for one in contexts]
    whole, *explicit = map(_heard_in, applied)
    prepared = _Prepared(consents.references, whole, explicit[0] if explicit else None)
    if any(one.asks_content for one in applied):
        return prepared
    nothing = Question(closure.value, action, purposes, _NO_RESOURCE, now, UTC)
    return prepared._replace(steady=_judged(prepared, nothing, combine))


def _heard_in(consents: Applicable) -> _Heard:
    return _Heard(consents.unknown, contents_of(consents.rules), consents.silent)


def _judged(prepared: _Prepared, question: Question, combine: Combination) -> ConsentVerdict:
    if prepared.explicit is not None:
        combined = _combined(prepared.explicit, question, combine)
        if _names_break_glass(combined):
            opposed = combined.verdict is Verdict.DENY
            return replace(_verdict(combined, prepared.consents), opposed=opposed)
    return _verdict(_combined(prepared.all, question, combine), prepared.consents)


def codes_wanted(directives: Sequence[ConsentDirective]) -> frozenset[Coding]:
    """Give the codings whose occurrence in a resource matters: `code` of any provision."""
    return frozenset(
        code for directive in directives for node in directive.root.nodes() for code in node.codes
    )


class _Combined(NamedTuple):
    """The verdict of all Consents, and the voices that made it."""

    verdict: Verdict
    voices: tuple[_Voice, ...] = ()


def _combined(consents: _Heard, question: Question, combine: Combination) -> _Combined:
    """Unknown before deny before permit before silence; order never matters."""
    if consents.unknown:
        return _Combined(Verdict.UNKNOWN, tuple(_not_computable(one) for one in consents.unknown))
    rules = consents.contents.for_resource(question.envelope)
    voices = [voice for rule in rules if (voice := _heard(rule, question)) is not None]
    speaking = [voice for voice in voices if not voice.silent]
    if combine == "most-recent":
        speaking = _latest(speaking)
    for verdict in (Verdict.DENY, Verdict.PERMIT):
        decisive = tuple(voice for voice in speaking if voice.verdict is verdict)
        if decisive:
            return _Combined(verdict, decisive)
    silent = (*(voice for voice in voices if voice.silent), *map(_silent, consents.silent))
    return _Combined(Verdict.DENY, silent) if silent else _Combined(Verdict.NOT_APPLICABLE)


def _heard(rule: Rule, question: Question) -> _Voice | None:
    """One Consent's voice about one resource (law 4); None = it says nothing."""
    lives = rule.root.speaking(question)
    if lives:
        effect = lives[0].node.effect
        if effect is Effect.PERMIT and not rule.whole:
            return None
        return _Voice(rule.directive, _VERDICTS[effect], tuple(lives))
    if rule.directive.base is Effect.DENY:
        return None
    if not rule.root.inside:
        return _silent(rule.directive)
    return _Voice(
        rule.directive, Verdict.DENY, (rule.root,), sentence="the patient permits other data only"
    )


def _silent(directive: ConsentDirective) -> _Voice:
    sentence = "the patient permits other callers, purposes or actions only"
    return _Voice(directive, Verdict.DENY, silent=True, sentence=sentence)


def _not_computable(directive: ConsentDirective) -> _Voice:
    return _Voice(directive, Verdict.UNKNOWN, sentence=f"not computable: {directive.problem}")


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
    return any(named in live.node.purposes for voice in combined.voices for live in voice.lives)


def _verdict(combined: _Combined, consents: frozenset[str]) -> ConsentVerdict:
    named = any(live.named for voice in combined.voices for live in voice.lives)
    reasons = tuple(reason for voice in combined.voices for reason in _reasons(voice))
    return ConsentVerdict(combined.verdict, named, reasons, consents)


def _reasons(voice: _Voice) -> Iterator[Reason]:
    reference = voice.directive.reference
    if not voice.lives:
        yield Reason("consent", voice.verdict, reference, voice.sentence)
    for live in voice.lives:
        sentence = voice.sentence or _SENTENCES[live.node.effect]
        yield Reason("consent", voice.verdict, f"{reference}#{live.node.path}", sentence)


_VERDICTS = {Effect.PERMIT: Verdict.PERMIT, Effect.DENY: Verdict.DENY}
_SENTENCES = {Effect.PERMIT: "the patient permits this", Effect.DENY: "the patient denies this"}
_UNREAD = ConsentVerdict(
    Verdict.UNKNOWN,
    reasons=(Reason("consent", Verdict.UNKNOWN, "Consent", "consents could not be read"),),
)
_NONE = ConsentVerdict(Verdict.NOT_APPLICABLE)
_NO_RESOURCE = Envelope(
    "", "", "", "", frozenset(), None, frozenset(), "", frozenset(), frozenset()
)
