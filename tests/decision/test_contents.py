from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.decision.applicable import Rule, applicable
from proxy.decision.constraints import Context, Question
from proxy.decision.contents import Contents, contents_of
from proxy.decision.provisions import _heard
from proxy.facts.epochs import Same, instant_of
from proxy.facts.model import ActorClosure, ConsentDirective
from proxy.facts.selection import in_force
from proxy.fhir.envelope import Envelope
from tests.decision.test_provisions import (
    ALCOHOL,
    ASKED,
    CONDITIONS,
    DR_A,
    NOW,
    OBSERVATIONS,
    PDF,
    PERIOD_2022,
    observed,
)  # fmt: skip
from tests.facts.consents import (
    Json,
    actor,
    coding,
    data,
    deny,
    label,
    permit,
    purpose,
    r4,
    read4,
)  # fmt: skip
from tests.properties.scenes import closures, directives, envelopes

ANY = {"class": [coding("http://hl7.org/fhir/resource-types", "Resource")]}
BOTH = {"class": OBSERVATIONS["class"] + PDF["class"]}
TREAT = Context(DR_A, "access", frozenset({"TREAT"}), NOW)


def rules_of(consents: list[ConsentDirective], context: Context = TREAT) -> tuple[Rule, ...]:
    same = Same(tuple(consents))
    acting = in_force(same, instant_of(same, context.now))
    return applicable(acting, context, by_date=False).rules


def contents(*roots: Json) -> Contents:
    return contents_of(rules_of([read4(r4(root, own=f"c{n}")) for n, root in enumerate(roots)]))


HEARD = [
    # a Consent                                             Observation/o1  Condition/o2
    (deny(data("instance", "Observation/o1")), True, False),
    (deny(data("instance", "Condition/o2"), OBSERVATIONS), False, True),
    (deny({"class": [coding("http://hl7.org/fhir/resource-types", "observation")]}), True, True),
    (deny(OBSERVATIONS), True, False),
    (deny(CONDITIONS), False, True),
    (deny(ANY), True, True),
    (deny(BOTH), True, True),
    (deny(PERIOD_2022), True, True),
    (deny(ALCOHOL), True, False),
    (deny(ALCOHOL, data("instance", "")), True, False),
    (deny(but=(deny(ALCOHOL),)), True, True),
    (deny(label("R")), True, True),
    (deny(data("related", "Observation/o1")), True, True),
    (deny(data("instance", "urn:uuid:1")), True, True),
    (deny(CONDITIONS, but=(deny(label("R")),)), True, True),
    (deny(CONDITIONS, but=(deny(OBSERVATIONS),)), True, True),
    (deny(purpose("HMARKT"), but=(deny(OBSERVATIONS),)), True, False),
    (deny(CONDITIONS, actor("Group/unknown")), False, True),
    (deny(), True, True),
    (permit(CONDITIONS), True, True),
    (permit(data("instance", "Condition/o2")), True, True),
    (permit(but=(deny(CONDITIONS),)), True, True),
]


@pytest.mark.parametrize(("root", "observation", "condition"), HEARD, ids=str)
def test_a_denial_is_heard_only_where_it_may_cover_the_resource(
    root: Json, observation: bool, condition: bool
) -> None:
    index = contents(root)
    both = observed(), observed(type="Condition", id="o2", codes=frozenset())
    assert [bool(index.for_resource(one)) for one in both] == [observation, condition]


def test_of_a_thousand_denied_instances_one_is_heard() -> None:
    others = [deny(data("instance", f"Observation/other{n}")) for n in range(1000)]
    index = contents(*others, deny(data("instance", "Observation/o1")), permit())
    heard = [rule.directive.reference for rule in index.for_resource(observed())]
    assert heard == ["Consent/c1000", "Consent/c1001"]


@settings(max_examples=150)
@given(st.lists(directives(), max_size=5), closures, envelopes())
def test_what_is_not_heard_would_have_said_nothing(
    consents: list[ConsentDirective], closure: ActorClosure, asked: list[Envelope]
) -> None:
    rules = rules_of(consents, TREAT._replace(closure=closure))
    index = contents_of(rules)
    for envelope in asked:
        question: Question = replace(ASKED, closure=closure, envelope=envelope, mentions=None)
        heard = index.for_resource(envelope)
        voices: list[Any] = [_heard(rule, question) for rule in rules]
        assert [one for one in voices if one] == [
            voice for rule in heard if (voice := _heard(rule, question))
        ]
