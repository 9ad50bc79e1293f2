import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.obligations.validators import is_held, view_tag

KEY = b"k" * 32
TAG = view_tag(b"{}", "somebody", KEY)


def test_a_tag_is_a_weak_entity_tag_without_anything_of_upstream() -> None:
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', TAG)


@given(st.binary(), st.binary(), st.text(), st.text())
def test_equal_tags_are_equal_views_of_one_caller(
    body: bytes, other: bytes, who: str, whom: str
) -> None:
    same = view_tag(body, who, KEY) == view_tag(other, whom, KEY)
    assert same == ((body, who) == (other, whom))


def test_another_key_gives_other_tags() -> None:
    assert view_tag(b"{}", "somebody", b"x" * 32) != TAG


def test_the_caller_cannot_run_into_the_body() -> None:
    assert view_tag(b"bc", "a", KEY) != view_tag(b"c", "ab", KEY)


HELD = [TAG, TAG.removeprefix("W/"), f'"x", {TAG}', f' {TAG} ,W/"y"', f'W/"",{TAG}']


@pytest.mark.parametrize("condition", HELD)
def test_a_list_that_names_the_tag_holds_it(condition: str) -> None:
    assert is_held(condition, TAG)


BARE = TAG.removeprefix("W/").strip('"')
FREE = ["", "*", '"x"', 'W/"1"', BARE, f"W/{BARE}", f"{TAG} {TAG}", f"{TAG},*", f"w/{TAG}", f'"{BARE}', f"{TAG},"]  # fmt: skip


@pytest.mark.parametrize("condition", FREE)
def test_anything_else_does_not(condition: str) -> None:
    assert not is_held(condition, TAG)


@given(st.text())
def test_whatever_a_client_writes_is_read(text: str) -> None:
    assert is_held(text, TAG) in {True, False}
