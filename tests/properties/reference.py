"""A small, slow, uncached interpreter of the decision pages: the measure of the engine that the product runs.

It shares values and code tables with the product and nothing else: no index, no memo, no reduction, no order that
matters. Yes, no and unknown are `True`, `False`, `None`; unknown fits a deny and no permit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import tzinfo

from proxy.decision.terminology import PURPOSES, RANK, is_known, is_sensitivity, lineage
from proxy.facts.model import (
    Actor,
    ActorClosure,
    ConsentDirective,
    Facts,
    PatientFacts,
    Provision,
    ProvisionDatum,
    Restriction,
)  # fmt: skip
from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, PARTICIPATION, Coding, Effect
from proxy.fhir.dates import interval_of
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import UNTOLD, Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.policy.model import PolicySet
from proxy.policy.target import PrincipalTarget, ResourceTarget, Target

Ternary = bool | None
PERMIT, DENY = Effect.PERMIT, Effect.DENY
LEVELS = "ULMNRV"
DOCUMENTS = {"DocumentReference", "DocumentManifest", "Composition"}
ACTIONS = {"collect", "access", "use", "disclose", "correct"}
KNOWN_TYPES = frozenset().union(
    *(definitions_of(one).resource_types for one in ("4.0.1", "4.3.0", "5.0.0"))
)
TYPES = {"http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"}
PROFILES = {"urn:ietf:rfc:3986", "http://hl7.org/fhir/structure-definition"}
RESOLVED = {
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Patient",
    "RelatedPerson",
    "Device",
}
HIDES = {
    "PractitionerRole": {"Practitioner", "Organization", "Group", "CareTeam"},
    "Practitioner": {"PractitionerRole", "Organization", "Group", "CareTeam"},
    "Organization": {"CareTeam"},
    "Patient": {"Group"},
    "RelatedPerson": {"Group", "CareTeam"},
    "Device": {"Group"},
}
"""Behind an author of this kind may stand one of those kinds."""


@dataclass(frozen=True)
class Answer:
    """What a decision comes to."""

    effect: Effect
    redactions: frozenset[tuple[str, str, str]] = frozenset()
    heard: frozenset[str] = frozenset()
    """The Consents that were read for it."""


@dataclass(frozen=True)
class Ask:
    """Who asks for what, about which resource; `labels` are the effective ones."""

    policies: PolicySet
    principal: Principal
    closure: ActorClosure
    interaction: str
    envelope: Envelope
    now: float
    zone: tzinfo
    labels: frozenset[Coding] = frozenset()
    rank: int | None = None
    emergency: bool = False
    """Under break-glass grants for every patient."""

    @property
    def purposes(self) -> frozenset[str]:
        """The purposes that count; break-glass is a ceremony, not a claim."""
        if self.emergency:
            return frozenset({"BTG"})
        default = self.policies.default_purpose.get(self.principal.kind.value)
        claimed = self.principal.purposes - {"BTG"}
        found = claimed or ({default} if default else set())
        return frozenset(
            one for one in found if not any(one in _ups(more) - {more} for more in found)
        )


def _ups(purpose: str) -> frozenset[str]:
    return PURPOSES.get(purpose, frozenset({purpose}))


def some(answers: Iterable[Ternary]) -> Ternary:
    """Ternary OR."""
    seen = list(answers)
    return True if True in seen else None if None in seen else False


def every(answers: Iterable[Ternary]) -> Ternary:
    """Ternary AND."""
    seen = list(answers)
    return False if False in seen else None if None in seen else True


def fits(answer: Ternary, effect: Effect) -> bool:
    """Unknown fits a deny and no permit."""
    return answer is True or (answer is None and effect is DENY)


# ---- the decision (decisions 2 and 3) --------------------------------------------------------------------------


def answer(ask: Ask, facts: Facts) -> Answer:
    """The decision on one resource; `ask` is `labelled`. Under grants only where it is denied ordinarily (decisions 9)."""
    ordinary = _answer(ask, facts)
    if ordinary.effect is PERMIT or ask.principal.on_behalf_of or not _has_grants(ask, facts):
        return ordinary
    under = _answer(replace(ask, emergency=True), facts)
    return under if under.effect is PERMIT else ordinary


def _for_such(ask: Ask, target: Target) -> bool:
    """Who acts for another is permitted only by rules for delegates, or about nobody (decisions 5)."""
    types = set(target.resource.type)
    about_nobody = bool(types) and types <= set(ask.policies.universal)
    acts = ask.principal.on_behalf_of is not None
    return not acts or "delegate" in target.principal.relationship or about_nobody


def _has_grants(ask: Ask, facts: Facts) -> bool:
    """Whether this very person and application has an open grant for every patient, and may have one for this purpose."""
    section, one = ask.policies.break_glass, ask.principal
    if section is None or not ask.envelope.patients or _asked(ask) - _ups("BTG"):
        return False
    opener = Target.model_construct(principal=section.may_open)
    holder = (one.issuer, one.subject, one.client_id, one.fhir_user or "")
    held = {
        patient
        for patient, grant in facts.grants.items()
        if astuple(grant.holder) == holder and grant.opened <= ask.now < grant.expires
    }
    return _targets(ask, opener, set(), set()) is True and ask.envelope.patients <= held


def _answer(ask: Ask, facts: Facts) -> Answer:
    patients, levels = ask.envelope.patients, _levels(ask)
    universal = ask.envelope.type in ask.policies.universal
    if patients is None or (patients and universal) or not levels:
        return Answer(DENY)
    if levels == {"patient"} and not universal and patients != {ask.principal.patient}:
        return Answer(DENY)
    each = [_about(ask, facts.patients.get(one), one) for one in patients] or [_nobody(ask)]
    heard = frozenset().union(*(one.heard for one in each))
    if any(one.effect is DENY for one in each):
        return Answer(DENY, heard=heard)
    return Answer(PERMIT, frozenset().union(*(one.redactions for one in each)), heard)


def _levels(ask: Ask) -> set[str]:
    letters = {"read": "r", "vread": "r", "history-instance": "r", "search-type": "s"}
    return {
        one.level
        for one in ask.principal.scopes.granted
        if one.rtype in ("*", ask.envelope.type) and letters[ask.interaction] in one.permissions
    }


def _nobody(ask: Ask) -> Answer:
    return _combined(ask, set(), None, _restriction(ask) if _misread(ask) else [])


def _about(ask: Ask, known: PatientFacts | None, patient: str) -> Answer:
    known = known or PatientFacts(patient, None, None)
    said, named, opposed, heard = consents_say(ask, known.directives)
    unknown: list[bool] = [said is None] + (_restriction(ask) if _misread(ask) else [])
    words = {said} if said else set()
    words |= {"named"} if named and said == "permit" else set()
    denied = [("consent", named or opposed)] if said == "deny" else []
    if _forbids(ask, patient):
        denied.append(("", True))
    return _combined(ask, words, relationships(ask, known), unknown, denied, heard)


def _combined(
    ask: Ask,
    consent: set[str],
    related: set[str] | None,
    unknown: list[bool],
    denied: Iterable[tuple[str, bool]] = (),
    heard: frozenset[str] = frozenset(),
) -> Answer:
    """The truth table. `related` is None for unknown, but for a resource about nobody: nobody stands to nobody."""
    about_nobody = not ask.envelope.patients
    related = set() if about_nobody else related
    matching = [
        (rule, _targets(ask, rule.target, consent, related))
        for rule in ask.policies.rules
    ]  # fmt: skip
    permits = [
        rule
        for rule, match in matching
        if rule.effect is PERMIT and match is True and _for_such(ask, rule.target)
    ]
    denies = [
        ("", True)
        for one in _under_any_grant(ask)
        if _targets(ask, one, consent, related) is not False
    ]
    denies += [(rule.tag, rule.absolute) for rule, match in matching
              if rule.effect is DENY and match is not False]  # fmt: skip
    lifted = {tag for rule in permits for tag in rule.lifts}
    standing = [one for one in (*denies, *denied) if one[1] or one[0] not in lifted]
    if any(unknown) or _label_unknown(ask) or standing or _shut(ask) or not permits:
        return Answer(DENY, heard=heard)
    redactions = frozenset(entry for rule in permits for entry in rule.redact.entries())
    return Answer(PERMIT, redactions, heard)


def _targets(ask: Ask, target: Target, consent: set[str], related: set[str] | None) -> Ternary:
    """Fields AND, values OR, an absent field is no constraint."""
    terms, own = ask.policies.terms, ask.closure
    who, what = target.principal, target.resource
    roles = {one for name in who.role for one in terms.role(name)}
    houses = {one for name in who.organization_type for one in terms.organization_type(name)}
    wrote = _wrote(ask)
    dated = set(who.relationship) - {"author", "author-organization"}
    missing = False if own.complete else None
    parts: list[tuple[object, Ternary]] = [
        (who.kind, ask.principal.kind.value in who.kind),
        (who.client, ask.principal.client_id in who.client),
        (who.role, bool(roles & (ask.principal.roles | own.roles)) or missing),
        (who.organization_type, bool(houses & own.organization_types) or missing),
        (who.relationship, bool(wrote & set(who.relationship))
         or ((None if dated else False) if related is None else bool(dated & related))),
        (target.purpose, any(code in _ups(one) for code in target.purpose for one in _asked(ask))),
        (target.interaction, ask.interaction in target.interaction),
        (what.type, ask.envelope.type in what.type),
        (what.label, any(terms.coding(one) in ask.labels for one in what.label)),
        (what.confidentiality_above, None if ask.rank is None
         else ask.rank > LEVELS.index(what.confidentiality_above or "V")),
        (target.consent, bool(consent & set(target.consent))),
    ]  # fmt: skip
    return every(match for stated, match in parts if stated)


def _under_any_grant(ask: Ask) -> list[Target]:
    """What is denied under every grant: above its ceiling, to whom the patient denies, and what is never opened."""
    section = ask.policies.break_glass
    if section is None or not ask.emergency:
        return []
    above = ResourceTarget(confidentiality_above=section.ceiling)
    listed = Target(principal=PrincipalTarget(relationship=("denied",)))
    return [Target(resource=above), listed, *(Target(resource=one) for one in section.never)]


def _asked(ask: Ask) -> frozenset[str]:
    """All purposes; rules ask whether any lies below theirs, and one that another implies lies above it."""
    if ask.emergency:
        return frozenset({"BTG"})
    default = ask.policies.default_purpose.get(ask.principal.kind.value)
    return ask.principal.purposes - {"BTG"} or frozenset({default} if default else ())


def _wrote(ask: Ask) -> set[str]:
    mine = ask.closure.references & ask.envelope.authors
    return {"author-organization" if one.startswith("Organization/") else "author" for one in mine}


def _shut(ask: Ask) -> bool:
    """The matrix: no cell that opens is a deny."""
    matrix, terms = ask.policies.matrix, ask.policies.terms
    if not matrix or ask.envelope.type not in DOCUMENTS or ask.principal.kind is not PrincipalKind.PRACTITIONER:  # fmt: skip
        return False
    held = ask.principal.roles | ask.closure.roles
    return not any(
        open_ and terms.role(role) & held and kind in map(terms.normalise, ask.envelope.codes)
        for (role, kind), open_ in matrix.cells.items()
    )


# ---- labels (decisions 6) --------------------------------------------------------------------------------------


def labelled(ask: Ask) -> Ask:
    """The same with the effective labels."""
    rules, terms = ask.policies.labels, ask.policies.terms
    labels = {terms.normalise(one) for one in ask.envelope.labels}
    for _, _, added in rules.rules_of(ask.envelope.codes):
        labels |= added
    ranks = [RANK.get(one.code, RANK["R"]) for one in labels if one.system == CONFIDENTIALITY]
    ranks += [RANK["R"] for one in labels if is_sensitivity(one)]
    rank = max(ranks) if ranks else RANK.get(ask.policies.unlabelled)
    labels = {one for one in labels if one.system != CONFIDENTIALITY}
    labels |= set() if rank is None else {Coding(CONFIDENTIALITY, LEVELS[rank])}
    return replace(ask, labels=frozenset(labels), rank=rank)


def _label_unknown(ask: Ask) -> bool:
    terms, rules = ask.policies.terms, ask.policies.labels
    own = [terms.normalise(one) for one in ask.envelope.labels]
    return ask.rank is None or not all(
        one.code in RANK if one.system == CONFIDENTIALITY else rules.knows(one) for one in own
    )


# ---- relationships (decisions 5) -------------------------------------------------------------------------------


def relationships(ask: Ask, known: PatientFacts) -> set[str] | None:
    """How the caller stands to the patient; None: unknown."""
    denied = _on_deny_list(ask, known)
    if denied is None or known.memberships is None or not ask.closure.complete:
        return None
    current = [one for one in known.memberships if one.period.covers(ask.now)]
    found = {one.kind for one in current if is_certain(one.actor, ask.closure)}
    one = ask.principal
    context = one.patient if one.fhir_user is None and one.kind is PrincipalKind.PATIENT else None
    found |= {"self"} if known.patient in (one.fhir_user, context) else set()
    ties = {tie.actor.reference for tie in current}
    found |= {"delegate"} if one.on_behalf_of and one.on_behalf_of in ties else set()
    found |= {"break-glass"} if ask.emergency else set()
    return found | ({"denied"} if denied else set())


def _on_deny_list(ask: Ask, known: PatientFacts) -> Ternary:
    if known.directives is None:
        return None
    acting = [one for one in known.directives if one.acts(ask.now)]
    if any(one.problem for one in acting):
        return True if some(_listed(ask, one) for one in acting if not one.problem) else None
    return some(_listed(ask, one) for one in acting)


def _listed(ask: Ask, directive: ConsentDirective) -> Ternary:
    return False if directive.acts_for else _lists(ask, directive.root)


def _lists(ask: Ask, node: Provision) -> Ternary:
    """A deny in force that names the caller and asks nothing else, without a permit in force inside that does too."""
    if not node.period.covers(ask.now):
        return False
    asks = (node.purposes, node.labels, node.classes, node.codes, node.data, node.actions, node.data_period)  # fmt: skip
    answers = [_lists(ask, child) for child in node.provisions]
    if node.effect is DENY and node.actors and not any(asks):
        inside = [one for one in node.provisions if one.effect is PERMIT and one.period.covers(ask.now)]  # fmt: skip
        actors = [actor for one in inside for actor in one.actors]
        if not any(is_certain(actor, ask.closure) for actor in actors):
            answers.append(is_any(node.actors, ask.closure))
    return some(answers)


# ---- the token's own restrictions (PCF-31) ---------------------------------------------------------------------


def _misread(ask: Ask) -> bool:
    return bool(ask.closure.restriction or ask.principal.pcf or ask.principal.patient_identifier)


def _restriction(ask: Ask) -> list[bool]:
    kept = ask.closure.restriction or Restriction((), problem="not read")
    return [kept.problem is not None, None in kept.patients]


def _forbids(ask: Ask, patient: str) -> bool:
    kept = ask.closure.restriction
    if kept is None:
        return _misread(ask)
    if any(one != patient for one in kept.patients):
        return True
    matching = [one.effect for one in kept.rules if holds_content(ask, one)]
    return DENY in matching and PERMIT not in matching


# ---- a patient's Consents (decisions 4, standards 6.2) -----------------------------------------------------------

Spoken = tuple[str, bool, bool, list[Provision], float | None]
"""What one Consent says: permit or deny, silent, named, by which provisions, and when it was recorded."""


def consents_say(
    ask: Ask, directives: tuple[ConsentDirective, ...] | None
) -> tuple[str | None, bool, bool, frozenset[str]]:
    """The verdict of all (None: unknown), whether it names the caller, whether break-glass, and which Consents act."""
    if directives is None:
        return None, False, False, frozenset()
    acting = [one for one in directives if one.acts(ask.now)]
    heard = frozenset(one.reference for one in acting)
    if any(one.problem for one in acting):
        return None, False, False, heard
    if "BTG" in ask.purposes:
        verdict, named, by = _all_say(ask, acting, exact=True)
        if any(Coding(ACT_REASON, "BTG") in one.purposes for one in by):
            return verdict, named, verdict == "deny", heard
    verdict, named, _ = _all_say(ask, acting, exact=False)
    return verdict, named, False, heard


def _all_say(
    ask: Ask, acting: list[ConsentDirective], exact: bool
) -> tuple[str, bool, list[Provision]]:
    spoken = [one for each in acting if (one := _says(ask, each, exact)) is not None]
    loud = [one for one in spoken if not one[1]]
    if ask.policies.combine == "most-recent" and all(one[4] is not None for one in loud):
        last = max((one[4] for one in loud if one[4] is not None), default=None)
        loud = [one for one in loud if one[4] == last]
    for verdict in ("deny", "permit"):
        mine = [one for one in loud if one[0] == verdict]
        if mine:
            return verdict, any(one[2] for one in mine), [by for one in mine for by in one[3]]
    return ("deny" if spoken else "none"), False, []


def _says(ask: Ask, one: ConsentDirective, exact: bool) -> Spoken | None:
    """A permit that does not match is silent where who asks or why is outside, and denies where the data are."""
    own = [bool(one.acts_for & _ups(purpose)) for purpose in ask.purposes]
    if one.acts_for and own and not any(own):
        return None
    by = _speaking(ask, one.root, exact)
    if by:
        if by[0].effect is PERMIT and one.acts_for and not (own and all(own)):
            return None
        return by[0].effect.value, False, _is_personal(by, ask), by, one.recorded
    if one.base is DENY:
        return None
    inside = one.root.period.covers(ask.now) and holds_context(ask, one.root, exact)
    by = [one.root] if inside else []
    return "deny", not inside, _is_personal(by, ask), by, one.recorded


def _is_personal(by: list[Provision], ask: Ask) -> bool:
    return any(
        is_certain(actor, ask.closure)
        and is_caller(actor, ask.closure)
        and not (actor.reference or "").startswith("CareTeam/")
        for node in by
        for actor in node.actors
    )


def _speaking(ask: Ask, node: Provision, exact: bool) -> list[Provision]:
    """The provisions that decide at and below a node: its exceptions where it matches, else itself; deny wins."""
    if not node.period.covers(ask.now):
        return []
    matches = holds_context(ask, node, exact) and holds_content(ask, node)
    below = [
        found
        for child in node.provisions
        if matches or child.effect is node.effect
        for found in _speaking(ask, child, exact)
    ]
    denying = [one for one in below if one.effect is DENY]
    return denying or below or ([node] if matches else [])


def holds_context(ask: Ask, node: Provision, exact: bool = False) -> bool:
    """Who asks, why, what for. An actor in the role of author is content."""
    parts: list[Ternary] = []
    if node.purposes:
        served = [some(_serves(one, code, exact) for code in node.purposes) for one in ask.purposes]
        joined = every(served) if node.effect is PERMIT else some(served)
        parts.append(joined if served else None)
    if node.actions:
        parts.append("access" in node.actions or (None if node.actions - ACTIONS else False))
    if node.actors and not _authors(node):
        parts.append(is_any(node.actors, ask.closure))
    return all(fits(one, node.effect) for one in parts)


def _serves(purpose: str, stated: Coding, exact: bool) -> Ternary:
    if stated.system != ACT_REASON:
        same = purpose in (stated.code, f"{stated.system}#{stated.code}")
        if not same and not stated.system and stated.code not in PURPOSES:
            return None
        return (None if purpose in PURPOSES else True) if same else False
    if exact and purpose == "BTG":
        return stated.code == "BTG"
    return stated.code in _ups(purpose) or (
        False if {purpose, stated.code} <= set(PURPOSES) else None
    )


def _authors(node: Provision) -> bool:
    return any(one.role == Coding(PARTICIPATION, "AUT") for one in node.actors)


def is_any(actors: Iterable[Actor], closure: ActorClosure) -> Ternary:
    """Whether one of them is the caller; custodians are us, and alone they say nothing that can be told."""
    others = [one for one in actors if one.role != Coding(PARTICIPATION, "CST")]
    return some(is_caller(one, closure) for one in others) if others else None


def is_caller(actor: Actor, closure: ActorClosure) -> Ternary:
    """Whether an actor is the caller: by reference, identifier, membership, or role alone."""
    recipient = actor.role in (None, Coding(PARTICIPATION, "IRCP"), Coding(PARTICIPATION, "PRCP"))
    unnamed = actor.reference is None and actor.identifier is None
    if not recipient:
        return _in_role(actor, closure) if unnamed else None
    if unnamed:
        return None if actor.dead else True
    if is_certain(actor, closure):
        return True
    return False if closure.complete and _is_other(actor, closure) else None


def _in_role(actor: Actor, closure: ActorClosure) -> Ternary:
    own = closure.roles | closure.organization_types
    known = closure.complete and any(actor.role and one.system == actor.role.system for one in own)
    return actor.role in own or (False if known else None)


def _is_other(actor: Actor, closure: ActorClosure) -> bool:
    if actor.dead or {actor.reference, *(actor.members or ())} & closure.former:
        return False
    if actor.reference is None:
        systems = {one.system for one in closure.identifiers}
        return actor.identifier is not None and actor.identifier.system in systems
    kind = actor.reference.split("/")[0]
    return kind in RESOLVED or (kind in ("Group", "CareTeam") and actor.members is not None)


def is_certain(actor: Actor, closure: ActorClosure) -> bool:
    """Whether the caller is named, or a member of what is named."""
    return (
        actor.reference in closure.references
        or actor.identifier in closure.identifiers
        or bool((actor.members or frozenset()) & closure.references)
        or bool(actor.identifiers & closure.identifiers)
    )


def holds_content(ask: Ask, node: Provision) -> bool:
    """Whether the resource lies inside; every element that is there must hold."""
    return all(fits(one, node.effect) for one in _content(ask, node))


def _content(ask: Ask, node: Provision) -> Iterator[Ternary]:
    if node.labels:
        yield (_cleared if node.effect is PERMIT else _hit)(ask, node)
    if node.codes:
        yield _bears(ask, node)
    if node.classes:
        yield some(_is_of(one, ask.envelope) for one in node.classes)
    if node.data_period:
        yield _dated(ask, node)
    if node.data:
        yield some(_concerns(one, ask.envelope) for one in node.data)
    if _authors(node):
        yield some(
            _written_by(one.reference, ask.envelope)
            if one.role == Coding(PARTICIPATION, "AUT")
            else is_any([one], ask.closure)
            for one in node.actors
        )


def _bears(ask: Ask, node: Provision) -> Ternary:
    normal = ask.policies.terms.normalise
    pairs = [(normal(a), normal(b)) for a in node.codes for b in ask.envelope.codes]
    close = [(a, b) for a, b in pairs if a.code.lower() == b.code.lower()]
    perhaps = any(a.system == b.system or "" in (a.system, b.system) for a, b in close)
    return any(a == b for a, b in pairs) or (None if perhaps else False)


def _is_of(stated: Coding, envelope: Envelope) -> Ternary:
    if stated.system in TYPES:
        if stated.code == "DomainResource":
            return envelope.type not in ("Binary", "Bundle", "Parameters")
        if stated.code not in KNOWN_TYPES | {"Resource", envelope.type}:
            return None
        return stated.code in ("Resource", envelope.type)
    if stated.system in PROFILES:
        return stated.code.split("|")[0] in {one.split("|")[0] for one in envelope.profiles}
    return None


def _dated(ask: Ask, node: Provision) -> Ternary:
    """A permit covers data wholly inside, a deny data that touch it."""
    when = interval_of(ask.envelope.date or ask.envelope.last_updated, ask.zone)
    if when is None or node.data_period is None:
        return None
    first, last = node.data_period.start, node.data_period.end
    start, end = (when.start, when.end) if node.effect is PERMIT else (when.end, when.start)
    return (first is None or first <= start) and (last is None or end <= last)


def _concerns(datum: ProvisionDatum, envelope: Envelope) -> Ternary:
    if not datum.reference:
        return None
    if datum.meaning == "authoredby":
        return _written_by(datum.reference, envelope)
    if datum.reference == envelope.reference:
        return True
    if datum.meaning == "instance":
        return False
    refers = _holds(datum.reference, envelope.mentions)
    if datum.meaning == "dependents":
        return refers
    within = None if datum.mentions is None else envelope.reference in datum.mentions
    return some([refers, within])


def _holds(reference: str, mentions: frozenset[str] | None) -> Ternary:
    if mentions is None:
        return None
    return reference in mentions or (None if UNTOLD in mentions else False)


def _written_by(reference: str | None, envelope: Envelope) -> Ternary:
    if reference is None or not envelope.authors:
        return None
    kind = reference.split("/")[0]
    hidden = any(kind in HIDES.get(one.split("/")[0], set()) for one in envelope.authors)
    return reference in envelope.authors or (None if hidden else False)


def _parts(labels: Iterable[Coding]) -> tuple[list[int], set[Coding], set[Coding]]:
    """Ranks of confidentiality, other labels that are known, and those that are not."""
    known = {one for one in labels if is_known(one)}
    ranked = {one for one in known if one.system == CONFIDENTIALITY}
    return [RANK[one.code] for one in ranked], known - ranked, set(labels) - known


def _foreign(ask: Ask, stated: set[Coding]) -> bool:
    """Whether the resource bears a label that neither the standard, nor the house, nor this provision explains."""
    terms = ask.policies.terms
    systems = {uri for one in terms.systems.values() for uri in one.uris()}
    return any(one.system not in systems and one not in stated for one in _parts(ask.labels)[2])


def _below(one: Coding, stated: Iterable[Coding]) -> bool:
    return any(one.system == up.system and up.code in lineage(one) for up in stated)


def _hit(ask: Ask, node: Provision) -> Ternary:
    """A deny: that confidentiality and higher, or any label at or below one that is stated."""
    stated = {ask.policies.terms.normalise(one) for one in node.labels}
    ranks, known, strange = _parts(stated)
    if _foreign(ask, stated) or any(one.system in (CONFIDENTIALITY, ACT_CODE, "") for one in strange):  # fmt: skip
        return None
    high = bool(ranks) and (ask.rank is None or ask.rank >= min(ranks))
    others = [one for one in ask.labels if one.system != CONFIDENTIALITY or not is_known(one)]
    return high or any(_below(one, known | strange) for one in others)


def _cleared(ask: Ask, node: Provision) -> Ternary:
    """A permit: that confidentiality and lower; where categories are stated, every sensitivity must be among them."""
    stated = {ask.policies.terms.normalise(one) for one in node.labels}
    ranks, known, strange = _parts(stated)
    if _foreign(ask, stated):
        return None
    others = [one for one in ask.labels if one.system != CONFIDENTIALITY or not is_known(one)]
    cleared = [one for one in others if _below(one, known | strange)]
    sensitive = [one for one in others if is_sensitivity(one)]
    if (known or strange) and any(one not in cleared for one in sensitive):
        return False
    return bool(cleared) or bool(ranks and ask.rank is not None and ask.rank <= max(ranks))
