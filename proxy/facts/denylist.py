"""A patient's deny list: whom a Consent in force denies by name and without condition (decisions §5, `denied`).

A permit in force inside such a deny that certainly names the caller takes the caller off the list. Unknown is `None`.
Pure; what is asked again for the same facts, caller and epoch is kept.
"""

from collections.abc import Sequence
from functools import lru_cache

from proxy.facts.actors import is_named, names_any
from proxy.facts.epochs import Directives, Same, instant_of
from proxy.facts.model import ActorClosure, ConsentDirective, Provision
from proxy.facts.selection import in_force
from proxy.fhir.coding import Effect


def excluded(
    directives: Sequence[ConsentDirective] | None, closure: ActorClosure, now: float
) -> bool | None:
    """Whether the patient's deny list names the caller: a deny in force with this actor and no other constraint.

    `None` = cannot be told.
    """
    if directives is None:
        return None
    same = Same(directives if isinstance(directives, tuple) else tuple(directives))
    return _excluded(same, Same(closure), instant_of(same, now))


@lru_cache(maxsize=4096)
def _excluded(directives: Same[Directives], closure: Same[ActorClosure], now: float) -> bool | None:
    consents = in_force(directives, now)
    answers = [
        _excludes(one.directive.root, closure.value, now)
        for one in consents.for_caller(closure.value)
        if not one.directive.acts_for
    ]
    return True if True in answers else None if consents.unknown or None in answers else False


def is_unconstrained(provision: Provision) -> bool:
    """Whether nothing but actor and period restricts a provision."""
    return not (
        provision.purposes
        or provision.labels
        or provision.classes
        or provision.codes
        or provision.data
        or provision.actions
        or provision.data_period
    )


def _excludes(provision: Provision, closure: ActorClosure, now: float) -> bool | None:
    if not provision.period.covers(now):
        return False
    answers = [_excludes(child, closure, now) for child in provision.provisions]
    if provision.effect is Effect.DENY and provision.actors and is_unconstrained(provision):
        answers.append(_lists(provision, closure, now))
    return True if True in answers else None if None in answers else False


def _lists(provision: Provision, closure: ActorClosure, now: float) -> bool | None:
    pardoned = any(
        is_named(actor, closure)
        for child in provision.provisions
        if child.effect is Effect.PERMIT and child.period.covers(now)
        for actor in child.actors
    )
    return False if pardoned else names_any(provision.actors, closure)
