import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.interaction import Interaction
from proxy.fhir.paths import METHODS, SERVED, UNSERVED


def test_every_route_is_an_interaction_and_every_interaction_has_a_route() -> None:
    assert {route.code for route in SERVED} == {one.value for one in Interaction}


def test_methods_are_those_of_fhir() -> None:
    assert all(set(route.methods) <= METHODS for route in SERVED)
    assert all(route.methods for route in SERVED)


PATHS = [
    "/metadata", "/Patient/1", "/Patient/1/_history", "/Patient/1/_history/2", "/Patient/_history", "/_history", "/Patient",
    "/Patient/_search", "/Patient/1/Observation", "/Patient/1/*", "/Patient/1/_search", "/$break-glass", "/Patient/1/$everything",
    "/Observation/$lastn", "/DocumentReference/$docref", "/Composition/1/$document", "/Composition/$document", "/Patient/1/$summary",
    "/Patient/$summary", "/$export", "/Patient/$export", "/Group/1/$export", "/$export-status", "/$export-file",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_has_one_meaning_for_a_method(path: str) -> None:
    for method in METHODS:
        found = {
            route.code
            for route in SERVED
            if method in route.methods and route.path.fullmatch(path) is not None
        }
        assert len(found) <= 1
    assert any(route.path.fullmatch(path) for route in SERVED)


@pytest.mark.parametrize("path", ["", "/_search", "/$graphql", "/Patient/1/$graphql", "/Patient/1/_history/1/$x", "/Group/1/*"])  # fmt: skip
def test_what_is_known_and_not_served_is_told_from_what_is_nothing(path: str) -> None:
    assert UNSERVED.fullmatch(path)
    assert not any(route.path.fullmatch(path) for route in SERVED)


@given(st.from_regex(re.compile(r"(/[A-Za-z0-9.$*_-]{0,8}){0,5}"), fullmatch=True), st.sampled_from("%;?#\\ \n\x00é"), st.integers(0, 40))  # fmt: skip
def test_no_path_with_another_character_is_served(path: str, other: str, at: int) -> None:
    odd = path[:at] + other + path[at:]
    assert not any(route.path.fullmatch(odd) for route in SERVED)
    assert not UNSERVED.fullmatch(odd)
