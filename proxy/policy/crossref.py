"""What one policy file cannot know alone: names, tags, types, paths, and rules that can never be reached. Pure.

Each check is a generator of findings; `CHECKS` is the list of all, `findings_of` runs them.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from proxy.errors import Finding
from proxy.fhir.coding import Effect
from proxy.policy import elements
from proxy.policy.crossref_handling import wrong_handling
from proxy.policy.labels import LabelFile, labels_from
from proxy.policy.model import CONSENT_TAG, Policy, Rule
from proxy.policy.placed import Files, placed_rules, principals_of, resources_of
from proxy.policy.strict import Location
from proxy.policy.target import Target
from proxy.policy.terms import NAME, ORDER


def findings_of(files: Files) -> list[Finding]:
    """Give every finding about files that are each well-formed; empty if they fit together."""
    wrong = [
        *_wrong_terms(files),
        *_wrong_labels(files),
        *wrong_handling(files.labels, files.terms.content),
    ]
    if wrong:
        return wrong
    return [finding for check in CHECKS for finding in check(files)]


def _wrong_terms(files: Files) -> Iterator[Finding]:
    """Roles and organisation types whose codes are of a system without a name."""
    terms = files.terms.content
    for field in ("roles", "organization_types"):
        for name, labels in getattr(terms, field).items():
            for index, label in enumerate(labels):
                if not terms.has_alias(label):
                    yield files.terms.finding(
                        (field, name, index), f"`{label}`: its system has no alias in `systems`"
                    )


def _wrong_labels(files: Files) -> Iterator[Finding]:
    """Aliases in labels.yaml that terms.yaml does not have."""
    for location, label in _labels_written(files.labels.content):
        if not files.terms.content.has_alias(label):
            yield files.labels.finding(
                location, f"`{label}`: its system has no alias in terms.yaml"
            )


def _labels_written(content: LabelFile) -> Iterator[tuple[Location, str]]:
    yield from (
        (("known", "systems", index), alias) for index, alias in enumerate(content.known.systems)
    )
    yield from ((("known", "codes", index), code) for index, code in enumerate(content.known.codes))
    yield from ((("untold", index), label) for index, label in enumerate(content.untold))
    for number, rule in enumerate(content.rules):
        yield from (
            (("rules", number, "add", index), label) for index, label in enumerate(rule.add)
        )
        yield from ((("rules", number, "codes", alias), alias) for alias in rule.codes)


def _unknown_labels(files: Files) -> Iterator[Finding]:
    """Labels that are added by labelling, or used by a target, but would be unknown and so deny everything."""
    terms = files.terms.content
    labels = labels_from(files.labels.content, terms)
    for number, labelling in enumerate(files.labels.content.rules):
        for index, label in enumerate(labelling.add):
            if not labels.knows(terms.coding(label)):
                yield files.labels.finding(
                    ("rules", number, "add", index), f"`{label}` is not among the `known` labels"
                )
    for placed in resources_of(files):
        for index, label in enumerate(placed.part.label):
            if not terms.has_alias(label):
                message = f"`{label}`: its system has no alias in terms.yaml"
                yield placed.finding(message, "label", index)
            elif not labels.knows(terms.coding(label)):
                message = f"`{label}` is not among the known labels of labels.yaml"
                yield placed.finding(message, "label", index)


def _unknown_names(files: Files) -> Iterator[Finding]:
    """Roles and organisation types that terms.yaml does not have."""
    terms = files.terms.content
    known = {"role": terms.roles, "organization_type": terms.organization_types}
    for placed in principals_of(files):
        for field, names in known.items():
            for index, name in enumerate(getattr(placed.part, field)):
                if name not in names:
                    message = f"`{name}` is no {field.replace('_', ' ')} of terms.yaml"
                    yield placed.finding(message, field, index)


def _unknown_texts(files: Files) -> Iterator[Finding]:
    """Warnings that look like the name of a text, and name none."""
    texts = files.terms.content.texts
    for placed in placed_rules(files.policies):
        warn = placed.rule.warn
        if re.fullmatch(NAME, warn) and warn not in texts:
            yield placed.finding(f"`{warn}` is no name among the `texts` of terms.yaml", "warn")


def _unknown_types(files: Files) -> Iterator[Finding]:
    """Resource types that no FHIR version has, and `universal` types that can be about a patient."""
    types = elements.resource_types()
    for placed in resources_of(files):
        for index, name in enumerate(placed.part.type):
            if name not in types:
                yield placed.finding(f"`{name}` is no FHIR resource type", "type", index)
    for source in files.policies:
        for index, name in enumerate(source.content.universal):
            if name not in types:
                yield source.finding(("universal", index), f"`{name}` is no FHIR resource type")
            elif name in elements.patient_types():
                yield source.finding(
                    ("universal", index), f"`{name}` can be about a patient; it is not universal"
                )


def _unknown_paths(files: Files) -> Iterator[Finding]:
    """Paths that name no element: they would redact nothing."""
    for placed in placed_rules(files.policies):
        for location, path in _paths(placed.rule):
            if not elements.exists(path):
                yield placed.finding(
                    f"`{path}` names no element; it would redact nothing", *location
                )


def _paths(rule: Rule) -> Iterator[tuple[Location, str]]:
    for operator in ("remove", "mask", "generalise", "pseudonymise", "shift"):
        for index, path in enumerate(getattr(rule.redact, operator)):
            yield ("redact", operator, index), path
    for path in rule.redact.replace:
        yield ("redact", "replace", path), path


def _duplicates(files: Files) -> Iterator[Finding]:
    """Policies and rules whose name is taken."""
    policies: dict[str, str] = {}
    for source in files.policies:
        first = policies.setdefault(source.content.policy, source.file)
        if first != source.file:
            yield source.finding(
                ("policy",), f"policy `{source.content.policy}` exists already in {first}"
            )
    rules: dict[str, str] = {}
    for placed in placed_rules(files.policies):
        here = "{}:{}".format(*placed.place)
        first = rules.setdefault(placed.rule.id, here)
        if first != here:
            yield placed.finding(f"rule `{placed.rule.id}` exists already at {first}", "id")
    campaigns: dict[str, str] = {}
    for source in files.policies:
        for number, campaign in enumerate(source.content.campaigns):
            place = ("campaigns", number, "id")
            here = f"{source.file}:{source.document.line(place)}"
            first = campaigns.setdefault(campaign.id, here)
            if first != here:
                yield source.finding(place, f"campaign `{campaign.id}` exists already at {first}")


def _wrong_lifts(files: Files) -> Iterator[Finding]:
    """Tags that no deny bears, and tags of denies that nothing may lift."""
    denies = [placed.rule for placed in placed_rules(files.policies) if placed.rule.tag]
    absolute = {rule.tag: rule.id for rule in denies if rule.absolute}
    tags = {rule.tag for rule in denies} | {CONSENT_TAG}
    for placed in placed_rules(files.policies):
        for index, tag in enumerate(placed.rule.lifts):
            if tag in absolute:
                message = f"`{tag}` is the tag of `{absolute[tag]}`, which is absolute; nothing can lift it"
                yield placed.finding(message, "lifts", index)
            elif tag not in tags:
                yield placed.finding(f"no deny has the tag `{tag}`", "lifts", index)


def _wrong_ceremony(files: Files) -> Iterator[Finding]:
    """More than one section `break_glass`, reasons of a system without a name, and rules for grants that nobody can open."""
    sections = [one for one in files.policies if one.content.break_glass]
    for source in sections[1:]:
        message = f"`break_glass` stands already in {sections[0].file}; state it once"
        yield source.finding(("break_glass",), message)
    for source in sections:
        reasons = source.content.break_glass.reasons if source.content.break_glass else ()
        for index, reason in enumerate(reasons):
            if not files.terms.content.has_alias(reason):
                message = f"`{reason}`: its system has no alias in terms.yaml"
                yield source.finding(("break_glass", "reasons", index), message)
    for placed in placed_rules(files.policies):
        if not sections and placed.rule.target.principal.relationship == ("break-glass",):
            message = "no policy has a section `break_glass`, so nobody can open a grant"
            yield placed.finding(message, "target", "principal", "relationship")


SETTINGS = (
    "unlabelled",
    "refusal",
    "references",
    "combine",
    "care_team_from",
    "care_team_grace_days",
    "matrix",
)
"""What holds for the whole set, and is stated in one file only (or alike in several)."""


def _contradictions(files: Files) -> Iterator[Finding]:
    """Give settings of the whole set that two files state differently."""
    stated: dict[str, tuple[object, str]] = {}
    for source in files.policies:
        for location, value in _settings(source.content):
            name = ".".join(location)
            before, file = stated.setdefault(name, (value, source.file))
            if before != value:
                yield source.finding(
                    location, f"`{name}` is `{value}` here and `{before}` in {file}; state it once"
                )


def _settings(policy: Policy) -> Iterator[tuple[tuple[str, ...], object]]:
    given = ((name, getattr(policy, name)) for name in SETTINGS)
    # zero days of grace are stated too
    yield from (((name,), value) for name, value in given if value or value == 0)
    yield from (
        (("default_purpose", kind), purpose) for kind, purpose in policy.default_purpose.items()
    )


CARE_TEAM = "care-team"
DATED = frozenset({"Encounter", "EpisodeOfCare", "Appointment"})
"""Sources of a care team that `care_team_grace_days` speaks of."""


def _useless_care_team(files: Files) -> Iterator[Finding]:
    """What is said of the care team and has no effect: it would be believed to have one."""
    used = any(
        CARE_TEAM in placed.rule.target.principal.relationship
        for placed in placed_rules(files.policies)
    )
    sources = {one for source in files.policies for one in source.content.care_team_from}
    for source in files.policies:
        stated = source.content.care_team_from
        if stated and not used:
            yield source.finding(("care_team_from",), "no rule asks for `relationship: care-team`")
        for index, name in enumerate(stated):
            if name in stated[:index]:
                yield source.finding(("care_team_from", index), f"`{name}` stands twice")
        if source.content.care_team_grace_days and not sources & DATED:
            message = "nothing in `care_team_from` ends by itself; name Encounter, EpisodeOfCare or Appointment"
            yield source.finding(("care_team_grace_days",), message)


def _unreachable(files: Files) -> Iterator[Finding]:
    """Permits that can never take effect."""
    rules = list(placed_rules(files.policies))
    absolute = [placed.rule for placed in rules if placed.rule.absolute and placed.campaign is None]
    universal = frozenset(name for source in files.policies for name in source.content.universal)
    for placed in rules:
        if placed.rule.effect is Effect.PERMIT:
            why = next(_never(placed.rule, absolute, universal), "")
            if why:
                yield placed.finding(f"rule `{placed.rule.id}` can never permit: {why}")


def _never(rule: Rule, absolute: list[Rule], universal: frozenset[str]) -> Iterator[str]:
    target = rule.target
    if target.consent == ("deny",) and CONSENT_TAG not in rule.lifts:
        yield "a Consent's deny wins unless the rule says `lifts: [consent]`"
    types = frozenset(target.resource.type)
    if target.consent and "none" not in target.consent and types and types <= universal:
        yield "universal types have no patient, so no Consent"
    for deny in absolute:
        if covers(deny.target, target):
            yield f"the absolute deny `{deny.id}` applies wherever it does"


def covers(wide: Target, narrow: Target) -> bool:
    """Whether everything that `narrow` matches is surely matched by `wide`."""
    inner = constraints(narrow)
    return all(
        inner.get(name, frozenset()) and inner[name] <= values
        for name, values in constraints(wide).items()
    )


def constraints(target: Target) -> dict[str, frozenset[str]]:
    """Give each constraint of a target as the set of values that satisfy it."""
    resource = target.resource
    above = resource.confidentiality_above
    found: dict[str, Iterable[str]] = {
        **{
            f"principal.{name}": getattr(target.principal, name)
            for name in type(target.principal).model_fields
        },
        "resource.type": resource.type,
        "resource.label": resource.label,
        "resource.confidentiality": ORDER[ORDER.index(above) + 1 :] if above else (),
        "purpose": target.purpose,
        "interaction": target.interaction,
        "consent": target.consent,
    }
    return {name: frozenset(values) for name, values in found.items() if values}


CHECKS: tuple[Callable[[Files], Iterator[Finding]], ...] = (
    _duplicates,
    _unknown_names,
    _unknown_texts,
    _unknown_types,
    _unknown_labels,
    _unknown_paths,
    _wrong_lifts,
    _wrong_ceremony,
    _contradictions,
    _useless_care_team,
    _unreachable,
)
