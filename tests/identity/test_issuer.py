"""proxy.identity.issuer: configuration of a trusted issuer refuses what could not be kept safe."""

import pytest

from proxy.errors import UnusableError
from proxy.identity.issuer import Issuer, profile_of

SMART = profile_of("smart")
SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "name", ["pro-sante", "SMART", "", "oidc", "mapping"]
)  # no profile is faked
def test_an_unknown_profile_refuses_to_start(name: str) -> None:
    with pytest.raises(UnusableError, match="not supported"):
        profile_of(name)


def test_a_mapping_of_an_unknown_field_refuses_to_start() -> None:
    with pytest.raises(UnusableError, match="`subject`"):
        profile_of({"subject": "sub"})


@pytest.mark.parametrize(
    ("algorithms", "secret", "told"),
    [
        ({"HS256"}, None, "algorithms"),  # T-164: no HMAC without a secret
        ({"RS256", "HS256"}, SECRET, "algorithms"),  # never mixed
        ({"RS256"}, SECRET, "algorithms"),
        ({"HS512"}, SECRET, "algorithms"),
        ({"none"}, None, "algorithms"),
        ({"RS256", "none"}, None, "algorithms"),
        ({"ES256K"}, None, "algorithms"),
        (set(), None, "algorithms"),
        ({"HS256"}, SECRET[:31], "32 bytes"),
    ],
)
def test_algorithms_that_confuse_refuse_to_start(
    algorithms: set[str], secret: bytes | None, told: str
) -> None:
    with pytest.raises(UnusableError, match=told) as raised:
        Issuer("https://idp", "https://us", frozenset(algorithms), SMART, secret=secret)
    assert SECRET.decode()[:31] not in str(raised.value)


@pytest.mark.parametrize(
    ("issuer", "audience", "skew", "max_lifetime"),
    [
        ("", "https://us", 30.0, 60.0),
        ("https://idp", "", 30.0, 60.0),
        ("https://idp", "https://us", 61.0, 60.0),
        ("https://idp", "https://us", -1.0, 60.0),
        ("https://idp", "https://us", float("nan"), 60.0),
        ("https://idp", "https://us", 30.0, 0.0),
        ("https://idp", "https://us", 30.0, float("nan")),
    ],
)
def test_names_and_times_out_of_bounds_refuse_to_start(
    issuer: str, audience: str, skew: float, max_lifetime: float
) -> None:
    with pytest.raises(UnusableError):
        Issuer(issuer, audience, frozenset({"ES256"}), SMART, skew=skew, max_lifetime=max_lifetime)


def test_a_secret_is_not_shown() -> None:
    issuer = Issuer("https://idp", "https://us", frozenset({"HS256"}), SMART, secret=SECRET)
    assert SECRET.decode() not in repr(issuer)
