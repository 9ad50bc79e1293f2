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
