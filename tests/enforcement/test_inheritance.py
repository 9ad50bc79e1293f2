from collections.abc import Collection, Mapping
from pathlib import Path

import orjson
import pytest

from proxy.decision.labels import effective_labels
from proxy.enforcement.house import NoDocuments
from proxy.enforcement.inheritance import UNKNOWN, heirs
from proxy.facts.documents import Holding, Reading
from proxy.fhir.coding import CONFIDENTIALITY, INLINE_LABEL, Coding
from proxy.fhir.envelope import Envelope
from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, gateway
from tests.situations import BASELINE, READER, envelope_of
from tests.stage import Json

V = frozenset({Coding(CONFIDENTIALITY, "V")})
READING = Reading(READER.read, BASELINE.labels.labels_of, "d")
DERIVED = {"derivedFrom": [{"reference": "DocumentReference/d"}]}
LABEL = {"url": INLINE_LABEL, "valueCoding": {"system": CONFIDENTIALITY, "code": "R"}}


class Known:
    def __init__(self) -> None:
        self.asked: list[set[str]] = []

    async def labels(
        self, references: Collection[str], reading: Reading
    ) -> Mapping[str, frozenset[Coding] | None]:
        self.asked.append(set(references))
        return {"DocumentReference/d": V, "DocumentReference/lost": None}

    async def holding(self, binaries: Collection[str]) -> Holding:
        self.asked.append(set(binaries))
        return {one: ({"id": "d"},) if one == "Binary/held" else () for one in binaries}

    async def kept_holding(self, binaries: Collection[str]) -> Holding:
        return await self.holding(binaries)

    async def holders(
        self, holding: Holding, reading: Reading
    ) -> Mapping[str, tuple[Envelope, ...]]:
        return {one: (envelope_of({}),) for one, some in holding.items() if some}


def binary(own: str, **more: object) -> Envelope:
    return READER.read(orjson.dumps({"resourceType": "Binary", "id": own, **more}))


async def test_a_binary_is_given_the_documents_that_hold_it_with_its_own_labels() -> None:
    labelled = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "V"}]}}
    page = [binary("held", **labelled), binary("loose")]
    held, loose = await heirs(page, Known(), READING, {})
    assert held is not None
    assert loose is not None
    assert [one.labels for one in held.holders] == [V]
    assert loose.holders == ()
    assert loose.patients is None


async def test_what_is_known_to_hold_a_binary_is_not_asked_for_again() -> None:
    known = Known()
    holding: dict[str, tuple[Json, ...]] = {"Binary/held": ({"id": "d"},)}
    [held] = await heirs([binary("held")], known, READING, holding)
    assert held is not None
    assert (len(held.holders), known.asked) == (1, [])
    await heirs([binary("held"), binary("loose")], known, READING, holding)
    assert known.asked == [{"Binary/loose"}]
    assert holding["Binary/loose"] == ()


async def test_all_sources_are_asked_for_at_once_and_none_where_there_are_none() -> None:
    known = Known()
    other = {"derivedFrom": [{"reference": "DocumentReference/lost"}]}
    page = [envelope_of(DERIVED), None, envelope_of({}), envelope_of(other)]
    heir, nothing, plain, lost = await heirs(page, known, READING, {})
    assert heir is not None
    assert lost is not None
    assert known.asked == [{"DocumentReference/d", "DocumentReference/lost"}]
    assert (heir.labels, lost.labels) == (V, UNKNOWN)
    assert nothing is None
    assert plain is page[2]
    assert await heirs([plain, None], known, READING, {}) == [plain, None]
    assert len(known.asked) == 1


async def test_labelled_elements_inherit_too() -> None:
    envelope = envelope_of({**DERIVED, "note": [{"text": "x", "extension": [LABEL]}]})
    [heir] = await heirs([envelope], Known(), READING, {})
    assert heir is not None
    assert heir.inline is not None
    assert heir.inline.own == V
    assert heir.labels > V


async def test_what_is_unknown_is_a_label_that_nobody_knows() -> None:
    [heir] = await heirs([envelope_of(DERIVED)], NoDocuments(), READING, {})
    assert heir is not None
    assert effective_labels(heir, BASELINE).unknown == UNKNOWN


def document(own: str, **more: object) -> Json:
    return about(
        "DocumentReference", own, status="current", content=[{"attachment": {"title": "t"}}], **more
    )


MASKED = {"securityLabel": [{"coding": [{"system": CONFIDENTIALITY, "code": "R"}]}]}
INHERITING = [
    ({"derivedFrom": [{"reference": "DocumentReference/secret"}]}, False),
    ({"derivedFrom": [{"reference": "http://127.0.0.1:1/fhir/DocumentReference/secret"}]}, False),
    ({"derivedFrom": [{"reference": "DocumentReference/of-secret"}]}, False),
    ({"derivedFrom": [{"reference": "DocumentReference/no-such"}]}, False),
    ({"derivedFrom": [{"reference": "DocumentReference/plain"}]}, True),
    ({"derivedFrom": [{"reference": "Observation/other"}]}, True),
]


@pytest.mark.parametrize(("elements", "seen"), INHERITING)
async def test_who_may_not_see_a_document_may_not_see_what_was_made_from_it(
    tmp_path: Path, elements: Json, seen: bool
) -> None:
    made = about("Observation", "zo", status="final", code={"text": "c"}, **elements)
    transforms = {"code": "transforms", "target": {"reference": "DocumentReference/secret"}}
    record = (
        *ZED,
        made,
        document("secret", **MASKED),
        document("of-secret", relatesTo=[transforms]),
        document("plain"),
    )
    async with gateway(tmp_path, *record) as (stage, _):
        for target in ("Observation/zo", "Observation?patient=zed", "Observation/zo/_history/1"):
            reply = await stage.ask(target, NURSE)
            assert ("CANARY" in reply.body.decode()) is seen, target
        told = elements["derivedFrom"][0]["reference"]
        cleared = await stage.ask("Observation/zo", PHYSICIAN)
        assert ("CANARY" in cleared.body.decode()) is (
            "no-such" not in told and "http:" not in told
        )


@pytest.mark.parametrize("own", ["secret", "of-secret"])
async def test_the_label_of_a_document_counts_wherever_it_states_it(
    tmp_path: Path, own: str
) -> None:
    transforms = {"code": "transforms", "target": {"reference": "DocumentReference/secret"}}
    record = (*ZED, document("secret", **MASKED), document("of-secret", relatesTo=[transforms]))
    async with gateway(tmp_path, *record) as (stage, _):
        assert (await stage.ask(f"DocumentReference/{own}", NURSE)).status == 404
        assert (await stage.ask(f"DocumentReference/{own}", PHYSICIAN)).status == 200
