import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.obligations.seal import NONCE_BYTES, opened, sealed

KEY, OTHER = b"k" * 32, b"o" * 32
NONCES = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)


@given(st.binary(max_size=200), NONCES)
def test_what_is_sealed_opens_with_its_key_for_its_purpose_alone(
    plain: bytes, nonce: bytes
) -> None:
    text = sealed(plain, KEY, nonce, b"p")
    assert opened(text, KEY, b"p") == plain
    assert opened(text, OTHER, b"p") is None
    assert opened(text, KEY, b"q") is None


@given(st.binary(min_size=1, max_size=60), NONCES, st.data())
def test_no_other_text_opens(plain: bytes, nonce: bytes, data: st.DataObject) -> None:
    text = sealed(plain, KEY, nonce, b"p")
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABYZaz09-_=+ /"))
    changed = text[:at] + letter + text[at + 1 :]
    assert opened(changed, KEY, b"p") == (plain if changed == text else None)


@pytest.mark.parametrize("text", ["", "A", "AAAA", "é", "=" * 40, "A" * 40])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    assert opened(text, KEY, b"p") is None


@pytest.mark.parametrize("plain", [b"", b"a", b"ab"])
def test_one_text_has_one_spelling(plain: bytes) -> None:
    """The last letter of base64 has bits that mean nothing: another letter is another text."""
    text = sealed(plain, KEY, bytes(NONCE_BYTES), b"p")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [one for one in letters if opened(text[:-1] + one, KEY, b"p") == plain] == [text[-1]]
