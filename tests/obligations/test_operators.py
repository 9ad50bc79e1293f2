import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.obligations.redacting import (
    KEY,
    MASK,
    OTHER_KEY,
    applied,
    observation,
    patient,
    shown,
)

INSTANT = "2024-05-01T10:11:12+02:00"
SIGNED = {
    "resourceType": "Contract",
    "id": "c",
    "signer": [{"signature": [{"when": INSTANT, "who": {"reference": "Patient/p1"}}]}],
}

OPERATORS = {
    "remove a primitive with its twin": (
        patient(birthDate="1970-05-04", _birthDate={"id": "b"}, active=True),
        "remove Patient.birthDate",
        patient(active=True),
    ),
    "remove below a list": (
        patient(name=[{"family": "Doe", "given": ["Ann"]}, {"given": ["Bob"]}]),
        "remove Patient.name.given",
        patient(name=[{"family": "Doe"}]),
    ),
    "remove a choice": (
        observation(valueQuantity={"value": 1}, note=[{"text": "seen"}]),
        "remove Observation.value",
        observation(note=[{"text": "seen"}]),
    ),
    "remove a choice's twin": (
        observation(_valueDateTime={"id": "v"}),
        "remove Observation.value",
        observation(),
    ),
    "no element that only begins alike": (
        {"resourceType": "Encounter", "status": "planned", "statusHistory": [{"id": "h"}], "class": {"code": "AMB"}},
        "mask Encounter.status",
        {"resourceType": "Encounter", "_status": MASK, "statusHistory": [{"id": "h"}], "class": {"code": "AMB"}},
    ),
    "mask a primitive": (
        patient(birthDate="1970-05-04", _birthDate={"id": "b"}),
        "mask Patient.birthDate",
        patient(_birthDate=MASK),
    ),
    "mask what has a twin only": (
        patient(_birthDate={"id": "b"}),
        "mask Patient.birthDate",
        patient(_birthDate=MASK),
    ),
    "mask a list of primitives, and how many there are": (
        patient(name=[{"given": ["Ann", "Bee", "Cecily"], "_given": [None, {"id": "g"}]}]),
        "mask Patient.name.given",
        patient(name=[{"_given": [MASK]}]),
    ),
    "mask a list of objects, and how many there are": (
        patient(name=[{"family": "Doe"}, {"family": "Roe"}]),
        "mask Patient.name",
        patient(name=[MASK]),
    ),
    "mask an object with children that must be there": (
        patient(link=[{"other": {"reference": "Patient/p9"}, "type": "seealso"}]),
        "mask Patient.link",
        patient(link=[{**MASK, "other": MASK, "_type": MASK}]),
    ),
    "mask no narrative": (
        patient(text={"status": "generated", "div": "<div/>"}, active=True),
        "mask *.text",
        patient(active=True),
    ),
    "generalise a date": (patient(birthDate="1970-05-04"), "generalise Patient.birthDate", patient(birthDate="1970")),
    "generalise a dateTime": (
        observation(effectiveDateTime="2024-05-04T10:00:00+02:00"),
        "generalise Observation.effective",
        observation(effectiveDateTime="2024"),
    ),
    "generalise an instant": (
        observation(issued="2024-05-04T10:00:00.123+02:00"),
        "generalise Observation.issued",
        observation(issued="2024-01-01T00:00:00Z"),
    ),
    "generalise a postcode": (
        patient(address=[{"postalCode": "75011"}]),
        "generalise Patient.address.postalCode",
        patient(address=[{"postalCode": "75"}]),
    ),
    "generalise what cannot be": (
        patient(name=[{"family": "Doe"}], active=True),
        "generalise Patient.name",
        patient(active=True),
    ),
    "shift what is no date": (
        patient(name=[{"family": "Doe"}], active=True),
        "shift Patient.name.family",
        patient(active=True),
    ),
    "shift without one patient": (
        observation(subject={"reference": "Group/g"}, issued="2024-05-04T10:00:00Z"),
        "shift Observation.issued",
        observation(subject={"reference": "Group/g"}),
    ),
    "replace a string": (
        patient(name=[{"family": "Doe", "_family": {"id": "f"}}]),
        "replace Patient.name.family Anonymous",
        patient(name=[{"family": "Anonymous"}]),
    ),
    "replace strings": (
        patient(name=[{"given": ["Ann", "Bee"]}]),
        "replace Patient.name.given X",
        patient(name=[{"given": ["X"]}]),
    ),
    "replace no date by a word": (
        patient(birthDate="1970"), "replace Patient.birthDate X", patient(_birthDate=MASK),
    ),
    "replace no object": (patient(name=[{"family": "Doe"}]), "replace Patient.name X", patient(name=[MASK])),
    "pseudonymise no number": (
        patient(multipleBirthInteger=2),
        "pseudonymise Patient.multipleBirth",
        patient(_multipleBirthInteger=MASK),
    ),
    "pseudonymise no other object": (
        patient(name=[{"family": "Doe"}]), "pseudonymise Patient.name", patient(name=[MASK]),
    ),
    "an operator nobody knows removes": (
        patient(birthDate="1970", active=True), "blur Patient.birthDate", patient(active=True),
    ),
    "mask no extension: its url would tell": (
        patient(active=True, extension=[{"url": "http://x/a", "valueString": "b"}]),
        "mask Patient.extension",
        patient(active=True),
    ),
    "what a path says below contained is taken for all of it": (
        observation(contained=[{"resourceType": "Device", "id": "d"}]),
        "remove Observation.contained.id",
        observation(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    before, redaction, after = OPERATORS[name]
    assert shown(before, redaction) == after


WINNERS = [
    ("mask", "remove", patient(active=True)),
    ("generalise", "mask", patient(_birthDate=MASK, active=True)),
    ("shift", "generalise", patient(birthDate="1970", active=True)),
    ("pseudonymise", "mask", patient(_birthDate=MASK, active=True)),
    ("replace 1900", "remove", patient(active=True)),
]


@pytest.mark.parametrize(("weaker", "stronger", "after"), WINNERS)
def test_of_several_operators_the_most_hiding_wins(weaker: str, stronger: str, after: Any) -> None:
    operator, _, argument = weaker.partition(" ")
    both = (f"{operator} Patient.birthDate {argument}", f"{stronger} Patient.birthDate")
    assert shown(patient(birthDate="1970-05-04", active=True), *both) == after


def test_an_element_is_hidden_although_one_inside_it_is_only_changed() -> None:
    both = ("replace Patient.name.family X", "mask Patient.name")
    assert shown(patient(name=[{"family": "Doe"}]), *both) == patient(name=[MASK])


class TestPseudonyms:
    def test_are_the_same_for_the_same_value_and_key_only(self) -> None:
        one, two = (
            shown(
                patient(identifier=[{"system": "urn:x", "value": value}]),
                "pseudonymise Patient.identifier",
            )
            for value in ("123456", "123456")
        )
        assert one == two
        assert one != shown(
            patient(identifier=[{"system": "urn:x", "value": "123456"}]),
            "pseudonymise Patient.identifier",
            key=OTHER_KEY,
        )

    def test_keep_the_system_of_an_identifier_and_leave_out_who_assigned_it(self) -> None:
        identifier = {
            "system": "urn:x",
            "value": "123456",
            "assigner": {"display": "St. Elsewhere"},
        }
        (code,) = shown(patient(identifier=[identifier]), "pseudonymise Patient.identifier")[
            "identifier"
        ]
        assert code == {"system": "urn:x", "value": KEY.code("123456")}

    def test_of_references_agree_with_those_of_ids(self) -> None:
        subject = {"reference": "http://old/fhir/Patient/p1/_history/3", "display": "Ann Doe"}
        after = shown(observation(subject=subject), "pseudonymise Observation.subject")
        named = shown(patient(), "pseudonymise Patient.id")["id"]
        assert after["subject"] == {"reference": f"Patient/{named}"}

    def test_do_not_tell_how_long_the_value_was(self) -> None:
        assert len({len(KEY.code("x" * length)) for length in range(50)}) == 1

    def test_a_reference_that_names_no_target_is_masked(self) -> None:
        after = shown(
            observation(subject={"reference": "urn:uuid:1"}), "pseudonymise Observation.subject"
        )
        assert after["subject"] == MASK

    def test_the_key_is_not_shown(self) -> None:
        assert "secret" not in repr(KEY)
        assert "secret" not in str(KEY)

    def test_of_references_hide_the_identifier_they_name_too(self) -> None:
        subject = {"identifier": {"system": "urn:x", "value": "123456"}, "display": "Ann Doe"}
        after = shown(observation(subject=subject), "pseudonymise Observation.subject")
        coded = {"system": "urn:x", "value": KEY.code("123456")}
        assert after["subject"] == {"identifier": coded}

    @pytest.mark.parametrize(
        "name", [{"use": "official", "family": "Doe"}, {"system": "s", "value": "12", "code": "mg"}]
    )
    def test_of_what_is_no_identifier_nothing_is_left(self, name: dict[str, str]) -> None:
        after = shown(patient(name=[name]), "pseudonymise Patient.name")
        assert after["name"] == [MASK]


@pytest.mark.parametrize(
    ("path", "resource", "steps"),
    [
        ("Observation.effective", observation(effectiveInstant=INSTANT), ("effectiveInstant",)),
        ("Observation.issued", observation(issued=INSTANT), ("issued",)),
        ("Contract.signer.signature.when", SIGNED, ("signer", 0, "signature", 0, "when")),
    ],
)
def test_an_instant_that_is_cut_to_its_year_is_an_instant(
    path: str, resource: dict[str, Any], steps: tuple[str | int, ...]
) -> None:
    found: Any = json.loads(applied(resource, f"generalise {path}").body)
    for step in steps:
        found = found[step]
    assert found == "2024-01-01T00:00:00Z"


def test_extensions_that_are_masked_are_left_out() -> None:
    for name in ("extension", "modifierExtension"):
        before = patient(**{name: [{"url": "urn:x", "valueString": "Doe"}]}, active=True)
        assert shown(before, f"mask Patient.{name}") == patient(active=True)


@pytest.mark.parametrize(
    ("argument", "born"),
    [("1900-01-01", {"birthDate": "1900-01-01"}), ("then", {"_birthDate": MASK})],
)
def test_a_date_is_replaced_by_a_date_alone(argument: str, born: dict[str, Any]) -> None:
    before = patient(birthDate="1970-05-04")
    assert shown(before, f"replace Patient.birthDate {argument}") == patient(**born)


@pytest.mark.parametrize("operator", ["generalise", "shift", "pseudonymise", "mask"])
def test_of_a_value_that_is_absent_only_its_absence_is_told(operator: str) -> None:
    twin = {"id": "b", "extension": [{"url": "urn:x", "valueDate": "1970-05-04"}]}
    before = patient(_birthDate=twin, active=True)
    after = shown(before, f"{operator} Patient.birthDate")
    assert after == patient(_birthDate=MASK, active=True)


class TestShift:
    @pytest.mark.parametrize(
        ("patient_id", "date", "moved"),
        [
            ("p1", "1970-05-04", "1970-11-25"),
            ("p1", "1970-05-04T10:00:00Z", "1970-11-25T10:00:00Z"),
            ("p1", "1970-05", "1970-12"),
            ("p1", "1970", "1971"),
            ("p2", "1970", "1969"),
        ],
    )
    def test_moves_by_the_days_of_the_patient(self, patient_id: str, date: str, moved: str) -> None:
        before = observation(subject={"reference": f"Patient/{patient_id}"}, effectiveDateTime=date)
        assert shown(before, "shift Observation.effective")["effectiveDateTime"] == moved

    def test_of_a_period_the_ends_are_left_and_nothing_beside_them(self) -> None:
        twin = {"extension": [{"url": "urn:x", "valueDate": "1970-05-04"}]}
        period = {"id": "a", "extension": [], "start": "1970-05-04", "_start": twin, "_end": twin}
        after = shown(observation(effectivePeriod=period), "shift Observation.effective")
        assert after["effectivePeriod"] == {"start": "1970-11-25"}

    @given(st.text(min_size=1))
    def test_moves_by_one_to_365_days_either_way(self, name: str) -> None:
        assert 1 <= abs(KEY.days(name)) <= 365

    def test_moves_all_dates_of_a_patient_alike(self) -> None:
        after = shown(observation(issued="2024-05-04T10:11:12+02:00", effectiveDateTime="2024-05-01"),
                      "shift Observation.issued", "shift Observation.effective")  # fmt: skip
        born = shown(patient(birthDate="2024-05-01"), "shift Patient.birthDate")["birthDate"]
        assert after["effectiveDateTime"] == born
        assert after["issued"].endswith("T10:11:12+02:00")

    def test_moves_what_is_about_a_patient_among_others_as_the_patients_own(self) -> None:
        actors = ("Practitioner/x", "Patient/p1", "Location/l")
        before: dict[str, Any] = {
            "resourceType": "Appointment",
            "id": "a",
            "participant": [{"actor": {"reference": one}} for one in actors],
            "start": "2024-05-01",
        }
        born = shown(patient(birthDate="2024-05-01"), "shift Patient.birthDate")["birthDate"]
        assert shown(before, "shift Appointment.start")["start"] == born
        before["participant"].append({"actor": {"reference": "Patient/p2"}})
        assert "start" not in shown(before, "shift Appointment.start")

    def test_draws_every_distance_and_none_twice_as_often(self) -> None:
        drawn = [KEY.days(f"p{n}") for n in range(4000)]
        assert {min(drawn), max(drawn)} == {-365, 365}
        assert 0 not in drawn
        assert max(map(drawn.count, set(drawn))) < 25

    def test_codes_and_distances_stay_what_they_were_in_every_release(self) -> None:
        assert KEY.code("p1") == "SVWEA24ZX2YZ4JPBGR3JJ4DZNVUKPLEW"
        assert KEY.code("\ud800") == "TKWTNRRZMI6L4YD6CN6S4AGQING37CE2"
        assert (KEY.days("p1"), KEY.days("p2")) == (205, -196)

    @pytest.mark.parametrize("date", ["1970", "1970-05", "1970-05-04", "1970-05-04T10:00:00Z"])
    def test_keeps_the_precision(self, date: str) -> None:
        after = shown(observation(effectiveDateTime=date), "shift Observation.effective")[
            "effectiveDateTime"
        ]
        assert re.sub(r"\d", "0", after) == re.sub(r"\d", "0", date)

    def test_moves_both_ends_of_a_period(self) -> None:
        period = {"start": "2024-05-01", "end": "2024-05-03"}
        after = shown(observation(effectivePeriod=period), "shift Observation.effective")[
            "effectivePeriod"
        ]
        assert after.keys() == {"start", "end"}
        assert not period.items() & after.items()

    @pytest.mark.parametrize("date", ["9999-12-31", "0001-01-01", "2024-02-31", "2024-13-01"])
    def test_leaves_out_what_it_cannot_move(self, date: str) -> None:
        after = shown(observation(effectiveDateTime=date), "shift Observation.effective")
        # Of 9999-12-31 and 0001-01-01 only one lies at the edge this patient's dates move over.
        assert after.get("effectiveDateTime") != date
