import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.bundle import FrameEntry, frame_of
from proxy.fhir.versions import Told, told_by

BASES = ("http://upstream.example.org/fhir", "https://gateway.example.org/fhir")
HELD = {"resourceType": "Observation", "id": "o", "meta": {"versionId": "3"}}


def entry_of(**parts: object) -> FrameEntry:
    body = msgspec.json.encode({"resourceType": "Bundle", "type": "history", "entry": [parts]})
    [entry] = frame_of(body, "history").entry
    return entry


def of(method: str, url: str, full: str = "", **more: object) -> Told:
    return told_by(entry_of(fullUrl=full, request={"method": method, "url": url}, **more), BASES)


HOLDING = [
    # method, request.url, fullUrl; what it is about
    ("PUT", "Observation/o", f"{BASES[0]}/Observation/o", "Observation/o"),
    ("PUT", "Observation/o/_history/3", f"{BASES[0]}/Observation/o/_history/3", "Observation/o"),
    ("POST", "Observation", f"{BASES[1]}/Observation/o", "Observation/o"),
    ("PUT", f"{BASES[0]}/Observation/o", "", "Observation/o"),
    ("PUT", "x", "urn:uuid:1", "Observation/o"),
    ("PUT", "x", "https://elsewhere.example.org/fhir/Observation/p", "Observation/o"),
    ("PUT", "Observation/p", "", ""),
    ("PUT", "Patient/o", "", ""),
    ("PUT", "Observation/o", f"{BASES[0]}/Observation/p", ""),
    ("PUT", "Observation/o", f"{BASES[0]}/Condition/o/_history/3", ""),
]


@pytest.mark.parametrize(("method", "url", "full", "about"), HOLDING)
def test_a_version_is_of_what_all_its_parts_name(
    method: str, url: str, full: str, about: str
) -> None:
    assert of(method, url, full, resource=HELD) == Told(about, method)


DELETIONS = [
    ("Observation/o", "", "Observation/o"),
    ("Observation/o/_history/4", f"{BASES[0]}/Observation/o", "Observation/o"),
    ("", f"{BASES[0]}/Observation/o", "Observation/o"),
    ("Observation/o", f"{BASES[0]}/Observation/p", ""),
    ("https://elsewhere.example.org/fhir/Observation/o", "", ""),
    ("Observation?identifier=o", "", ""),
    ("Observation/o,p", "", ""),
    ("Observation", "", ""),
]


@pytest.mark.parametrize(("url", "full", "about"), DELETIONS)
def test_a_deletion_is_of_what_its_urls_name(url: str, full: str, about: str) -> None:
    found = of("DELETE", url, full)
    assert (found.reference, found.is_deletion) == (about, True)


def test_a_deletion_that_holds_another_resource_is_of_none() -> None:
    assert of("DELETE", "Observation/p", resource=HELD).reference == ""
    assert of("DELETE", "Observation/o", resource=HELD).reference == "Observation/o"


@pytest.mark.parametrize(
    ("etag", "version"),
    [('W/"4"', "4"), ('"a.b-4"', "a.b-4"), ("4", ""), ('W/"', ""), ('W/"a b"', ""), ('W/"4","5"', "")],
)  # fmt: skip
def test_the_version_of_a_deletion_is_an_id(etag: str, version: str) -> None:
    found = of("DELETE", "Observation/o", response={"etag": etag, "lastModified": "then"})
    assert (found.version, found.modified) == (version, "then")


@pytest.mark.parametrize(
    "held",
    [{"resourceType": "Observation", "id": "a,b"}, {"resourceType": "Observation"}, {"id": "o"}, {"resourceType": "Observation", "id": "../o"}],
)  # fmt: skip
def test_what_has_no_id_that_fhir_knows_is_of_nothing(held: object) -> None:
    for url in ("Observation/o", "Observation"):
        assert of("PUT", url, resource=held).reference == ""


def test_what_holds_nothing_and_is_no_deletion_is_of_nothing() -> None:
    assert of("PUT", "Observation/o").reference == ""
    assert told_by(FrameEntry(), BASES) == Told("", "PUT")


@given(
    url=st.text(max_size=30), full=st.text(max_size=30), method=st.sampled_from(["DELETE", "PUT"])
)
def test_any_urls_name_one_instance_or_none(url: str, full: str, method: str) -> None:
    assert of(method, url, full, resource=HELD).reference in ("Observation/o", "")
