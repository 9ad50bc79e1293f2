"""Credentials for upstream as the settings say them, against a token endpoint that answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.app.credentials import credentials_of
from proxy.errors import UnusableError, UpstreamError
from proxy.settings import Secret, UpstreamAuth
from proxy.wire.client import session_of
from tests.stage import NOW, serving

KEY = ec.generate_private_key(ec.SECP384R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class TokenEndpoint:
    url = ""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.headers: list[str] = []

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self.forms.append({name: one[0] for name, one in parse_qs(await request.text()).items()})
        self.headers.append(request.headers.get("authorization", ""))
        answer = {"access_token": f"t{len(self.forms)}", "token_type": "bearer", "expires_in": 60}
        return web.Response(body=orjson.dumps(answer))


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    async with serving(endpoint.respond) as url:
        endpoint.url = f"{url}/token"
        yield endpoint


async def obtained(auth: UpstreamAuth, **env: str) -> dict[str, str]:
    async with session_of(1, 2) as session:
        return dict(await credentials_of(auth, env, session, lambda: NOW).headers())


async def test_none_and_forward_have_no_credentials_of_their_own() -> None:
    assert await obtained(UpstreamAuth(type="none")) == {}
    assert await obtained(UpstreamAuth(type="forward")) == {}


async def test_basic_and_bearer_are_said_as_they_are() -> None:
    basic = UpstreamAuth(type="basic", username="u", password=Secret(env="P"))
    assert await obtained(basic, P="p") == {"authorization": "Basic dTpw"}
    bearer = UpstreamAuth(type="bearer", token=Secret(env="T"))
    assert await obtained(bearer, T="abc") == {"authorization": "Bearer abc"}


async def test_a_bearer_file_that_is_replaced_is_read_anew_once_it_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    auth = UpstreamAuth(type="bearer", token=Secret(file=str(path)))
    async with session_of(1, 2) as session:
        credentials = credentials_of(auth, {}, session, lambda: NOW)
        used = await credentials.headers()
        path.write_text("new\n")
        assert await credentials.headers() == used == {"authorization": "Bearer old"}
        assert credentials.refused(used)
        assert await credentials.headers() == {"authorization": "Bearer new"}
        path.unlink()
        again = credentials_of(
            UpstreamAuth(type="bearer", token=Secret(env="T")), {"T": "x"}, session, lambda: NOW
        )
        assert await again.headers() == {"authorization": "Bearer x"}


async def test_client_credentials_are_exchanged_for_a_token(endpoint: TokenEndpoint) -> None:
    auth = UpstreamAuth(
        type="client_credentials",
        token_url=endpoint.url,
        client_id="gate way",
        client_secret=Secret(env="S"),
        scope="system/*.rs",
    )
    assert await obtained(auth, S="p:ss") == {"authorization": "Bearer t1"}
    assert endpoint.forms == [{"grant_type": "client_credentials", "scope": "system/*.rs"}]
    assert endpoint.headers == ["Basic Z2F0ZSt3YXk6cCUzQXNz"]  # gate+way:p%3Ass


async def test_a_signed_assertion_is_exchanged_for_a_token(endpoint: TokenEndpoint) -> None:
    auth = UpstreamAuth(
        type="private_key_jwt",
        token_url=endpoint.url,
        client_id="gateway",
        private_key=Secret(env="K"),
        key_id="k1",
        algorithm="ES384",
    )
    async with session_of(1, 2) as session:
        credentials = credentials_of(auth, {"K": PEM}, session, lambda: NOW)
        assert await credentials.headers() == {"authorization": "Bearer t1"}
        assert credentials.refused(await credentials.headers())
        assert await credentials.headers() == {"authorization": "Bearer t2"}
    said = [
        jwt.decode(
            form["client_assertion"],
            KEY.public_key(),
            ["ES384"],
            audience=endpoint.url,
            options={"verify_exp": False, "verify_iat": False},
        )
        for form in endpoint.forms
    ]
    assert {one["sub"] for one in said} == {"gateway"}
    assert len({one["jti"] for one in said}) == 2
    assert endpoint.headers == ["", ""]


async def test_a_token_endpoint_that_is_gone_is_upstreams_failure() -> None:
    auth = UpstreamAuth(
        type="client_credentials",
        token_url="http://127.0.0.1:1/token",
        client_id="g",
        client_secret=Secret(env="S"),
    )
    with pytest.raises(UpstreamError, match="no credentials"):
        await obtained(auth, S="s")


@pytest.mark.parametrize(
    "auth",
    [
        UpstreamAuth(type="bearer", token=Secret(env="GONE")),
        UpstreamAuth(type="basic", username="u", password=Secret(env="GONE")),
        UpstreamAuth(
            type="private_key_jwt", token_url="http://127.0.0.1:1", client_id="g",
            private_key=Secret(env="BAD"), key_id="k",
        ),
        UpstreamAuth(
            type="client_credentials", token_url="http://127.0.0.1:1", client_id="g",
            client_secret=Secret(env="GONE"),
        ),
    ],
)  # fmt: skip
async def test_secrets_that_cannot_be_used_refuse_to_start(auth: UpstreamAuth) -> None:
    with pytest.raises(UnusableError) as refused:
        await obtained(auth, BAD="no key at all")
    assert "no key at all" not in str(refused.value)
