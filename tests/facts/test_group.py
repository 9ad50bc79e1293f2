from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.group import members_of
from proxy.fhir.coding import Identifier
from tests.facts.test_directive import JSON
from tests.facts.test_relationship import NOW, READING, TEAM

Json = dict[str, Any]
A = frozenset({"Practitioner/a"})
NOBODY: frozenset[str] = frozenset()
DOCTOR = {"reference": "Practitioner/a"}
UNTOLD = {"display": "Dr A"}


def group(*members: object, **more: Any) -> Json:
    return {"resourceType": "Group", "id": "g", "member": list(members), **more}


def team(*participants: object, **more: Any) -> Json:
    return TEAM | {"participant": list(participants)} | more


MEMBERS: list[tuple[Json, frozenset[str] | None, bool]] = [
    (TEAM, A, False),
    (TEAM | {"status": "inactive"}, NOBODY, False),
    (TEAM | {"period": {"end": "2020"}}, NOBODY, False),
    (TEAM | {"period": {"end": "soon"}}, A, True),
    (TEAM | {"modifierExtension": [{"url": "x"}]}, None, False),
    (team({"member": DOCTOR, "coverageTiming": {}}), NOBODY, True),
    (team({"member": UNTOLD}), NOBODY, True),
    (team({"member": DOCTOR, "modifierExtension": [{"url": "x"}]}), NOBODY, True),
    (team({"member": {"reference": "CareTeam/inner"}}), None, False),
    (team({"member": DOCTOR, "period": {"end": "2020"}}), NOBODY, False),
    (group({"entity": DOCTOR}), A, False),
    (group({"entity": DOCTOR}, {"entity": UNTOLD}), A, True),
    (group({"entity": DOCTOR}, "nonsense"), A, True),
    (group({"entity": DOCTOR, "inactive": True}), NOBODY, False),
    (group({"entity": UNTOLD, "inactive": True}), NOBODY, False),
    (group({"entity": UNTOLD, "period": {"end": "2020"}}), NOBODY, False),
    (group({"entity": DOCTOR}, active=False), NOBODY, False),
    (group({"entity": {"reference": "Group/inner"}}), None, False),
    (group(characteristic=[{}]), None, False),
    (group(actual=False), None, False),
    (group(membership="definitional"), None, False),
    (group(membership="enumerated"), NOBODY, False),
    (group(member={}), None, False),
    (group(modifierExtension=[{"url": "x"}]), None, False),
]


@pytest.mark.parametrize(("resource", "members", "untold"), MEMBERS)
def test_members_are_told_or_said_to_be_untold(
    resource: Json, members: frozenset[str] | None, untold: bool
) -> None:
    # what cannot be read of a team's dates leaves its members to be doubted, not gone
    found = members_of(resource, READING, NOW)
    assert (found.references, found.untold) == (members, untold)


@pytest.mark.parametrize(
    ("resource", "certain"),
    [
        (TEAM, A),
        (TEAM | {"period": {"end": "soon"}}, NOBODY),
        (group({"entity": DOCTOR, "period": "now"}), NOBODY),
        (group({"entity": DOCTOR, "inactive": "true"}), NOBODY),
        (group({"entity": DOCTOR, "period": "now"}, {"entity": DOCTOR}), A),
        (group({"entity": DOCTOR, "period": "now"}, {"entity": DOCTOR, "period": {"end": "2020"}}), NOBODY),
        (group({"entity": DOCTOR}, {"entity": UNTOLD}), A),
    ],
)  # fmt: skip
def test_only_some_of_those_who_may_be_inside_are_so_for_certain(
    resource: Json, certain: frozenset[str]
) -> None:
    found = members_of(resource, READING, NOW)
    assert found.certain().references == certain
    assert found.references == A


def test_whose_identifier_is_in_doubt_is_not_certain_either() -> None:
    person = {"identifier": {"system": "urn:x", "value": "1"}}
    found = members_of(group({"entity": person, "period": "now"}), READING, NOW)
    assert found.identifiers == {Identifier("urn:x", "1")}
    assert found.certain().identifiers == frozenset()


def test_a_member_may_be_named_by_an_identifier_alone() -> None:
    named = {"identifier": {"system": "urn:rpps", "value": "8"}}
    for resource in (group({"entity": named}), team({"member": named})):
        found = members_of(resource, READING, NOW)
        assert found.identifiers == {Identifier("urn:rpps", "8")}
        assert not found.untold


def test_members_hold_until_the_next_of_them_comes_or_goes() -> None:
    found = members_of(group({"entity": DOCTOR, "period": {"end": "2024-06-10"}}), READING, NOW)
    assert NOW < found.until < NOW + 11 * 86_400


@given(st.dictionaries(st.sampled_from([*TEAM, "member", "actual", "period", "active"]), JSON))
def test_no_group_raises(tree: Json) -> None:
    for kind in ("CareTeam", "Group"):
        members_of(tree | {"resourceType": kind}, READING, NOW)
