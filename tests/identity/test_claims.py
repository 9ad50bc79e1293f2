"""proxy.identity.claims: what verified claims say about the principal."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Coding, Identifier
from proxy.identity.claims import claims_of, number_of, principal_of
from proxy.identity.issuer import Profile, profile_of
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes

US = "https://proxy.example.org/fhir"
UPSTREAM = "http://upstream.example.org:8080/fhir"
SMART, IUA, UDAP = (profile_of(name, [US + "/", UPSTREAM]) for name in ("smart", "iua", "udap"))

PAYLOAD: dict[str, object] = {
    "iss": "https://idp.example.org", "sub": "u-1", "client_id": "app", "jti": "t-1", "exp": 1_800_000_300, "iat": 1_800_000_000,
    "scope": "user/*.rs patient/*.rs system/*.rs launch x",
}  # fmt: skip
ABSENT = object()


def principal(changes: Mapping[str, object], profile: Profile = SMART) -> Principal:
    told = {name: value for name, value in {**PAYLOAD, **changes}.items() if value is not ABSENT}
    return principal_of(claims_of(told, "digest"), profile)


def iua(**members: object) -> dict[str, object]:
    return {"extensions": {"ihe_iua": members}}


def b2b(**members: object) -> dict[str, object]:
    return {"extensions": {"hl7-b2b": members}}


def refused(changes: Mapping[str, object], profile: Profile = SMART) -> str:
    with pytest.raises(CallerError) as raised:
        principal(changes, profile)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    return raised.value.detail


def test_the_plain_claims() -> None:
    said = principal({"name": "Dr A"})
    assert (said.issuer, said.subject, said.client_id) == ("https://idp.example.org", "u-1", "app")
    assert (said.token_id, said.expires_at, said.name) == ("t-1", 1_800_000_300.0, "Dr A")
    assert said.purposes == frozenset()
    assert said.scopes.not_understood == ("x",)


def test_a_token_without_an_id_is_known_by_its_digest() -> None:
    assert principal({"jti": ABSENT}).token_id == "digest"


def test_the_client_is_client_id_or_azp() -> None:
    assert principal({"client_id": ABSENT, "azp": "portal"}).client_id == "portal"
    assert principal({"azp": "portal"}).client_id == "app"
    assert principal({"client_id": ABSENT}).client_id == ""


# ------------------------------------------------------------------------------------------ T-181: fhirUser


@pytest.mark.parametrize(
    ("fhir_user", "reference", "kind"),
    [
        ("Practitioner/a", "Practitioner/a", PrincipalKind.PRACTITIONER),
        (f"{US}/Practitioner/a", "Practitioner/a", PrincipalKind.PRACTITIONER),
        (f"{UPSTREAM}/Practitioner/a", "Practitioner/a", PrincipalKind.PRACTITIONER),
        ("PractitionerRole/a-1.b", "PractitionerRole/a-1.b", PrincipalKind.PRACTITIONER),
        ("Patient/P1", "Patient/P1", PrincipalKind.PATIENT),
        (f"{US}/RelatedPerson/r", "RelatedPerson/r", PrincipalKind.RELATED_PERSON),
    ],
)
def test_a_fhir_user_of_ours_is_known(fhir_user: str, reference: str, kind: PrincipalKind) -> None:
    said = principal({"fhirUser": fhir_user})
    assert (said.fhir_user, said.kind) == (reference, kind)


@pytest.mark.parametrize(
    "fhir_user",
    [
        "https://evil.example.org/fhir/Practitioner/drB", "https://evil.example.org/?x=https://proxy.example.org/fhir/Practitioner/drB",
        f"{US}.evil.example.org/Practitioner/drB", f"{US}x/Practitioner/drB", f"{US}xPractitioner/drB", f"{US}//Practitioner/drB", f"{US}/x/Practitioner/drB",
        f"{US.upper()}/Practitioner/drB", "http://proxy.example.org/fhir/Practitioner/drB", "/Practitioner/drB",
        "Practitioner/drB/../../Patient/P1", "Practitioner/drB/_history/1", "Practitioner/drB/", "Practitioner/", "Practitioner/..",
        "Practitioner/.", "Practitioner/a b", "Practitioner/a%2e", "Practitioner/a?x", "Practitioner/a#x", "practitioner/drB",
        "Person/1", "Device/d", "Organization/o", "PatientX/1", "drB", "urn:uuid:0", "Practitioner/" + "x" * 65, "Practitioner/é",
        f"{US}/{US}/Practitioner/drB",
    ],
)  # fmt: skip
def test_a_fhir_user_of_another_server_or_form_is_nobody(fhir_user: str) -> None:
    said = principal({"fhirUser": fhir_user, **iua(national_provider_identifier="1")})
    assert (said.fhir_user, said.kind) == (None, PrincipalKind.UNKNOWN)


@pytest.mark.parametrize(
    "value",
    [None, 1, True, "", ["Practitioner/a"], {"reference": "Practitioner/a"}, "Practitioner/a\n"],
)
def test_a_fhir_user_that_is_no_text_makes_the_token_bad(value: object) -> None:
    assert "`fhirUser`" in refused({"fhirUser": value})


# ------------------------------------------------------------------------------------------ T-171, T-180: context and scopes


def test_the_launch_context_is_one_patient() -> None:
    assert principal({"patient": "P1"}).patient == "Patient/P1"


@pytest.mark.parametrize(
    "value",
    [["P1", "P9"], ["P1"], "P1,P9", "Patient/P1", "P1/../P9", "..", ".", "", " P1", "P1 ", "P1\n", "P1|P9", "x" * 65, 1, None, True,
     {"reference": "Patient/P1"}, "https://proxy.example.org/fhir/Patient/P1", "é"],
)  # fmt: skip
def test_a_launch_context_that_is_not_one_id_makes_the_token_bad(value: object) -> None:  # T-171
    assert "`patient`" in refused({"patient": value})


@pytest.mark.parametrize("value", [["user/*.rs"], {"user/*.rs": 1}, 1, None, True])
def test_scopes_that_are_not_one_string_make_the_token_bad(value: object) -> None:  # T-171
    assert "`scope`" in refused({"scope": value})


@pytest.mark.parametrize(
    ("claims", "kind", "scopes"),
    [
        ({"fhirUser": "Practitioner/a"}, PrincipalKind.PRACTITIONER, "user/*.rs"),
        (
            {"fhirUser": "Practitioner/a", "patient": "P1"},
            PrincipalKind.PRACTITIONER,
            "user/*.rs patient/*.rs",
        ),
        ({"fhirUser": "Patient/P1"}, PrincipalKind.PATIENT, "user/*.rs"),
        (
            {"fhirUser": "Person/1", "patient": "P1"},
            PrincipalKind.UNKNOWN,
            "user/*.rs patient/*.rs",
        ),
        ({}, PrincipalKind.UNKNOWN, "user/*.rs"),
        ({"patient": "P1"}, PrincipalKind.UNKNOWN, "user/*.rs patient/*.rs"),
        ({"sub": "app"}, PrincipalKind.SYSTEM, "system/*.rs"),
        ({"sub": "app", "patient": "P1"}, PrincipalKind.SYSTEM, "system/*.rs patient/*.rs"),
        ({"scope": "system/*.rs"}, PrincipalKind.SYSTEM, "system/*.rs"),
        ({"scope": "system/*.rs", "client_id": ABSENT}, PrincipalKind.SYSTEM, "system/*.rs"),
        ({"scope": "system/*.rs", "patient": "P1"}, PrincipalKind.UNKNOWN, ""),
        ({"scope": "system/*.rs", "fhirUser": "Practitioner/a"}, PrincipalKind.PRACTITIONER, ""),
        ({"scope": "system/*.rs", "fhirUser": "Person/1"}, PrincipalKind.UNKNOWN, ""),
        (
            {"scope": "system/*.rs", **iua(national_provider_identifier="1")},
            PrincipalKind.PRACTITIONER,
            "",
        ),
        ({"scope": "system/*.rs user/*.rs"}, PrincipalKind.UNKNOWN, "user/*.rs"),
        ({"scope": "user/*.rs", "sub": "app"}, PrincipalKind.SYSTEM, ""),
        ({"scope": ABSENT}, PrincipalKind.UNKNOWN, ""),
        ({"scope": ""}, PrincipalKind.UNKNOWN, ""),
        ({"scope": "patient/*.rs", **iua(person_id="P1")}, PrincipalKind.UNKNOWN, ""),
    ],
)
def test_a_scope_without_its_context_gives_no_access(
    claims: dict[str, object], kind: PrincipalKind, scopes: str
) -> None:  # T-180, AUTH-19, SCOPE-15
    said = principal(claims)
    assert said.kind is kind
    assert said.scopes.granted == parse_scopes(scopes).granted


def test_a_client_registered_as_a_system_never_acts_for_a_person() -> None:
    registered = profile_of("smart", [US], system_clients=frozenset({"app"}))
    said = principal({}, registered)
    assert said.kind is PrincipalKind.SYSTEM
    assert said.scopes.granted == parse_scopes("system/*.rs").granted


# ------------------------------------------------------------------------------------------ IUA and hl7-b2b

TREAT_OID = "urn:oid:2.16.840.1.113883.5.8"


@pytest.mark.parametrize(
    ("written", "purposes"),
    [
        ([{"system": ACT_REASON, "code": "TREAT"}], {"TREAT"}),
        ([{"system": TREAT_OID, "code": "TREAT", "display": 5}], {"TREAT"}),
        ([{"system": "http://hl7.org/fhir/v3/ActReason", "code": "BTG"}], {"BTG"}),
        ([{"code": "TREAT"}], {"TREAT"}),
        ([f"{ACT_REASON}#ETREAT"], {"ETREAT"}),
        ([f"{TREAT_OID}#TREAT"], {"TREAT"}),
        (["TREAT", "HRESCH"], {"TREAT", "HRESCH"}),
        (["urn:x#TREAT"], {"urn:x#TREAT"}),
        ([{"system": "urn:x", "code": "TREAT"}, "TREAT"], {"urn:x#TREAT", "TREAT"}),
        ([], set()),
    ],
)
def test_a_purpose_of_use_in_each_spelling(
    written: list[object], purposes: set[str]
) -> None:  # AUTH-22, X-25
    assert principal(iua(purpose_of_use=written)).purposes == purposes
    assert principal(b2b(purpose_of_use=written)).purposes == purposes


def test_an_iua_token() -> None:
    said = principal(
        iua(
            subject_name="Dr A",
            subject_organization="Clinic",
            subject_organization_id="urn:oid:1.2.3",
            subject_role=[
                {"system": "urn:oid:2.16.840.1.113883.6.96", "code": "158965000", "unknown": 1}
            ],
            purpose_of_use=[{"system": TREAT_OID, "code": "TREAT"}],
            home_community_id="urn:oid:1.2.3.4",
            national_provider_identifier="1234567890",
            person_id="543797436^^^&1.2.840.113619.6.197&ISO",
            something_else=[1],
        ),
        IUA,
    )
    assert said.kind is PrincipalKind.PRACTITIONER
    assert (said.name, said.organization_name) == ("Dr A", "Clinic")
    assert said.organization == Identifier("urn:ietf:rfc:3986", "urn:oid:1.2.3")
    assert said.roles == {Coding("urn:oid:2.16.840.1.113883.6.96", "158965000")}
    assert said.identifiers == {Identifier("http://hl7.org/fhir/sid/us-npi", "1234567890")}
    assert said.patient_identifier == Identifier("urn:oid:1.2.840.113619.6.197", "543797436")
    assert said.patient is None


def test_a_udap_token() -> None:
    said = principal(
        b2b(
            version="1",
            subject_name="Dr A",
            subject_role="urn:oid:2.16.840.1.113883.6.101#207SG0202X",
            organization_name="Clinic",
            organization_id="https://clinic.example.org",
            purpose_of_use=[f"{TREAT_OID}#TREAT"],
        ),
        UDAP,
    )
    assert (said.name, said.organization_name) == ("Dr A", "Clinic")
    assert said.purposes == {"TREAT"}
    assert said.organization == Identifier("urn:ietf:rfc:3986", "https://clinic.example.org")
    assert said.roles == {Coding("urn:oid:2.16.840.1.113883.6.101", "207SG0202X")}


@pytest.mark.parametrize("missing", ["version", "organization_id", "purpose_of_use"])
def test_a_udap_object_needs_what_udap_requires(missing: str) -> None:  # AUTH-21
    members: dict[str, object] = {
        "version": "1",
        "organization_id": "urn:x",
        "purpose_of_use": ["TREAT"],
    }
    assert principal(b2b(**members), UDAP).purposes == {"TREAT"}
    del members[missing]
    assert missing in refused(b2b(**members), UDAP)


@pytest.mark.parametrize("name", ["iss", "sub", "client_id", "jti", "exp", "iat", "scope"])
def test_an_iua_token_needs_what_iua_requires(name: str) -> None:  # AUTH-6
    assert name in refused({name: ABSENT}, IUA)


@pytest.mark.parametrize(
    "extensions",
    [
        [], "x", None, 1, {"ihe_iua": []}, {"ihe_iua": None}, {"ihe_iua": "x"}, {"hl7-b2b": 1}, {"ihe_bppc": []}, {"ihe_pcf": []},
        {"ihe_iua": {"subject_name": 1}}, {"ihe_iua": {"subject_name": ""}}, {"ihe_iua": {"subject_name": "a\nb"}},
        {"ihe_iua": {"subject_role": {"code": "x"}}}, {"ihe_iua": {"subject_role": "x"}}, {"ihe_iua": {"subject_role": [1]}},
        {"ihe_iua": {"subject_role": [{"system": "x"}]}}, {"ihe_iua": {"subject_role": [{"code": 1}]}},
        {"ihe_iua": {"subject_role": [{"system": 1, "code": "x"}]}}, {"ihe_iua": {"subject_role": [[]]}},
        {"ihe_iua": {"purpose_of_use": "TREAT"}}, {"ihe_iua": {"purpose_of_use": {"code": "TREAT"}}},
        {"ihe_iua": {"purpose_of_use": [None]}}, {"ihe_iua": {"purpose_of_use": ["#TREAT"]}}, {"ihe_iua": {"purpose_of_use": ["x#"]}},
        {"ihe_iua": {"purpose_of_use": [""]}}, {"ihe_iua": {"purpose_of_use": None}}, {"ihe_iua": {"subject_organization": []}},
        {"ihe_iua": {"subject_organization_id": 1}}, {"ihe_iua": {"national_provider_identifier": 1234}},
        {"ihe_iua": {"person_id": ["x"]}}, {"ihe_iua": {"home_community_id": 1}},
        {"hl7-b2b": {"purpose_of_use": "TREAT"}}, {"hl7-b2b": {"version": 1}}, {"hl7-b2b": {"version": "2"}},
        {"hl7-b2b": {"organization_id": {}}}, {"hl7-b2b": {"subject_role": 1}},
        {"ihe_bppc": {"patient_id": 1}}, {"ihe_bppc": {"doc_id": []}}, {"ihe_bppc": {"acp": {}}},
        {"ihe_iua": {"subject_name": "good"}, "hl7-b2b": {"subject_name": 1}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("profile", [SMART, IUA])
def test_an_extension_of_the_wrong_type_makes_the_token_bad(
    extensions: object, profile: Profile
) -> None:  # AUTH-17
    refused({"extensions": extensions}, profile)


def test_unknown_extensions_and_claims_are_ignored() -> None:
    assert principal({"extensions": {"other": 1}, "roles": "notadmin", "groups": [1]}) == principal(
        {}
    )


def test_pcf_rules_are_handed_on_whole() -> None:
    rules = {"patient_id": "x", "residual": [{"type": "forbid"}]}
    said = principal({"extensions": {"ihe_pcf": rules}})
    assert said.pcf == '{"patient_id":"x","residual":[{"type":"forbid"}]}'
    assert principal({}).pcf is None


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        (
            "543797436^^^&1.2.840.113619.6.197&ISO",
            Identifier("urn:oid:1.2.840.113619.6.197", "543797436"),
        ),
        ("1^^^NS&1.2&ISO", Identifier("urn:oid:1.2", "1")),
        ("1^^^&1.2&DNS", Identifier("", "1^^^&1.2&DNS")),
        ("543797436", Identifier("", "543797436")),
    ],
)
def test_the_patient_of_the_token_by_business_identifier(
    written: str, identifier: Identifier
) -> None:
    assert principal(iua(person_id=written)).patient_identifier == identifier
    assert (
        principal({"extensions": {"ihe_bppc": {"patient_id": written}}}).patient_identifier
        == identifier
    )


# ------------------------------------------------------------------------------------------ a mapping


def test_a_mapping_reads_fields_from_where_the_operator_says() -> None:
    mapped = profile_of(
        {
            "roles": "realm_access.roles",
            "purposes": "/https:~1~1example.org~1pou",
            "fhir_user": "ext.user",
            "name": "",
            "on_behalf_of": "ext.for",
        },
        [US],
    )
    said = principal(
        {
            "realm_access": {"roles": ["physician", "urn:x#nurse"]},
            "https://example.org/pou": "TREAT",
            "ext": {"user": "Practitioner/a", "for": "Practitioner/b"},
            "fhirUser": "Patient/P1",
            "name": "Dr A",
        },
        mapped,
    )
    assert said.roles == {Coding("", "physician"), Coding("urn:x", "nurse")}
    assert said.purposes == {"TREAT"}
    assert (said.fhir_user, said.name) == ("Practitioner/a", None)
    assert (said.client_id, said.on_behalf_of) == ("app", "Practitioner/b")


@pytest.mark.parametrize("value", ["x", [], 1, None])
def test_a_mapped_path_through_no_object_makes_the_token_bad(value: object) -> None:
    assert "`realm_access`" in refused(
        {"realm_access": value}, profile_of({"roles": "realm_access.roles"})
    )


# ------------------------------------------------------------------------------------------ T-183, and any claims


def test_a_national_identifier_has_the_system_the_operator_names() -> None:
    french = profile_of("iua", provider_system="urn:oid:1.2.250.1.71.4.2.1")
    said = principal(iua(national_provider_identifier="8100"), french)
    assert said.identifiers == {Identifier("urn:oid:1.2.250.1.71.4.2.1", "8100")}


@pytest.mark.parametrize(
    "value", [True, False, "1", None, [], {}, -1, float("nan"), float("inf"), 1e30, 10**400]
)
def test_a_time_that_is_no_sane_number_is_refused(value: object) -> None:
    with pytest.raises(CallerError):
        number_of({"exp": value}, "exp")


def test_a_time_is_a_number_or_absent() -> None:
    assert number_of({"exp": 5}, "exp") == 5.0
    assert number_of({}, "exp") is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(max_size=8)
    | st.just("TREAT"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "system", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = [
    "subject_name",
    "subject_role",
    "purpose_of_use",
    "person_id",
    "organization_id",
    "patient_id",
]
EXTENSIONS = st.dictionaries(
    st.sampled_from(["ihe_iua", "ihe_bppc", "hl7-b2b", "ihe_pcf"]),
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3) | JSON,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "fhirUser": JSON, "patient": JSON, "scope": JSON, "client_id": JSON, "azp": JSON, "name": JSON, "sub": JSON, "iss": JSON,
        "jti": JSON, "exp": JSON, "extensions": EXTENSIONS | JSON,
    },
)  # fmt: skip


@given(CLAIMS, st.sampled_from([SMART, IUA, UDAP]))
def test_any_claims_give_a_principal_or_a_callers_error(
    claims: dict[str, object], profile: Profile
) -> None:  # T-171
    try:
        said = principal(claims, profile)
    except CallerError as error:
        assert error.refusal is Refusal.BAD_TOKEN  # noqa: PT017 - either outcome is right, no other
    else:
        levels = {scope.level for scope in said.scopes.granted}
        assert said.patient or "patient" not in levels
        assert hash(said) == hash(said)


PSC = profile_of("pro-sante-connect", [US])


@given(CLAIMS)
def test_beside_userinfo_no_claim_of_another_profile_says_anything(
    claims: dict[str, object],
) -> None:
    kept = {
        name: value
        for name, value in claims.items()
        if name in {"fhirUser", "patient", "name", "extensions"}
    }
    try:
        said = principal(kept, PSC)
    except CallerError:
        return
    bare = principal({}, PSC)
    restrictions = {"patient_identifier": None, "pcf": None}
    assert dataclasses.replace(said, **restrictions) == bare  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", ["openid", "scope_al", "scope_all_", "SCOPE_ALL", "user/scope_all"])  # fmt: skip
def test_only_the_scope_of_the_whole_identity_stands_for_reading(scope: str) -> None:
    assert not principal({"scope": scope}, PSC).scopes.granted
    whole = principal({"scope": "openid scope_all"}, PSC)
    assert whole.scopes.granted == parse_scopes("user/*.rs").granted
    assert not principal({"scope": "openid scope_all"}).scopes.granted
