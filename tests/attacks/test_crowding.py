"""Attacks by what names very many patients: it must not use up the look-ups of all that stands on the same page (T-211)."""

from pathlib import Path

import pytest

from proxy.enforcement import hearing
from proxy.enforcement.hearing import MOST_AT_ONCE
from proxy.facts.lookup import CHUNK
from tests.attacks.records import PHYSICIAN, ZED, about, gateway
from tests.past import happen
from tests.stage import Json
from tests.worlds.twins import told_by

MANY = {"focus": [{"reference": f"Patient/{side}{n}"} for side in "az" for n in range(MOST_AT_ONCE)]}  # fmt: skip
OWN = "Observation?_id=one,two,of-many,of-many-too"
TARGETS = [OWN, "Observation/_history", "Patient/zed/$everything", "Patient/zed/Observation"]


def observation(own: str, **more: object) -> Json:
    return about("Observation", own, status="final", code={"text": own}, **more)


@pytest.mark.parametrize("target", TARGETS)
async def test_what_names_very_many_hides_nothing_but_itself(tmp_path: Path, target: str) -> None:
    async with gateway(tmp_path, *ZED, observation("one"), observation("two")) as (stage, upstream):
        without = await stage.ask(target, PHYSICIAN)
        asked = len(upstream.calls)
        assert {"Observation/one", "Observation/two"} <= set(without.ids)
        happen(upstream.world.store, [observation("of-many", **MANY)])
        upstream.calls.clear()
        reply = await stage.ask(target, PHYSICIAN)
        assert told_by(reply) == told_by(without)
        assert len(upstream.calls) <= asked + 20


async def test_a_page_of_patients_is_looked_up_at_once() -> None:
    people = [f"Patient/{n}" for n in range(2 * MOST_AT_ONCE)]
    alone = {frozenset({one}) for one in people[:MOST_AT_ONCE]}
    parted = hearing._parted
    assert [len(one) for one in parted(alone, ())] == [MOST_AT_ONCE]
    assert list(parted(alone, people)) == list(parted((), ())) == []
    assert list(parted({*alone, frozenset(people)}, ())) == [frozenset(people[:MOST_AT_ONCE]), frozenset(people[MOST_AT_ONCE:])]  # fmt: skip
    assert list(parted({frozenset(people)}, ())) == [frozenset(people)]


FROM_MANY = [{"reference": f"DocumentReference/a{n}"} for n in range(21 * CHUNK)]
FROM_ONE = [{"reference": "DocumentReference/the-one"}]


async def test_what_was_made_from_very_many_documents_hides_nothing_but_itself(
    tmp_path: Path,
) -> None:
    document = about("DocumentReference", "the-one", status="current", content=[{"attachment": {"title": "t"}}])  # fmt: skip
    made = observation("one", derivedFrom=FROM_ONE)
    async with gateway(tmp_path, *ZED, document, made) as (stage, upstream):
        without = await stage.ask(OWN, PHYSICIAN)
        assert without.ids == ["Observation/one"]
        happen(upstream.world.store, [observation("of-many", derivedFrom=FROM_MANY)])
        assert told_by(await stage.ask(OWN, PHYSICIAN)) == told_by(without)


async def test_what_was_made_from_as_many_as_are_looked_up_at_once_shows(tmp_path: Path) -> None:
    documents = [about("DocumentReference", f"d{n}", status="current", content=[]) for n in range(CHUNK)]  # fmt: skip
    named = [{"reference": f"DocumentReference/d{n}"} for n in range(CHUNK)]
    made = [observation("one", derivedFrom=named), observation("two", derivedFrom=[*named, *FROM_ONE])]  # fmt: skip
    more = about("DocumentReference", "the-one", status="current", content=[])
    async with gateway(tmp_path, *ZED, *documents, more, *made) as (stage, _):
        assert (await stage.ask(OWN, PHYSICIAN)).ids == ["Observation/one"]
