"""proxy.identity.pro_sante_connect: userinfo becomes situations of practice, and nothing that it does not prove."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import Coding, Identifier
from proxy.identity.choice import Choice
from proxy.identity.issuer import STRONG, Strength
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.pro_sante_connect import (
    CATEGORY,
    DIRECTORY,
    FINESS,
    KNOW_HOW,
    NATIONAL_PERSON,
    NATIONAL_STRUCTURE,
    PROFESSION,
    REGULATION,
    RPPS,
    SIREN_AND_SIRET,
    choice_of,
)
from proxy.identity.scopes import parse_scopes
from tests.psc import CHU, CLINIC, LONE, VIDAL, activity, exercise, userinfo

TOKEN = Principal(
    "https://auth.example.org", "s", "app", "t", PrincipalKind.UNKNOWN, parse_scopes("user/*.rs"), 1e10
)  # fmt: skip
DOCTOR = Coding(PROFESSION, "10")


def choice(told: Mapping[str, object], strength: Strength = STRONG) -> Choice:
    return choice_of(TOKEN, told, strength)


def lone(told: Mapping[str, object]) -> Principal:
    (found,) = choice(told).situated
    return found


def refused(told: Mapping[str, object], strength: Strength = STRONG) -> str:
    with pytest.raises(CallerError) as raised:
        choice(told, strength)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    return raised.value.detail


def test_the_minimal_userinfo() -> None:
    found = lone(LONE)
    assert (found.kind, found.name) == (PrincipalKind.PRACTITIONER, "Antoine VIDAL")
    assert found.identifiers == {
        Identifier(NATIONAL_PERSON, "810001990166"),
        Identifier(RPPS, "10001990166"),
    }
    assert found.roles == {DOCTOR, Coding(CATEGORY, "C"), Coding(KNOW_HOW, "SM04")}
    assert found.organization == Identifier(FINESS, CHU)
    assert found.organization_name == f"Site {CHU}"
    assert found.situation is not None
    assert found.situation.code == f"{CHU}/10"
    assert found.situation.site == {
        Identifier(FINESS, CHU),
        Identifier(NATIONAL_STRUCTURE, f"1{CHU}"),
    }
    assert found.scopes is TOKEN.scopes


def test_the_person_alone_has_no_right() -> None:
    plain = choice(VIDAL).plain
    assert (plain.kind, plain.roles, plain.organization) == (
        PrincipalKind.UNKNOWN,
        frozenset(),
        None,
    )
    assert Identifier(RPPS, "10001990166") in plain.identifiers


def test_each_place_and_profession_is_a_situation() -> None:
    told = userinfo(
        exercise(activity(CHU), activity(CLINIC)),
        exercise(activity(CHU), profession="60"),
        SubjectRole=["10^1.2.250.1.213.1.1.5.5", "60^1.2.250.1.213.1.1.5.5"],
    )
    found = {one.situation.code: one for one in choice(told).situated if one.situation}
    assert set(found) == {f"{CHU}/10", f"{CLINIC}/10", f"{CHU}/60"}
    assert Coding(PROFESSION, "60") not in found[f"{CHU}/10"].roles
    assert DOCTOR not in found[f"{CHU}/60"].roles


def test_activities_of_one_place_and_profession_are_one_situation() -> None:
    told = userinfo(
        exercise(activity(CHU), activity(CHU, codeModeExercice="L")),
        exercise(activity(CHU), codeSavoirFaire="SM26"),
    )
    assert lone(told).roles >= {Coding(KNOW_HOW, "SM04"), Coding(KNOW_HOW, "SM26")}


@pytest.mark.parametrize(
    ("members", "site", "above"),
    [
        (
            {"numeroFinessSite": "2A0000014"},
            {(FINESS, "2A0000014"), (NATIONAL_STRUCTURE, "12A0000014")},
            set(),
        ),
        (
            {"numeroSiretSite": "12345678901234"},
            {(SIREN_AND_SIRET, "12345678901234"), (NATIONAL_STRUCTURE, "312345678901234")},
            set(),
        ),
        ({"identifiantTechniqueDeLaStructure": "R10100000123"}, {(DIRECTORY, "R10100000123")}, set()),
        (
            {"numeroFinessSite": CHU, "numeroFinessetablissementJuridique": "690781810"},
            {(FINESS, CHU), (NATIONAL_STRUCTURE, f"1{CHU}")},
            {(FINESS, "690781810"), (NATIONAL_STRUCTURE, "1690781810")},
        ),
    ],
)  # fmt: skip
def test_a_place_by_each_of_its_numbers(
    members: dict[str, str], site: set[tuple[str, str]], above: set[tuple[str, str]]
) -> None:
    found = lone(userinfo(exercise({"numeroFinessSite": "", "numeroSiretSite": None, **members})))
    assert found.situation is not None
    assert set(found.situation.site) == site
    assert set(found.situation.legal_entity) == above
    assert set(found.organizations) == site | above


@pytest.mark.parametrize(
    "role",
    [
        "10^1.2.250.1.213.1.1.5.5", "10^urn:oid:1.2.250.1.213.1.1.5.5", "10^^^1.2.250.1.213.1.1.5.5", "10^1.2.250.1.71.1.2.7",
        "10^1.2.250.1.213.1.1.5.5^Médecin", "10", " 10^1.2.250.1.213.1.1.5.5 ",
    ],
)  # fmt: skip
def test_a_role_in_each_spelling(role: str) -> None:
    assert DOCTOR in lone({**LONE, "SubjectRole": ["SM04^1.2.250.1.213.1.1.4.5", role]}).roles


@pytest.mark.parametrize(
    "roles",
    [
        [], ["60^1.2.250.1.213.1.1.5.5"], ["10^1.2.250.1.213.1.1.4.5"], ["110^1.2.250.1.213.1.1.5.5"], ["^1.2.250.1.213.1.1.5.5"],
        ["10^1.2.250.1.213.1.1.5.55"], ["10^^^"], ["SM10"], None,
    ],
)  # fmt: skip
def test_a_profession_that_the_role_does_not_list_is_none(roles: object) -> None:
    assert choice({**LONE, "SubjectRole": roles}).situated == ()


@pytest.mark.parametrize(
    ("number", "identifiers", "professional"),
    [
        ("810001990166", {(RPPS, "10001990166")}, True),
        ("0691234567", set(), True),
        ("3699900106/0001", set(), False),
        ("5999", set(), False),
    ],
)
def test_a_national_number_by_its_prefix(
    number: str, identifiers: set[tuple[str, str]], *, professional: bool
) -> None:
    found = choice({**LONE, "SubjectNameID": number})
    assert set(found.plain.identifiers) == identifiers | {(NATIONAL_PERSON, number)}
    assert bool(found.situated) is professional


@pytest.mark.parametrize(
    "number",
    ["", None, "8", "81000199016", "810001990160", "8100019901660", "069123456", "810001990166 ", "8\uff110001990166", "3", 8, [], "9 9", "x1"],
)  # fmt: skip
def test_a_number_that_is_none_makes_the_token_bad(number: object) -> None:
    assert "SubjectNameID" in refused({**LONE, "SubjectNameID": number})


@pytest.mark.parametrize(
    ("value", "regulates"),
    [("VRAI", True), ("FAUX", False), ("", False), (None, False), ("vrai", False), ("TRUE", False), ("OUI", False)],
)  # fmt: skip
def test_who_regulates_is_one_that_the_provider_says_so_of(
    value: object, *, regulates: bool
) -> None:
    roles = lone({**LONE, "Acces_Regulation_Medicale": value}).roles
    assert (Coding(REGULATION, "VRAI") in roles) is regulates


def test_how_the_record_is_opened_is_not_said_by_the_session() -> None:
    assert choice({**LONE, "Mode_Acces_Raison": "bris_de_glace"}) == choice(LONE)


def test_a_student_has_no_profession_yet() -> None:
    assert lone(userinfo(exercise(activity(CHU), category="E"))).roles == {Coding(CATEGORY, "E")}
    assert DOCTOR in lone(userinfo(exercise(activity(CHU), category="M"))).roles


@pytest.mark.parametrize(
    ("changes", "strength", "strong"),
    [
        ({"authMode": "CARD"}, STRONG, True),
        ({"authMode": "MOBILE"}, STRONG, True),
        ({"authMode": "card"}, STRONG, False),
        ({"authMode": "PASSWORD"}, STRONG, False),
        ({"authMode": ""}, STRONG, False),
        ({"authMode": "MOBILE"}, Strength(frozenset({"CARD"})), False),
        ({"Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1"}, Strength(levels=frozenset({"APPPRIP3"})), True),
        ({"Palier_Authentification": "APPPRIP1^1.2.250.1.213.1.5.1.1.1"}, Strength(levels=frozenset({"APPPRIP3"})), False),
        ({}, Strength(levels=frozenset({"APPPRIP3"})), False),
        ({"Palier_Authentification": "APPPRIP1^1.2.250.1.213.1.5.1.1.1"}, STRONG, True),
    ],
)  # fmt: skip
def test_a_person_must_have_been_identified_strongly(
    changes: dict[str, object], strength: Strength, *, strong: bool
) -> None:  # P0
    if strong:
        assert choice({**LONE, **changes}, strength).situated
    else:
        refused({**LONE, **changes}, strength)


@pytest.mark.parametrize(
    "changes",
    [
        {"SubjectRefPro": []}, {"SubjectRefPro": "x"}, {"SubjectRefPro": {"exercices": {}}}, {"SubjectRefPro": {"exercices": ["x"]}},
        {"SubjectRefPro": {"exercices": [{"codeProfession": 10}]}}, {"SubjectRefPro": {"exercices": [{"codeProfession": "1 0"}]}},
        {"SubjectRefPro": {"exercices": [{"activities": {}}]}}, {"SubjectRefPro": {"exercices": [exercise({"numeroFinessSite": 1})]}},
        {"SubjectRefPro": {"exercices": [exercise({"numeroFinessSite": "12345"})]}},
        {"SubjectRefPro": {"exercices": [exercise({"numeroSiretSite": "1234567890123x"})]}},
        {"SubjectRefPro": {"exercices": [exercise({"numeroFinessetablissementJuridique": {}})]}},
        {"SubjectRefPro": {"exercices": [exercise(activity(CHU), codeSavoirFaire=[1])]}},
        {"SubjectRefPro": {"exercices": [exercise(activity(CHU), codeCategorieProfessionnelle=True)]}},
        {"SubjectRole": "10"}, {"SubjectRole": [10]}, {"SubjectRole": {}}, {"Acces_Regulation_Medicale": True}, {"family_name": 1},
        {"authMode": ["CARD"]}, {"Palier_Authentification": 3}, {"SubjectRole": ["10"] * 65},
    ],
)  # fmt: skip
def test_a_member_of_the_wrong_type_makes_the_token_bad(changes: dict[str, object]) -> None:
    refused({**LONE, **changes})


def test_an_activity_whose_place_cannot_be_told_is_no_situation() -> None:
    assert choice(userinfo(exercise({"raisonSocialeSite": "Cabinet"}))).situated == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(VIDAL)), JSON, max_size=3))
def test_any_userinfo_gives_a_choice_or_a_callers_error(changes: dict[str, object]) -> None:
    try:
        found = choice({**VIDAL, **changes})
    except CallerError as error:
        assert error.refusal is Refusal.BAD_TOKEN  # noqa: PT017 - either outcome is right, no other
        return
    for one in found.situated:
        assert one.situation is not None
        assert one.situation.site
        assert hash(one) == hash(one)


@given(st.dictionaries(st.text(max_size=12).filter(lambda one: one not in VIDAL), JSON, max_size=4))
def test_members_that_are_not_known_change_nothing(more: dict[str, object]) -> None:
    read = {"given_name", "family_name", "Palier_Authentification"}
    assert choice({**{k: v for k, v in more.items() if k not in read}, **VIDAL}) == choice(VIDAL)
