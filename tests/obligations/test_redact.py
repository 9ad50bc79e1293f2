import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.model import Redaction
from proxy.fhir.envelope import UnreadableError
from proxy.obligations.redact import PseudonymKey, Redacted, redact

KEY = PseudonymKey(b"a secret of thirty-two bytes long")
OTHER_KEY = PseudonymKey(b"another secret of thirty-two byte")
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MASK = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
LABELS = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SAMPLES = Path(__file__).parents[2] / "fhir-samples"


class Entry(msgspec.Struct):
    resource: msgspec.Raw


class Transaction(msgspec.Struct):
    entry: list[Entry]


RESOURCES = [
    bytes(entry.resource)
    for file in sorted(SAMPLES.glob("*.json"))
    for entry in msgspec.json.decode(file.read_bytes(), type=Transaction).entry
]


def redactions(*texts: str) -> frozenset[Redaction]:
    """`operator path [argument]`"""
    parts = (text.split(" ", 2) for text in texts)
    return frozenset(Redaction(*part) for part in parts)


def applied(resource: dict[str, Any], *texts: str, key: PseudonymKey = KEY) -> Redacted:
    return redact(json.dumps(resource).encode(), redactions(*texts), key)


def shown(resource: dict[str, Any], *texts: str, key: PseudonymKey = KEY) -> dict[str, Any]:
    """What is shown of a resource, without the labels that say so."""
    tree: dict[str, Any] = json.loads(applied(resource, *texts, key=key).body)
    tree.get("meta", {}).pop("security", None)
    if tree.get("meta") == {}:
        del tree["meta"]
    return tree


def labels_of(body: bytes) -> list[str]:
    tree = json.loads(body)
    return [one["code"] for one in tree["meta"]["security"] if one["system"] == LABELS]


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": "Patient/p1"}, **elements,
    }  # fmt: skip


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


class TestShift:
    @given(st.text(min_size=1))
    def test_moves_by_one_to_365_days_either_way(self, name: str) -> None:
        assert 1 <= abs(KEY.days(name)) <= 365

    def test_moves_all_dates_of_a_patient_alike(self) -> None:
        after = shown(observation(issued="2024-05-04T10:11:12+02:00", effectiveDateTime="2024-05-01"),
                      "shift Observation.issued", "shift Observation.effective")  # fmt: skip
        born = shown(patient(birthDate="2024-05-01"), "shift Patient.birthDate")["birthDate"]
        assert after["effectiveDateTime"] == born
        assert after["issued"].endswith("T10:11:12+02:00")

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


MANDATORY: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "top level": ("Observation.status", ("_status",)),
    "object": ("Observation.code", ("code",)),
    "emptied object": ("Observation.code.text", ("code",)),
    "inside a backbone element": ("Observation.component.code", ("component", 0, "code")),
    "data type": ("Observation.note.text", ("note", 0, "_text")),
}


@pytest.mark.parametrize("name", MANDATORY)
def test_what_must_be_there_is_masked_instead_of_removed(name: str) -> None:
    path, steps = MANDATORY[name]
    found: Any = shown(
        observation(component=[{"code": {"text": "left"}}], note=[{"text": "seen"}]),
        f"remove {path}",
    )
    for step in steps:
        found = found[step]
    assert found == MASK


class TestShadows:
    NARRATIVE: dict[str, Any] = {"status": "generated", "div": "<div>whatever</div>"}  # noqa: RUF012

    def test_narratives_go_with_anything_hidden(self) -> None:
        inner = {"resourceType": "Device", "id": "d", "text": self.NARRATIVE}
        before = observation(text=self.NARRATIVE, contained=[inner], valueString="xyz")
        after = shown(before, "remove Observation.value")
        assert after == observation(contained=[{"resourceType": "Device", "id": "d"}])

    def test_narratives_of_sections_go_at_every_depth(self) -> None:
        inner = {"title": "b", "text": self.NARRATIVE, "entry": [{"reference": "Condition/c"}]}
        section = {"title": "a", "text": self.NARRATIVE, "section": [inner]}
        before = {"resourceType": "Composition", "confidentiality": "N", "section": [section]}
        after = shown(before, "remove Composition.confidentiality")
        assert (
            after["section"][0]["text"]["status"]
            == after["section"][0]["section"][0]["text"]["status"]
            == "empty"
        )
        assert "whatever" not in json.dumps(after)

    def test_narratives_of_contained_resources_stay_if_only_the_own_one_is_hidden(self) -> None:
        inner = {"resourceType": "Device", "id": "d", "text": self.NARRATIVE}
        after = shown(
            observation(text=self.NARRATIVE, contained=[inner]), "remove Observation.text"
        )
        assert after == observation(contained=[inner])

    def test_other_elements_named_text_stay(self) -> None:
        before = observation(valueString="xyz", category=[{"text": "vital"}])
        assert shown(before, "remove Observation.value") == observation(
            category=[{"text": "vital"}]
        )

    REPEATS: dict[str, dict[str, Any]] = {  # noqa: RUF012
        "display": {"performer": [{"reference": "Patient/p2", "display": "Mrs ZARATHUSTRA, Ann"}]},
        "text": {"note": [{"text": "zarathustra was seen"}]},
        "title": {"extension": [{"url": "http://x/a", "valueAttachment": {"title": "Zarathustra.pdf"}}]},
        "base64": {"valueAttachment": {"data": "bmFtZTogWmFyYXRodXN0cmE="}},
        "nested extension": {"extension": [{"url": "http://x/a", "extension": [{"url": "b", "valueString": "zarathustra"}]}]},
        "modifier": {"modifierExtension": [{"url": "http://x/a", "valueString": "Zarathustra"}]},
        "contained": {"contained": [{"resourceType": "Device", "id": "d", "lotNumber": "Zarathustra-1"}]},
        "twin": {"_issued": {"extension": [{"url": "http://x/a", "valueString": "Zarathustra"}]}},
        "list": {"name": [{"given": ["Zarathustra", "Ann"], "_given": [{"id": "g"}]}]},
    }  # fmt: skip

    @pytest.mark.parametrize("name", REPEATS)
    def test_strings_that_repeat_a_hidden_one_go(self, name: str) -> None:
        before = observation(identifier=[{"value": "Zarathustra"}], **self.REPEATS[name])
        body = applied(before, "remove Observation.identifier").body
        assert b"zarathustra" not in body.lower()
        assert b"bmFtZTogWmFyYXRodXN0cmE=" not in body

    def test_a_list_stays_paired_when_an_item_goes(self) -> None:
        name = {
            "family": "Zarathustra",
            "given": ["A", "Zarathustra", "B"],
            "_given": [None, {"id": "z"}, {"id": "b"}],
        }
        after = shown(patient(name=[name]), "remove Patient.name.family")
        assert after == patient(name=[{"given": ["A", "B"], "_given": [None, {"id": "b"}]}])

    def test_a_modifier_extension_leaves_a_mark(self) -> None:
        modifier = {"url": "http://x/a", "valueString": "Zarathustra"}
        before = patient(name=[{"family": "Zarathustra"}], modifierExtension=[modifier])
        after = shown(before, "remove Patient.name")
        assert after["modifierExtension"] == [{"url": "http://x/a", **MASK}]

    def test_code_systems_and_common_words_are_no_repeats(self) -> None:
        coding = [{"system": "http://loinc.org", "code": "active"}]
        before = observation(
            category=[{"coding": coding}], bodySite={"coding": coding, "text": "active"}
        )
        after = shown(before, "remove Observation.category")
        assert after == observation(bodySite={"coding": coding, "text": "active"})

    def test_a_hidden_code_is_hidden_where_it_stands_again(self) -> None:
        coding = {"system": "http://snomed.info/sct", "code": "86406008"}
        before = observation(
            valueCodeableConcept={"coding": [coding]}, interpretation=[{"coding": [coding]}]
        )
        assert b"86406008" not in applied(before, "remove Observation.value").body

    def test_a_contained_resource_goes_with_the_last_reference_to_it(self) -> None:
        inner = [
            {"resourceType": "Patient", "id": "a", "managingOrganization": {"reference": "#b"}},
            {"resourceType": "Organization", "id": "b"},
            {"resourceType": "Device", "id": "c"},
            {"resourceType": "Device", "id": "unnamed"},
        ]
        before = observation(
            contained=inner,
            focus=[{"reference": "#a"}, {"reference": "#c"}],
            device={"reference": "#c"},
        )
        after = shown(before, "remove Observation.focus")
        assert [one["id"] for one in after["contained"]] == ["c", "unnamed"]

    def test_no_empty_list_of_contained_resources_is_left(self) -> None:
        before = observation(
            contained=[{"resourceType": "Device", "id": "c"}], device={"reference": "#c"}
        )
        assert shown(before, "remove Observation.device") == observation()


class TestOtherResources:
    def test_contained_resources_are_redacted_by_the_paths_of_their_type(self) -> None:
        inner = {"resourceType": "Patient", "id": "a", "name": [{"family": "Doe"}], "active": True}
        after = shown(observation(contained=[inner]), "remove Patient.name")
        assert after["contained"] == [{"resourceType": "Patient", "id": "a", "active": True}]

    def test_resources_in_a_document_are_redacted_too(self) -> None:
        bundle = {
            "resourceType": "Bundle",
            "type": "document",
            "entry": [{"resource": patient(birthDate="1970")}],
        }
        assert shown(bundle, "remove Patient.birthDate")["entry"] == [{"resource": patient()}]

    def test_references_to_it_no_longer_tell_what_is_hidden_of_a_resource(self) -> None:
        subject = {"reference": "Patient/p1", "display": "Ann Doe", "identifier": {"value": "123"}}
        performer = [{"reference": "Practitioner/x", "display": "Dr. Roe"}]
        before = observation(subject=subject, performer=performer)
        after = applied(before, "remove Patient.name", "mask Patient.identifier")
        assert json.loads(after.body)["subject"] == {"reference": "Patient/p1"}
        assert json.loads(after.body)["performer"] == performer
        assert after.paths == ("Patient.identifier", "Patient.name")


class TestLabels:
    CASES = (
        ("remove", ["REDACTED"]), ("mask", ["MASKED", "REDACTED"]), ("generalise", ["MASKED", "REDACTED"]),
        ("pseudonymise", ["PSEUDED", "REDACTED"]), ("shift", ["MASKED", "REDACTED"]),
    )  # fmt: skip

    @pytest.mark.parametrize(("operator", "labels"), CASES)
    def test_say_what_was_done(self, operator: str, labels: list[str]) -> None:
        body = applied(patient(birthDate="1970-05-04"), f"{operator} Patient.birthDate").body
        assert labels_of(body) == labels

    def test_stand_once_beside_those_that_were_there(self) -> None:
        security = [
            {"system": LABELS, "code": "REDACTED", "display": "redacted"},
            {"system": "urn:x", "code": "R"},
        ]
        body = applied(
            patient(meta={"security": security}, birthDate="1970"), "remove Patient.birthDate"
        ).body
        assert json.loads(body)["meta"]["security"] == security

    def test_come_behind_type_and_id(self) -> None:
        assert list(json.loads(applied(patient(active=True), "remove Patient.id").body)) == [
            "resourceType",
            "meta",
            "active",
        ]
        body = applied(patient(active=True, birthDate="1970"), "remove Patient.birthDate").body
        assert list(json.loads(body)) == ["resourceType", "id", "meta", "active"]


class TestVerbatim:
    RAW = b'{ "resourceType" : "Observation", "id":"o",\n "valueQuantity": {"value": 1.10e0}}'

    def test_a_resource_in_which_nothing_is_found_keeps_its_bytes(self) -> None:
        assert redact(
            self.RAW, redactions("remove Observation.note", "mask Patient.name"), KEY
        ) == Redacted(self.RAW, ())

    @pytest.mark.parametrize(
        "number",
        ["1.10", "0.0", "-0", "1E5", "1e-7", "12345678901234567890123", "0.1000000000000000000001"],
    )
    def test_numbers_keep_their_spelling(self, number: str) -> None:
        raw = b'{"resourceType":"Observation","issued":"x","a":[%s],"unknown":{"b":%s}}' % (
            (number.encode(),) * 2
        )
        body = redact(raw, redactions("remove Observation.issued"), KEY).body
        assert body.count(number.encode()) == 2

    def test_names_keep_their_order_and_unknown_elements_stay(self) -> None:
        names = {
            "zz": 1,
            "_b": {"id": "x"},
            "active": True,
            "b": "y",
            "_c": [None, {"id": "q"}],
            "birthDate": "1970",
            "c": ["1", "2"],
        }
        after = shown(patient(**names), "remove Patient.birthDate")
        assert list(after) == ["resourceType", "id", "zz", "_b", "active", "b", "_c", "c"]

    def test_the_paths_are_those_that_found_something_once_and_sorted(self) -> None:
        texts = (
            "remove Patient.name.given",
            "mask Patient.birthDate",
            "shift Patient.birthDate",
            "remove Patient.photo",
        )
        found = applied(
            patient(birthDate="1970", name=[{"given": ["A"], "family": "B"}]), *texts
        ).paths
        assert found == ("Patient.birthDate", "Patient.name.given")


UNREADABLE = [
    b"", b"{", b"[]", b'"x"', b"{}", b'{"resourceType":1}', b'{"resourceType":"Patient","a":1,"a":2}',
    b'{"resourceType":"Patient","a":"\xff"}', b'{"resourceType":"Patient","a":"\\ud800"}',
    b'{"resourceType":"Patient","a":' + b"[" * 100000 + b"]" * 100000 + b"}",
    b'{"resourceType":"Patient","a":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_whole_is_not_redacted(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        redact(raw, redactions("remove Patient.name"), KEY)


EVERYTHING = redactions(
    "mask Patient.name", "generalise Patient.birthDate", "remove Patient.telecom", "generalise Patient.address.postalCode",
    "remove Patient.address.line", "remove Observation.code", "mask Observation.value", "remove Condition.code",
    "mask Condition.subject", "remove DocumentReference.content", "remove DocumentReference.type", "mask Encounter.class",
    "remove Encounter.participant", "mask AllergyIntolerance.reaction", "remove AllergyIntolerance.patient",
    "remove MedicationRequest.medication", "mask Consent.provision", "remove Consent.category", "mask CareTeam.participant",
    "remove Practitioner.name", "remove Organization.name", "remove Composition.title", "mask Composition.section",
    "remove *.identifier", "replace *.language de", "remove DiagnosticReport.code", "mask Immunization.vaccineCode",
    "remove Procedure.subject", "mask Coverage.beneficiary", "remove Provenance.agent", "mask Group.member",
    "remove RelatedPerson.patient", "mask Observation.component", "remove QuestionnaireResponse.item.linkId",
)  # fmt: skip


@pytest.mark.parametrize("raw", RESOURCES, ids=range(len(RESOURCES)))
def test_redacted_samples_are_valid_and_redacting_again_changes_nothing(raw: bytes) -> None:
    once = redact(raw, EVERYTHING, KEY)
    tree = json.loads(once.body)
    get_fhir_model_class(tree["resourceType"]).model_validate(tree)
    assert redact(once.body, EVERYTHING, KEY) == Redacted(once.body, ())


TOKEN = "Qz7canary9X"
NAMES = st.sampled_from(
    ["name", "value", "valueString", "code", "text", "display", "extension", "given", "note"]
)
LEAVES = st.one_of(st.just(1), st.just(True), st.text(max_size=4), st.just("1970-01-01"))


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    )


HIDING = ("remove", "mask", "generalise", "pseudonymise", "shift", "replace")
WITH_TOKEN = trees(st.one_of(LEAVES, st.just(TOKEN), st.just(f"about {TOKEN.lower()}, again")))


@given(
    operator=st.sampled_from(HIDING),
    value=WITH_TOKEN,
    twin=WITH_TOKEN,
    elsewhere=trees(LEAVES),
    echo=st.booleans(),
)
def test_a_token_at_a_redacted_path_occurs_nowhere(
    operator: str, value: Any, twin: Any, elsewhere: Any, echo: bool
) -> None:
    before = observation(valueString=value, _valueString=twin, hasMember=elsewhere)
    if echo:
        before["specimen"] = {"reference": "Specimen/s", "display": f"of {TOKEN}"}
        before["identifier"] = [{"value": TOKEN}]
    texts = (f"{operator} Observation.value -", "remove Observation.identifier")
    once = applied(before, *texts)
    assert TOKEN.lower() not in once.body.decode().lower()


@given(
    operator=st.sampled_from(["remove", "mask", "generalise", "replace"]),
    value=WITH_TOKEN,
    twin=WITH_TOKEN,
    elsewhere=WITH_TOKEN,
)
def test_redacting_twice_is_redacting_once(
    operator: str, value: Any, twin: Any, elsewhere: Any
) -> None:
    before = observation(valueString=value, _valueString=twin, note=elsewhere, hasMember=elsewhere)
    once = applied(before, f"{operator} Observation.value -", f"{operator} Observation.note.text -")
    again = redact(
        once.body,
        redactions(f"{operator} Observation.value -", f"{operator} Observation.note.text -"),
        KEY,
    )
    assert again.body == once.body


@given(operator=st.sampled_from(HIDING), value=WITH_TOKEN, elsewhere=trees(LEAVES))
def test_nothing_empty_is_left_behind(operator: str, value: Any, elsewhere: Any) -> None:
    once = applied(
        observation(valueString=value, note=elsewhere), f"{operator} Observation.value -"
    )
    assert not [one for one in _nodes(json.loads(once.body)) if one in ({}, []) or one == [None]]


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for inner in (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    ):
        yield from _nodes(inner)
