"""Client certificates: over our own TLS, and in the header of a terminator that is trusted (RFC 8705, RFC 9440)."""

import base64
import datetime as dt
import hashlib
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.app.listening import tls_of
from proxy.wire.certificate import certificate_of
from proxy.wire.server import listen
from tests.app.settled import settings_of

DER = b"a certificate"
X5T = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).rstrip(b"=").decode()
HEADER = {"client-cert": f":{base64.b64encode(DER).decode()}:"}


def test_a_header_counts_from_a_trusted_peer_only() -> None:
    request = make_mocked_request("GET", "/").clone(remote="10.0.0.1")
    assert certificate_of(request, HEADER, frozenset(), {"10.0.0.1"}) == X5T
    assert certificate_of(request, HEADER, frozenset(), {"10.0.0.2"}) == ""
    assert certificate_of(request, HEADER, frozenset(), frozenset()) == ""


@pytest.mark.parametrize(
    "written",
    ["", "::", "abc", ":a b:", ":=:", ":abc", f"{HEADER['client-cert']}, {HEADER['client-cert']}", ":" + "A" * 20_000 + ":", ":QUJ:"],
)  # fmt: skip
def test_a_header_that_is_no_certificate_is_none(written: str) -> None:
    request = make_mocked_request("GET", "/").clone(remote="10.0.0.1")
    assert certificate_of(request, {"client-cert": written}, frozenset(), {"10.0.0.1"}) == ""


def test_two_certificates_are_none() -> None:
    request = make_mocked_request("GET", "/").clone(remote="10.0.0.1")
    assert certificate_of(request, HEADER, frozenset({"client-cert"}), {"10.0.0.1"}) == ""


def issued(folder: Path, name: str) -> tuple[Path, Path, bytes]:
    """A self-signed certificate and its key, as PEM files, and its DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=3650))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    cert, pem = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert, pem, certificate.public_bytes(Encoding.DER)


@pytest.fixture
def seen() -> list[str]:
    return []


async def test_a_certificate_of_our_own_tls_is_known_by_its_thumbprint(
    tmp_path: Path, seen: list[str]
) -> None:
    cert, key, _ = issued(tmp_path, "localhost")
    own, own_key, der = issued(tmp_path, "app")
    env = {
        "PROXY_LISTEN__TLS__CERT": str(cert),
        "PROXY_LISTEN__TLS__KEY": str(key),
        "PROXY_LISTEN__TLS__CLIENT_CA": str(own),
    }
    tls = tls_of(settings_of(tmp_path, "http://127.0.0.1:1/fhir", **env))

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(certificate_of(request, HEADER, frozenset(), frozenset()))
        return web.Response()

    runner, port = await listen(respond, "127.0.0.1", 0, tls=tls)
    try:
        for shows in (True, False):
            client = ssl.create_default_context(cafile=str(cert))
            client.check_hostname = False
            if shows:
                client.load_cert_chain(own, own_key)
            async with aiohttp.ClientSession() as session:
                await session.get(f"https://127.0.0.1:{port}/", ssl=client)
    finally:
        await runner.cleanup()
    expected = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert seen == [expected, ""]
