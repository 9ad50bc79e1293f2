"""Whose tokens are believed, and with which keys."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import jwt
import orjson
import pytest

from proxy.app import start
from proxy.app.callers import Outside, identifier_of, oauth_endpoints_of
from proxy.errors import CallerError, OwnError, ProxyError, Refusal, UnusableError
from proxy.fhir.interaction import RawRequest
from proxy.identity.principal import Principal
from proxy.settings import load_settings
from tests.stage import (
    ISSUER,
    JWKS,
    NOW,
    Upstream,
    authorization,
    claims_of,
    configuration,
    free_port,
    staged,
)


def request(headers: dict[str, str]) -> RawRequest:
    return RawRequest(
        "GET", "/fhir/Patient/a", {k.lower(): v for k, v in headers.items()}, b"", "r"
    )


async def unasked(address: str, token: str) -> bytes:
    raise AssertionError("no issuer has userinfo")


async def identified(folder: Path, who: object, now: float = NOW, **env: str) -> Principal:
    async def fetch(address: str) -> bytes:
        assert address == "https://idp.example.org/keys"
        return JWKS

    async def post(address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        raise AssertionError("nobody is asked about a JWT")

    settings = load_settings(configuration(folder, "http://127.0.0.1:1/fhir", 0, 0), env)
    identify = identifier_of(settings, env, (), lambda: now, Outside(fetch, post, unasked))
    return await identify(request(authorization(who)))  # type: ignore[arg-type]  # (a person, or claims)


async def test_a_token_of_an_issuer_that_is_trusted_names_its_caller(tmp_path: Path) -> None:
    principal = await identified(tmp_path, "care-team-physician")
    assert (principal.fhir_user, principal.purposes) == (
        "Practitioner/dr-martin",
        frozenset({"TREAT"}),
    )


NOT_BELIEVED = {
    "signed by another": {"like": "patient", "signed": "elsewhere"},
    "of another issuer": {"like": "patient", "iss": "https://other.example.org"},
    "for another audience": {"like": "patient", "aud": "https://other.example.org"},
}


@pytest.mark.parametrize("name", NOT_BELIEVED)
async def test_no_other_token_is_believed(tmp_path: Path, name: str) -> None:
    with pytest.raises(CallerError) as refused:
        await identified(tmp_path, NOT_BELIEVED[name])
    assert refused.value.refusal is Refusal.BAD_TOKEN


async def test_the_clock_of_the_gateway_counts(tmp_path: Path) -> None:
    with pytest.raises(CallerError):
        await identified(tmp_path, "patient", NOW + 7200)


async def test_a_key_file_may_be_replaced_while_the_gateway_runs(tmp_path: Path) -> None:
    settings = load_settings(configuration(tmp_path, "http://127.0.0.1:1/fhir", 0, 0), {})

    async def fetch(_: str) -> bytes:
        raise OSError("not asked")

    async def post(address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        raise OSError("not asked")

    outside = Outside(fetch, post, unasked)
    (tmp_path / "keys.json").write_bytes(b'{"keys":[]}')
    identify = identifier_of(settings, {}, (), lambda: NOW, outside)
    with pytest.raises(ProxyError):
        await identify(request(authorization("patient")))
    (tmp_path / "keys.json").write_bytes(JWKS)
    fresh = identifier_of(settings, {}, (), lambda: NOW, outside)
    assert (await fresh(request(authorization("patient")))).fhir_user == "Patient/camille"


async def test_apps_are_told_where_tokens_come_from_without_one(
    tmp_path: Path, upstream: Upstream
) -> None:
    path = configuration(tmp_path, upstream.url, free_port(), 0)
    smart = 'smart: {token_endpoint: "https://idp.example.org/token"}'
    text = path.read_text().replace(
        "jwks: {file: keys.json}", f"jwks: {{file: keys.json}}, {smart}"
    )
    path.write_text(text)
    gateway = await start(load_settings(path, {}), {})
    port = load_settings(path, {}).listen.port
    url = f"http://127.0.0.1:{port}/fhir/.well-known/smart-configuration"
    upstream.calls.clear()
    async with aiohttp.ClientSession() as session:
        for accept in ("application/json", "text/html", "application/fhir+xml"):
            answer = await session.get(url, headers={"accept": accept})
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert (await answer.json())["token_endpoint"] == "https://idp.example.org/token"
        assert (await session.head(url)).status == 200
        assert (await session.post(url)).status == 401
        assert (await session.get(f"{url}?_format=xml")).status == 401
    assert upstream.calls == []
    await gateway.close()


async def test_where_nobody_says_where_tokens_come_from_nothing_is_told(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with staged(tmp_path, upstream.url) as stage:
        assert (await stage.ask(".well-known/smart-configuration", None)).status == 404


OPAQUE = """
listen: {port: 0}
public_url: "http://gateway.example.org/fhir"
upstream: {url: "http://127.0.0.1:1/fhir"}
identity:
  issuers:
    - issuer: "https://idp.example.org"
      audience: gateway
      introspection: {url: "https://idp.example.org/introspect", client_id: "g w", client_secret: {env: S}}
policies: policies/baseline
"""
ACTIVE = {
    "active": True, "scope": "user/*.rs", "client_id": "app", "sub": "u-1", "aud": "gateway",
    "exp": NOW + 300, "fhirUser": "Practitioner/dr-martin",
}  # fmt: skip


async def test_a_token_that_is_no_jwt_is_asked_about_with_our_own_credentials(
    tmp_path: Path,
) -> None:
    asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = []

    async def fetch(_: str) -> bytes:
        raise AssertionError("there are no keys")

    async def post(address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        asked.append((address, form, headers))
        return orjson.dumps(ACTIVE)

    (tmp_path / "gateway.yaml").write_text(OPAQUE)
    settings = load_settings(tmp_path / "gateway.yaml", {})
    bases = ("http://gateway.example.org/fhir",)
    identify = identifier_of(
        settings, {"S": "p:w"}, bases, lambda: NOW, Outside(fetch, post, unasked)
    )
    principal = await identify(request({"Authorization": "Bearer opaque-1"}))
    assert principal.fhir_user == "Practitioner/dr-martin"
    assert asked == [
        (
            "https://idp.example.org/introspect",
            {"token": "opaque-1", "token_type_hint": "access_token"},
            {"authorization": "Basic Zyt3OnAlM0F3"},  # g+w:p%3Aw
        )
    ]


def test_endpoints_are_told_in_the_older_way_too(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:1/fhir", 0, 0)
    assert oauth_endpoints_of(load_settings(path, {})) == {}
    smart = 'smart: {token_endpoint: "https://idp/t", authorization_endpoint: "https://idp/a"}'
    text = path.read_text().replace(
        "jwks: {file: keys.json}", f"jwks: {{file: keys.json}}, {smart}"
    )
    path.write_text(text)
    told = oauth_endpoints_of(load_settings(path, {}))
    assert told == {"token": "https://idp/t", "authorize": "https://idp/a"}


async def nothing(*_: object) -> bytes:
    raise AssertionError("nobody else is asked")


async def test_keys_are_where_the_issuers_metadata_says(tmp_path: Path) -> None:
    asked: list[str] = []

    async def fetch(address: str) -> bytes:
        asked.append(address)
        if address.endswith("/metadata"):
            return orjson.dumps({"issuer": ISSUER, "jwks_uri": "https://idp.example.org/k"})
        return JWKS

    path = configuration(tmp_path, "http://127.0.0.1:1/fhir", 0, 0)
    told = "metadata: https://idp.example.org/metadata"
    path.write_text(path.read_text().replace("file: keys.json", told))
    outside = Outside(fetch, nothing, nothing)
    identify = identifier_of(load_settings(path, {}), {}, (), lambda: NOW, outside)
    principal = await identify(request(authorization("patient")))
    assert principal.fhir_user == "Patient/camille"
    assert asked == ["https://idp.example.org/metadata", "https://idp.example.org/k"]


async def test_metadata_of_another_issuer_gives_no_keys(tmp_path: Path) -> None:
    async def fetch(_: str) -> bytes:
        return orjson.dumps({"issuer": "https://evil.example.org", "jwks_uri": "https://evil/k"})

    path = configuration(tmp_path, "http://127.0.0.1:1/fhir", 0, 0)
    told = "metadata: https://idp.example.org/metadata"
    path.write_text(path.read_text().replace("file: keys.json", told))
    outside = Outside(fetch, nothing, nothing)
    identify = identifier_of(load_settings(path, {}), {}, (), lambda: NOW, outside)
    with pytest.raises(OwnError):
        await identify(request(authorization("patient")))


async def test_an_issuer_may_share_a_secret_with_us_and_then_signs_with_nothing_else(
    tmp_path: Path,
) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:1/fhir", 0, 0)
    text = path.read_text().replace("jwks: {file: keys.json}", "shared_secret: {env: S}")
    path.write_text(text)
    secret = "s" * 32
    settings = load_settings(path, {})
    outside = Outside(nothing, nothing, nothing)
    identify = identifier_of(settings, {"S": secret}, (), lambda: NOW, outside)
    claims = {**claims_of("patient"), "iat": NOW, "exp": NOW + 60}
    signed = jwt.encode(claims, secret, "HS256")
    known = await identify(request({"Authorization": f"Bearer {signed}"}))
    assert known.fhir_user == "Patient/camille"
    for wrong in (
        authorization("patient"),
        {"Authorization": f"Bearer {jwt.encode(claims, 'x' * 32, 'HS256')}"},
    ):
        with pytest.raises(CallerError):
            await identify(request(wrong))
    with pytest.raises(UnusableError):
        identifier_of(settings, {"S": "short"}, (), lambda: NOW, outside)
