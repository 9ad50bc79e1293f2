from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import Scopes
from proxy.obligations.cursor import Cursor, binding_of, key_of, room_of, seal, unseal
from proxy.obligations.places import MARK_BYTES, REMEMBERED, Place
from proxy.obligations.seal import NONCE_BYTES

KEY = key_of(b"a secret")
NONCE = bytes(NONCE_BYTES)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NOW = 1_000_000.0
PRINCIPAL = Principal(
    issuer="https://idp", subject="s", client_id="c", token_id="t", kind=PrincipalKind.PRACTITIONER,
    scopes=Scopes(), expires_at=NOW, fhir_user="Practitioner/x", patient="Patient/p", purposes=frozenset({"TREAT"}),
)  # fmt: skip
BINDING = binding_of(PRINCIPAL, "digest")
CURSOR = Cursor(
    binding=BINDING,
    expires=NOW + 60,
    place=Place(given=3, next=b"next", hint="https://upstream/fhir?_getpages=0f&_offset=20"),
    path="Observation",
    query="code=x&_count=20",
)


def refusal_of(text: str, key: bytes = KEY, binding: str = BINDING, now: float = NOW) -> Refusal:
    with pytest.raises(CallerError) as caught:
        unseal(text, key, binding, now)
    return caught.value.refusal


MARKS = st.binary(min_size=MARK_BYTES, max_size=MARK_BYTES)
PLACES = st.builds(
    Place,
    leg=MARKS | st.just(b""),
    search=MARKS,
    given=st.integers(0, 2**63 - 1),
    next=MARKS,
    last=st.lists(MARKS, max_size=REMEMBERED).map(tuple),
    hint=st.text(max_size=120),
)
CURSORS = st.builds(
    Cursor,
    binding=st.just(BINDING),
    expires=st.floats(NOW, 2 * NOW),
    place=PLACES,
    path=st.text(),
    query=st.text(max_size=100),
    total=st.integers(-1, 2**31),
)


@given(cursor=CURSORS, nonce=st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_what_was_sealed_opens_for_the_same_caller(cursor: Cursor, nonce: bytes) -> None:
    assert unseal(seal(cursor, KEY, nonce), KEY, BINDING, NOW) == cursor


def test_nothing_of_it_can_be_read_and_every_letter_fits_a_url() -> None:
    sealed = seal(CURSOR, KEY, NONCE)
    assert "upstream" not in sealed
    assert set(sealed) <= set(LETTERS)


def test_every_altered_letter_is_refused() -> None:
    sealed = seal(CURSOR, KEY, NONCE)
    for at, letter in enumerate(sealed):
        for other in LETTERS if at > len(sealed) - 3 else "Ab9_":
            if other != letter:
                assert refusal_of(sealed[:at] + other + sealed[at + 1 :]) is Refusal.NOT_FOUND


@given(st.text() | st.text("ABCabc019-_", max_size=80))
def test_no_other_text_opens(text: str) -> None:
    assert refusal_of(text) is Refusal.NOT_FOUND


@pytest.mark.parametrize("change", ["=", "A", "%00", "é", "\n", " "])
def test_nothing_may_stand_behind_or_before_it(change: str) -> None:
    sealed = seal(CURSOR, KEY, NONCE)
    assert refusal_of(sealed + change) is Refusal.NOT_FOUND
    assert refusal_of(change + sealed) is Refusal.NOT_FOUND


@pytest.mark.parametrize("length", [0, 1, NONCE_BYTES, NONCE_BYTES + 15, -1])
def test_a_cut_one_is_refused(length: int) -> None:
    assert refusal_of(seal(CURSOR, KEY, NONCE)[:length]) is Refusal.NOT_FOUND


FOREIGN = {
    "issuer": replace(PRINCIPAL, issuer="https://other"),
    "subject": replace(PRINCIPAL, subject="other"),
    "client": replace(PRINCIPAL, client_id="other"),
    "fhirUser": replace(PRINCIPAL, fhir_user="Practitioner/y"),
    "no fhirUser": replace(PRINCIPAL, fhir_user=None),
    "patient context": replace(PRINCIPAL, patient="Patient/q"),
    "no patient context": replace(PRINCIPAL, patient=None),
    "purposes": replace(PRINCIPAL, purposes=frozenset({"TREAT", "HRESCH"})),
    "no purpose": replace(PRINCIPAL, purposes=frozenset()),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_it_does_not_open_for_another_caller(name: str) -> None:
    assert (
        refusal_of(seal(CURSOR, KEY, NONCE), binding=binding_of(FOREIGN[name], "digest"))
        is Refusal.NOT_FOUND
    )


def test_it_does_not_open_under_other_policies_or_with_another_key() -> None:
    sealed = seal(CURSOR, KEY, NONCE)
    assert refusal_of(sealed, binding=binding_of(PRINCIPAL, "other")) is Refusal.NOT_FOUND
    assert refusal_of(sealed, key=key_of(b"another secret")) is Refusal.NOT_FOUND


def test_it_opens_for_a_new_token_of_the_same_caller() -> None:
    renewed = replace(PRINCIPAL, token_id="u", expires_at=NOW + 3600, name="Dr. X")
    assert unseal(seal(CURSOR, KEY, NONCE), KEY, binding_of(renewed, "digest"), NOW) == CURSOR


def test_it_opens_until_it_expires() -> None:
    sealed = seal(CURSOR, KEY, NONCE)
    assert unseal(sealed, KEY, BINDING, NOW + 60) == CURSOR
    assert refusal_of(sealed, now=NOW + 60.001) is Refusal.NOT_FOUND


@pytest.mark.parametrize("length", [*range(0, 140, 7), 1000, 1024, 1025, 1500])
def test_its_length_depends_on_the_request_alone(length: int) -> None:
    """How far upstream was read depends on what is hidden: its links are unlike."""
    hints = ("", "x", "x" * 60, "x" * 255, "x" * 511, "é" * 256, "x" * 513, "x" * 1024, "x" * 5000)
    marks = [bytes(MARK_BYTES)] * REMEMBERED
    places = [Place(hint=hint) for hint in hints] + [
        Place(marks[0], marks[0], given, marks[0], tuple(marks[:kept]))
        for given, kept in ((0, 0), (127, 1), (2**16, 7), (2**63 - 1, REMEMBERED))
    ]
    cursors = [msgspec.structs.replace(CURSOR, query="q" * length, place=one) for one in places]
    assert len({len(seal(cursor, KEY, NONCE)) for cursor in cursors}) == 1


@given(CURSORS, st.integers(0, 1500), st.integers(0, 1500))
def test_a_hint_that_has_no_room_is_left_out(cursor: Cursor, query: int, hint: int) -> None:
    place = cursor.place._replace(hint="x" * hint)
    cursor = msgspec.structs.replace(cursor, query="q" * query, place=place)
    opened = unseal(seal(cursor, KEY, NONCE), KEY, BINDING, NOW)
    kept = place if hint <= room_of(cursor.query) else place._replace(hint="")
    assert opened == msgspec.structs.replace(cursor, place=kept)


@pytest.mark.parametrize("query", ["", "q" * 128, "q" * 129, "q" * 1024, "q" * 2250])
def test_it_fits_where_a_page_link_is_read(query: str) -> None:
    cursor = msgspec.structs.replace(CURSOR, query=query, grants=("x" * 36,) * 3)
    assert len(seal(cursor, KEY, NONCE)) <= 4096


def test_a_link_made_under_grants_names_them() -> None:
    granted = msgspec.structs.replace(CURSOR, grants=("g1", "g2"))
    assert unseal(seal(granted, KEY, NONCE), KEY, BINDING, NOW).grants == ("g1", "g2")
    assert unseal(seal(CURSOR, KEY, NONCE), KEY, BINDING, NOW).grants == ()
