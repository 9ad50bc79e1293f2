"""What listens: TLS that can be used, and nothing answered before the gateway stands."""

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from proxy.app.listening import PendingListener, tls_of
from proxy.errors import UnusableError
from tests.app.settled import settings_of


async def test_before_the_gateway_stands_every_request_is_told_to_come_again() -> None:
    pending = PendingListener()
    request = make_mocked_request("GET", "/fhir/Patient/camille")
    assert (await pending.respond(request)).status == 503
    assert (await pending.respond_to_noise(request)).status == 503


def test_without_tls_files_there_is_no_tls(tmp_path: Path) -> None:
    assert tls_of(settings_of(tmp_path, "http://127.0.0.1:1/fhir")) is None


def test_tls_files_that_are_no_certificate_refuse_to_start(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    env = {"PROXY_LISTEN__TLS__CERT": "cert.pem", "PROXY_LISTEN__TLS__KEY": "key.pem"}
    with pytest.raises(UnusableError, match=r"`listen\.tls` cannot be used"):
        tls_of(settings_of(tmp_path, "http://127.0.0.1:1/fhir", **env))
