from typing import Any

import msgspec
import orjson
import pytest

from proxy.fhir.shapes import Reference, dates_at, plan_of, resource_struct, values_at

Json = dict[str, Any]


def decoded(rtype: str, **more: Any) -> Any:
    struct: Any = resource_struct(rtype)
    return msgspec.json.decode(orjson.dumps({"resourceType": rtype, **more}), type=struct)


REFERENCE = {"reference": "Patient/a"}
PLACES: list[tuple[str, Json, tuple[str, ...], int]] = [
    ("Observation", {"subject": REFERENCE}, ("subject",), 1),
    ("Observation", {"subject": [REFERENCE, REFERENCE]}, ("subject",), 2),
    ("Observation", {"subject": None}, ("subject",), 0),
    ("Observation", {}, ("subject",), 0),
    ("Appointment", {"participant": [{"actor": REFERENCE}, {}, {"actor": REFERENCE}]}, ("participant", "actor"), 2),
    ("Appointment", {"participant": {"actor": REFERENCE}}, ("participant", "actor"), 1),
    ("Observation", {"subject": REFERENCE}, ("nowhere",), 0),
]  # fmt: skip


@pytest.mark.parametrize(("rtype", "more", "steps", "number"), PLACES)
def test_every_value_at_the_end_of_a_path_is_found_through_lists(
    rtype: str, more: Json, steps: tuple[str, ...], number: int
) -> None:
    found = list(values_at(decoded(rtype, **more), steps))
    assert [one.reference for one in found] == ["Patient/a"] * number
    assert all(isinstance(one, Reference) for one in found)


DATES: list[tuple[str, Json, tuple[str, ...], list[str]]] = [
    ("Encounter", {"period": {"start": "2022", "end": "2023"}}, ("period", "start"), ["2022/2023"]),
    ("Encounter", {"period": {"start": "2022"}}, ("period", "start"), ["2022/9999"]),
    ("Encounter", {"period": {"end": "2022"}}, ("period", "start"), ["0001/2022"]),
    ("Observation", {"effectiveDateTime": "2022"}, ("effectiveDateTime",), ["2022"]),
    ("Appointment", {"start": "2022"}, ("start",), ["2022"]),
]


@pytest.mark.parametrize(("rtype", "more", "steps", "dates"), DATES)
def test_a_date_is_as_written_and_a_period_is_whole(
    rtype: str, more: Json, steps: tuple[str, ...], dates: list[str]
) -> None:
    assert list(dates_at(decoded(rtype, **more), steps)) == dates


@pytest.mark.parametrize("more", [{"subject": "Patient/a"}, {"subject": {"reference": 7}}, {"contained": {}}, {"id": 7}])  # fmt: skip
def test_what_has_another_shape_does_not_decode(more: Json) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoded("Observation", **more)


def test_a_plan_tells_apart_resources_about_different_persons() -> None:
    plan = plan_of(resource_struct("Observation"))
    alike = [decoded("Observation", id=own, subject=REFERENCE) for own in ("x", "y")]
    other = decoded("Observation", subject={"reference": "Patient/b"})
    assert plan.type == "Observation"
    assert plan.references(alike[0]) == plan.references(alike[1]) != plan.references(other)
    assert not plan.by_identity


@pytest.mark.parametrize("rtype", ["Patient", "Bundle", "Binary"])
def test_what_its_own_identity_decides_is_never_shared(rtype: str) -> None:
    assert plan_of(resource_struct(rtype)).by_identity
