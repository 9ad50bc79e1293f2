from typing import Any

import orjson
import pytest

from proxy.fhir.content import Wanted
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.interaction import SearchParameter
from proxy.fhir.reader import EnvelopeReader
from proxy.obligations.disclose import Judged
from proxy.obligations.includes import references_of, refers, related
from tests.obligations.cases import DEFINITIONS

READER = EnvelopeReader(DEFINITIONS.resource_types, ("http://here/fhir",), Wanted())


def judged(rtype: str, own: str, **more: Any) -> Judged:
    raw = orjson.dumps({"resourceType": rtype, "id": own, **more})
    return Judged(raw, READER.read(raw), None)


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def kept(matches: list[Judged], included: list[Judged], *includes: tuple[str, str]) -> list[str]:
    asked = [SearchParameter(name, "", (value,)) for name, value in includes]
    found = related(matches, included, asked, DEFINITIONS, READER.normal)
    return [one.envelope.reference for one in found if one.envelope]


SEEN = judged("Observation", "seen", subject=to("Patient/a"), performer=[to("Practitioner/x"), to("http://here/fhir/Practitioner/z/_history/2")])  # fmt: skip
OTHERS = [judged("Practitioner", "x"), judged("Practitioner", "y"), judged("Practitioner", "z"), judged("Patient", "a"), judged("Patient", "b")]  # fmt: skip

OUTWARDS = [
    ([("_include", "Observation:performer")], ["Practitioner/x", "Practitioner/z"]),
    ([("_include", "Observation:subject")], ["Patient/a"]),
    ([("_include", "Observation:patient")], ["Patient/a"]),
    ([("_include", "Observation:performer:Practitioner")], ["Practitioner/x", "Practitioner/z"]),
    ([("_include", "Observation:performer:Organization")], []),
    ([("_include", "Observation:subject"), ("_include", "Observation:performer")], ["Practitioner/x", "Practitioner/z", "Patient/a"]),
    ([("_include", "Condition:subject")], []),
    ([("_include", "Observation:nonsense")], []),
    ([("_revinclude", "Observation:subject")], []),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("includes", "expected"), OUTWARDS)
def test_an_include_stays_when_a_match_refers_to_it_through_what_was_asked(
    includes: list[tuple[str, str]], expected: list[str]
) -> None:
    assert kept([SEEN], OTHERS, *includes) == expected


def test_without_the_match_its_includes_go() -> None:
    assert kept([], OTHERS, ("_include", "Observation:performer")) == []


def test_a_reverse_include_stays_when_it_refers_to_a_match() -> None:
    mine = judged("Observation", "1", subject=to("Patient/a"))
    others = judged("Observation", "2", subject=to("Patient/b"))
    performed = judged("Observation", "3", subject=to("Patient/b"), performer=[to("Patient/a")])
    condition = judged("Condition", "4", subject=to("Patient/a"))
    rows = [mine, others, performed, condition]
    match = [judged("Patient", "a")]
    assert kept(match, rows, ("_revinclude", "Observation:subject")) == ["Observation/1"]
    assert kept(match, rows, ("_revinclude", "Observation:performer")) == ["Observation/3"]
    assert kept([], rows, ("_revinclude", "Observation:subject")) == []


def test_what_cannot_be_read_is_not_included() -> None:
    assert kept([SEEN], [Judged(b"{", None, None)], ("_include", "Observation:subject")) == []


def test_references_are_found_through_lists_and_only_our_own() -> None:
    raw = orjson.dumps({"a": [{"b": to("Patient/1")}, {"b": [to("#x"), to("urn:uuid:1"), {"reference": 7}, "Patient/2", 7]}], "c": to("Patient/3")})  # fmt: skip
    assert list(references_of(raw, ["a.b"], READER.normal)) == ["Patient/1", "Patient/2"]
    assert list(references_of(raw, ["a.b.reference.x", "d"], READER.normal)) == []
    with pytest.raises(UnreadableError):
        list(references_of(b"{", ["a"], READER.normal))


def test_a_reference_stands_that_is_not_gone() -> None:
    raw = orjson.dumps({"a": [to("Patient/1"), to("Patient/2")], "b": {"display": "x"}, "c": {"identifier": {}}, "d": "Patient/1", "e": []})  # fmt: skip
    rows = [("a", {"Patient/1"}, True), ("a", {"Patient/1", "Patient/2"}, False), ("b", set[str](), False), ("c", {"Patient/1"}, True), ("d", set[str](), True), ("d", {"Patient/1"}, False), ("e", set[str](), False), ("f", set[str](), False)]  # fmt: skip
    for path, gone, stands in rows:
        assert refers(raw, [path], frozenset(gone)) is stands, path
        nested = b'{"g":[{},{"h":[' + raw + b"]}]}"
        assert refers(nested, [f"g.h.{path}"], frozenset(gone)) is stands, path
    with pytest.raises(UnreadableError):
        refers(b"{", ["a"], frozenset())
