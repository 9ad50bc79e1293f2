"""proxy.identity.choice: a request chooses among what is proven, and nothing else."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import Coding, Identifier
from proxy.identity.choice import SITUATION_HEADER, Choice
from proxy.identity.principal import Principal, PrincipalKind, Situation
from proxy.identity.scopes import parse_scopes

NOBODY: frozenset[str] = frozenset()


def principal(place: str = "", profession: str = "10") -> Principal:
    return Principal(
        "https://idp.example.org", "u", "app", "t", PrincipalKind.PRACTITIONER if place else PrincipalKind.UNKNOWN,
        parse_scopes("user/*.rs"), 1e10, roles=frozenset({Coding("p", profession)} if place else ()),
        situation=Situation(f"{place}/{profession}", frozenset({Identifier("f", place), Identifier("n", f"1{place}")}))
        if place
        else None,
    )  # fmt: skip


PLAIN, A, B, A_AS_NURSE = principal(), principal("A"), principal("B"), principal("A", "60")


def chosen(choice: Choice, written: str | None) -> Principal:
    headers: Mapping[str, str] = {} if written is None else {SITUATION_HEADER: written}
    return choice.made(headers, NOBODY)


def may_do_nothing(found: Principal) -> bool:
    return bool(found.undecided) and not found.scopes.granted and not found.roles


def test_a_token_that_knows_no_situations_hears_of_none() -> None:
    for written in (None, "A", ""):
        assert chosen(Choice(PLAIN), written) is PLAIN
    assert Choice(PLAIN).made({SITUATION_HEADER: "A"}, frozenset({SITUATION_HEADER})) is PLAIN


def test_who_has_none_is_the_person_alone_and_cannot_choose() -> None:
    choice = Choice(PLAIN, offered=True)
    assert chosen(choice, None) is PLAIN
    assert may_do_nothing(chosen(choice, "A"))


def test_the_only_one_is_meant_unless_another_is_named() -> None:
    choice = Choice(PLAIN, (A,), offered=True)
    assert chosen(choice, None) is chosen(choice, "A") is chosen(choice, "1A") is A
    assert chosen(choice, "A/10") is A
    assert may_do_nothing(chosen(choice, "B"))


def test_of_several_one_must_be_named_so_that_it_is_clear() -> None:
    choice = Choice(PLAIN, (A, B, A_AS_NURSE), offered=True)
    assert chosen(choice, "B") is B
    assert chosen(choice, "A/60") is A_AS_NURSE
    for unclear in (None, "A", "1A", "", "C"):
        assert may_do_nothing(chosen(choice, unclear))
    assert "profession" in chosen(choice, "A").undecided


def test_who_chooses_twice_has_not_chosen() -> None:
    choice = Choice(PLAIN, (A,), offered=True)
    found = choice.made({SITUATION_HEADER: "A"}, frozenset({SITUATION_HEADER}))
    assert may_do_nothing(found)
    assert "more than once" in found.undecided


@given(st.none() | st.text(max_size=6) | st.sampled_from(["A", "B", "A/10", "A/60"]))
def test_no_header_makes_a_principal_that_is_not_proven(written: str | None) -> None:  # T-183
    choice = Choice(PLAIN, (A, B, A_AS_NURSE), offered=True)
    found = chosen(choice, written)
    assert found in choice.situated or may_do_nothing(found)
    assert chosen(choice, written) is found  # cases are found by identity
