from pathlib import Path

import pytest

from tests.settings.written import LEAST, complaint, loaded


def test_a_url_of_keys_is_no_path(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, LEAST.replace("{file: keys.json}", "{url: https://idp.example.org/k}")
    )
    jwks = settings.identity.issuers[0].jwks
    assert jwks is not None
    assert jwks.url == "https://idp.example.org/k"


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


ASK = "introspection: {url: https://idp.example.org/introspect, client_id: g, client_secret: {env: S}}"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("introspection: {url: https://idp.example.org/i}", "or `token`"),
        ("introspection: {url: https://idp.example.org/i, client_id: g}", "or `token`"),
        (ASK.replace("client_id: g,", "client_id: g, token: {env: T},"), "or `token`"),
        ("algorithms: [ES256]", "give `jwks`, `introspection` or both, or a `shared_secret`"),
    ],
)
def test_an_issuer_is_believed_by_keys_or_asked_with_our_credentials(
    tmp_path: Path, how: str, told: str
) -> None:
    assert told in complaint(tmp_path, LEAST.replace("jwks: {file: keys.json}", how))
    assert loaded(tmp_path, LEAST.replace("jwks: {file: keys.json}", ASK)).identity.issuers


def test_a_token_is_shown_to_one_issuer_only(tmp_path: Path) -> None:
    one = LEAST.replace("jwks: {file: keys.json}", ASK)
    both = one.replace("policies:", f"    - {{issuer: x, audience: y, {ASK}}}\npolicies:")
    assert "only one issuer may have an `introspection`" in complaint(tmp_path, both)


def test_look_ups_go_with_rights_of_the_gateway(tmp_path: Path) -> None:
    forwarding = LEAST.replace("8090/fhir}", "8090/fhir, lookup_auth: {type: forward}}")
    assert "look-ups are the gateway's own" in complaint(tmp_path, forwarding)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("jwks: {}", "exactly one of `file`, `url` and `metadata`"),
        ("jwks: {file: k, metadata: https://idp.example.org/m}", "exactly one of"),
        ("jwks: {file: k}\n      shared_secret: {env: S}", "exclude each other"),
    ],
)
def test_keys_come_from_one_place(tmp_path: Path, keys: str, told: str) -> None:
    assert told in complaint(tmp_path, LEAST.replace("jwks: {file: keys.json}", keys))


USERINFO = "userinfo: {url: https://idp.example.org/userinfo}"
KEYS = "jwks: {file: keys.json}\n      "


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("claims: pro-sante-connect", "need each other"),
        (USERINFO, "need each other"),
        (f"claims: iua\n      {USERINFO}", "need each other"),
        (f"claims: pro-sante-connect\n      {USERINFO[:-1]}, cache_s: 601}}", "cache_s"),
        (f"claims: pro-sante-connect\n      {USERINFO[:-1]}, auth_modes: []}}", "auth_modes"),
        ("claims: pro-sante-connect\n      userinfo: {}", "url"),
    ],
)
def test_userinfo_and_its_profile_need_each_other(tmp_path: Path, more: str, told: str) -> None:
    assert told in complaint(tmp_path, LEAST.replace("jwks: {file: keys.json}", KEYS + more))


def test_userinfo_is_believed_for_a_minute_and_strong_means_alone(tmp_path: Path) -> None:
    more = f"{KEYS}claims: pro-sante-connect\n      {USERINFO}"
    one = loaded(tmp_path, LEAST.replace("jwks: {file: keys.json}", more)).identity.issuers[0]
    assert one.userinfo is not None
    assert (one.userinfo.cache_s, one.userinfo.auth_modes) == (60, ("CARD", "MOBILE"))
