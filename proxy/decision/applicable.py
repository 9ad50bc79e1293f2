"""The Consents of one patient, reduced to what can matter to one request: made once, asked for every resource.

Who asks, why and what for is the same for every resource of an answer, so provisions that cannot match are dropped and
Consents that say the same are one; those that name only others are not even looked at (`facts.selection`). The laws of
nesting are here (provisions.py, laws 3 and 4). Pure.
"""

from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from proxy.decision.constraints import Context, Question, asks_content, covers_content, in_context
from proxy.decision.terminology import purpose_lineage
from proxy.facts.actors import is_named, names_caller
from proxy.facts.model import Actor, ActorClosure, ConsentDirective, Provision
from proxy.facts.selection import MAX_SILENT, InForce
from proxy.fhir.coding import Effect


@dataclass(frozen=True, slots=True)
class Live:
    """A provision that can matter. `inside`: the request lies in it; `open`: it asks nothing of the resource."""

    node: Provision
    inside: bool
    open: bool
    named: bool
    provisions: tuple["Live", ...]

    def matches(self, question: Question) -> bool:
        """Whether request and resource lie inside; what cannot be told matches a deny and no permit."""
        return self.inside and (
            self.open or covers_content(self.node, question, doubt=self.node.effect is Effect.DENY)
        )

    @property
    def asks_content(self) -> bool:
        """Whether it depends on the resource what is said here or below."""
        return (self.inside and not self.open) or any(one.asks_content for one in self.provisions)

    def speaking(self, question: Question) -> list["Live"]:
        """Give the provisions of one effect that decide at and below this one; empty = it does not match."""
        matched = self.matches(question)
        if not self.provisions:
            return [self] if matched else []
        below = [
            deeper
            for child in self.provisions
            if matched or child.node.effect is self.node.effect
            for deeper in child.speaking(question)
        ]
        denying = [deeper for deeper in below if deeper.node.effect is Effect.DENY]
        return denying or below or ([self] if matched else [])


class Rule(NamedTuple):
    """One Consent, or several that say the same, with the first as its name. `whole`: it owns all purposes asked."""

    directive: ConsentDirective
    root: Live
    whole: bool


@dataclass(frozen=True, slots=True)
class Applicable:
    """Consents in force, sorted: not computable, able to speak, and silent whatever the resource is."""

    unknown: tuple[ConsentDirective, ...]
    rules: tuple[Rule, ...]
    silent: tuple[ConsentDirective, ...]

    @property
    def asks_content(self) -> bool:
        """Whether it depends on the resource what they say."""
        return any(rule.root.asks_content for rule in self.rules)


def applicable(consents: InForce, context: Context, *, by_date: bool) -> Applicable:
    """Reduce the Consents in force to one request. `by_date`: Consents of different dates are not the same."""
    rules: dict[Hashable, Rule] = {}
    speaking: set[int] = set()
    for directive, voice in consents.for_caller(context.closure):
        reach = _reach(directive, context)
        root = None if reach == "none" else _live(directive.root, context)
        if root is not None:
            speaking.add(voice)
            key = (directive.recorded if by_date else None, reach, _said_by(root))
            rules.setdefault(key, Rule(directive, root, reach == "all"))
    silent = tuple(islice(_silent(consents, speaking, context), MAX_SILENT))
    return Applicable(consents.unknown, tuple(rules.values()), silent)


def _silent(
    consents: InForce, speaking: Container[int], context: Context
) -> Iterator[ConsentDirective]:
    """Give the permits that lie outside, whatever the resource is; those of another scope say nothing."""
    return (
        directive
        for directive, voice in consents.permits
        if voice not in speaking and _reach(directive, context) != "none"
    )


def _reach(directive: ConsentDirective, context: Context) -> Literal["none", "some", "all"]:
    """Judge a research or treatment scope: how many of the request's purposes it owns."""
    if not directive.acts_for:
        return "all"
    if not context.purposes:
        return "some"
    own = [not directive.acts_for.isdisjoint(purpose_lineage(one)) for one in context.purposes]
    return "all" if all(own) else "some" if any(own) else "none"


def _live(node: Provision, context: Context) -> Live | None:
    """Reduce a provision to one request; None if neither it nor anything below can speak."""
    if not node.period.covers(context.now):
        return None
    inside = in_context(node, context, doubt=node.effect is Effect.DENY)
    below = (
        _live(child, context) for child in node.provisions if inside or child.effect is node.effect
    )
    provisions = tuple(child for child in below if child is not None)
    if not inside and not provisions:
        return None
    return Live(
        node, inside, not asks_content(node), _is_personal(node, context.closure), provisions
    )


def _is_personal(node: Provision, closure: ActorClosure) -> bool:
    """Whether it names the caller by reference or identifier."""
    return any(
        is_named(one, closure) and names_caller(one, closure) and not _is_team(one)
        for one in node.actors
    )


def _is_team(actor: Actor) -> bool:
    """Whether a care team is named: its members are its members, and nobody in person."""
    return (actor.reference or "").startswith("CareTeam/")


def _said_by(live: Live) -> Hashable:
    """Give all that a provision can say to this request, whatever it is called."""
    node = live.node
    asked = (
        (node.labels, node.codes, node.classes, node.data_period, node.data, node.actors)
        if live.inside and not live.open
        else None
    )
    below = tuple(_said_by(child) for child in live.provisions)
    return node.effect, live.inside, live.named, node.purposes, asked, below
