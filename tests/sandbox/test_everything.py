from proxy.sandbox.everything import everything, in_compartment
from tests.sandbox import made


def test_the_compartment_is_what_fhir_says() -> None:
    world = made.small_world()

    assert in_compartment(world.index, "ann", "Observation") == {"obs"}
    assert in_compartment(world.index, "bob", "Observation") == set()
    assert in_compartment(world.index, "ann", "Organization") == set()


def test_other_compartments_are_what_fhir_says() -> None:
    world = made.small_world()

    assert in_compartment(world.index, "doc", "Observation", "Practitioner") == {"obs"}
    assert in_compartment(world.index, "other", "Observation", "Practitioner") == set()
    assert in_compartment(world.index, "doc", "Practitioner", "Practitioner") == {"doc"}


def test_everything_brings_what_the_members_refer_to() -> None:
    world = made.small_world()

    found = everything(world.index, world.store.read("Patient", "ann"))

    assert [version.id for version in found] == ["ann", "obs", "org", "doc"]


def test_everything_of_some_types() -> None:
    world = made.small_world()

    found = everything(world.index, world.store.read("Patient", "ann"), {"Condition"})

    assert [version.id for version in found] == ["ann", "org"]
