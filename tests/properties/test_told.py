"""What is told beside the data changes no data: with a warning and notices on every permit, the same resources leave, byte for byte."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import Effect
from proxy.policy.model import Recipient, Rule
from tests.exchange import Turn, conversations, resources_of
from tests.situations import Situation, rule_lists, situations, with_rules
from tests.stage import BASELINE, Reply, Stage, Upstream, serving, staged, world_of

TEXT = "handle with care"
RECIPIENTS = ["patient", "privacy-officer"]
LEFT = ("disclosed", "redacted")
TURNS = {
    name: turn
    for name, turn in conversations()
    if turn.exchange.portable and name.startswith(("reading", "searching", "people"))
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The same world behind the policies as they ship, and behind the same that warn and notify."""

    plain: Stage
    telling: Stage


def telling(folder: Path) -> Path:
    """The baseline pack, with a warning and notices on every permit."""
    folder.mkdir()
    for path in BASELINE.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        rules = content.get("rules", []) if "policy" in content else []
        for rule in rules:
            if rule["effect"] == "permit":
                rule |= {"warn": TEXT, "notify": [*RECIPIENTS]}
        (folder / path.name).write_text(yaml.safe_dump(content))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("telling")
    async with (
        serving(Upstream(world_of()).respond) as url,
        staged(tmp_path_factory.mktemp("plain"), url) as plain,
        staged(folder, url, policies=telling(folder / "policies")) as other,
    ):
        yield Scene(plain, other)


async def asked(turn: Turn, stage: Stage) -> Reply:
    one = turn.asked
    return await stage.ask(one.target, turn.who, one.method, one.headers, one.body.encode() or None)


def resources(reply: Reply) -> list[bytes]:
    """The resources of an answer as they left, without the outcome that warns."""
    if not reply.body or reply.json["resourceType"] != "Bundle":
        return [reply.body]
    modes = [entry.get("search", {}).get("mode") for entry in reply.json.get("entry", [])]
    found = zip(resources_of(reply.body), modes, strict=True)
    return [bytes(raw) for raw, mode in found if mode != "outcome"]


def warnings(reply: Reply) -> list[str]:
    """Where an answer warns."""
    outcomes = [
        f"entry {number} of {len(reply.json['entry'])}"
        for number, entry in enumerate(reply.json.get("entry", []), 1)
        if entry.get("search", {}).get("mode") == "outcome"
    ] if reply.body else []  # fmt: skip
    return [*outcomes, *(["header"] if "warning" in reply.headers else [])]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", TURNS)
async def test_the_same_leaves_and_whoever_must_is_told(scene: Scene, name: str) -> None:
    turn = TURNS[name]
    scene.plain.entries(), scene.telling.entries()
    plain, told = await asked(turn, scene.plain), await asked(turn, scene.telling)
    assert plain.status == told.status
    assert resources(plain) == resources(told)
    assert warnings(plain) == []
    if told.status == 200 and told.body:
        assert plain.json.get("total") == told.json.get("total")
    [entry] = scene.telling.entries()
    left = [one for one in entry.touched if one.outcome in LEFT]
    assert entry.warnings == ((TEXT,) if left else ())
    patients = {patient for one in left for patient in one.patients}
    due = {(recipient, patient) for recipient in RECIPIENTS for patient in patients}
    unowned = any(not one.patients for one in left)
    due |= {("privacy-officer", "")} if unowned else set()
    assert [(one.recipient, one.patient) for one in entry.notices] == sorted(due)
    if not left:
        assert warnings(told) == []
    elif told.body and told.json.get("type") == "searchset":
        count = len(told.json["entry"])
        assert warnings(told) == [f"entry {count} of {count}"]
        assert told.json["entry"][-1]["resource"]["issue"][0]["details"]["text"] == TEXT
    else:
        assert warnings(told) == ["header"]
        assert told.headers["warning"] == f'299 - "{TEXT}"'


@given(situations, rule_lists, st.sets(st.sampled_from(["patient", "privacy-officer"])))
def test_telling_changes_no_decision(
    situation: Situation, rules: list[Rule], recipients: set[Recipient]
) -> None:
    telling = [
        rule.model_copy(update={"warn": TEXT, "notify": tuple(sorted(recipients))})
        if rule.effect is Effect.PERMIT
        else rule
        for rule in rules
    ]
    plain, told = (situation.decided(with_rules(one)) for one in (rules, telling))
    silent = replace(told.obligations, warn=frozenset(), notify=plain.obligations.notify)
    assert replace(told, obligations=silent) == replace(
        plain, obligations=replace(plain.obligations, warn=frozenset())
    )
    assert told.obligations.warn == ({TEXT} if told.permits else set())
    assert {one for one, _ in told.obligations.notify} == (recipients if told.permits else set())
