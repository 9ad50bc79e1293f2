from itertools import product

import pytest

from proxy.decision.model import NO_OBLIGATIONS, Decision, Obligations, Redaction
from proxy.fhir.coding import Effect

NAME, PHONE = Redaction("remove", "Patient.name"), Redaction("mask", "Patient.telecom")
SOME = [
    NO_OBLIGATIONS,
    Obligations(frozenset({NAME})),
    Obligations(frozenset({NAME, PHONE}), frozenset({("patient", "r")})),
    Obligations(notify=frozenset({("privacy-officer", "r")})),
    Obligations(warn=frozenset({"beware"})),
]


@pytest.mark.parametrize(("one", "other"), list(product(SOME, SOME)))
def test_obligations_join_and_none_is_lost(one: Obligations, other: Obligations) -> None:
    joined = one | other
    assert joined.redactions == one.redactions | other.redactions
    assert joined.notify == one.notify | other.notify
    assert joined.warn == one.warn | other.warn
    assert joined == other | one
    assert joined | one == joined


@pytest.mark.parametrize(
    ("decision", "permits", "alters"),
    [
        (Decision(Effect.PERMIT), True, False),
        (Decision(Effect.PERMIT, obligations=Obligations(frozenset({NAME}))), True, True),
        (Decision(Effect.PERMIT, obligations=Obligations(notify=frozenset({("patient", "r")}))), True, False),
        (Decision(Effect.DENY), False, True),
        (Decision(Effect.DENY, obligations=Obligations(frozenset({NAME}))), False, True),
    ],
)  # fmt: skip
def test_a_resource_leaves_as_it_came_only_if_it_is_permitted_and_nothing_is_to_be_redacted(
    decision: Decision, permits: bool, alters: bool
) -> None:
    assert decision.permits is permits
    assert decision.alters is alters


def test_redactions_have_an_order_of_their_own() -> None:
    third = Redaction("mask", "Patient.telecom", "x")
    assert sorted({NAME, third, PHONE}) == [PHONE, third, NAME]
