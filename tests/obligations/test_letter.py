from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UnreadableError
from proxy.obligations.letter import (
    MAX_DEPTH,
    Place,
    Slot,
    each,
    inside,
    is_mandatory,
    masked,
    may_be_deep,
    open_letter,
    rewritten,
    sealed,
)
from tests.obligations.redacting import (
    observation,
    patient,
)


def keep(slot: Slot, place: Place) -> Slot:
    return inside(slot, place, keep)


@pytest.mark.parametrize(
    ("path", "demanded"),
    [
        ("Observation.status", True),
        ("Observation.value", False),
        ("Observation.component.code", True),
        ("Observation.component.valueString", False),
        ("MedicationRequest.medicationReference", True),
        ("QuestionnaireResponse.item.item.linkId", True),
        ("Patient.name", False),
        ("Patient.link.other", True),
        ("Patient.extension.url", True),
        ("Group.characteristic.valueBoolean", True),
        ("Nonsense.status", False),
    ],
)
def test_what_must_be_there(path: str, demanded: bool) -> None:
    rtype, *steps = path.split(".")
    assert is_mandatory(Place(rtype, tuple(steps))) is demanded


def test_a_walk_that_changes_nothing_gives_the_same_letter_and_leaves_the_old_one_alone() -> None:
    raw = b'{"resourceType":"Patient","_a":{"id":"1"},"b":[1.50,2],"a":"x","c":[null,"y"],"_c":[{"id":"2"},null]}'
    tree = open_letter(raw)
    after = rewritten(tree, Place(""), keep)
    assert sealed(after) == sealed(tree) == raw
    assert after is not tree


def test_places_begin_anew_in_a_contained_resource() -> None:
    places: list[Place] = []

    def change(slot: Slot, place: Place) -> Slot:
        places.append(place)
        return inside(slot, place, change)

    rewritten(observation(contained=[patient(name=[{"family": "Doe"}])]), Place(""), change)
    assert Place("Patient", ("name", "family")) in places
    assert Place("Observation", ("subject", "reference")) in places


@given(
    st.lists(
        st.tuples(st.none() | st.text(min_size=1), st.none() | st.just({"id": "x"})), min_size=1
    )
)
def test_values_and_twins_stay_paired(
    pairs: list[tuple[str | None, dict[str, Any] | None]],
) -> None:
    def change(slot: Slot) -> Slot:
        return slot

    after = each(Slot("given", [value for value, _ in pairs], [twin for _, twin in pairs]), change)
    kept = [pair for pair in pairs if pair != (None, None)]
    values, twins = ([pair[side] for pair in kept] for side in (0, 1))
    assert after.value == (values if any(values) else None)
    assert after.twin == (twins if any(twins) else None)


def test_what_is_absent_is_not_masked() -> None:
    assert masked(Slot("a"), Place("Patient", ("a",))) == Slot("a")


def nested(kinds: str) -> bytes:
    """Objects and lists inside each other, `o` and `l`, from the outside in."""
    opened = "".join('{"a":' if one == "o" else "[" for one in kinds)
    return (opened + "1" + "".join("}" if one == "o" else "]" for one in reversed(kinds))).encode()


@given(st.text("ol", min_size=MAX_DEPTH - 8, max_size=MAX_DEPTH + 8), st.sampled_from(["", "{", "]}"]))  # fmt: skip
def test_what_is_too_deep_is_never_taken_for_shallow(kinds: str, said: str) -> None:
    raw = b'{"resourceType":"Basic","t":"%b","x":%b}' % (said.encode(), nested(kinds))
    try:
        open_letter(raw)
    except UnreadableError:
        assert may_be_deep(raw)


def test_what_is_large_and_shallow_is_not_taken_for_deep() -> None:
    assert not may_be_deep(b'{"a":[' + b",".join([b'{"b":[{"c":{}}]}'] * 500) + b"]}")
    assert not may_be_deep(b'{"a":1}')
