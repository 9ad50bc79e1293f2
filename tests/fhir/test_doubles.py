import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.codec import repeats
from proxy.fhir.doubles import may_repeat

SUBJECT = (b'"subject"',)
LABEL = '{"system":"s","code":"R"}'

DOUBLE = [
    '{"meta":{},"meta":{}}',
    '{"meta":{"security":[],"security":[]}}',
    '{"meta":{"security":[{"system":"s","code":"R","code":"N"}]}}',
    '{"meta":{"security":[{"system":"s","code":"R","code":"N"},{"system":"s"}]}}',
    '{"meta":{"security":[{"system":"s","system":"t","code":"R"}]}}',
    '{"meta":{"security":[{"display":"]","system":"s","code":"R","code":"N"}]}}',
    '{"meta":{"security":[{"system":"s","code":"R","display":"]","code":"N"}]}}',
    '{"meta":{"security":[{"extension":[],"system":"s","code":"R","code":"N"}]}}',
    '{"subject":{"reference":"Patient/1"},"subject":{"reference":"Patient/2"}}',
    '{"subject":{"reference":"Patient/1","reference":"Patient/2"}}',
    '{"subject":{"reference":"Patient/1","display":"}","reference":"Patient/2"}}',
    '{"subject":{"reference":"Patient/1","identifier":{"value":"1"},"reference":"Patient/2"}}',
    '{"subject":[{"reference":"Patient/1"},{"reference":"Patient/1","reference":"Patient/2"}]}',
    '{"subject":{"display":"\\"}","reference":"Patient/1","reference":"Patient/2"}}',
    '{"subject":{"reference":"Patient/1","display":"\\"}","reference":"Patient/2"}}',
]


@pytest.mark.parametrize("text", DOUBLE)
def test_a_member_that_decides_and_stands_twice_is_never_overlooked(text: str) -> None:
    assert repeats(text.encode())
    assert may_repeat(text.encode(), SUBJECT)


PLAIN = [
    "{}",
    '{"meta":{"versionId":"1"},"subject":{"reference":"Patient/1","type":"Patient","display":"x"}}',
    f'{{"meta":{{"security":[{LABEL},{LABEL}]}},"subject":{{"reference":"Patient/1"}}}}',
    '{"performer":[{"reference":"a"},{"reference":"b"}],"subject":{"display":"x","reference":"Patient/1"}}',
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_usual_needs_no_second_look(text: str) -> None:
    assert not may_repeat(text.encode(), SUBJECT)


leaves = st.sampled_from(
    [
        '"Patient/1"',
        '"x]"',
        '"}"',
        '"\\""',
        "{}",
        "[]",
        '{"code":"x"}',
        '[{"system":"x","code":"y"}]',
    ]
)
members = st.tuples(
    st.sampled_from(["reference", "code", "system", "display", "identifier"]), leaves
)
objects = st.lists(members, max_size=4).map(
    lambda some: "{" + ",".join(f'"{name}":{value}' for name, value in some) + "}"
)


def resource_of(codings: list[str], subject: str, more: str) -> str:
    return f'{{"meta":{{"security":[{",".join(codings)}]}},"subject":{subject}{more}}}'


resources = st.builds(
    resource_of, st.lists(objects, max_size=3), objects, st.sampled_from(["", ',"subject":{}'])
)


@given(resources)
def test_whenever_a_member_that_decides_stands_twice_it_is_looked_for(text: str) -> None:
    assert may_repeat(text.encode(), SUBJECT) >= decides_twice(text)


def decides_twice(text: str) -> bool:
    """Exactly told, by a parser: a member that decides stands twice in one object."""
    told: _Told = json.loads(text, object_pairs_hook=_Told)
    return told.twice


class _Told:
    """An object as its names, and whether one that decides stands twice in it or in what it holds."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        deciding = [one for one, _ in pairs if one in {"reference", "code", "system", "subject"}]
        self.twice: bool = len(set(deciding)) != len(deciding) or any(
            one.twice
            for _, value in pairs
            for one in (value if isinstance(value, list) else [value])
            if isinstance(one, _Told)
        )
