from collections import Counter

import pytest

from proxy.errors import UpstreamError
from proxy.facts.decoys import NAMED, NO_DECOYS, Decoys
from proxy.facts.lookup import Parameters

FACTS = ("Consent", "CareTeam", "CareTeam")
NOBODY = "5f0c"


class Reader:
    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[str] = []
        self.fails = fails

    async def search(self, resource_type: str, parameters: Parameters) -> list[bytes]:
        assert all(NOBODY in value for name, value in parameters if name != "status")
        self.asked.append(resource_type)
        if self.fails:
            raise UpstreamError("down")
        return [b"never read"]


def searches(patient: str) -> list[tuple[str, Parameters]]:
    return [(kind, (("patient", patient),)) for kind in FACTS]


@pytest.mark.parametrize(
    ("rtype", "universal", "made", "left"),
    [
        ("Condition", False, (), (*FACTS, *NAMED)),
        ("Observation", False, (), ("DocumentReference", *FACTS, *NAMED)),
        ("Binary", False, ("DocumentReference",), ("DocumentReference", *FACTS, *NAMED)),
        ("Practitioner", True, (), ()),
        ("Condition", False, ("Consent", "CareTeam"), ("CareTeam", *NAMED)),
        ("Condition", False, ("Consent", *["CareTeam"] * 3), NAMED[1:]),
        ("Condition", False, (*FACTS, *NAMED, "Device"), ()),
    ],
)
async def test_what_was_not_asked_is_asked_about_nobody_in_the_same_order(
    rtype: str, universal: bool, made: tuple[str, ...], left: tuple[str, ...]
) -> None:
    reader = Reader()
    await Decoys(reader, searches).ask(rtype, NOBODY, Counter(made), universal=universal)
    assert tuple(reader.asked) == left


async def test_one_that_fails_changes_nothing() -> None:
    reader = Reader(fails=True)
    await Decoys(reader, searches).ask("Condition", NOBODY, {}, universal=False)
    assert tuple(reader.asked) == (*FACTS, *NAMED)


async def test_none_ask_nothing() -> None:
    await NO_DECOYS.ask("Condition", NOBODY, {}, universal=False)
