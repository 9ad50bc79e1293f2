import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.obligations.redacting import (
    MASK,
    applied,
    observation,
    patient,
    shown,
)


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

    def test_strings_that_repeat_any_of_several_hidden_ones_go(self) -> None:
        before = patient(
            birthDate="1970-05-04",
            name=[{"family": "Durandal"}],
            telecom=[{"value": "0155501234"}],
            communication=[
                {"language": {"text": text}} for text in ("Durandal", "of 0155501234", "left")
            ],
        )
        redactions = ("remove Patient.name", "remove Patient.telecom", "remove Patient.birthDate")
        told = json.dumps(shown(before, *redactions))
        assert "left" in told
        assert "Durandal" not in told
        assert "0155501234" not in told

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

    def test_what_is_hidden_of_every_type_no_reference_tells(self) -> None:
        subject = {"reference": "Patient/p1", "display": "Ann Doe", "identifier": {"value": "123"}}
        performer = [{"reference": "Practitioner/x", "display": "Dr. Roe"}]
        before = observation(subject=subject, performer=performer)
        after = shown(before, "remove *.name", "remove *.identifier")
        assert after["subject"] == {"reference": "Patient/p1"}
        assert after["performer"] == [{"reference": "Practitioner/x"}]

    def test_a_reference_is_silenced_though_another_redaction_silences_none(self) -> None:
        before = observation(subject={"reference": "Patient/p1", "display": "Ann Doe"})
        for others in ("remove Observation.issued", "mask Patient.active", "remove *.text"):
            after = shown(before, others, "remove Patient.name")
            assert after["subject"] == {"reference": "Patient/p1"}

    def test_the_narrative_goes_with_what_a_reference_told(self) -> None:
        text = {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>Ann</div>"}
        subject = {"reference": "Patient/p1", "display": "Ann Doe"}
        assert "text" not in shown(observation(text=text, subject=subject), "remove Patient.name")

    def test_an_identifier_told_without_a_name_of_the_type_is_taken_for_one(self) -> None:
        before = observation(
            subject={"type": "Patient", "display": "Ann Doe"}, specimen={"display": "Ann Doe"}
        )
        after = json.loads(applied(before, "remove Patient.name").body)
        assert after["subject"] == {"type": "Patient"}
        assert "specimen" not in after

    def test_a_coding_is_no_reference(self) -> None:
        before = observation(
            category=[{"coding": [{"system": "urn:x", "code": "a", "display": "Ann"}]}]
        )
        assert applied(before, "remove Patient.name").paths == ()


def test_data_that_are_not_base64_are_searched_as_they_stand() -> None:
    before = observation(identifier=[{"value": "Zarathustra"}], valueAttachment={"data": "a"})
    assert shown(before, "remove Observation.identifier") == observation(
        valueAttachment={"data": "a"}
    )


@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes])
@pytest.mark.parametrize("around", [b"%s", b"\xff %s \xfe", b"a long text before " * 9 + b"%s"])
def test_data_that_are_no_clean_text_are_searched_too(
    around: bytes, encode: Callable[[bytes], bytes]
) -> None:
    data = encode(around % b"Zarathustra").decode()
    before = observation(
        identifier=[{"value": "Zarathustra"}], component=[{"valueAttachment": {"data": data}}]
    )
    assert data not in json.dumps(shown(before, "remove Observation.identifier"))


def test_what_a_hidden_note_says_is_hidden_where_it_stands_again() -> None:
    before = observation(note=[{"text": "Zarathustra"}], interpretation=[{"text": "Zarathustra"}])
    assert b"Zarathustra" not in applied(before, "remove Observation.note.text").body
