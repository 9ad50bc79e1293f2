import pytest

from proxy.errors import (
    TELLS,
    CallerError,
    Finding,
    OwnError,
    ProxyError,
    Refusal,
    UnusableError,
    UpstreamError,
)

ERRORS: list[tuple[ProxyError, str, Refusal]] = [
    (CallerError(Refusal.PARAMETER, "why"), "caller", Refusal.PARAMETER),
    (UpstreamError("why"), "upstream", Refusal.UNAVAILABLE),
    (OwnError("why"), "gateway", Refusal.UNAVAILABLE),
    (UnusableError(Finding("gateway.yaml", 3, "why")), "operator", Refusal.UNAVAILABLE),
]


@pytest.mark.parametrize(("error", "fault", "refusal"), ERRORS)
def test_the_type_says_whose_fault_it_is_and_what_the_client_hears(
    error: ProxyError, fault: str, refusal: Refusal
) -> None:
    assert (error.fault, error.refusal) == (fault, refusal)
    assert "why" in error.detail


def test_every_refusal_is_told_and_nothing_else() -> None:
    assert set(TELLS) == set(Refusal)


@pytest.mark.parametrize("refusal", Refusal)
def test_what_is_told_is_an_error_in_one_line_without_a_full_stop(refusal: Refusal) -> None:
    tell = TELLS[refusal]
    assert 400 <= tell.status < 600
    assert tell.text == tell.text.lower() or "application/fhir+json" in tell.text
    assert "\n" not in tell.text
    assert not tell.text.endswith(".")


@pytest.mark.parametrize(
    ("one", "other"), [(Refusal.NO_TOKEN, Refusal.BAD_TOKEN)], ids=["a token that is bad or none"]
)
def test_what_must_look_alike_is_told_alike(one: Refusal, other: Refusal) -> None:
    assert TELLS[one] == TELLS[other]


def test_failures_ask_to_come_again_and_never_say_why() -> None:
    assert TELLS[Refusal.UNAVAILABLE].status == 503
    assert TELLS[Refusal.UNAVAILABLE].code == "transient"


def test_an_operator_hears_every_finding_with_file_and_line() -> None:
    error = UnusableError(Finding("a.yaml", 1, "wrong"), Finding("b.yaml", 22, "worse"))
    assert [str(one) for one in error.findings] == ["a.yaml:1: wrong", "b.yaml:22: worse"]
    assert error.detail == "a.yaml:1: wrong; b.yaml:22: worse"
