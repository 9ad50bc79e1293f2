"""The elements of one Consent provision, held against one request and resource (FHIR Consent.provision, standards §6.2).

Laws: elements AND, values inside one OR, an absent element does not constrain; what cannot be told does not match a
permit and matches a deny (threats T-197): everywhere below, `doubt` is the answer to "cannot be told". Confidentiality is
ordered U<L<M<N<R<V: a permit covers that and lower, a deny that and higher (X-5). Pure, total.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache, lru_cache
from typing import NamedTuple

from proxy.decision.terminology import (
    PURPOSES,
    RANK,
    descends,
    is_known,
    is_sensitivity,
    purpose_lineage,
)  # fmt: skip
from proxy.facts.actors import AUTHOR, names_any
from proxy.facts.model import Actor, ActorClosure, Period, Provision, ProvisionDatum
from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from proxy.fhir.dates import interval_of
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.fhir.envelope import UNTOLD, Envelope

BREAK_GLASS = "BTG"

_ACTIONS = frozenset({"collect", "access", "use", "disclose", "correct"})
RESOURCE_TYPES = frozenset({"http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"})
"""Code systems of resource types, in which `Resource` is any, and `DomainResource` any but a few."""
_NO_DOMAIN_RESOURCES = frozenset({"Binary", "Bundle", "Parameters"})
_PROFILES = frozenset({"urn:ietf:rfc:3986", "http://hl7.org/fhir/structure-definition"})
# Whom an author element can hide: a named author of the first kind may be behind a reference of the second.
_BEHIND: dict[str, frozenset[str]] = {
    "Practitioner": frozenset({"PractitionerRole"}),
    "PractitionerRole": frozenset({"Practitioner"}),
    "Organization": frozenset({"PractitionerRole", "Practitioner"}),
    "Group": frozenset({"PractitionerRole", "Practitioner", "Patient", "RelatedPerson", "Device"}),
    "CareTeam": frozenset({"PractitionerRole", "Practitioner", "RelatedPerson", "Organization"}),
}


def _as_written(coding: Coding) -> Coding:
    return coding


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the Consents of one patient.

    `action` is a consentaction code (`access`); `purposes` v3-ActReason codes. `envelope.labels` are the *effective*
    labels. `mentions` are those of `mentions_asked` that occur in the resource; `None` = not looked for.
    `recognised` are the code systems of labels that the house's own terms explain; `normal` gives the one spelling that
    they have for a coding, so that a Consent and a resource may spell it differently.
    """

    closure: ActorClosure
    action: str
    purposes: frozenset[str]
    envelope: Envelope
    now: float
    zone: tzinfo
    mentions: frozenset[str] | None = None
    recognised: frozenset[str] = frozenset()
    normal: Callable[[Coding], Coding] = _as_written


class Context(NamedTuple):
    """What a whole request has in common: who asks, for what, why. `exact`: BTG matches by equality, not by subsumption."""

    closure: ActorClosure
    action: str
    purposes: frozenset[str]
    now: float
    exact: bool = False


def in_context(node: Provision, context: Context, *, doubt: bool) -> bool:
    """Whether who asks, why, and what for lies inside a provision. Who wrote the resource is content."""
    if node.purposes and not _for_purpose(node, context, doubt=doubt):
        return False
    if node.actions and not _for_action(node.actions, context.action, doubt=doubt):
        return False
    if not node.actors or _names_authors(node):
        return True
    return _any([names_any(node.actors, context.closure)], doubt=doubt)


def asks_content(node: Provision) -> bool:
    """Whether anything in a provision depends on the resource."""
    return bool(
        node.labels
        or node.codes
        or node.classes
        or node.data_period
        or node.data
        or _names_authors(node)
    )


def covers_content(node: Provision, question: Question, *, doubt: bool) -> bool:
    """Whether the resource lies inside a provision."""
    if node.labels and not _covers_labels(node, question, doubt=doubt):
        return False
    if node.codes and not _covers_codes(node, question, doubt=doubt):
        return False
    return all(_any(answers, doubt=doubt) for answers in _answers(node, question, doubt=doubt))


def _answers(
    node: Provision, question: Question, *, doubt: bool
) -> Iterator[Iterable[bool | None]]:
    """Give what the rarer elements say, those that are present."""
    if node.classes:
        yield (_of_class(one, question.envelope) for one in node.classes)
    if node.data_period:
        yield (_in_time(node.data_period, question, doubt=doubt),)
    if node.data:
        yield (_concerns(one, question) for one in node.data)
    if _names_authors(node):
        yield (_by_actor(one, question) for one in node.actors)


def _any(answers: Iterable[bool | None], *, doubt: bool) -> bool:
    """Values inside one element OR; where none is certain, `doubt` decides (law 2)."""
    seen = list(answers)
    return True in seen or (doubt and None in seen)


def _for_purpose(node: Provision, context: Context, *, doubt: bool) -> bool:
    """Hold purposes: a permit must cover every one of the request; one is enough for a deny."""
    if not context.purposes:
        return doubt
    covered = [
        _any((_serves(purpose, stated, context.exact) for stated in node.purposes), doubt=doubt)
        for purpose in context.purposes
    ]
    return any(covered) if doubt else all(covered)


def _serves(purpose: str, stated: Coding, exact: bool) -> bool | None:
    """Whether a purpose is the stated one or below it. A code of another system equals only what we do not know.

    A misspelled code of v3-ActReason, or one of no system, may mean any.
    """
    slip = stated.system in (ACT_REASON, "") and stated.code not in PURPOSES
    if stated.system == ACT_REASON:
        if exact and purpose == BREAK_GLASS:
            return stated.code == purpose
        told = purpose in PURPOSES and not slip
        return stated.code in purpose_lineage(purpose) or (False if told else None)
    if purpose in (stated.code, f"{stated.system}#{stated.code}"):
        return None if purpose in PURPOSES else True
    return None if slip else False


def _for_action(stated: frozenset[str], action: str, *, doubt: bool) -> bool:
    return action in stated or (doubt and not (stated <= _ACTIONS and action in _ACTIONS))


def _names_authors(node: Provision) -> bool:
    return any(actor.role == AUTHOR for actor in node.actors)


def _by_actor(actor: Actor, question: Question) -> bool | None:
    """Hold one actor: with role AUT it names who wrote the data, else who asks."""
    if actor.role == AUTHOR:
        return _authored(actor.reference, question.envelope)
    return names_any([actor], question.closure)


class _Labels(NamedTuple):
    """Labels sorted: ranks of confidentiality, sensitivity, what else is known, and what is not."""

    ranks: frozenset[int]
    sensitive: frozenset[Coding]
    others: frozenset[Coding]
    unknown: frozenset[Coding]

    @property
    def rank(self) -> int | None:
        """The highest; sensitivity without confidentiality is at least R (decisions §6); `None` = cannot be told."""
        return max(self.ranks, default=RANK["R"] if self.sensitive else None)

    @property
    def categories(self) -> frozenset[Coding]:
        """Everything that is not confidentiality."""
        return self.sensitive | self.others | self.unknown


@lru_cache(maxsize=4096)
def _sorted(labels: frozenset[Coding]) -> _Labels:
    known = frozenset(label for label in labels if is_known(label))
    ranked = frozenset(label for label in known if label.system == CONFIDENTIALITY)
    sensitive = frozenset(label for label in known if is_sensitivity(label))
    ranks = frozenset(RANK[label.code] for label in ranked)
    return _Labels(ranks, sensitive, known - ranked - sensitive, labels - known)


def _covers_codes(node: Provision, question: Question, *, doubt: bool) -> bool:
    """Whether the resource bears one of the codes; one without system, or in other letters, may be it."""
    stated = frozenset(map(question.normal, node.codes))
    own = frozenset(map(question.normal, question.envelope.codes))
    if not doubt or not stated.isdisjoint(own):
        return not stated.isdisjoint(own)
    return any(_may_be(one, other) for one in stated for other in own)


def _may_be(one: Coding, other: Coding) -> bool:
    same_system = one.system == other.system or not (one.system and other.system)
    return same_system and one.code.casefold() == other.code.casefold()


def _covers_labels(node: Provision, question: Question, *, doubt: bool) -> bool:
    spelled = frozenset(map(question.normal, node.labels))
    stated, own = _sorted(spelled), _sorted(question.envelope.labels)
    unknown = any(
        label.system not in question.recognised and label not in spelled for label in own.unknown
    )
    if doubt:
        return unknown or _is_denied(stated, own)
    return not unknown and _is_cleared(stated, own)


def _is_denied(stated: _Labels, own: _Labels) -> bool:
    """One label that is denied is enough; a misspelled code of a system we know, or one of no system, may mean any."""
    if any(label.system in (CONFIDENTIALITY, ACT_CODE, "") for label in stated.unknown):
        return True
    if stated.ranks and (own.rank is None or own.rank >= min(stated.ranks)):
        return True
    return any(descends(label, one) for label in own.categories for one in stated.categories)


def _is_cleared(stated: _Labels, own: _Labels) -> bool:
    """Where categories are stated, every sensitivity must be among them; one match is not enough."""
    cleared = frozenset(
        label for label in own.categories if any(descends(label, one) for one in stated.categories)
    )
    if stated.categories and not own.sensitive <= cleared:
        return False
    low_enough = bool(stated.ranks) and own.rank is not None and own.rank <= max(stated.ranks)
    return low_enough or bool(cleared)


def _of_class(stated: Coding, envelope: Envelope) -> bool | None:
    """Hold a resource type or a profile (R4 `class`, R5 `resourceType`); document formats cannot be told."""
    if stated.system in RESOURCE_TYPES:
        return _of_type(stated.code, envelope.type)
    if stated.system in _PROFILES:
        profile = stated.code.partition("|")[0]
        return any(claimed.partition("|")[0] == profile for claimed in envelope.profiles)
    return None


def _of_type(stated: str, rtype: str) -> bool | None:
    """Hold a code of a resource type; a slip of the pen, or a type of another kind, may mean any."""
    if stated in (rtype, "Resource"):
        return True
    if stated == "DomainResource":
        return rtype not in _NO_DOMAIN_RESOURCES
    return False if stated in resource_types() else None


@cache
def resource_types() -> frozenset[str]:
    """The resource types of every FHIR version that is served."""
    return frozenset().union(*(definitions_of(one).resource_types for one in FHIR_VERSIONS))


def _in_time(period: Period, question: Question, *, doubt: bool) -> bool | None:
    """Hold dates: a permit covers data wholly inside its dataPeriod, a deny data that touch it; undated: unknown."""
    when = interval_of(question.envelope.date or question.envelope.last_updated, question.zone)
    if when is None:
        return None
    if doubt:
        return (period.start is None or period.start <= when.end) and (
            period.end is None or when.start <= period.end
        )
    return period.covers(when.start) and period.covers(when.end)


def _concerns(datum: ProvisionDatum, question: Question) -> bool | None:
    """`instance`: it. `authoredby`: written by it. `dependents`: refers to it. `related`: either way (X-4)."""
    envelope = question.envelope
    own = f"{envelope.type}/{envelope.id}"
    if not datum.reference:
        return None
    if datum.meaning == "authoredby":
        return _authored(datum.reference, envelope)
    if datum.reference == own or datum.meaning == "instance":
        return datum.reference == own
    answers = [_occurs(datum.reference, question.mentions)]
    if datum.meaning == "related":
        answers.append(None if datum.mentions is None else own in datum.mentions)
    return True if True in answers else None if None in answers else False


def _occurs(reference: str, mentions: frozenset[str] | None) -> bool | None:
    """Whether a resource refers to something; unknown where one of its references cannot be told."""
    if mentions is None:
        return None
    return True if reference in mentions else None if UNTOLD in mentions else False


def _authored(reference: str | None, envelope: Envelope) -> bool | None:
    """Whether a resource was written by someone; unknown without author, or where the author may be behind another."""
    if reference is None or not envelope.authors:
        return None
    if reference in envelope.authors:
        return True
    behind = _BEHIND.get(reference.partition("/")[0], frozenset())
    return None if any(author.partition("/")[0] in behind for author in envelope.authors) else False
