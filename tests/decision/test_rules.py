import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.rules import About, Ternary, by_effect, compile_rule, matches, speaks_of, stand
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.policy.model import Rule
from tests.situations import BASELINE, DOCTOR, NURSE, PAYER, principal_of

RULE = {"id": "r", "effect": "deny"}
ABOUT = About("Observation", frozenset({Coding(CONFIDENTIALITY, "R")}), 4, frozenset({"care-team"}), frozenset(), frozenset({"permit"}))  # fmt: skip


def rule(effect: str = "deny", **target: Any) -> Any:
    read = Rule.model_validate_json(json.dumps({"id": "r", "effect": effect, "target": target}))
    return compile_rule(read, BASELINE)


RESOURCES: list[tuple[dict[str, Any], About, Ternary]] = [
    ({"resource": {"type": ["Observation"]}}, ABOUT, True),
    ({"resource": {"type": ["Condition", "Patient"]}}, ABOUT, False),
    ({"resource": {"confidentiality_above": "N"}}, ABOUT, True),
    ({"resource": {"confidentiality_above": "R"}}, ABOUT, False),
    ({"resource": {"confidentiality_above": "N"}}, ABOUT.__class__("Observation", frozenset(), None, frozenset(), frozenset(), frozenset()), None),
    ({"resource": {"label": ["v3-Confidentiality#R"]}}, ABOUT, True),
    ({"resource": {"label": ["v3-Confidentiality#V"]}}, ABOUT, False),
    ({"principal": {"relationship": ["care-team", "guardian"]}}, ABOUT, True),
    ({"principal": {"relationship": ["guardian"]}}, ABOUT, False),
    ({"consent": ["permit"]}, ABOUT, True),
    ({"consent": ["none"]}, ABOUT, False),
    ({"resource": {"type": ["Observation"]}, "consent": ["none"]}, ABOUT, False),
]  # fmt: skip


@pytest.mark.parametrize(("target", "about", "match"), RESOURCES)
def test_all_that_a_target_says_must_fit(
    target: dict[str, Any], about: About, match: Ternary
) -> None:
    assert matches(rule(**target), about) is match


def unknown(proven: frozenset[str]) -> About:
    return About("Observation", frozenset(), 3, None, proven, frozenset())


RELATIONS: list[tuple[list[str], frozenset[str], Ternary]] = [
    (["care-team"], frozenset(), None),
    (["author"], frozenset(), False),
    (["author"], frozenset({"author"}), True),
    (["care-team", "author"], frozenset({"author"}), True),
    (["care-team", "author"], frozenset(), None),
]


@pytest.mark.parametrize(("wanted", "proven", "match"), RELATIONS)
def test_a_relationship_that_could_not_be_looked_up_is_unknown(
    wanted: list[str], proven: frozenset[str], match: Ternary
) -> None:
    assert matches(rule(principal={"relationship": wanted}), unknown(proven)) is match


STANDING: list[tuple[dict[str, Any], Coding | None, bool, bool, list[bool]]] = [
    # target, role of the caller, all roles known, permit or deny; certainty of the one rule that stands
    ({"principal": {"role": ["physician"]}}, DOCTOR, True, True, [True]),
    ({"principal": {"role": ["physician"]}}, NURSE, True, True, []),
    ({"principal": {"role": ["physician"]}}, NURSE, False, True, []),
    ({"principal": {"role": ["insurer"]}}, NURSE, False, False, [False]),
    ({"principal": {"role": ["insurer"]}}, NURSE, True, False, []),
    ({"principal": {"role": ["insurer"]}}, PAYER, False, False, [True]),
    ({"purpose": ["TREAT"]}, DOCTOR, True, True, [True]),
    ({"purpose": ["HRESCH"]}, DOCTOR, True, True, []),
    ({"interaction": ["vread"]}, DOCTOR, True, True, []),
    ({"principal": {"kind": ["patient"]}}, DOCTOR, True, True, []),
    ({"principal": {"client": ["other"]}}, DOCTOR, True, True, []),
    ({"principal": {"organization_type": ["insurer"]}}, DOCTOR, True, False, []),
    ({"principal": {"organization_type": ["insurer"]}}, DOCTOR, False, False, [False]),
]


@pytest.mark.parametrize(("target", "role", "complete", "permits", "certain"), STANDING)
def test_which_rules_stand_before_any_resource_is_known(
    target: dict[str, Any],
    role: Coding | None,
    *,
    complete: bool,
    permits: bool,
    certain: list[bool],
) -> None:
    one = rule("permit" if permits else "deny", **target)
    who = principal_of("Practitioner/x", role, "TREAT")
    standing = stand([one], who, ActorClosure(complete=complete), who.purposes, "read")
    assert [found.certain for found in standing] == certain
    assert by_effect(standing)[Effect.PERMIT if permits else Effect.DENY] == standing


@given(st.sampled_from(BASELINE.rules))
def test_every_rule_that_ships_compiles_to_what_it_says(written: Rule) -> None:
    compiled = compile_rule(written, BASELINE)
    assert compiled.effect is Effect(written.effect)
    assert compiled.absolute is written.absolute
    assert bool(compiled.roles) == bool(written.target.principal.role)
    assert len(compiled.labels) == len(set(written.target.resource.label))
    assert compiled.sentence


EXPORT: list[tuple[bool, list[str], bool, list[str]]] = [
    # permit or deny, interactions that it names; whether it speaks of an export, what it lifts there
    (True, ["export"], True, ["mask"]),
    (True, ["read", "export"], True, ["mask"]),
    (True, [], False, []),
    (False, [], True, []),
    (False, ["export"], True, []),
]


@pytest.mark.parametrize(("permits", "named", "speaks", "lifts"), EXPORT)
def test_what_is_read_in_bulk_is_permitted_by_name_and_denied_by_any_deny(
    *, permits: bool, named: list[str], speaks: bool, lifts: list[str]
) -> None:
    target = {"purpose": ["TREAT"], **({"interaction": named} if named else {})}
    one = replace(
        rule("permit" if permits else "deny", **target),
        lifts=frozenset({"mask"} if permits else ()),
    )
    who = principal_of("Practitioner/x", DOCTOR, "TREAT")
    [found] = stand([one], who, ActorClosure(complete=True), who.purposes, "export")
    assert (speaks_of("export", one), found.rule.lifts) == (speaks, frozenset(lifts))
    assert speaks_of("read", one) is (not named or "read" in named)


HISTORIES: list[tuple[str, list[str], bool]] = [
    # effect, interactions that it names; whether it stands in the history of a type, and of the system
    ("permit", [], False),
    ("permit", ["history-instance", "search-type"], False),
    ("permit", ["history-type", "history-system"], True),
    ("deny", [], True),
    ("deny", ["history-instance"], True),
    ("deny", ["search-type"], False),
]


@pytest.mark.parametrize(("effect", "named", "speaks"), HISTORIES)
@pytest.mark.parametrize("interaction", ["history-type", "history-system"])
def test_the_history_of_many_is_permitted_by_name_and_denied_as_that_of_one(
    effect: str, named: list[str], interaction: str, *, speaks: bool
) -> None:
    one = rule(effect, purpose=["TREAT"], **({"interaction": named} if named else {}))
    who = principal_of("Practitioner/x", DOCTOR, "TREAT")
    standing = stand([one], who, ActorClosure(complete=True), who.purposes, interaction)
    assert speaks_of(interaction, one) is speaks
    assert bool(standing) is (speaks or not named)
    assert all(not found.rule.lifts for found in standing if not speaks)


def test_a_rule_that_names_other_interactions_does_not_stand_in_an_export() -> None:
    who = principal_of("Practitioner/x", DOCTOR, "TREAT")
    one = rule("permit", interaction=["read", "search-type"])
    assert stand([one], who, ActorClosure(complete=True), who.purposes, "export") == ()
