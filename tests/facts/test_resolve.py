from dataclasses import replace
from typing import Any

import pytest

from proxy.facts.model import Actor, ConsentDirective, Provision
from proxy.facts.relationship import Reading
from proxy.facts.resolve import Resolved, named_by, resolved
from tests.facts.consents import PARIS, Json, actor, data, deny, permit, r4, read4

READING = Reading(PARIS, ("http://fhir.example.org/r4",))
NOW = 1_717_200_000.0


def group(own: str, *members: str, **more: Any) -> Json:
    listed = [{"entity": {"reference": one}} for one in members]
    return {"resourceType": "Group", "id": own, "type": "practitioner", "actual": True, "member": listed, **more}  # fmt: skip


def answered(**answers: tuple[set[str], list[Json] | None]) -> Resolved:
    return Resolved.of(
        {kind: (frozenset(ids), found) for kind, (ids, found) in answers.items()}, READING, NOW
    )


def actors_of(directive: ConsentDirective | None) -> list[Actor]:
    assert directive is not None
    return [one for node in directive.root.nodes() for one in node.actors]


ASKED = [
    (permit(actor("Practitioner/a")), {}),
    (permit(actor("Group/g")), {"Group": {"g"}}),
    (permit(actor("CareTeam/t")), {"CareTeam": {"t"}}),
    (deny(actor("Practitioner/a", "Organization/h")), {"Practitioner": {"a"}, "Organization": {"h"}}),
    (permit(but=(deny(actor("Practitioner/a")),)), {"Practitioner": {"a"}}),
    (deny(actor("#contained", "http://elsewhere.example.org/Practitioner/a")), {}),
    (permit(data("related", "Encounter/e")), {"Encounter": {"e"}}),
    (permit(data("instance", "Encounter/e")), {}),
    (permit(data("dependents", "Encounter/e"), but=(deny(data("authoredby", "Practitioner/a")),)), {}),
    (permit(data("related", "#x")), {}),
    (permit(), {}),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "asked"), ASKED)
def test_only_what_upstream_alone_can_tell_is_asked(tree: Json, asked: dict[str, set[str]]) -> None:
    assert named_by([read4(r4(tree))]) == asked


def test_what_several_consents_name_is_asked_once() -> None:
    consents = [read4(r4(deny(actor("Practitioner/a")))), read4(r4(deny(actor("Practitioner/a", "Practitioner/b"))))]  # fmt: skip
    assert named_by(consents) == {"Practitioner": {"a", "b"}}
    assert named_by([]) == {}


@pytest.mark.parametrize("dead", [{"status": "inactive"}, {"modifierExtension": [{"url": "x"}]}])
def test_a_consent_that_does_not_act_or_cannot_be_computed_asks_nothing(dead: Json) -> None:
    directive = read4(r4(deny(actor("Group/g")), **dead))
    assert directive.inert or directive.problem
    assert named_by([directive]) == {}
    assert resolved(directive, answered()) is directive


def test_a_consent_that_names_nobody_is_left_as_it_is() -> None:
    directive = read4(r4(permit()))
    assert resolved(directive, answered()) is directive


def test_members_are_told_and_whoever_was_not_found_is_dead() -> None:
    directive = read4(r4(deny(actor("Group/g", "Group/gone", "Practitioner/a", "Practitioner/gone"))))  # fmt: skip
    answer = answered(
        Group=({"g", "gone"}, [group("g", "Practitioner/m")]),
        Practitioner=({"a", "gone"}, [{"resourceType": "Practitioner", "id": "a"}]),
    )
    found = {one.reference: (one.dead, one.members) for one in actors_of(resolved(directive, answer))}  # fmt: skip
    assert found == {
        "Group/g": (False, frozenset({"Practitioner/m"})),
        "Group/gone": (True, None),
        "Practitioner/a": (False, None),
        "Practitioner/gone": (True, None),
    }


def test_what_is_found_is_told_at_every_depth() -> None:
    tree = permit(actor("Group/g"), but=(deny(but=(permit(actor("Group/g")),)),))
    answer = answered(Group=({"g"}, [group("g", "Practitioner/m")]))
    found = actors_of(resolved(read4(r4(tree)), answer))
    assert len(found) == 2
    assert all(one.members == frozenset({"Practitioner/m"}) for one in found)


@pytest.mark.parametrize("answers", [{}, {"Group": ({"g"}, None)}, {"Group": ({"other"}, [])}])
def test_a_consent_is_unknown_whose_actors_could_not_be_asked_about(answers: Any) -> None:
    assert resolved(read4(r4(deny(actor("Group/g")))), answered(**answers)) is None


def test_a_look_up_that_failed_spoils_only_those_that_need_it() -> None:
    answer = answered(Group=({"g"}, None), CareTeam=({"t"}, []))
    assert resolved(read4(r4(deny(actor("Group/g")))), answer) is None
    [gone] = actors_of(resolved(read4(r4(deny(actor("CareTeam/t")))), answer))
    assert gone.dead


def test_a_permit_for_somebody_who_was_not_asked_about_stays_a_permit_for_that_person() -> None:
    [one] = actors_of(resolved(read4(r4(permit(actor("Practitioner/a")))), answered()))
    assert (one.reference, one.dead) == ("Practitioner/a", False)


def mentions_of(directive: ConsentDirective, answer: Resolved) -> frozenset[str] | None:
    found = resolved(directive, answer)
    assert found is not None
    return found.root.data[0].mentions


def test_what_a_related_instance_refers_to_is_told() -> None:
    encounter = {
        "resourceType": "Encounter",
        "id": "e",
        "subject": {"reference": "Patient/p1"},
        "diagnosis": [{"condition": {"reference": "http://fhir.example.org/r4/Condition/c/_history/2"}}],
        "serviceProvider": {"reference": "http://elsewhere.example.org/Organization/h"},
        "note": {"reference": 7},
    }  # fmt: skip
    directive = read4(r4(permit(data("related", "Encounter/e"))))
    found = mentions_of(directive, answered(Encounter=({"e"}, [encounter])))
    assert found == frozenset({"Patient/p1", "Condition/c"})
    assert mentions_of(directive, answered(Encounter=({"e"}, []))) == frozenset()


def test_other_meanings_keep_to_themselves() -> None:
    directive = read4(r4(permit(data("related", "Encounter/e"))))
    [datum] = directive.root.data
    other = replace(directive.root, data=(replace(datum, meaning="instance"), datum))
    answer = answered(Encounter=({"e"}, [{"resourceType": "Encounter", "id": "e"}]))
    found = resolved(replace(directive, root=other), answer)
    assert found is not None
    assert [one.mentions for one in found.root.data] == [None, frozenset()]


def test_nothing_else_of_a_provision_is_touched() -> None:
    tree = deny(actor("Group/g"), but=(permit(actor("Practitioner/a")),))
    directive = read4(r4(tree))
    found = resolved(directive, answered(Group=({"g"}, [group("g")])))
    assert found is not None

    def bare(node: Provision) -> Provision:
        return replace(node, actors=(), provisions=tuple(map(bare, node.provisions)))

    assert bare(found.root) == bare(directive.root)
    assert replace(found, root=directive.root) == directive


def test_an_answer_is_good_until_a_membership_begins_or_ends() -> None:
    ending = group("g") | {
        "member": [{"entity": {"reference": "Practitioner/m"}, "period": {"end": "2024-06-30"}}]
    }
    assert answered(Group=({"g"}, [ending])).until > NOW
    assert answered(Group=({"g"}, [ending])).until < NOW + 31 * 86_400
    assert answered(Group=({"g"}, [group("g")])).until == float("inf")
    assert answered().until == float("inf")
