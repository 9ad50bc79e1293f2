"""Reachability is proven in both directions: a witness is decided otherwise without its rule, an idle rule changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import compile_policies, open_case
from proxy.decision.decide import decide_resource
from proxy.decision.model import Obligations
from proxy.decision.points import NOBODY, Point
from proxy.decision.reach import Idle, Witness, examined, findings_of
from proxy.decision.space import DOUBT_OF_CALLER, DOUBT_OF_TIES, Element
from proxy.decision.supposed import CALLERS, authors_of, facts_of, grants_of, references_of
from proxy.facts.grant import holder_of
from proxy.facts.model import ActorClosure, Facts
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load
from proxy.policy.model import Matrix, PolicySet, Rule
from tests.policy.packs import CAMPAIGN, POLICY, write
from tests.situations import BASELINE, PARIS, Situation, situations, with_rules
from tests.stage import NOW, ROOT

PATIENT = "Patient/one"


class Request(NamedTuple):
    """What the space makes of a request, for the engine."""

    point: Point
    held: frozenset[Element]

    def named(self, name: str) -> frozenset[str]:
        return frozenset(one.value for one in self.held if one.name == name)

    def codings(self, name: str) -> frozenset[Coding]:
        return frozenset(one.coding for one in self.held if one.name == name and one.coding)


Outcome = tuple[Effect, Obligations]


def decided(policies: PolicySet, request: Request) -> Outcome:
    """What the engine that serves makes of it."""
    point, relationships = request.point, request.named("relationship")
    principal = Principal(
        issuer="i",
        subject="s",
        client_id=point.client or "another",
        token_id="t",
        kind=PrincipalKind(point.kind),
        scopes=parse_scopes("user/*.cruds system/*.cruds"),
        expires_at=NOW + 60,
        fhir_user=PATIENT if "self" in relationships else CALLERS[point.kind],
        roles=request.codings("role"),
        purposes=frozenset() if point.grant else request.named("purpose"),
        on_behalf_of="Practitioner/delegator" if "delegate" in relationships else None,
    )
    closure = ActorClosure(
        references=references_of(principal.fhir_user, relationships),
        roles=principal.roles,
        organization_types=request.codings("organization_type"),
        complete=DOUBT_OF_CALLER not in request.held,
    )
    patients = frozenset() if point.consent == NOBODY else frozenset({PATIENT})
    envelope = Envelope(
        type=point.type,
        id="x",
        version="1",
        last_updated="2026-01-01T00:00:00Z",
        labels=request.codings("label") | {Coding(CONFIDENTIALITY, point.rank)},
        patients=patients,
        authors=authors_of(relationships, closure),
        date="",
        codes=document_of(policies, request) if point.type == "DocumentReference" else frozenset(),
        profiles=frozenset(),
    )
    consent = {"named": "permit", "denies the caller": "deny"}.get(point.consent, point.consent)
    known = facts_of(
        PATIENT,
        None if DOUBT_OF_TIES in request.held else relationships,
        consent,
        closure,
        named=point.consent in ("named", "denies the caller"),
    )
    grants = grants_of(patients, relationships, holder_of(principal), point.moment)
    facts = Facts(closure, point.moment, dict.fromkeys(patients, known), grants)
    compiled = compile_policies(policies)
    case = open_case(compiled, principal, closure, point.interaction, PARIS, point.moment)
    decision = decide_resource(case, envelope, facts)
    return decision.effect, decision.obligations


def document_of(policies: PolicySet, request: Request) -> frozenset[Coding]:
    """A type of document that the matrix opens to the caller, where there is one."""
    cells = policies.matrix.cells if policies.matrix else {}
    held = request.codings("role")
    open_ = [
        code
        for (role, code), may in cells.items()
        if may and policies.terms.role(role) & held
    ]  # fmt: skip
    return frozenset(open_[:1])


def without(policies: PolicySet, rule: str) -> PolicySet:
    return replace(policies, rules=tuple(one for one in policies.rules if one.id != rule))


def results(policies: PolicySet) -> dict[str, Witness | Idle]:
    return {one.rule: one for one in examined(compile_policies(policies))}


def is_proof(policies: PolicySet, witness: Witness) -> bool:
    request = Request(witness.point, witness.held)
    return decided(policies, request) != decided(without(policies, witness.rule), request)


PACKS = ["baseline", *(f"ihe-pcf/{one}" for one in ("all-normal", "basic-normal", "break-glass-only", "deny"))]  # fmt: skip


@pytest.mark.parametrize("pack", PACKS)
def test_every_rule_that_ships_has_a_witness_and_the_engine_agrees(pack: str) -> None:
    policies = load(ROOT / "policies" / pack)
    for one in examined(compile_policies(policies)):
        assert isinstance(one, Witness), one
        assert is_proof(policies, one), str(one)


def test_the_baseline_is_examined_in_a_moment() -> None:
    compiled, begun = compile_policies(BASELINE), perf_counter()
    examined(compiled)
    assert perf_counter() - begun < 2


# ---- any set of rules ------------------------------------------------------------------------------------------------


def narrowed(rule: Rule, name: str, **target: object) -> Rule:
    """A rule under another name, of fewer requests."""
    return rule.model_copy(update={"id": name, "target": rule.target.model_copy(update=target)})


PERMITS = [rule for rule in BASELINE.rules if Effect(rule.effect) is Effect.PERMIT]
DENIES = [rule for rule in BASELINE.rules if Effect(rule.effect) is Effect.DENY]
NARROW = [narrowed(rule, f"narrow-{rule.id}", interaction=("read",)) for rule in BASELINE.rules]
LIFTABLE = [
    rule.model_copy(update={"id": f"liftable-{rule.id}", "absolute": False, "tag": "mask"})
    for rule in DENIES
]
LIFTING = [rule.model_copy(update={"id": f"lifting-{rule.id}", "lifts": ("mask",)}) for rule in PERMITS]  # fmt: skip
ANY = [*BASELINE.rules, *NARROW, *LIFTABLE, *LIFTING]
sets_of_rules = st.lists(st.sampled_from(ANY), min_size=1, max_size=7, unique_by=lambda one: one.id)


@given(rules=sets_of_rules)
def test_a_witness_is_decided_otherwise_without_its_rule(rules: list[Rule]) -> None:
    policies = with_rules(rules)
    for one in results(policies).values():
        if isinstance(one, Witness):
            assert is_proof(policies, one), str(one)


@given(rules=sets_of_rules, situation=situations)
def test_an_idle_rule_changes_no_decision(rules: list[Rule], situation: Situation) -> None:
    policies = with_rules(rules)
    for one in results(policies).values():
        if isinstance(one, Idle):
            bare = without(policies, one.rule)
            for ask in (situation.decided, situation.unknown):
                before, after = ask(policies), ask(bare)
                assert (before.effect, before.obligations) == (after.effect, after.obligations), one


def codings_of(names: Callable[[Rule], tuple[str, ...]], find: Callable[[str], frozenset[Coding]]) -> list[Coding]:  # fmt: skip
    return sorted({coding for rule in ANY for one in names(rule) for coding in find(one)})


ROLES = codings_of(lambda rule: rule.target.principal.role, BASELINE.terms.role)
HOUSES = codings_of(lambda rule: rule.target.principal.organization_type, BASELINE.terms.organization_type)  # fmt: skip
LABELS = [
    Coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV"),
    *codings_of(lambda rule: rule.target.resource.label, lambda one: frozenset({BASELINE.terms.coding(one)})),
]  # fmt: skip


def elements(name: str, codings: list[Coding]) -> st.SearchStrategy[frozenset[Element]]:
    known = [Element(name, one.code, one) for one in codings]
    return st.frozensets(st.sampled_from(known), max_size=3)


def plain(name: str, *values: str) -> st.SearchStrategy[frozenset[Element]]:
    return st.frozensets(st.sampled_from([Element(name, one) for one in values]), max_size=3)


changes = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["practitioner", "patient", "related-person", "system", "unknown"]),
        "interaction": st.sampled_from(["read", "search-type", "create"]),
        "type": st.sampled_from(["Observation", "Consent", "Provenance", "Practitioner"]),
        "consent": st.sampled_from(
            ["permit", "named", "none", "deny", "denies the caller", NOBODY]
        ),
        "rank": st.sampled_from("ULMNRV"),
    },
)
more = st.builds(
    lambda *held: frozenset().union(*held),
    elements("role", ROLES),
    elements("organization_type", HOUSES),
    elements("label", LABELS),
    plain("relationship", "care-team", "general-practitioner", "guardian", "author", "denied"),
    plain("purpose", "TREAT", "ETREAT", "PATRQT", "FAMRQT", "HRESCH"),
    st.sampled_from([frozenset(), frozenset({DOUBT_OF_CALLER}), frozenset({DOUBT_OF_TIES})]),
)


@given(rules=sets_of_rules, change=changes, held=st.one_of(st.just(frozenset()), more))
def test_nor_does_it_for_requests_near_those_that_other_rules_decide(
    rules: list[Rule], change: dict[str, str], held: frozenset[Element]
) -> None:
    """Where something is permitted, not anywhere: most of the space is denied anyhow."""
    policies = with_rules(rules)
    found = results(policies).values()
    witnesses = [one for one in found if isinstance(one, Witness)]
    for idle in found:
        if isinstance(idle, Idle):
            bare = without(policies, idle.rule)
            for one in witnesses:
                request = Request(Point(**{**one.point._asdict(), **change}), one.held | held)
                assert decided(policies, request) == decided(bare, request), idle


# ---- what is said ----------------------------------------------------------------------------------------------------


def rule(text: str) -> Rule:
    return Rule.model_validate_json(text)


TEAM = rule(
    '{"id": "team", "effect": "permit", "target": {"principal": {"relationship": ["care-team"], "role": ["physician", "nurse"]},'
    ' "consent": ["permit"]}}'
)
NURSE = rule('{"id": "nurses", "effect": "permit", "target": {"principal": {"relationship": ["care-team"], "role": ["nurse"]}, "consent": ["permit"]}}')  # fmt: skip
BARE = rule('{"id": "nurses", "effect": "permit", "redact": {"remove": ["Patient.telecom"]}, "target": {"principal": {"relationship": ["care-team"], "role": ["nurse"]}, "consent": ["permit"]}}')  # fmt: skip
MASK = rule('{"id": "masked", "effect": "deny", "tag": "mask", "target": {"resource": {"label": ["fr-visibility#MASQUE_PS"]}}}')  # fmt: skip
LIFTS = rule('{"id": "nurses", "effect": "permit", "lifts": ["mask"], "target": {"principal": {"relationship": ["care-team"], "role": ["nurse"]}, "consent": ["permit"]}}')  # fmt: skip
EVERYONE = rule('{"id": "lifters", "effect": "permit", "lifts": ["mask"], "target": {"principal": {"kind": ["practitioner"]}}}')  # fmt: skip
NO_NURSE = rule('{"id": "no-nurse", "effect": "deny", "absolute": true, "target": {"principal": {"role": ["nurse"]}}}')  # fmt: skip
NO_NURSE_READS = rule('{"id": "no-reading", "effect": "deny", "absolute": true, "target": {"principal": {"role": ["nurse"]}, "interaction": ["read"]}}')  # fmt: skip
BY_KIND = [
    rule('{"id": "one", "effect": "permit", "target": {"principal": {"kind": ["practitioner"], "role": ["nurse"]}}}'),
    rule('{"id": "two", "effect": "permit", "target": {"principal": {"kind": ["patient", "related-person", "system"], "role": ["nurse"]}}}'),
    rule('{"id": "both", "effect": "permit", "target": {"principal": {"kind": ["practitioner", "system"], "role": ["nurse"]}}}'),
]  # fmt: skip
SELF = rule('{"id": "self", "effect": "permit", "target": {"principal": {"kind": ["practitioner"], "relationship": ["self"]}}}')  # fmt: skip
BATCH = rule('{"id": "batch", "effect": "permit", "target": {"principal": {"kind": ["practitioner"]}, "interaction": ["batch"]}}')  # fmt: skip
DIRECTORY = rule('{"id": "directory", "effect": "permit", "target": {"principal": {"relationship": ["care-team"]}, "resource": {"type": ["Practitioner"]}}}')  # fmt: skip
GRANTED = rule('{"id": "granted", "effect": "permit", "target": {"principal": {"relationship": ["break-glass"]}}}')  # fmt: skip
DENIED_CONSENT = rule('{"id": "refused", "effect": "permit", "target": {"consent": ["deny"], "purpose": ["TREAT"]}}')  # fmt: skip

SAID: list[tuple[list[Rule], dict[str, str]]] = [
    ([TEAM], {}),
    ([TEAM, NURSE], {"nurses": "is shadowed, it adds nothing to `team`"}),
    ([TEAM, BARE], {}),
    ([TEAM, LIFTS], {"nurses": "is shadowed, it adds nothing to `team`"}),
    ([TEAM, LIFTS, MASK], {}),
    ([TEAM, NURSE, NO_NURSE], {"nurses": "can never permit, for wherever it does this denies: `no-nurse`"}),
    ([TEAM, NO_NURSE, NO_NURSE_READS], {"no-reading": "is shadowed, what it denies is denied by `no-nurse`"}),
    ([EVERYONE, MASK], {"masked": "denies nothing, for every permit that it meets lifts it: `lifters`"}),
    ([MASK], {"masked": "denies nothing, for it meets no permit"}),
    (BY_KIND, {"both": "is shadowed, it adds nothing to `one`, `two`", "one": "is shadowed, it adds nothing to `both`"}),
    ([TEAM, SELF], {"self": "can be reached by no request"}),
    ([TEAM, BATCH], {"batch": "can be reached by no request"}),
    ([TEAM, DIRECTORY], {"directory": "can be reached by no request"}),
    ([TEAM, DENIED_CONSENT], {"refused": "can never permit, for wherever it does this denies: `a Consent that denies`, `a Consent that denies the caller`"}),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "said"), SAID)
def test_what_is_said_of_a_rule_that_changes_nothing(
    rules: list[Rule], said: dict[str, str]
) -> None:
    policies = replace(with_rules(rules), places={})
    found = {
        one.rule: one.why + ", ".join(f"`{name}`" for name in one.because)
        for one in examined(compile_policies(policies))
        if isinstance(one, Idle)
    }
    assert found == said


def test_a_deny_that_only_doubt_makes_count_is_not_idle() -> None:
    """Whoever is an insurer has it lifted; of whom it cannot be told, it keeps out."""
    known = rule('{"id": "no-insurer", "effect": "deny", "tag": "t", "target": {"principal": {"role": ["insurer"]}}}')  # fmt: skip
    lifting = rule('{"id": "lifting", "effect": "permit", "lifts": ["t"], "target": {"principal": {"role": ["insurer"]}}}')  # fmt: skip
    anybody = rule('{"id": "anybody", "effect": "permit", "target": {"interaction": ["read"]}}')
    policies = with_rules([known, lifting, anybody])
    found = results(policies)["no-insurer"]
    assert isinstance(found, Witness)
    assert DOUBT_OF_CALLER in found.held
    assert is_proof(policies, found)


def test_without_a_ceremony_no_grant_is_open() -> None:
    bare = replace(with_rules([TEAM, GRANTED]), break_glass=None)
    assert isinstance(results(bare)["granted"], Idle)
    assert isinstance(results(with_rules([TEAM, GRANTED]))["granted"], Witness)


def test_a_finding_names_the_place_of_the_rule_and_of_what_shadows_it() -> None:
    places = {"team": ("ward.yaml", 5), "nurses": ("more.yaml", 9)}
    policies = replace(with_rules([TEAM, NURSE]), places=places)
    assert list(map(str, findings_of(compile_policies(policies)))) == [
        "more.yaml:9: rule `nurses` is shadowed, it adds nothing to `team` (ward.yaml:5)"
    ]


def test_a_witness_can_be_read() -> None:
    [one] = examined(compile_policies(with_rules([TEAM])))
    assert str(one).startswith("`team` decides: practitioner, read, Observation, ")
    assert "relationship care-team" in str(one)


def test_a_campaign_shadows_only_while_it_lasts(tmp_path: Path) -> None:
    nurses = """\
  - id: nurses-always
    effect: permit
    target:
      principal: {kind: [practitioner], role: [nurse]}
      resource: {type: [Immunization]}
      consent: [permit, none]
"""
    alone = results(load(write(tmp_path / "a", policy=POLICY + CAMPAIGN)))
    assert all(isinstance(one, Witness) for one in alone.values())
    both = results(load(write(tmp_path / "b", policy=POLICY + nurses + CAMPAIGN)))
    assert {name for name, one in both.items() if isinstance(one, Idle)} == {"nurses-vaccinate"}


def test_the_matrix_shuts_what_has_no_open_cell() -> None:
    code = Coding("http://loinc.org", "11488-4")
    reads = narrowed(TEAM, "documents", resource=TEAM.target.resource.model_copy(update={"type": ("DocumentReference",)}))  # fmt: skip
    policies = with_rules([reads])
    shut = replace(policies, matrix=Matrix({("nurse", code): False, ("pharmacist", code): False}))
    opened = replace(policies, matrix=Matrix({("nurse", code): True}))
    kinds = reads.model_copy(update={"target": reads.target.model_copy(update={"principal": reads.target.principal.model_copy(update={"kind": ("practitioner",)})})})  # fmt: skip
    closed = replace(shut, rules=(kinds,))
    assert results(closed)["documents"] == Idle(
        "documents", "can never permit, for wherever it does this denies: ", ("the matrix",)
    )
    [witness] = examined(compile_policies(replace(opened, rules=(kinds,))))
    assert isinstance(witness, Witness)
    assert is_proof(replace(opened, rules=(kinds,)), witness)
