"""What a token is bound to, and URLs in one spelling (RFC 7800, RFC 8705, RFC 9449)."""

import pytest

from proxy.errors import CallerError
from proxy.identity.binding import (
    Binding,
    Request,
    binding_of,
    normal_url,
    require_certificate,
)


@pytest.mark.parametrize(
    ("cnf", "binding"),
    [
        ({"jkt": "k"}, Binding(jkt="k")),
        ({"x5t#S256": "c"}, Binding(x5t="c")),
        ({"jkt": "k", "x5t#S256": "c"}, Binding("k", "c")),
    ],
)
def test_a_token_is_bound_to_a_key_a_certificate_or_both(
    cnf: dict[str, object], binding: Binding
) -> None:
    assert binding_of({"cnf": cnf}) == binding


def test_a_token_without_cnf_is_bound_to_nothing() -> None:
    assert binding_of({}) is None


@pytest.mark.parametrize(
    "cnf", [None, {}, [], "x", 7, {"jkt": ""}, {"jkt": 7}, {"jwk": {}}, {"kid": "x"}, {"jkt": "k", "jwe": "x"}]
)  # fmt: skip
def test_a_binding_that_is_not_understood_cannot_be_proven(cnf: object) -> None:
    with pytest.raises(CallerError, match="`cnf`"):
        binding_of({"cnf": cnf})


def test_a_certificate_is_required_by_who_is_bound_to_it() -> None:
    require_certificate(Binding(x5t="c"), Request(certificate="c"))
    require_certificate(Binding(jkt="k"), Request())
    for other in ("", "d"):
        with pytest.raises(CallerError):
            require_certificate(Binding(x5t="c"), Request(certificate=other))
    with pytest.raises(CallerError):
        require_certificate(Binding(x5t="é"), Request(certificate="c"))


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://A.example:443/x?y#z", "https://a.example/x"),
        ("http://a.example:80", "http://a.example/"),
        ("http://a.example:8080/X", "http://a.example:8080/X"),
        ("https://u@a.example/", ""),
        ("ftp://a.example/", ""),
        ("https://a.example:port/", ""),
        ("/x", ""),
        ("", ""),
    ],
)
def test_a_url_has_one_normal_form_or_none(url: str, normal: str) -> None:
    assert normal_url(url) == normal
