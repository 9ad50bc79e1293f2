from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.decision.applicable import Applicable, Rule, _live, _reach, _said_by, applicable
from proxy.decision.constraints import Context, Question
from proxy.facts.epochs import Same, instant_of
from proxy.facts.model import ActorClosure, ConsentDirective
from proxy.facts.selection import MAX_SILENT, in_force
from proxy.fhir.coding import CONSENT_SCOPE, Effect
from tests.decision.test_provisions import (
    ALCOHOL,
    ASKED,
    CONDITIONS,
    DR_A,
    MIXED,
    NOW,
    OBSERVATIONS,
    PERIOD_2022,
    PERIOD_2023,
    QUESTIONS,
    WEIGHT,
)  # fmt: skip
from tests.facts.consents import (
    Json,
    actor,
    concept,
    deny,
    label,
    permit,
    purpose,
    r4,
    read4,
)  # fmt: skip
from tests.properties.scenes import INSTANTS, closures, directives

PURPOSES = st.frozensets(st.sampled_from(["TREAT", "ETREAT", "HRESCH", "BTG", "X"]), max_size=2)
TREAT = Context(DR_A, "access", frozenset({"TREAT"}), NOW)
IN_FORCE = {"period": {"start": "2024", "end": "2024"}}
OVER = {"period": {"end": "2023"}}


def reduced(*trees: Json, context: Context = TREAT, by_date: bool = False) -> Applicable:
    return told([read4(tree) for tree in trees], context, by_date=by_date)


def told(
    consents: list[ConsentDirective], context: Context = TREAT, *, by_date: bool = False
) -> Applicable:
    same = Same(tuple(consents))
    acting = in_force(same, instant_of(same, context.now), by_date=by_date)
    return applicable(acting, context, by_date=by_date)


def references(consents: Applicable) -> tuple[list[str], list[str], list[str]]:
    """What is unknown, what can speak, what is silent."""
    return (
        [one.reference for one in consents.unknown],
        [one.directive.reference for one in consents.rules],
        [one.reference for one in consents.silent],
    )


SORTED: list[tuple[Json, tuple[list[str], list[str], list[str]]]] = [
    (permit(), ([], ["Consent/c1"], [])),
    (deny(), ([], ["Consent/c1"], [])),
    (permit(purpose("TREAT")), ([], ["Consent/c1"], [])),
    (permit(purpose("HMARKT")), ([], [], ["Consent/c1"])),
    (deny(purpose("HMARKT")), ([], [], [])),
    (permit(actor("Practitioner/b")), ([], [], ["Consent/c1"])),
    (deny(actor("Practitioner/b")), ([], [], [])),
    (deny(actor("Group/unknown")), ([], ["Consent/c1"], [])),
    (permit(actor("Group/unknown")), ([], [], ["Consent/c1"])),
    (permit(label("R")), ([], ["Consent/c1"], [])),
    (permit(purpose("HMARKT"), but=(permit(purpose("TREAT")),)), ([], ["Consent/c1"], [])),
    (permit(purpose("HMARKT"), but=(deny(purpose("TREAT")),)), ([], [], ["Consent/c1"])),
    (deny(purpose("HMARKT"), but=(deny(purpose("TREAT")),)), ([], ["Consent/c1"], [])),
    ({"type": "novel"}, (["Consent/c1"], [], [])),
]


@pytest.mark.parametrize(("tree", "found"), SORTED)
def test_a_consent_is_unknown_can_speak_or_is_silent_for_a_request(
    tree: Json, found: tuple[list[str], list[str], list[str]]
) -> None:
    assert references(reduced(r4(tree))) == found


@pytest.mark.parametrize(
    ("exception", "kept"),
    [
        (deny(), 1),
        (deny(IN_FORCE), 1),
        (deny(OVER), 0),
        (deny(purpose("HMARKT")), 0),
        (deny(actor("Practitioner/b")), 0),
        (deny(label("R")), 1),
        (permit(purpose("TREAT")), 1),
        (permit(purpose("HMARKT")), 0),
        (permit(purpose("HMARKT"), but=(deny(),)), 0),
        (permit(purpose("HMARKT"), but=(permit(purpose("TREAT")),)), 1),
    ],
)
def test_what_cannot_matter_to_the_request_is_dropped(exception: Json, kept: int) -> None:
    [rule] = reduced(r4(permit(but=(exception,)))).rules
    assert len(rule.root.provisions) == kept


def test_what_can_speak_says_whether_the_request_lies_in_it_and_whether_it_asks_for_more() -> None:
    [open_rule] = reduced(r4(permit(purpose("TREAT")))).rules
    [asking] = reduced(r4(permit(OBSERVATIONS))).rules
    [outside] = reduced(r4(permit(purpose("HMARKT"), but=(permit(purpose("TREAT")),)))).rules
    assert (open_rule.root.inside, open_rule.root.open) == (True, True)
    assert (asking.root.inside, asking.root.open) == (True, False)
    assert (outside.root.inside, outside.root.open) == (False, True)


def test_an_exception_to_what_does_not_match_is_none() -> None:
    tree = deny(purpose("HMARKT"), but=(permit(), deny(label("R"))))
    [rule] = reduced(r4(tree)).rules
    assert [one.node.path for one in rule.root.provisions] == ["provision.provision[1]"]


NAMED = [
    (actor("Practitioner/a"), True),
    (actor("Organization/h"), True),
    (actor("Practitioner/b", "Practitioner/a"), True),
    (actor("Practitioner/a", role="AUT"), False),
    ({}, False),
]


@pytest.mark.parametrize(("who", "named"), NAMED)
def test_a_provision_is_personal_where_it_names_the_caller(who: Json, named: bool) -> None:
    [rule] = reduced(r4(permit(who))).rules
    assert rule.root.named is named


SCOPES = [
    ("patient-privacy", {"TREAT"}, True),
    ("patient-privacy", set(), True),
    ("research", {"HRESCH"}, True),
    ("research", {"HRESCH", "TREAT"}, False),
    ("research", set(), False),
    ("research", {"TREAT"}, None),
    ("treatment", {"ETREAT"}, True),
    ("treatment", {"HPAYMT"}, None),
]


@pytest.mark.parametrize(("scope", "purposes", "whole"), SCOPES)
def test_a_scope_owns_all_some_or_none_of_the_purposes(
    scope: str, purposes: set[str], whole: bool | None
) -> None:
    tree = r4(permit(), scope=concept(CONSENT_SCOPE, scope))
    rules = reduced(tree, context=TREAT._replace(purposes=frozenset(purposes))).rules
    assert [rule.whole for rule in rules] == ([] if whole is None else [whole])


ALIKE = [
    (permit(), permit(), True),
    (permit(purpose("TREAT")), permit(purpose("TREAT")), True),
    (permit(), permit(actor("Practitioner/a")), False),
    (permit(actor("Practitioner/a")), permit(actor("Practitioner/a", "Practitioner/b")), True),
    (permit(), deny(), False),
    (permit(label("R")), permit(label("N")), False),
    (permit(ALCOHOL), permit(WEIGHT), False),
    (permit(OBSERVATIONS), permit(CONDITIONS), False),
    (permit(PERIOD_2022), permit(PERIOD_2023), False),
    (permit(purpose("TREAT")), permit(purpose("BTG", "TREAT")), False),
    (permit(but=(deny(purpose("HMARKT")),)), permit(), True),
    (permit(but=(deny(label("R")),)), permit(), False),
    (permit(but=(deny(label("R")),)), permit(but=(deny(label("V")),)), False),
]


@pytest.mark.parametrize(("one", "other", "alike"), ALIKE)
def test_consents_that_say_the_same_to_this_request_are_one(
    one: Json, other: Json, alike: bool
) -> None:
    rules = reduced(r4(one), r4(other, own="c2")).rules
    assert len(rules) == (1 if alike else 2)
    assert rules[0].directive.reference == "Consent/c1"


def test_consents_of_different_dates_are_one_only_where_dates_do_not_count() -> None:
    trees = (r4(permit()), r4(permit(), own="c2", dateTime="2025-01-01"))
    assert len(reduced(*trees).rules) == 1
    assert len(reduced(*trees, by_date=True).rules) == 2


def test_a_scope_that_owns_less_is_not_the_same() -> None:
    some = TREAT._replace(purposes=frozenset({"TREAT", "HRESCH"}))
    trees = (r4(permit()), r4(permit(), own="c2", scope=concept(CONSENT_SCOPE, "research")))
    assert [rule.whole for rule in reduced(*trees, context=some).rules] == [True, False]


def test_silent_consents_are_told_up_to_a_bound() -> None:
    trees = (r4(permit(purpose("HMARKT")), own=f"c{n}") for n in range(MAX_SILENT + 5))
    assert len(reduced(*trees).silent) == MAX_SILENT


consents = st.lists(MIXED.map(lambda root: read4(r4(root))), max_size=4)


@given(consents, QUESTIONS)
def test_what_is_left_out_would_have_said_nothing(
    several: list[ConsentDirective], asked: Question
) -> None:
    """Together they say what each of them says alone."""
    question = replace(ASKED, envelope=asked.envelope, mentions=asked.mentions)
    together = told(several)
    effects = {live.node.effect for rule in together.rules for live in rule.root.speaking(question)}
    alone = {
        live.node.effect
        for one in several
        for rule in told([one]).rules
        for live in rule.root.speaking(question)
    }
    assert effects == alone


@given(MIXED, QUESTIONS)
def test_those_who_speak_are_of_one_effect_and_match(root: Json, asked: Question) -> None:
    question = replace(ASKED, envelope=asked.envelope, mentions=asked.mentions)
    for rule in reduced(r4(root)).rules:
        speaking = rule.root.speaking(question)
        assert len({live.node.effect for live in speaking}) <= 1
        assert all(live.matches(question) for live in speaking)


# ---- the straightforward reduction, which looks at every Consent, as a measure -----------------------------------


def straightforward(
    consents: list[ConsentDirective], context: Context, *, by_date: bool
) -> Applicable:
    """The same without index: each Consent in turn."""
    acting = [one for one in consents if one.acts(context.now)]
    rules: dict[object, Rule] = {}
    silent: list[ConsentDirective] = []
    for directive in acting:
        reach = _reach(directive, context)
        if directive.problem is not None or reach == "none":
            continue
        root = _live(directive.root, context)
        if root is not None:
            key = (directive.recorded if by_date else None, reach, _said_by(root))
            rules.setdefault(key, Rule(directive, root, reach == "all"))
        elif directive.base is Effect.PERMIT and len(silent) < MAX_SILENT:
            silent.append(directive)
    unknown = tuple(one for one in acting if one.problem is not None)
    return Applicable(unknown, tuple(rules.values()), tuple(silent))


@settings(max_examples=150)
@given(
    st.lists(directives(), max_size=6), closures, PURPOSES, st.sampled_from(INSTANTS), st.booleans(),
)  # fmt: skip
def test_whom_consents_name_finds_all_that_a_look_at_each_would_find(
    consents: list[ConsentDirective],
    closure: ActorClosure,
    purposes: frozenset[str],
    now: float,
    by_date: bool,
) -> None:
    copies = [replace(one, reference=f"Consent/copy{n}") for n, one in enumerate(consents)]
    several = [*consents, *copies, *consents]
    context = Context(closure, "access", purposes, now)
    found = told(several, context, by_date=by_date)
    assert found == straightforward(several, context, by_date=by_date)


def test_whether_it_depends_on_the_resource_what_is_said() -> None:
    asking = [permit(label("R")), permit(but=(deny(OBSERVATIONS),)), permit(actor("Practitioner/w", role="AUT"))]  # fmt: skip
    free = [permit(), deny(actor("Practitioner/a")), permit(but=(deny(purpose("HMARKT"), label("R")),))]  # fmt: skip
    assert [reduced(r4(tree)).asks_content for tree in asking] == [True] * 3
    assert [reduced(r4(tree)).asks_content for tree in free] == [False] * 3
