"""A real OpenID Provider (`oidc-provider`, npm, certified) for as long as a test needs it, and scripted people and services who get tokens.

Nothing is imitated: discovery, JWKS, authorization code with PKCE, `private_key_jwt`, RFC 9068 access tokens, introspection,
revocation and DPoP are the provider's own. Only the typing of passwords is left out, see identity/provider.mjs.
"""

import base64
import hashlib
import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from tests.stage import SAMPLES

PROJECT = Path(__file__).parent / "identity"
CALLBACK = "http://127.0.0.1:1/callback"  # nobody listens there: the scripted browser stops before
GATEWAY_SECRET = "introspection-secret-of-the-interop-tests"
LIFETIME_S = 300
START_S = 20
STOP_S = 5
EXCHANGE_S = 10
MAX_REDIRECTS = 8
LOG_LINES_SHOWN = 20

Json = dict[str, Any]


class Missing(Exception):  # noqa: N818 - reads as `identity_provider.Missing`
    """Node.js or the packages are not there: `make interop` says what to install, and installs what it can."""


class Refused(Exception):  # noqa: N818 - an answer of the provider, not a failure of the test
    """The provider refuses; the message is its `error`."""


def people() -> dict[str, Json]:
    """The claim sets of fhir-samples, by name: who may log in."""
    return {path.stem: json.loads(path.read_text()) for path in (SAMPLES / "tokens").glob("*.json")}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token endpoint answered (RFC 6749 section 5.1, SMART launch context)."""

    answer: Json

    @property
    def token(self) -> str:
        found = self.answer["access_token"]
        assert isinstance(found, str)
        return found

    @property
    def claims(self) -> Json:
        """What a JWT access token says; nobody verifies it here."""
        found: Json = jwt.decode(self.token, options={"verify_signature": False})
        return found

    @property
    def kid(self) -> str:
        """Which key signed it."""
        return str(jwt.get_unverified_header(self.token)["kid"])


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A client's key for DPoP (RFC 9449)."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def proof(self, method: str, url: str, token: str | None = None, **changed: object) -> str:
        """One proof of possession for one request; with the token's hash where there is a token."""
        claims: Json = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
        }
        if token is not None:
            claims["ath"] = _unpadded(hashlib.sha256(token.encode()).digest())
        jwk = public_jwk(self.private)
        headers = {"typ": "dpop+jwt", "jwk": jwk}
        return jwt.encode(claims | changed, self.private, algorithm="ES256", headers=headers)


@dataclass(frozen=True, slots=True)
class Provider:
    """A running provider. `resource` is the FHIR base its tokens are for, `backend_key` that of its backend services, `metadata` its own (OpenID Connect Discovery 1.0)."""

    issuer: str
    resource: str
    elsewhere: str
    backend_key: ec.EllipticCurvePrivateKey
    backend_pem: Path
    session: aiohttp.ClientSession
    metadata: Json

    async def keys(self) -> list[str]:
        """Ids of the keys in its JWKS."""
        async with self.session.get(f"{self.issuer}/jwks") as answer:
            return [one["kid"] for one in (await answer.json())["keys"]]

    async def heard(self, path: str) -> int:
        """How often it was asked for a path, by whomever."""
        async with self.session.get(f"{self.issuer}/control/heard") as answer:
            told: dict[str, int] = json.loads(await answer.read())
        return told.get(path, 0)

    async def rotate(self, step: str) -> None:
        """`publish` a new key, `switch` to signing with it, `retire` the old one."""
        async with self.session.post(f"{self.issuer}/control/keys/{step}") as answer:
            assert answer.status == 204, await answer.text()

    async def logged_in(
        self,
        person: str,
        scope: str,
        *,
        client: str = "smart-app",
        key: ProofKey | None = None,
        **more: str,
    ) -> Grant:
        """A person's token by authorization code and PKCE; `more` are parameters of the authorization request."""
        verifier = secrets.token_urlsafe(48)
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": secrets.token_urlsafe(8),
            "code_challenge": _unpadded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "login_hint": person,
        }
        start = f"{self.metadata['authorization_endpoint']}?{urlencode(asked | more)}"
        returned = parse_qs(urlsplit(await browsed(start)).query)
        if "error" in returned:
            raise Refused(returned["error"][0])
        assert returned["state"] == [asked["state"]]
        exchange = {
            "grant_type": "authorization_code",
            "code": returned["code"][0],
            "redirect_uri": CALLBACK,
            "client_id": client,
            "code_verifier": verifier,
        }
        return await self._granted(exchange, key)

    async def service(
        self, scope: str, *, client: str = "backend", key: ProofKey | None = None, **more: str
    ) -> Grant:
        """A backend service's token by `private_key_jwt` (SMART Backend Services)."""
        exchange = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.assertion(client, self.metadata["token_endpoint"]),
        }
        return await self._granted(exchange | more, key)

    async def refreshed(self, grant: Grant, client: str = "smart-app") -> Grant:
        """The next token of somebody who gave an app `offline_access`."""
        exchange = {"grant_type": "refresh_token", "client_id": client}
        exchange["refresh_token"] = grant.answer["refresh_token"]
        return await self._granted(exchange, None)

    def assertion(self, client: str, audience: str) -> str:
        """A client's authentication JWT (RFC 7523 section 2.2)."""
        now = int(time.time())
        claims = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60}
        claims["jti"] = secrets.token_urlsafe(16)
        headers = {"kid": "backend"}
        return jwt.encode(claims, self.backend_key, algorithm="ES384", headers=headers)

    async def revoke(self, token: str, client: str = "smart-app-opaque") -> None:
        """A client gives a token back (RFC 7009)."""
        endpoint = self.metadata["revocation_endpoint"]
        async with self.session.post(endpoint, data={"token": token, "client_id": client}) as done:
            assert done.status == 200, await done.text()

    async def _granted(self, exchange: Mapping[str, str], key: ProofKey | None) -> Grant:
        endpoint = self.metadata["token_endpoint"]
        headers = {} if key is None else {"DPoP": key.proof("POST", endpoint)}
        async with self.session.post(endpoint, data=dict(exchange), headers=headers) as answer:
            told = _object(await answer.json())
        if "error" in told:
            raise Refused(f"{told['error']}: {told.get('error_description')}")
        return Grant(told)


async def browsed(start: str) -> str:
    """Follow redirects as a person's browser does, with its cookies, until they leave for a `/callback`; gives that URL."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
    timeout = aiohttp.ClientTimeout(total=EXCHANGE_S)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as browser:
        url = start
        for _ in range(MAX_REDIRECTS):
            async with browser.get(url, allow_redirects=False) as answer:
                if answer.status not in (302, 303):
                    raise Refused(f"{answer.status} {(await answer.text())[:200]}")
                url = urljoin(url, answer.headers["Location"])
            if urlsplit(url).path == "/callback":
                return url
    raise Refused("redirects do not end")


@asynccontextmanager
async def providing(resource: str) -> AsyncIterator[Provider]:
    """A provider of tokens for one FHIR base, and for one elsewhere; ended with the block."""
    elsewhere = "https://elsewhere.example.org/fhir"
    backend_key = ec.generate_private_key(ec.SECP384R1())
    backend_jwk = {**public_jwk(backend_key), "kid": "backend", "use": "sig", "alg": "ES384"}
    given = {
        "resource": resource,
        "elsewhere": elsewhere,
        "people": people(),
        "lifetime_s": LIFETIME_S,
        "backend_jwks": {"keys": [backend_jwk]},
        "gateway_secret": GATEWAY_SECRET,
    }
    timeout = aiohttp.ClientTimeout(total=EXCHANGE_S)
    with tempfile.TemporaryDirectory(prefix="provider-") as folder, _running(given) as issuer:
        pem = Path(folder) / "backend.pem"
        pem.write_bytes(
            backend_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(f"{issuer}/.well-known/openid-configuration") as answer:
                metadata = _object(await answer.json())
            yield Provider(issuer, resource, elsewhere, backend_key, pem, session, metadata)


def node() -> str:
    """Path of the Node.js that `requirements.txt` brings; `Missing` where it, or what `npm ci` installs, is not there."""
    path = PROJECT / ".venv" / "bin" / "node"
    if not path.is_file() or not (PROJECT / "node_modules" / "oidc-provider").is_dir():
        raise Missing("run `make interop`: it installs Node.js and the programs")
    return str(path)


@contextmanager
def _running(given: Json) -> Iterator[str]:
    """The process; gives its issuer. It watches its standard input: when this process dies, it ends too."""
    with tempfile.NamedTemporaryFile("w+", prefix="provider-", suffix=".log") as log:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            [node(), "provider.mjs"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
        )
        try:
            pipe = process.stdin
            assert pipe is not None
            pipe.write(json.dumps(given).encode() + b"\n")
            pipe.flush()
            yield _ready(process, log)
        finally:
            _stop(process)


def _ready(process: "subprocess.Popen[bytes]", log: IO[str]) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        lines = Path(log.name).read_text(errors="replace").splitlines()
        issuer = next((line[6:] for line in lines if line.startswith("ready ")), None)
        if issuer is not None:
            return issuer
        time.sleep(0.05)
    last = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    raise AssertionError(f"the identity provider did not start within {START_S} s:\n{last}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def public_jwk(key: ec.EllipticCurvePrivateKey) -> Json:
    """The public half as a JWK."""
    found: Json = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found


def _unpadded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _object(found: object) -> Json:
    assert isinstance(found, dict)
    return found
