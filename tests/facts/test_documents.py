from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from proxy.errors import UpstreamError
from proxy.facts.cache import FactCache
from proxy.facts.documents import MOST_REMOVED, Documents, HoldingCache, Reading
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.envelope import UNTOLD
from tests.situations import BASELINE, READER

R, V = Coding(CONFIDENTIALITY, "R"), Coding(CONFIDENTIALITY, "V")
SUBSTANCE = {"system": "http://hl7.org/fhir/sid/icd-10", "code": "F10.2"}


def document(own: str, *labels: Coding, made_from: str = "", **more: Any) -> bytes:
    relation = [{"code": "transforms", "target": {"reference": made_from}}] if made_from else []
    return orjson.dumps(
        {
            "resourceType": "DocumentReference",
            "id": own,
            "meta": {"security": [{"system": one.system, "code": one.code} for one in labels]},
            **({"relatesTo": relation} if relation else {}),
            **more,
        }
    )


class Reader:
    def __init__(self, *documents: bytes) -> None:
        self.documents = {orjson.loads(one)["id"]: one for one in documents}
        self.broken: set[str] = set()
        self.asked: list[str] = []

    async def search(self, rtype: str, parameters: Sequence[tuple[str, str]]) -> list[bytes]:
        ids = dict(parameters)["_id"].split(",")
        self.asked.append(f"{rtype} {sorted(ids)}")
        if self.broken & set(ids):
            raise UpstreamError("down")
        return [self.documents[one] for one in ids if one in self.documents]


def reading(digest: str = "d") -> Reading:
    return Reading(READER.read, BASELINE.labels.labels_of, digest)


def source(reader: Reader, ttl: float = 30) -> Documents:
    holding: HoldingCache = FactCache(ttl, 100, lambda: 0.0)
    return Documents(reader, FactCache(ttl, 100, lambda: 0.0), 20, holding)


DOCS = "DocumentReference/"


async def test_a_document_gives_its_labels_and_those_of_what_it_was_made_from() -> None:
    reader = Reader(document("a", R), document("b", V, made_from=DOCS + "a"), document("c"))
    told = await source(reader).labels([DOCS + "b", DOCS + "c"], reading())
    assert told == {DOCS + "b": frozenset({R, V}), DOCS + "c": frozenset()}
    assert reader.asked == ["DocumentReference ['b', 'c']", "DocumentReference ['a']"]


async def test_codes_in_a_document_bring_labels_too() -> None:
    reader = Reader(document("a", type={"coding": [SUBSTANCE]}))
    [labels] = (await source(reader).labels([DOCS + "a"], reading())).values()
    assert labels is not None
    assert R in labels


UNKNOWN = [
    UNTOLD,
    DOCS + "nowhere",
    "Composition/a",
    DOCS + "loop",
    DOCS + "dangling",
    DOCS + "odd",
]


@pytest.mark.parametrize("reference", UNKNOWN)
async def test_what_cannot_be_found_told_or_ended_is_unknown(reference: str) -> None:
    reader = Reader(
        document("a"),
        document("loop", made_from=DOCS + "loop"),
        document("dangling", made_from=DOCS + "nowhere"),
        document("odd", securityLabel=7),
    )
    assert await source(reader).labels([reference], reading()) == {reference: None}


async def test_a_chain_is_followed_so_far_and_no_further() -> None:
    chain = [document("0", V), *(document(str(n), made_from=f"{DOCS}{n - 1}") for n in range(1, 6))]
    told = await source(Reader(*chain)).labels([f"{DOCS}{n}" for n in (0, 5)], reading())
    assert told == {DOCS + "0": frozenset({V}), DOCS + "5": None}
    alone = await source(Reader(*chain)).labels([f"{DOCS}{MOST_REMOVED - 1}"], reading())
    assert alone == {f"{DOCS}{MOST_REMOVED - 1}": frozenset({V})}
    further = await source(Reader(*chain)).labels([f"{DOCS}{MOST_REMOVED}"], reading())
    assert further == {f"{DOCS}{MOST_REMOVED}": None}


async def test_what_is_known_is_kept_for_its_policies_and_what_is_unknown_is_not() -> None:
    reader = Reader(document("a", R))
    reader.broken = {"b"}
    documents = source(reader)
    asked = [DOCS + "a", DOCS + "b"]
    assert (await documents.labels(asked, reading()))[DOCS + "a"] == frozenset({R}), (
        "the other is not lost"
    )
    reader.asked.clear()
    assert (await documents.labels(asked, reading()))[DOCS + "b"] is None
    assert reader.asked == ["DocumentReference ['b']"]
    await documents.labels([DOCS + "a"], reading("other"))
    assert reader.asked[-1] == "DocumentReference ['a']"


async def test_a_long_chain_is_told_alike_alone_and_among_others() -> None:
    """As deep as the stack of Python is not: one author's chain must not break a search."""
    chain = [document(f"c{one}", R, made_from=f"{DOCS}c{one + 1}") for one in range(1500)]
    reader = Reader(*chain, document("c1500", V))
    everything = [f"{DOCS}c{one}" for one in range(1501)]
    told = await source(reader).labels(everything, reading())
    assert [one for one in everything if told[one] is not None] == everything[-MOST_REMOVED:]
    for one in (DOCS + "c7", everything[-MOST_REMOVED], everything[-1]):
        assert await source(reader).labels([one], reading()) == {one: told[one]}


async def test_documents_made_of_many_are_each_told_once() -> None:
    def of(level: int, own: int) -> bytes:
        below = [f"{DOCS}l{level + 1}-{one}" for one in range(40)] if level < 2 else []
        relations = [{"code": "appends", "target": {"reference": one}} for one in below]
        more: dict[str, Any] = {"relatesTo": relations} if below else {}
        return document(f"l{level}-{own}", R, **more)

    asked: list[object] = []

    def counted(codes: Any) -> frozenset[Coding]:
        asked.append(codes)
        return frozenset()

    reader = Reader(*(of(level, own) for level in range(3) for own in range(40)))
    one = Reading(READER.read, counted, "d")
    told = await source(reader).labels([f"{DOCS}l0-{own}" for own in range(40)], one)
    assert set(told.values()) == {frozenset({R})}
    assert len(asked) == 120
