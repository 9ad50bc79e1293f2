from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.directive import directive_of, status_of
from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONSENT_SCOPE, Coding, Effect
from tests.facts.consents import (
    PARIS,
    actor,
    coding,
    concept,
    data,
    deny,
    label,
    permit,
    purpose,
    r4,
    r5,
    read4,
    read5,
)  # fmt: skip

OPTIN, OPTOUT = concept(ACT_CODE, "OPTIN"), concept(ACT_CODE, "OPTOUT")
NOW = datetime(2024, 6, 1, tzinfo=UTC).timestamp()


def at(*when: int) -> float:
    return datetime(*when, tzinfo=PARIS).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("provision", "rule", "base"),
    [
        (permit(), None, Effect.PERMIT),
        (deny(), None, Effect.DENY),
        (permit(), OPTIN, Effect.PERMIT),
        (None, OPTIN, Effect.PERMIT),
        (None, OPTOUT, Effect.DENY),
        (None, concept(ACT_CODE, "OPTINR"), Effect.PERMIT),
        (None, concept("urn:oid:2.16.840.1.113883.5.4", "OPTOUTE"), Effect.DENY),
        ({"provision": [deny(purpose("HMARKT"))]}, OPTIN, Effect.PERMIT),
        (permit(), concept(ACT_CODE, "NOPP"), Effect.PERMIT),
        (permit(), OPTOUT, None),
        (deny(), OPTIN, None),
        (None, None, None),
        (None, {"coding": [*OPTIN["coding"], *OPTOUT["coding"]]}, None),
        ({**actor("Practitioner/x")}, OPTIN, None),
        ({"type": "forbid"}, None, None),
    ],
)
def test_the_base_decision_of_r4_follows_the_table(
    provision: Any, rule: Any, base: Effect | None
) -> None:
    directive = read4(r4(provision, policyRule=rule))
    assert (directive.base if directive.problem is None else None) is base


def test_the_root_of_an_r4_consent_restricts_it_whole() -> None:
    root = read4(r4(permit(purpose("TREAT"), label("N")))).root
    assert (root.path, root.purposes, len(root.labels)) == (
        "provision", frozenset({Coding(ACT_REASON, "TREAT")}), 1,
    )  # fmt: skip


def test_an_r5_decision_stands_alone_and_each_level_negates_the_one_above() -> None:
    inner = {**label("R"), "provision": [actor("Practitioner/x")]}
    directive = read5(r5("permit", inner))
    [first] = directive.root.provisions
    [second] = first.provisions
    assert (directive.root.effect, first.effect, second.effect) == (
        Effect.PERMIT,
        Effect.DENY,
        Effect.PERMIT,
    )
    assert (directive.root.path, first.path, second.path) == (
        "decision", "provision[0]", "provision[0].provision[0]",
    )  # fmt: skip


def test_a_nested_permit_inherits_what_it_leaves_open_and_a_deny_does_not() -> None:
    root = read4(
        r4(
            permit(
                purpose("TREAT"),
                label("N"),
                but=(permit(label("R")), deny(actor("Practitioner/x"))),
            )
        )
    ).root
    wider, exception = root.provisions
    assert wider.purposes == root.purposes
    assert {one.code for one in wider.labels} == {"R"}
    assert not exception.purposes
    assert not exception.labels


def test_partial_dates_are_intervals_of_the_zone_with_inclusive_ends() -> None:
    directive = read4(r4(permit({"period": {"start": "2024", "end": "2024-12-31"}})))
    assert directive.period.covers(at(2024, 1, 1, 0, 0, 0))
    assert not directive.period.covers(at(2024, 1, 1, 0, 0, 0) - 1)
    assert directive.period.covers(at(2024, 12, 31, 23, 59, 59))
    assert not directive.period.covers(at(2025, 1, 1))


def test_the_period_of_r5_is_the_consents_own() -> None:
    directive = read5(r5("permit", period={"end": "2023"}))
    assert directive.period.end == pytest.approx(at(2024, 1, 1), abs=0.001)
    assert not directive.acts(NOW)


BROKEN: list[dict[str, Any]] = [
    {"modifierExtension": [{"url": "http://example.org/not"}]},
    {"implicitRules": "http://example.org/rules"},
    {"provision": permit({"modifierExtension": [{"url": "x"}]})},
    {"provision": permit({"expression": {"language": "text/cql"}})},
    {"provision": permit({"purpose": []})},
    {"provision": permit({"purpose": [{}]})},
    {"provision": permit({"purpose": None})},
    {"provision": permit({"purpose": [{"system": ACT_REASON}]})},
    {"provision": permit({"securityLabel": [{"display": "restricted"}]})},
    {"provision": permit({"code": concept("http://loinc.org", "1234-5")})},
    {"provision": permit({"code": [{"text": "alcohol"}]})},
    {"provision": permit(data("mentions", "Observation/1"))},
    {"provision": permit({"period": {"start": "2024", "end": "2023"}})},
    {"provision": permit({"period": {"end": "soon"}})},
    {"provision": permit({"dataPeriod": {}})},
    {"provision": permit({"dataPeriod": {"_end": {"extension": []}}})},
    {"provision": permit({"actors": []})},
    {"provision": permit(but=({**label("R")},))},
    {"provision": [permit()]},
    {
        "provision": permit(
            {
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/consent-provision-limit"}
                ]
            }
        )
    },
    {"scope": concept(CONSENT_SCOPE, "novel")},
    {"scope": None},
    {"status": "cancelled"},
    {"status": None},
    {"status": ["active"]},
    {"patient": None},
    {"patient": {"display": "somebody"}},
    {"patient": {"reference": "Group/1"}},
    {"decision": "permit"},
    {"subject": {"reference": "Patient/p1"}},
]


@pytest.mark.parametrize("more", BROKEN, ids=lambda more: str(more)[:60])
def test_what_is_not_understood_whole_is_not_computable(more: dict[str, Any]) -> None:
    directive = read4(
        {key: value for key, value in (r4(permit()) | more).items() if value is not None}
    )
    assert directive.problem
    assert directive.acts(NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"scope": concept(CONSENT_SCOPE, "patient-privacy")},
        {"patient": {"reference": "Patient/p1"}},
        {"provision": permit()},
        {"provision": [{"type": "deny"}]},
        {"provision": [{"expression": {"language": "text/cql"}}]},
        {"decision": None},
        {"status": "unknown"},
        {"subject": {"reference": "Practitioner/1"}},
    ],
)
def test_an_r4_shape_is_not_read_as_r5(more: dict[str, Any]) -> None:
    tree = {key: value for key, value in (r5("permit") | more).items() if value is not None}
    assert read5(tree).problem


@pytest.mark.parametrize(
    "status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"]
)
def test_only_active_consents_act_however_broken_the_others_are(status: str) -> None:
    directive = read4(r4({"type": "novel"}, status=status))
    assert directive.inert == f"status {status}"
    assert not directive.acts(NOW)


@pytest.mark.parametrize(
    ("scope", "acts_for", "inert"),
    [
        ("patient-privacy", frozenset(), False),
        ("treatment", frozenset({"TREAT"}), False),
        ("research", frozenset({"HRESCH"}), False),
        ("adr", frozenset(), True),
    ],
)
def test_the_scope_limits_a_consent(scope: str, acts_for: frozenset[str], inert: bool) -> None:
    directive = read4(r4(permit(), scope=concept(CONSENT_SCOPE, scope)))
    assert (directive.acts_for, directive.inert is not None) == (acts_for, inert)


@pytest.mark.parametrize(
    ("reference", "dead", "normal"),
    [
        ("Practitioner/x", False, "Practitioner/x"),
        ("http://fhir.example.org/r4/Practitioner/x/_history/3", False, "Practitioner/x"),
        ("http://elsewhere.example.org/Practitioner/x", True, "?"),
        ("#contained", True, "?"),
        ("Practitioner?identifier=a|b", True, "?"),
    ],
)
def test_references_are_normalised_and_others_are_dead(
    reference: str, dead: bool, normal: str
) -> None:
    [who] = read4(r4(deny(actor(reference)))).root.actors
    assert (who.reference, who.dead) == (normal, dead)


def test_an_actor_with_display_only_is_nobody_in_particular() -> None:
    tree = r4(permit({"actor": [{"role": concept("x", "IRCP"), "reference": {"display": "Dr X"}}]}))
    assert read4(tree).root.actors[0].dead


def test_provisions_are_bounded_in_depth_and_number() -> None:
    deep = permit()
    for _ in range(25):
        deep = permit(but=(deep,))
    wide = permit(but=tuple(deny(label("R")) for _ in range(2001)))
    assert (
        read4(r4(deep)).problem
        == read4(r4(wide)).problem
        == "too many provisions, or nested too deeply"
    )


def test_the_version_belongs_to_the_reference() -> None:
    assert read4(r4(permit(), meta={"versionId": "7"})).reference == "Consent/c1/_history/7"
    assert read4(r4(permit())).reference == "Consent/c1"


def test_the_patient_of_a_broken_consent_is_told_where_it_can_be() -> None:
    assert read4(r4({"type": "novel"})).patient == "Patient/p1"
    assert read4(b"{").patient == ""


@pytest.mark.parametrize("version", ["3.0.2", "6.0.0", ""])
def test_other_fhir_versions_are_not_computable(version: str) -> None:
    assert directive_of(r4(permit()), version, PARIS).problem


@pytest.mark.parametrize(
    ("tree", "status"),
    [
        (r4(permit()), "ENFORCEABLE"),
        (r4(permit(), status="draft"), "INACTIVE"),
        (r4(permit({"period": {"end": "2023"}})), "INACTIVE"),
        (r4({"type": "novel"}), "UNSUPPORTED"),
        (r4(deny(actor("Group/unknown"))), "LIMIT"),
    ],
)
def test_lint_knows_four_states(tree: Any, status: str) -> None:
    assert status_of(read4(tree), NOW) == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["type", "period", "actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision",
     "coding", "system", "start", "end", "reference", "role", "meaning", "status", "scope", "patient", "decision",
     "subject", "category", "policyRule", "meta", "id", "modifierExtension", "resourceType"]
)  # fmt: skip
CONSENTLIKE = st.recursive(
    JSON
    | st.sampled_from(["permit", "deny", "active", "Consent", "2024", "Patient/p1", "instance"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.binary(max_size=64) | CONSENTLIKE.map(orjson.dumps), st.sampled_from(["4.0.1", "5.0.0", "x"])
)
def test_no_bytes_raise(content: bytes, version: str) -> None:
    directive = directive_of(content, version, PARIS)
    assert directive.problem or directive.inert or directive.patient


@given(
    st.dictionaries(NAMES, CONSENTLIKE, max_size=3),
    st.sampled_from(["provision", "patient", "status", "scope"]),
)
def test_no_damage_to_a_consent_raises(damage: dict[str, Any], place: str) -> None:
    for tree in (r4(permit()), r5("permit", {})):
        whole = tree | damage
        directive_of(whole, "4.0.1", PARIS)
        directive_of(whole | {place: damage}, "5.0.0", PARIS)


def test_a_body_nested_beyond_reason_is_a_problem_not_an_error() -> None:
    body = (
        b'{"resourceType":"Consent","status":"active","provision":'
        + b'{"provision":[' * 5000
        + b"]}" * 5000
        + b"}"
    )
    assert read4(body).problem


def test_spellings_of_one_system_are_one() -> None:
    old = r4(permit({"purpose": [coding("urn:oid:2.16.840.1.113883.5.8", "TREAT")]}))
    assert read4(old).root == read4(r4(permit(purpose("TREAT")))).root
