from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.elements import UnsupportedError
from proxy.facts.model import ALWAYS, Actor, Provision, ProvisionDatum
from proxy.facts.provision import (
    MAX_DEPTH,
    MAX_PROVISIONS,
    NODE,
    ProvisionReader,
    Shape,
    effect_of,
)  # fmt: skip
from proxy.fhir.coding import ACT_REASON, PARTICIPATION, Coding, Effect, Identifier
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
)  # fmt: skip

BASES = ("http://fhir.example.org/r4",)
TYPED = Shape("patient", "dateTime", "scope", frozenset(), ("class",), frozenset(), NODE | {"type", "class"}, typed=True)  # fmt: skip
NEGATING = Shape("subject", "date", "category", frozenset(), ("resourceType", "documentType"), frozenset(), NODE | {"resourceType", "documentType"}, typed=False)  # fmt: skip
TREAT, HRESCH = Coding(ACT_REASON, "TREAT"), Coding(ACT_REASON, "HRESCH")


def read(node: Json, effect: Effect = Effect.PERMIT, shape: Shape = TYPED) -> Provision:
    return ProvisionReader(shape, PARIS, BASES).provision(node, "provision", effect, {})


def test_every_element_is_read_and_an_absent_one_does_not_constrain() -> None:
    whole = {
        "dataPeriod": {"start": "2024"},
        "code": [concept("http://loinc.org", "1")],
        "class": [coding("http://hl7.org/fhir/resource-types", "Condition")],
    }
    node = read(permit(purpose("TREAT"), label("R"), action("access"), actor("Practitioner/a"), data("related", "Encounter/e"), whole))  # fmt: skip
    assert node.purposes == {TREAT}
    assert {one.code for one in node.labels} == {"R"}
    assert node.actions == {"access"}
    assert node.actors == (Actor("Practitioner/a", role=Coding(PARTICIPATION, "IRCP")),)
    assert node.data == (ProvisionDatum("related", "Encounter/e"),)
    assert node.codes == {Coding("http://loinc.org", "1")}
    assert {one.code for one in node.classes} == {"Condition"}
    assert node.data_period is not None
    assert read(permit()) == Provision("provision", Effect.PERMIT)


def test_a_path_leads_to_its_provision() -> None:
    node = read(permit(but=(deny(), deny(but=(permit(),)))))
    paths = [one.path for one in node.nodes()]
    assert paths == [
        "provision",
        "provision.provision[0]",
        "provision.provision[1]",
        "provision.provision[1].provision[0]",
    ]


def test_r4_states_every_effect_and_r5_negates_the_level_above() -> None:
    same: Json = permit(but=(permit(but=(deny(),)),))
    assert [one.effect.value for one in read(same).nodes()] == ["permit", "permit", "deny"]
    bare: Json = {"id": "1", "provision": [{"id": "2", "provision": [{"id": "3"}]}]}
    for effect, levels in (
        (Effect.PERMIT, ["permit", "deny", "permit"]),
        (Effect.DENY, ["deny", "permit", "deny"]),
    ):
        assert [one.effect.value for one in read(bare, effect, NEGATING).nodes()] == levels


def test_a_nested_permit_keeps_what_its_ancestors_state_and_a_nested_deny_only_its_own() -> None:
    tree = permit(
        purpose("TREAT"),
        but=(
            deny(label("R"), but=(permit(actor("Practitioner/a")),)),
            permit(purpose("HRESCH")),
        ),
    )
    root = read(tree)
    denied, widened = root.provisions
    [inner] = denied.provisions
    assert (denied.purposes, {one.code for one in denied.labels}) == (frozenset(), {"R"})
    assert (inner.purposes, {one.code for one in inner.labels}) == (frozenset({TREAT}), {"R"})
    assert widened.purposes == {HRESCH}


def test_the_period_of_the_root_is_the_consents_own_in_r4_only() -> None:
    period = {"period": {"start": "2024", "end": "2024"}}
    root = read(permit(period, but=(deny(period),)))
    assert root.period == ALWAYS
    assert root.provisions[0].period != ALWAYS
    assert read({"id": "1", **period}, Effect.PERMIT, NEGATING).period == root.provisions[0].period


def named(target: Json, **more: Any) -> Actor:
    [found] = read(permit({"actor": [{"reference": target, **more}]})).actors
    return found


RPPS = {"identifier": {"system": "urn:rpps", "value": "8"}}
ACTORS = [
    ({"reference": "Practitioner/a"}, Actor("Practitioner/a")),
    ({"reference": "http://fhir.example.org/r4/Practitioner/a"}, Actor("Practitioner/a")),
    ({"reference": "http://elsewhere.example.org/Practitioner/a"}, Actor("?", dead=True)),
    ({"reference": "#a"}, Actor("?", dead=True)),
    ({"reference": 7}, Actor("?", dead=True)),
    ({"display": "Dr A"}, Actor("?", dead=True)),
    (RPPS, Actor(identifier=Identifier("urn:rpps", "8"))),
    ({"reference": "#a", **RPPS}, Actor("?", Identifier("urn:rpps", "8"), dead=True)),
    ({"reference": "Practitioner/a", **RPPS}, Actor("Practitioner/a", Identifier("urn:rpps", "8"))),
]  # fmt: skip


@pytest.mark.parametrize(("target", "found"), ACTORS)
def test_who_is_named_by_reference_or_identifier(target: Json, found: Actor) -> None:
    assert named(target) == found


ROLES = [
    (concept(PARTICIPATION, "AUT"), Coding(PARTICIPATION, "AUT")),
    ({"coding": [coding("a", "x"), coding(PARTICIPATION, "IRCP")]}, Coding(PARTICIPATION, "IRCP")),
    ({"text": "the doctor"}, Coding("", "")),
]


@pytest.mark.parametrize(("role", "found"), ROLES)
def test_the_role_is_the_participation_where_there_is_one(role: Json, found: Coding) -> None:
    assert named({"reference": "Practitioner/a"}, role=role).role == found


def test_an_actor_that_names_nobody_may_be_anybody() -> None:
    [nobody] = read(permit({"actor": [{"id": "1"}]})).actors
    [by_role] = read(permit({"actor": [{"role": concept("urn:x", "nurse")}]})).actors
    assert nobody == Actor(dead=True)
    assert by_role == Actor(role=Coding("urn:x", "nurse"))


def test_an_action_of_another_system_is_none_of_ours() -> None:
    node = permit({"action": [concept("urn:x", "access"), {"coding": [{"code": "use"}]}]})
    assert read(node).actions == {"urn:x|access", "use"}


REFUSED: list[Json] = [
    {"expression": {"language": "text/fhirpath"}},
    {"modifierExtension": [{"url": "x"}]},
    {"purpose": []},
    {"purpose": None},
    {"purpose": [{"system": ACT_REASON}]},
    {"securityLabel": [{}]},
    {"actor": [{}]},
    {"actor": [{"reference": "Practitioner/a"}]},
    {"actor": [{"reference": {"reference": "Practitioner/a"}, "role": {}}]},
    {"actor": [{"reference": {"reference": "Practitioner/a"}, "unknown": 1}]},
    {"data": [{"meaning": "novel", "reference": {"reference": "Observation/o"}}]},
    {"data": [{"meaning": "instance"}]},
    {"code": [{"text": "alcohol"}]},
    {"dataPeriod": {"start": "soon"}},
    {"provision": [{"type": "novel"}]},
    {"provision": [{"id": "untyped"}]},
    {"provision": {}},
    {"resourceType": [coding("urn:x", "y")]},
]


@pytest.mark.parametrize("element", REFUSED)
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_not_understood_is_refused_at_any_depth(element: Json, nested: bool) -> None:
    node = permit(but=(deny(element),)) if nested else permit(element)
    with pytest.raises(UnsupportedError):
        read(node)


def test_resource_and_document_types_are_not_read_together() -> None:
    one = {"resourceType": [coding("urn:x", "y")]}
    both = {**one, "documentType": [coding("urn:x", "y")]}
    assert read(one, Effect.PERMIT, NEGATING).classes
    with pytest.raises(UnsupportedError):
        read(both, Effect.PERMIT, NEGATING)


def nest(depth: int) -> Json:
    node = permit()
    for _ in range(depth - 1):
        node = permit(but=(node,))
    return node


def test_depth_and_number_are_bounded() -> None:
    assert len(list(read(nest(MAX_DEPTH)).nodes())) == MAX_DEPTH
    assert len(read(permit(but=(deny(),) * (MAX_PROVISIONS - 1))).provisions) == MAX_PROVISIONS - 1
    for tree in (nest(MAX_DEPTH + 1), permit(but=(deny(),) * MAX_PROVISIONS)):
        with pytest.raises(UnsupportedError):
            read(tree)


@pytest.mark.parametrize("effect", ["", "Permit", "allow", None, 1, ["permit"]])
def test_an_effect_is_permit_or_deny(effect: Any) -> None:
    assert effect_of({"type": "deny"}, "type", "it") is Effect.DENY
    with pytest.raises(UnsupportedError):
        effect_of({"type": effect}, "type", "it")


elements = st.lists(
    st.sampled_from([purpose("TREAT"), purpose("HRESCH"), label("R"), actor("Practitioner/a"), action("access")]),
    max_size=2,
)  # fmt: skip
trees = st.recursive(
    st.builds(lambda kind, own: kind(*own), st.sampled_from([permit, deny]), elements),
    lambda inner: st.builds(
        lambda kind, own, but: kind(*own, but=tuple(but)),
        st.sampled_from([permit, deny]),
        elements,
        st.lists(inner, max_size=2),
    ),
    max_leaves=5,
)


@given(trees)
def test_a_permit_is_never_wider_than_where_it_stands(tree: Json) -> None:
    def check(node: Provision, stated: set[str]) -> None:
        own = {name for name in ("actors", "actions", "purposes", "labels") if getattr(node, name)}
        assert node.effect is Effect.DENY or stated <= own
        for child in node.provisions:
            check(child, stated | own)

    check(read(tree), set())
