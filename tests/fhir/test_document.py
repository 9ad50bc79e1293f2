import json
from typing import Any

import msgspec
import pytest
from fhir.resources.bundle import Bundle as BundleR5
from fhir.resources.R4B.bundle import Bundle as BundleR4B
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.document import Part, document_of

NAME, NOW = "urn:uuid:b1a6a5c0-0f5e-4d7e-8a57-0d9a2a1d8a11", "2026-11-22T09:00:00.000+00:00"
COMPOSITION = (
    b'{ "resourceType":"Composition","status":"final","type":{"text":"t"},"subject":%b,"date":"2026-01-01",'
    b'"author":[{"display":"a"}],"title":"t" }'
)
WEIGHT = b'{"resourceType":"Observation","status":"final","code":{"text":"w"},"valueQuantity":{"value":1.500}}'


def parts(subject: bytes) -> list[Part]:
    return [
        Part("urn:uuid:a9b3c0de-0f5e-4d7e-8a57-0d9a2a1d8a12", COMPOSITION % subject),
        Part("https://gateway.example.org/fhir/Observation/w", msgspec.Raw(WEIGHT)),
    ]


@pytest.mark.parametrize(
    ("model", "subject"), [(BundleR4B, b'{"display":"s"}'), (BundleR5, b'[{"display":"s"}]')]
)
def test_it_is_a_valid_document(model: Any, subject: bytes) -> None:
    read = model.model_validate_json(document_of(NAME, NOW, parts(subject)))
    assert read.type == "document"
    assert read.timestamp is not None
    assert read.identifier.value == NAME
    assert [one.resource.get_resource_type() for one in read.entry] == [
        "Composition",
        "Observation",
    ]


def test_resources_are_the_bytes_they_came_as() -> None:
    body = document_of(NAME, NOW, parts(b"{}"))
    assert WEIGHT in body
    assert COMPOSITION % b"{}" in body


def test_labels_stand_on_the_bundle_alone() -> None:
    label = Coding(CONFIDENTIALITY, "R")
    read = json.loads(document_of(NAME, NOW, parts(b"{}"), [label]))
    assert read["meta"] == {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    assert "meta" not in json.loads(document_of(NAME, NOW, parts(b"{}")))


@given(st.text(), st.text())
def test_no_text_breaks_out_of_it(name: str, url: str) -> None:
    read = json.loads(document_of(name, NOW, [Part(url, b"{}")]))
    assert (read["identifier"]["value"], read["entry"][0]["fullUrl"]) == (name, url)
