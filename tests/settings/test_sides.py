from pathlib import Path

import pytest

from tests.settings.written import LEAST, complaint, loaded


def test_a_url_of_keys_is_no_path(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, LEAST.replace("{file: keys.json}", "{url: https://idp.example.org/k}")
    )
    assert settings.identity.issuers[0].jwks.url == "https://idp.example.org/k"


@pytest.mark.parametrize(
    ("auth", "missing"),
    [
        ("{type: basic, username: gateway}", "password"),
        ("{type: basic, password: {env: P}}", "username"),
        ("{type: bearer}", "token"),
    ],
)
def test_credentials_for_upstream_are_whole(tmp_path: Path, auth: str, missing: str) -> None:
    assert missing in complaint(tmp_path, LEAST.replace("/fhir}", f"/fhir, auth: {auth}}}", 1))


SMART = "jwks: {file: keys.json}\n      smart: "
TOKEN = "token_endpoint: https://idp.example.org/token"


@pytest.mark.parametrize(
    ("smart", "told"),
    [
        ("{}", "token_endpoint"),
        ("{token_endpoint: here}", "token_endpoint"),
        (f"{{{TOKEN}, capabilities: [launch-ehr]}}", "needs `authorization_endpoint`"),
        (f"{{{TOKEN}, capabilities: [sso-openid-connect]}}", "needs `jwks.url`"),
        (f"{{{TOKEN}, code_challenge_methods_supported: [plain]}}", "code_challenge"),
    ],
)
def test_what_apps_are_told_is_whole(tmp_path: Path, smart: str, told: str) -> None:
    assert told in complaint(tmp_path, LEAST.replace("jwks: {file: keys.json}", SMART + smart))


def test_apps_are_told_of_one_issuer(tmp_path: Path) -> None:
    one = LEAST.replace("jwks: {file: keys.json}", SMART + f"{{{TOKEN}}}")
    both = one.replace("policies:", "    - issuer: https://other.example.org\n      audience: x\n      "
        + SMART + f"{{{TOKEN}}}\npolicies:")  # fmt: skip
    assert loaded(tmp_path, one).identity.issuers[0].smart is not None
    assert "only one issuer" in complaint(tmp_path, both)
