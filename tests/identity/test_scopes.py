"""proxy.identity.scopes: the grammar of SMART scopes, and what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identity.scopes import (
    INTERACTIONS_OF,
    POLICY_TYPES,
    ResourceScope,
    Scopes,
    parse_scopes,
    permissions_for,
)

ALL = frozenset("cruds")

# T-177: the golden table of the grammar. `None`: grants nothing and is reported.
UNDERSTOOD: dict[str, tuple[str, str, str]] = {
    "patient/*.rs": ("patient", "*", "rs"),
    "patient/Observation.rs": ("patient", "Observation", "rs"),
    "patient/Observation.r": ("patient", "Observation", "r"),
    "patient/Observation.s": ("patient", "Observation", "s"),
    "patient/Observation.c": ("patient", "Observation", "c"),
    "patient/Observation.u": ("patient", "Observation", "u"),
    "patient/Observation.d": ("patient", "Observation", "d"),
    "patient/Observation.cruds": ("patient", "Observation", "cruds"),
    "patient/Observation.cud": ("patient", "Observation", "cud"),
    "patient/Observation.ds": ("patient", "Observation", "ds"),
    "patient/Observation.crs": ("patient", "Observation", "crs"),
    "user/*.cruds": ("user", "*", "cruds"),
    "user/Patient.rs": ("user", "Patient", "rs"),
    "system/*.rs": ("system", "*", "rs"),
    "system/MedicationRequest.ru": ("system", "MedicationRequest", "ru"),
    "patient/Patient.read": ("patient", "Patient", "rs"),
    "patient/PatientX.read": ("patient", "PatientX", "rs"),
    "user/Patient.write": ("user", "Patient", "cud"),
    "patient/*.*": ("patient", "*", "cruds"),
    "patient/*.read": ("patient", "*", "rs"),
    "user/Observation.*": ("user", "Observation", "cruds"),
    "http://smarthealthit.org/fhir/scopes/patient/Observation.rs": ("patient", "Observation", "rs"),
    "http://smarthealthit.org/fhir/scopes/user/*.read": ("user", "*", "rs"),
}

NOT_UNDERSTOOD = [
    "patient/Observation.sr", "patient/Observation.dus", "patient/Observation.rr", "patient/Observation.",
    "patient/Observation", "patient/observation.rs", "Patient/Observation.rs",
    "PATIENT/Observation.rs", "patient/Observation.rS", "patient/Observation.RS", "patient/Observation.rx",
    "patient/Observation.x", "patient/Observation.reads", "patient/Observation.readwrite",
    "patient/Observation.read,write", "patient/Observation.read.write", "patient/Observation.write.*",
    "patient/Observation.**", "patient/**.rs", "patient/*", "patient/.rs", "patient//Observation.rs",
    "/Observation.rs", "*/Observation.rs", "*/*.*", "*", "*.*", "patient.Observation.rs", "patient/Obs*.rs",
    "patient/Observation,Condition.rs", "patient/Observation/Condition.rs", "patient/Observation.rs/",
    "patient/Observation.rs;", "patient/Observation.rs\n", "\tpatient/Observation.rs", "patient/Observation.rs\t",
    "patient/Observation.rs\tpatient/Condition.rs", "patient/Observation\u200b.rs", "patient/\u041ebservation.rs",
    "patient/Observation1.rs", "patient/\uff2fbservation.rs", "group/Observation.rs", "admin/*.cruds", "user.Patient.read",
    "xpatient/Observation.rs", "launchpatient/Observation.rs", "patient/Observation.rs?", "user/$export.rs",
    "https://smarthealthit.org/fhir/scopes/patient/Observation.rs",
    "http://smarthealthit.org/fhir/scopes/http://smarthealthit.org/fhir/scopes/patient/*.rs",
    "http://smarthealthit.org.evil/fhir/scopes/patient/Observation.rs", "urn:x:y", "__private", "btg", "launch/", "launch/Patient",
]  # fmt: skip

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
# T-178: what of it can be evaluated, `fhir.conditions` says; a scope is fulfilled only where all its constraints are.
CONSTRAINED = {
    "patient/Observation.rs?category=laboratory": {("category", "laboratory")},
    f"patient/Observation.rs?category={CATEGORY}|laboratory": {("category", f"{CATEGORY}|laboratory")},
    "patient/Observation.rs?category=http%3A%2F%2Fx%7Cy": {("category", "http://x|y")},
    "user/*.cruds?status=a&code=b": {("status", "a"), ("code", "b")},
    "user/*.cruds?_tag=a&_tag=b": {("_tag", "a"), ("_tag", "b")},
}  # fmt: skip

WRONGLY_CONSTRAINED = [
    "patient/Observation.rs?category:not=laboratory",
    "patient/Observation.rs?patient.name=x",
    "patient/Observation.rs?_has:Observation:patient:code=x",
    "patient/Observation.read?category=laboratory",
    "patient/Observation.*?category=laboratory",
    "patient/Observation.rs?category=",
    "patient/Observation.rs?=x",
    "patient/Observation.rs?category",
    "patient/Observation.rs?category=%zz",
    "patient/Observation.rs?category=%ff",
    "patient/Observation.rs?category=a&",
    "patient/Observation.rs?&category=a",
    "patient/Observation.rs?category=a#b\u00e9",
]

NO_RESOURCE = [
    "openid", "fhirUser", "profile", "offline_access", "online_access",
    "launch", "launch/patient", "launch/encounter", "launch/imagingstudy?role=https://example.org/role",
]  # fmt: skip


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_a_scope_of_the_grammar_is_understood(text: str) -> None:
    level, rtype, permissions = UNDERSTOOD[text]
    scopes = parse_scopes(text)
    assert scopes.granted == {ResourceScope(level, rtype, frozenset(permissions))}
    assert scopes.not_understood == ()


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_anything_else_grants_nothing_and_is_reported(text: str) -> None:
    assert parse_scopes(text) == Scopes(frozenset(), (text,))


@pytest.mark.parametrize("text", CONSTRAINED)
def test_a_constrained_scope_covers_what_fulfils_all_its_constraints(text: str) -> None:
    scopes, constraints = parse_scopes(text), frozenset(CONSTRAINED[text])
    assert {scope.constraints for scope in scopes.granted} == {constraints}
    assert scopes.levels_for("read", "Observation") == frozenset()
    assert scopes.covers("read", "Observation")
    assert scopes.levels_where("read", "Observation", constraints)
    assert not scopes.levels_where("read", "Observation", frozenset())
    assert not scopes.levels_where("read", "Observation", frozenset(list(constraints)[1:]))
    assert not scopes.covers("update", "Patient") or "*" in text


@pytest.mark.parametrize("text", WRONGLY_CONSTRAINED)
def test_a_constraint_that_is_no_plain_parameter_lets_its_scope_grant_nothing(text: str) -> None:
    assert parse_scopes(text) == Scopes(frozenset(), (text,))


def test_scopes_are_joined_by_or_whatever_their_constraints() -> None:  # SCOPE-9
    scopes = parse_scopes("user/Observation.rs?category=lab user/Observation.r")
    assert scopes.levels_for("read", "Observation") == {"user"}
    assert scopes.levels_for("search-type", "Observation") == frozenset()
    assert scopes.levels_where("search-type", "Observation", frozenset({("category", "lab")}))


def test_a_constrained_star_never_writes_what_decisions_read() -> None:
    scopes = parse_scopes("user/*.cruds?status=active")
    assert not scopes.covers("update", "Consent")
    assert scopes.covers("read", "Consent")


@pytest.mark.parametrize("text", NO_RESOURCE)
def test_context_and_identity_scopes_grant_no_resource_and_are_no_surprise(text: str) -> None:
    assert parse_scopes(text) == Scopes()


def test_the_grammar_table_has_the_eighty_strings_the_threat_catalogue_asks_for() -> None:
    assert (
        len({*UNDERSTOOD, *NOT_UNDERSTOOD, *CONSTRAINED, *WRONGLY_CONSTRAINED, *NO_RESOURCE}) >= 80
    )


def test_double_spaces_and_repetitions_change_nothing() -> None:
    assert parse_scopes("  user/A.r   user/Ab.rs user/Ab.rs ") == parse_scopes(
        "user/Ab.rs user/A.r"
    )
    assert parse_scopes("").granted == frozenset()


def test_ten_thousand_scopes_are_read_as_they_stand() -> None:  # T-177
    text = " ".join(["patient/Observation.rs"] * 5_000 + [f"x{n}" for n in range(5_000)])
    scopes = parse_scopes(text)
    assert len(scopes.granted) == 1
    assert len(scopes.not_understood) == 5_000


@pytest.mark.parametrize(
    ("permissions", "covered"),
    [(letter, interactions) for letter, interactions in INTERACTIONS_OF.items()],
)
def test_each_permission_covers_its_interactions_and_no_other(
    permissions: str, covered: tuple[str, ...]
) -> None:
    scopes = parse_scopes(f"user/Observation.{permissions}")
    every = [one for interactions in INTERACTIONS_OF.values() for one in interactions]
    assert {one for one in every if scopes.levels_for(one, "Observation")} == set(covered)


@pytest.mark.parametrize(
    ("scope", "interaction", "rtype", "levels"),
    [
        ("patient/Observation.rs", "read", "Observation", {"patient"}),
        ("patient/Observation.rs", "read", "Condition", set()),
        ("patient/Patient.read", "read", "PatientX", set()),  # T-177
        ("patient/PatientX.read", "read", "Patient", set()),
        ("patient/Observation.r", "search-type", "Observation", set()),  # SCOPE-5
        ("patient/Observation.s", "read", "Observation", set()),
        ("patient/Observation.r", "history-instance", "Observation", {"patient"}),
        ("patient/Observation.s", "history-type", "Observation", {"patient"}),
        ("user/Observation.cud", "read", "Observation", set()),  # SCOPE-4
        ("user/Observation.u", "patch", "Observation", {"user"}),
        ("user/*.rs patient/Observation.rs", "read", "Observation", {"user", "patient"}),
        ("user/*.rs patient/Observation.rs", "read", "Condition", {"user"}),
        ("user/*.r patient/Observation.s", "read", "Observation", {"user"}),
        ("user/*.rs", "search-system", "", {"user"}),
        ("user/*.rs", "history-system", "", {"user"}),
        ("user/Observation.rs", "search-system", "", set()),
        ("user/*.rs", "search-type", "", set()),
        ("user/*.rs", "read", "", set()),
        ("user/*.cruds", "batch", "", set()),  # SCOPE-7
        ("user/*.cruds", "transaction", "", set()),
        ("user/*.cruds", "operation", "Patient", set()),  # SCOPE-12
        ("user/*.cruds", "no-such-interaction", "Patient", set()),
        ("user/*.cruds", "READ", "Patient", set()),
        ("user/*.cruds", "update", "Observation", {"user"}),
        ("user/*.cruds", "read", "Consent", {"user"}),
        ("user/*.cruds", "update", "Consent", set()),
        ("user/Consent.cruds", "update", "Consent", {"user"}),
        ("user/Consent.r system/*.cruds", "update", "Consent", set()),
        ("user/Consent.u system/*.cruds", "update", "Consent", {"user"}),
        ("user/Consent.r system/*.cruds", "read", "Consent", {"user", "system"}),
        ("", "read", "Patient", set()),
    ],
)
def test_levels_for_a_request(scope: str, interaction: str, rtype: str, levels: set[str]) -> None:
    assert parse_scopes(scope).levels_for(interaction, rtype) == levels


@pytest.mark.parametrize("rtype", sorted(POLICY_TYPES))
@pytest.mark.parametrize("interaction", ["create", "update", "patch", "delete"])
def test_the_wildcard_never_writes_what_decisions_read(rtype: str, interaction: str) -> None:
    assert not parse_scopes("system/*.cruds user/*.* patient/Patient.cruds").levels_for(
        interaction, rtype
    )
    assert parse_scopes(f"user/{rtype}.cruds").levels_for(interaction, rtype) == {"user"}


def test_a_level_can_be_taken_away() -> None:
    scopes = parse_scopes("patient/*.rs user/Observation.rs system/*.rs")
    assert scopes.without("patient", "system") == parse_scopes("user/Observation.rs")
    assert scopes.without() is scopes


SCOPE = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(["*", "Patient", "Observation", "Consent"]),
    st.sampled_from(["r", "s", "rs", "cud", "cruds", "read", "write", "*"]),
)
QUESTION = st.tuples(
    st.sampled_from([one for ones in INTERACTIONS_OF.values() for one in ones] + ["batch", ""]),
    st.sampled_from(["", "Patient", "Observation", "Consent", "Group"]),
)


@given(st.lists(SCOPE, max_size=5), SCOPE, QUESTION)
def test_more_scopes_cover_more_and_their_order_does_not_matter(
    some: list[str], one: str, question: tuple[str, str]
) -> None:
    fewer = parse_scopes(" ".join(some)).levels_for(*question)
    more = parse_scopes(" ".join([*some, one])).levels_for(*question)
    assert more == parse_scopes(" ".join([one, *reversed(some)])).levels_for(*question)
    assert more == fewer | parse_scopes(one).levels_for(*question)


@given(st.text())
def test_any_text_is_read_without_an_exception_and_lost_nowhere(text: str) -> None:
    scopes = parse_scopes(text)
    assert set(scopes.not_understood) <= set(text.split(" "))
    assert all(scope.permissions <= ALL and scope.permissions for scope in scopes.granted)


EXPORTED: list[tuple[str, bool]] = [
    ("system/*.rs", True),
    ("system/*.read", True),
    ("system/Observation.cruds", True),
    ("system/*.r", False),
    ("system/*.s", False),
    ("system/*.write", False),
    ("system/Patient.rs", False),
    ("user/*.rs", False),
    ("patient/*.cruds", False),
    ("user/*.* patient/*.*", False),
]


@pytest.mark.parametrize(("text", "covers"), EXPORTED)
def test_only_a_system_that_may_read_and_search_exports(text: str, *, covers: bool) -> None:
    assert parse_scopes(text).covers("export", "Observation") is covers


def test_a_constrained_scope_exports_what_fulfils_it() -> None:
    scopes = parse_scopes("system/Observation.rs?category=laboratory")
    assert scopes.levels_for("export", "Observation") == frozenset()
    holding = frozenset({("category", "laboratory")})
    assert scopes.levels_where("export", "Observation", holding) == {"system"}


@pytest.mark.parametrize(
    ("interaction", "letters"), [("read", "r"), ("export", "rs"), ("create", "c"), ("batch", "")]
)
def test_the_letters_that_an_interaction_needs(interaction: str, letters: str) -> None:
    assert permissions_for(interaction) == letters
