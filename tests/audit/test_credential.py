import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.credential import without_credentials
from proxy.audit.journal import encoded
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


NAMES = st.sampled_from(
    ["access_token", "id_token", "client_assertion", "client_secret", "password", "Refresh_Token"]
)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._~-", min_size=24, max_size=60)


def percent_encoded(name: str, at: set[int]) -> str:
    return "".join(f"%{ord(c):02x}" if index in at else c for index, c in enumerate(name))


@given(NAMES, st.sets(st.integers(0, 16)), TOKENS, st.sampled_from(["target", "form"]))
def test_no_token_in_a_parameter_reaches_the_journal(
    name: str, at: set[int], token: str, field: str
) -> None:
    pair = f"_count=1&{percent_encoded(name, at)}={token}"
    written = pair if field == "form" else f"/fhir/Patient?{pair}"
    assert token.encode() not in encoded(changed(SEARCH, **{field: written}))


@given(st.sampled_from(["Bearer ", "bearer%20", "DPoP+"]), TOKENS)
def test_no_token_after_its_scheme_reaches_the_journal(scheme: str, token: str) -> None:
    assert_not_kept(token, scheme + token)


BASE64URL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


@given(st.text(BASE64URL, min_size=12, max_size=60), st.sampled_from([".", "%2E", "%2e"]))
def test_no_signed_or_encrypted_token_reaches_the_journal(part: str, dot: str) -> None:
    for parts in (3, 5):
        assert_not_kept(part, "eyJ" + dot.join([part] * parts))


def assert_not_kept(secret: str, written: str) -> None:
    for field in ("target", "form", "accept", "request_id"):
        assert secret.encode() not in encoded(changed(SEARCH, **{field: f"/x?y={written}&z=1"}))
