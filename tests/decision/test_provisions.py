from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.model import Verdict
from proxy.decision.provisions import (
    _NONE,
    Question,
    _judged,
    _prepared,
    codes_wanted,
    consent_verdict,
)  # fmt: skip
from proxy.facts.epochs import Same, instant_of
from proxy.facts.model import ActorClosure, ConsentDirective, PatientFacts, Period, Provision
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, CONSENT_SCOPE, Coding, Effect
from proxy.fhir.envelope import Envelope
from tests.facts.consents import (
    PARIS,
    Json,
    action,
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

PERMIT, DENY, NONE, UNKNOWN = Verdict.PERMIT, Verdict.DENY, Verdict.NOT_APPLICABLE, Verdict.UNKNOWN
NOW = datetime(2024, 6, 1, tzinfo=PARIS).timestamp()
DR_A = ActorClosure(
    references=frozenset(
        {"Practitioner/a", "PractitionerRole/a1", "Organization/h", "Organization/group"}
    ),
    roles=frozenset({Coding("http://example.org/roles", "physician")}),
)


def observed(**more: Any) -> Envelope:
    known: dict[str, Any] = {
        "type": "Observation",
        "id": "o1",
        "version": "1",
        "last_updated": "2024-05-01T10:00:00Z",
        "labels": frozenset({Coding(CONFIDENTIALITY, "N")}),
        "patients": frozenset({"Patient/p1"}),
        "authors": frozenset({"Practitioner/writer"}),
        "date": "2022-06-13",
        "codes": frozenset({Coding("http://loinc.org", "74013-4")}),
        "profiles": frozenset({"http://example.org/StructureDefinition/vital"}),
    }
    return Envelope(**(known | more))


OBSERVATION = observed()
ASKED = Question(
    DR_A, "access", frozenset({"TREAT"}), OBSERVATION, NOW, PARIS, mentions=frozenset()
)


def labelled(*codes: str) -> Question:
    systems = (Coding(CONFIDENTIALITY if code in "ULMNRV" else ACT_CODE, code) for code in codes)
    return replace(ASKED, envelope=observed(labels=frozenset(systems)))


def verdict(*trees: Json, asked: Question = ASKED) -> Verdict:
    return consent_verdict([read4(tree) for tree in trees], asked).verdict


# ---- one Consent -----------------------------------------------------------------------------------------------

PERIOD_2022 = {"dataPeriod": {"start": "2022", "end": "2022"}}
PERIOD_2023 = {"dataPeriod": {"start": "2023", "end": "2023"}}
OBSERVATIONS = {"class": [coding("http://hl7.org/fhir/resource-types", "Observation")]}
CONDITIONS = {"class": [coding("http://hl7.org/fhir/resource-types", "Condition")]}
VITALS = {"class": [coding("urn:ietf:rfc:3986", "http://example.org/StructureDefinition/vital")]}
PDF = {"class": [coding("urn:ietf:bcp:13", "application/pdf")]}
ALCOHOL = {"code": [concept("http://loinc.org", "74013-4")]}
WEIGHT = {"code": [concept("http://loinc.org", "29463-7")]}


@pytest.mark.parametrize(
    ("element", "matches"),
    [
        (purpose("TREAT"), True),
        (purpose("HRESCH", "TREAT"), True),
        (purpose("PurposeOfUse"), True),
        (purpose("ETREAT"), False),
        (purpose("HMARKT"), False),
        (actor("Practitioner/a"), True),
        (actor("Organization/group"), True),
        (actor("Practitioner/b", "PractitionerRole/a1"), True),
        (actor("Practitioner/b"), False),
        (action("access"), True),
        (action("collect", "correct"), False),
        (OBSERVATIONS, True),
        (CONDITIONS, False),
        (VITALS, True),
        (ALCOHOL, True),
        (WEIGHT, False),
        (PERIOD_2022, True),
        (PERIOD_2023, False),
        ({"dataPeriod": {"end": "2022-06-13"}}, True),
        ({"dataPeriod": {"end": "2022-06-12"}}, False),
        (data("instance", "Observation/o1"), True),
        (data("instance", "Observation/o2"), False),
        (data("authoredby", "Practitioner/writer"), True),
        (data("authoredby", "Device/scale"), False),
        (data("dependents", "Encounter/e"), False),
        (actor("Practitioner/writer", role="AUT"), True),
    ],
    ids=str,
)
def test_each_element_constrains_a_permit_and_a_deny_alike(element: Json, matches: bool) -> None:
    assert verdict(r4(permit(element))) is (PERMIT if matches else DENY)
    assert verdict(r4(permit(but=(deny(element),)))) is (DENY if matches else PERMIT)
    assert verdict(r4(deny(but=(permit(element),)))) is (PERMIT if matches else DENY)


@pytest.mark.parametrize(
    ("element", "asked"),
    [
        (purpose("TREAT"), replace(ASKED, purposes=frozenset())),
        (purpose("TREAT"), replace(ASKED, purposes=frozenset({"LOCALPURPOSE"}))),
        (actor("Group/unknown"), ASKED),
        (actor("CareTeam/unknown"), ASKED),
        (actor("HealthcareService/x"), ASKED),
        (actor("http://elsewhere.example.org/Practitioner/a"), ASKED),
        (actor("#contained"), ASKED),
        (actor("Practitioner/b"), replace(ASKED, closure=replace(DR_A, complete=False))),
        (actor("Organization/h", role="CST"), ASKED),
        (actor("Practitioner/a", role="NOVEL"), ASKED),
        ({"action": [concept("http://example.org/actions", "peek")]}, ASKED),
        (action("access"), replace(ASKED, action="")),
        (PDF, ASKED),
        (PERIOD_2023, replace(ASKED, envelope=observed(date="", last_updated=""))),
        (PERIOD_2023, replace(ASKED, envelope=observed(date="whenever"))),
        (data("instance", "urn:uuid:4d6a"), ASKED),
        (
            data("authoredby", "Practitioner/x"),
            replace(ASKED, envelope=observed(authors=frozenset())),
        ),
        (data("authoredby", "Organization/h"), ASKED),
        (data("related", "Encounter/e"), ASKED),
        (data("dependents", "Encounter/e"), replace(ASKED, mentions=None)),
        (label("R"), replace(ASKED, envelope=observed(labels=frozenset()))),
        (label("R"), labelled("N", "NOVELCODE")),
        (label("HIVV"), ASKED),
    ],
)
def test_what_cannot_be_told_matches_a_deny_and_no_permit(element: Json, asked: Question) -> None:
    assert verdict(r4(permit(element)), asked=asked) is DENY
    assert verdict(r4(permit(but=(deny(element),))), asked=asked) is DENY
    assert verdict(r4(deny(but=(permit(element),))), asked=asked) is DENY


@pytest.mark.parametrize(
    ("own", "permitted", "allowed"),
    [
        ("N", "N", True),
        ("U", "N", True),
        ("R", "N", False),
        ("N", "V", True),
        ("V", "R", False),
        ("N R", "N", False),
        ("R ETHUD", "R", True),
        ("R ETHUD", "ETHUD", True),
        ("R ETHUD", "SUD", True),
        ("R ETHUD", "ETH", True),
        ("R SUD", "ETHUD", False),
        ("R ETHUD HIV", "ETH", False),
        ("R ETHUD HIV", "ETH HIV", True),
        ("R ETHUD HIV", "R ETH", False),
        ("ETHUD", "N", False),
        ("ETHUD", "R", True),
        ("N", "PSY", False),
        ("R CTCOMPT", "CTCOMPT", True),
    ],
)
def test_a_permit_covers_its_confidentiality_and_lower_and_must_clear_every_sensitivity(
    own: str, permitted: str, allowed: bool
) -> None:
    asked = labelled(*own.split())
    assert verdict(r4(permit(label(*permitted.split()))), asked=asked) is (
        PERMIT if allowed else DENY
    )


@pytest.mark.parametrize(
    ("own", "denied", "hit"),
    [
        ("N", "R", False),
        ("R", "R", True),
        ("V", "R", True),
        ("N", "N", True),
        ("L", "N", False),
        ("R ETHUD HIV", "HIV", True),
        ("R ETHUD", "ETH", True),
        ("R ETHUD", "SUD", True),
        ("R SUD", "ETHUD", False),
        ("N", "PSY", False),
        ("ETHUD", "R", True),
    ],
)
def test_a_deny_covers_its_confidentiality_and_higher_and_any_sensitivity(
    own: str, denied: str, hit: bool
) -> None:
    tree = r4(permit(but=(deny(label(*denied.split())),)))
    assert verdict(tree, asked=labelled(*own.split())) is (DENY if hit else PERMIT)


def test_a_label_that_the_house_explains_is_not_unknown() -> None:
    local = observed(labels=OBSERVATION.labels | {Coding("http://example.org/labels", "BLUE")})
    asked = replace(ASKED, envelope=local)
    assert verdict(r4(permit(label("N"))), asked=asked) is DENY
    known = replace(asked, recognised=frozenset({"http://example.org/labels"}))
    assert verdict(r4(permit(label("N"))), asked=known) is PERMIT


def test_elements_and_values_or() -> None:
    both = permit(purpose("HMARKT", "TREAT"), OBSERVATIONS)
    assert verdict(r4(both)) is PERMIT
    assert verdict(r4(both | CONDITIONS)) is DENY


def test_a_permit_must_cover_every_purpose_of_the_request_a_deny_any() -> None:
    asked = replace(ASKED, purposes=frozenset({"TREAT", "HMARKT"}))
    assert verdict(r4(permit(purpose("TREAT"))), asked=asked) is DENY
    assert verdict(r4(permit(purpose("TREAT", "HMARKT"))), asked=asked) is PERMIT
    assert verdict(r4(permit(but=(deny(purpose("HMARKT")),))), asked=asked) is DENY


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (
            permit(but=(deny(actor("Organization/h"), but=(permit(actor("Practitioner/a")),)),)),
            PERMIT,
        ),
        (
            permit(but=(deny(actor("Organization/h"), but=(permit(actor("Practitioner/b")),)),)),
            DENY,
        ),
        (permit(but=(deny(), permit(actor("Practitioner/a")))), DENY),
        (deny(but=(permit(but=(deny(but=(permit(),)),)),)), PERMIT),
        (deny(but=(permit(OBSERVATIONS, but=(deny(actor("Practitioner/a")),)),)), DENY),
        (deny(CONDITIONS, but=(permit(),)), NONE),
        (permit(purpose("HMARKT"), but=(deny(actor("Practitioner/a")),)), DENY),
        (permit(label("N"), but=(permit(label("R"), actor("Practitioner/a")),)), PERMIT),
        (permit(purpose("HMARKT"), but=(permit(label("R")),)), DENY),
        (permit(but=(deny({"period": {"end": "2023"}}),)), PERMIT),
        (permit(but=(deny({"period": {"start": "2024-06-01"}}),)), DENY),
        (permit({"period": {"end": "2023"}}), NONE),
    ],
)
def test_exceptions_override_their_parent_and_among_siblings_deny_wins(
    root: Json, expected: Verdict
) -> None:
    assert verdict(r4(root)) is expected


def test_an_exception_to_a_deny_restores_no_more_than_the_root_allowed() -> None:
    tree = r4(permit(label("N"), but=(deny(PERIOD_2022, but=(permit(actor("Practitioner/a")),)),)))
    assert verdict(tree) is PERMIT
    assert verdict(tree, asked=labelled("R")) is DENY


def test_a_deny_for_one_actor_denies_nobody_else() -> None:
    assert verdict(r4(deny(actor("Practitioner/b")))) is NONE
    assert verdict(r4(deny(actor("Practitioner/a")))) is DENY


def test_a_custodian_beside_a_recipient_is_not_the_caller() -> None:
    both = {
        "actor": actor("Practitioner/b")["actor"] + actor("Organization/h", role="CST")["actor"]
    }
    assert verdict(r4(deny(both))) is NONE
    assert verdict(r4(permit(both))) is DENY


def test_a_recipient_without_reference_is_any_recipient_in_r5() -> None:
    anyone = {
        "actor": [
            {"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")}
        ]
    }
    assert consent_verdict([read5(r5("deny", anyone))], ASKED).verdict is PERMIT


def test_a_role_names_those_who_have_it() -> None:
    def by(code: str) -> ConsentDirective:
        return read5(r5("deny", {"actor": [{"role": concept("http://example.org/roles", code)}]}))

    assert consent_verdict([by("physician")], ASKED).verdict is PERMIT
    assert consent_verdict([by("nurse")], ASKED).verdict is DENY


def test_related_works_in_both_directions() -> None:
    tree = r4(permit(data("related", "Encounter/e")))
    assert verdict(tree, asked=replace(ASKED, mentions=frozenset({"Encounter/e"}))) is PERMIT
    directive = read4(tree)
    looked_up = replace(directive.root.data[0], mentions=frozenset({"Observation/o1"}))
    forward = replace(directive, root=replace(directive.root, data=(looked_up,)))
    assert consent_verdict([forward], ASKED).verdict is PERMIT


# ---- break-glass -----------------------------------------------------------------------------------------------

BTG = replace(ASKED, purposes=frozenset({"BTG"}))


@pytest.mark.parametrize(
    ("trees", "asked", "expected"),
    [
        ((r4(permit(purpose("TREAT"))),), BTG, PERMIT),
        ((r4(permit(purpose("BTG"))),), ASKED, DENY),
        ((r4(deny(purpose("TREAT"))),), BTG, DENY),
        ((r4(deny(purpose("TREAT"), but=(permit(purpose("BTG")),))),), BTG, PERMIT),
        ((r4(permit(but=(deny(purpose("TREAT")), permit(purpose("BTG"))))),), BTG, PERMIT),
        ((r4(permit(but=(deny(purpose("BTG")), permit(purpose("TREAT"))))),), BTG, DENY),
        ((r4(deny(purpose("TREAT"))), r4(permit(purpose("BTG")))), BTG, PERMIT),
        ((r4(deny()), r4(permit(purpose("BTG")))), BTG, DENY),
        ((r4(permit(purpose("BTG"))), r4(deny(actor("Practitioner/a")))), BTG, DENY),
        ((r4(deny(but=(permit(purpose("TREAT")),))),), BTG, PERMIT),
        (
            (r4(permit(purpose("BTG"))),),
            replace(ASKED, purposes=frozenset({"TREAT", "BTG"})),
            PERMIT,
        ),
    ],
)
def test_break_glass_is_judged_by_what_names_it_first(
    trees: tuple[Json, ...], asked: Question, expected: Verdict
) -> None:
    assert verdict(*trees, asked=asked) is expected


@pytest.mark.parametrize(
    ("trees", "asked", "opposed"),
    [
        ((r4(deny(purpose("BTG"))),), BTG, True),
        ((r4(permit(but=(deny(purpose("BTG")),))),), BTG, True),
        ((r4(permit(purpose("TREAT"))), r4(deny(purpose("BTG")))), BTG, True),
        ((r4(deny(purpose("TREAT"))),), BTG, False),
        ((r4(deny()),), BTG, False),
        ((r4(permit(purpose("BTG"))),), BTG, False),
        ((r4(deny(purpose("BTG"))),), ASKED, False),
    ],
)
def test_only_a_deny_that_names_break_glass_is_an_express_opposition(
    trees: tuple[Json, ...], asked: Question, *, opposed: bool
) -> None:
    found = consent_verdict([read4(tree) for tree in trees], asked)
    assert found.opposed is opposed


# ---- several Consents ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trees", "expected"),
    [
        ((), NONE),
        ((r4(permit()), r4(deny())), DENY),
        ((r4(permit()), r4({"type": "novel"})), UNKNOWN),
        ((r4(permit()), r4({"type": "novel"}, status="inactive")), PERMIT),
        ((r4(permit(purpose("TREAT"))), r4(permit(purpose("HRESCH")))), PERMIT),
        ((r4(permit(purpose("HMARKT"))), r4(permit(purpose("HRESCH")))), DENY),
        ((r4(permit()), r4(permit(PERIOD_2023))), DENY),
        ((r4(permit()), r4(deny(), scope=concept(CONSENT_SCOPE, "research"))), PERMIT),
        ((r4(permit()), r4(deny(), scope=concept(CONSENT_SCOPE, "treatment"))), DENY),
        ((r4(permit(), scope=concept(CONSENT_SCOPE, "research")),), NONE),
        ((r4(permit(), scope=concept(CONSENT_SCOPE, "adr")),), NONE),
    ],
)
def test_unknown_before_deny_before_permit_before_silence(
    trees: tuple[Json, ...], expected: Verdict
) -> None:
    assert verdict(*trees) is expected


def test_consents_that_could_not_be_had_are_unknown() -> None:
    assert consent_verdict(None, ASKED).verdict is UNKNOWN


def test_the_most_recent_consent_decides_where_the_policy_says_so() -> None:
    old, new = read4(r4(deny(), dateTime="2023-01-01")), read4(r4(permit(), dateTime="2024-01-01"))
    undated = read4(r4(deny(), dateTime=None))
    assert consent_verdict([new, old], ASKED, "most-recent").verdict is PERMIT
    assert consent_verdict([new, old], ASKED).verdict is DENY
    assert consent_verdict([new, undated], ASKED, "most-recent").verdict is DENY
    twin = replace(old, recorded=new.recorded)
    assert consent_verdict([new, twin], ASKED, "most-recent").verdict is DENY


def test_a_verdict_names_its_consents_provision_and_caller() -> None:
    tree = r4(deny(but=(permit(actor("Practitioner/a")),)), meta={"versionId": "2"})
    given_ = consent_verdict([read4(tree), read4(r4(deny(CONDITIONS), own="c2"))], ASKED)
    assert given_.named
    assert [reason.source for reason in given_.reasons] == [
        "Consent/c1/_history/2#provision.provision[0]"
    ]
    assert given_.consents == {"Consent/c1/_history/2", "Consent/c2"}
    assert not consent_verdict([read4(r4(permit()))], ASKED).named
    assert not consent_verdict([read4(r4(permit(actor("Practitioner/b"))))], ASKED).named


def test_what_must_be_looked_for_in_resources_is_told() -> None:
    directives = [read4(r4(permit(ALCOHOL, but=(deny(data("related", "Encounter/e")),))))]
    assert codes_wanted(directives) == {Coding("http://loinc.org", "74013-4")}
    assert PatientFacts("Patient/p", tuple(directives), ()).mentions == {"Encounter/e"}


# ---- laws ------------------------------------------------------------------------------------------------------

ELEMENTS = st.lists(
    st.sampled_from(
        [purpose("TREAT"), purpose("BTG"), purpose("HMARKT"), label("N"), label("R"), label("PSY"), label("ETH"),
         actor("Practitioner/a"), actor("Practitioner/b"), actor("Group/g"), PERIOD_2022, PERIOD_2023, ALCOHOL, WEIGHT,
         data("instance", "Observation/o1"), data("authoredby", "Practitioner/writer"), data("related", "Encounter/e"),
         action("access"), action("correct")]
    ),
    max_size=2,
)  # fmt: skip
Tree = tuple[list[Json], list[Any]]
TREES = st.recursive(
    st.tuples(ELEMENTS, st.just([])),
    lambda inner: st.tuples(ELEMENTS, st.lists(inner, max_size=3)),
    max_leaves=6,
)
QUESTIONS = st.builds(
    lambda labels, purposes, mentions: replace(
        labelled(*labels), purposes=purposes, mentions=mentions
    ),
    st.sampled_from([("N",), ("R",), ("R", "PSY"), ("R", "ETHUD", "HIV"), ("V",), (), ("NOVEL",)]),
    st.sampled_from(
        [frozenset({"TREAT"}), frozenset({"BTG"}), frozenset({"HMARKT", "TREAT"}), frozenset()]
    ),
    st.sampled_from([None, frozenset(), frozenset({"Encounter/e"})]),
)


def spelled4(tree: Tree, kind: str, elements: bool = True) -> Json:
    """R4, each level negating the one above."""
    own, children = tree
    other = {"permit": "deny", "deny": "permit"}[kind]
    below = tuple(spelled4(child, other) for child in children)
    return (permit if kind == "permit" else deny)(*(own if elements else ()), but=below)


def spelled5(tree: Tree) -> Json:
    own, children = tree
    node: Json = {"id": "n"}
    for element in own:
        node |= element
    return node | ({"provision": [spelled5(child) for child in children]} if children else {})


MIXED = st.recursive(
    st.builds(lambda kind, own: kind(*own), st.sampled_from([permit, deny]), ELEMENTS),
    lambda inner: st.builds(
        lambda kind, own, but: kind(*own, but=tuple(but)),
        st.sampled_from([permit, deny]), ELEMENTS, st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
CONSENTS = st.lists(MIXED.map(lambda root: read4(r4(root))), max_size=3)


@given(TREES, st.sampled_from(["permit", "deny"]), QUESTIONS)
def test_r4_and_r5_spellings_of_one_directive_decide_alike(
    tree: Tree, base: str, asked: Question
) -> None:
    old = read4(r4(spelled4(tree, base, elements=False)))
    new = read5(r5(base, *(spelled5(child) for child in tree[1])))
    assert old.problem is new.problem is None
    assert consent_verdict([old], asked).verdict is consent_verdict([new], asked).verdict


def shuffled(node: Provision, order: Any) -> Provision:
    children = [shuffled(child, order) for child in node.provisions]
    order.shuffle(children)
    return replace(node, provisions=tuple(children))


@given(
    CONSENTS,
    QUESTIONS,
    st.randoms(use_true_random=False),
    st.sampled_from(["deny-overrides", "most-recent"]),
)
def test_order_never_matters(
    directives: list[ConsentDirective], asked: Question, order: Any, combine: Any
) -> None:
    other = [replace(one, root=shuffled(one.root, order)) for one in directives]
    order.shuffle(other)
    one, two = (consent_verdict(each, asked, combine) for each in (directives, other))
    assert (one.verdict, one.named, one.consents) == (two.verdict, two.named, two.consents)


DENIALS = ELEMENTS.map(lambda own: read4(r4(deny(*own), own="denial")))


@given(CONSENTS, DENIALS, QUESTIONS)
def test_adding_a_denial_never_turns_a_deny_into_a_permit(
    directives: list[ConsentDirective], denial: ConsentDirective, asked: Question
) -> None:
    before, after = (
        consent_verdict(directives, asked),
        consent_verdict([*directives, denial], asked),
    )
    assert after.verdict is not PERMIT or before.verdict is PERMIT


@given(MIXED, ELEMENTS, QUESTIONS)
def test_adding_a_denying_exception_never_turns_a_deny_into_a_permit(
    root: Json, own: list[Json], asked: Question
) -> None:
    before = consent_verdict([read4(r4(root))], asked)
    harder = root | {"provision": [*root.get("provision", []), deny(*own)]}
    after = consent_verdict([read4(r4(harder))], asked)
    assert after.verdict is not PERMIT or before.verdict is PERMIT


@given(CONSENTS, QUESTIONS)
def test_knowing_less_never_permits_more(
    directives: list[ConsentDirective], asked: Question
) -> None:
    blind = replace(asked, mentions=None, closure=replace(DR_A, complete=False))
    if consent_verdict(directives, blind).verdict is PERMIT:
        assert consent_verdict(directives, asked).verdict is PERMIT


@given(st.lists(DENIALS, max_size=3), QUESTIONS)
def test_no_permit_without_a_permit(directives: list[ConsentDirective], asked: Question) -> None:
    assert all(one.base is Effect.DENY for one in directives)
    assert consent_verdict(directives, asked).verdict is not PERMIT


EDGES = [
    datetime(2024, 6, day, hour, tzinfo=PARIS).timestamp() for day in (1, 2, 3) for hour in (0, 12)
]
DATED = st.tuples(st.sampled_from([None, *range(6)]), st.sampled_from([None, *range(6)])).map(
    lambda pair: Period(*(None if edge is None else EDGES[edge] for edge in pair))
)


@given(
    st.lists(st.tuples(DATED, DATED, st.sampled_from([permit(), deny()])), min_size=1, max_size=3),
    st.lists(
        st.sampled_from([edge + more for edge in EDGES for more in (-1, 0, 1)]),
        min_size=2,
        max_size=6,
    ),
)
def test_time_moves_on_although_what_was_worked_out_is_kept(
    shapes: list[tuple[Period, Period, Json]], instants: list[float]
) -> None:
    def dated(whole: Period, part: Period, exception: Json) -> ConsentDirective:
        known = read4(r4(permit(but=(exception,))))
        [child] = known.root.provisions
        root = replace(known.root, provisions=(replace(child, period=part),))
        return replace(known, period=whole, root=root)

    kept = tuple(dated(*shape) for shape in shapes)
    for now in instants:
        fresh = tuple(dated(*shape) for shape in shapes)
        asked = replace(ASKED, now=now)
        assert consent_verdict(kept, asked) == consent_verdict(fresh, asked)


def test_a_thousand_consents_that_say_the_same_are_judged_as_one() -> None:
    many = tuple(read4(r4(permit(purpose("TREAT")), own=f"c{number}")) for number in range(1000))
    given_ = consent_verdict(many, ASKED)
    assert given_.verdict is PERMIT
    assert len(given_.consents) == 1000
    assert len(given_.reasons) == 1


@given(CONSENTS, QUESTIONS, st.sampled_from(["deny-overrides", "most-recent"]))
def test_a_verdict_for_every_resource_is_that_for_each(
    directives: list[ConsentDirective], asked: Question, combine: Any
) -> None:
    same = Same(tuple(directives))
    prepared = _prepared(
        same,
        Same(asked.closure),
        asked.action,
        asked.purposes,
        instant_of(same, asked.now),
        combine,
    )
    known = consent_verdict(same.value, asked, combine)
    assert known == (_judged(prepared, asked, combine) if directives else _NONE)
