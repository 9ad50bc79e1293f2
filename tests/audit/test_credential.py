import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.credential import without_credentials
from tests.audit.cases import SEARCH, changed

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
LEAKS = [
    ("target", "/fhir/Patient?access_token=s3cr3t-value&name=a"),
    ("target", "/fhir/Patient?name=a&ACCESS%5FTOKEN=s3cr3t-value"),
    ("target", "/fhir/Patient?access_token:exact=s3cr3t-value"),
    ("target", f"/fhir/Patient/{JWT}"),
    ("target", f"/fhir/Patient?name={JWT.replace('.', '%2E')}"),
    ("form", "client_assertion=s3cr3t-value&name=a"),
    ("form", "password=s3cr3t-value"),
    ("accept", "Bearer s3cr3t-value"),
    ("request_id", JWT),
]


@pytest.mark.parametrize(("field", "written"), LEAKS)
def test_credentials_are_taken_out_wherever_the_client_wrote_them(field: str, written: str) -> None:
    kept = getattr(without_credentials(changed(SEARCH, **{field: written})), field)
    assert "s3cr3t" not in kept
    assert "eyJ" not in kept
    assert "credential-removed" in kept


def test_the_rest_of_the_request_stays_as_written() -> None:
    entry = changed(SEARCH, target="/fhir/Patient?name=%C3%A9&access_token=x&_sort=-date&&flag")
    assert without_credentials(entry).target == (
        "/fhir/Patient?name=%C3%A9&access_token=credential-removed&_sort=-date&&flag"
    )


@pytest.mark.parametrize(
    "target", ["/fhir/Patient?_id=a", "/fhir/Observation?code=a%7Cb&token-ish=1"]
)
def test_a_request_without_credentials_is_kept_as_it_is(target: str) -> None:
    entry = changed(SEARCH, target=target)
    assert without_credentials(entry) == entry


@given(st.text(max_size=80))
def test_taking_out_twice_changes_nothing_more(target: str) -> None:
    once = without_credentials(changed(SEARCH, target=target, form=target))
    assert without_credentials(once) == once
