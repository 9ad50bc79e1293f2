import asyncio
from collections.abc import Mapping

import pytest

from proxy.facts.cache import FactCache, Found


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Answers `key:number of the look-up`; a closed gate holds it."""

    def __init__(self, **found: object) -> None:
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False
        self.until = float("inf")
        self.keep = True

    async def __call__(self, keys: list[str]) -> Mapping[str, Found[str]]:
        self.asked.append(keys)
        number = len(self.asked)
        await self.gate.wait()
        if self.failing:
            raise OSError("no upstream")
        return {key: Found(f"{key}:{number}", self.until, self.keep) for key in keys}


def cache(clock: Clock, ttl: float = 30, size: int = 100) -> FactCache[str, str]:
    return FactCache(ttl, size, clock)


async def test_a_fact_is_looked_up_once_until_it_expires() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    assert await facts.get(["a"], source) == {"a": "a:1"}
    clock.now += 29.9
    assert await facts.get(["a"], source) == {"a": "a:1"}
    clock.now += 0.1
    assert await facts.get(["a"], source) == {"a": "a:2"}


async def test_an_entry_ends_where_it_changes_by_itself() -> None:
    clock, source = Clock(), Source()
    source.until = 1010
    facts = cache(clock)
    await facts.get(["a"], source)
    clock.now = 1010
    assert await facts.get(["a"], source) == {"a": "a:2"}


async def test_only_the_missing_are_asked() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    await facts.get(["a", "b", "a"], source)
    await facts.get(["a", "c"], source)
    assert source.asked == [["a", "b"], ["c"]]


async def test_who_asks_at_once_shares_one_look_up() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(facts.get(["a", "b"], source)) for _ in range(20)]
        await asyncio.sleep(0)
        source.gate.set()
    assert source.asked == [["a", "b"]]
    assert all(task.result() == {"a": "a:1", "b": "b:1"} for task in tasks)


async def test_without_time_to_live_only_the_same_instant_is_shared() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock, ttl=0)
    source.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(facts.get(["a"], source))
        second = group.create_task(facts.get(["a"], source))
        await asyncio.sleep(0)
        clock.now += 0.001
        third = group.create_task(facts.get(["a"], source))
        await asyncio.sleep(0)
        source.gate.set()
    assert [first.result(), second.result(), third.result()] == [
        {"a": "a:1"},
        {"a": "a:1"},
        {"a": "a:2"},
    ]
    assert len(facts) == 0


async def test_what_is_unknown_is_not_kept() -> None:
    clock, source = Clock(), Source()
    source.keep = False
    facts = cache(clock)
    await facts.get(["a"], source)
    assert await facts.get(["a"], source) == {"a": "a:2"}


async def test_after_invalidation_nothing_older_is_given_nor_kept() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    async with asyncio.TaskGroup() as group:
        before = group.create_task(facts.get(["a"], source))
        await asyncio.sleep(0)
        facts.invalidate("a")
        after = group.create_task(facts.get(["a"], source))
        await asyncio.sleep(0)
        source.gate.set()
    assert (before.result(), after.result()) == ({"a": "a:1"}, {"a": "a:2"})
    assert await facts.get(["a"], source) == {"a": "a:2"}


async def test_a_failure_is_raised_to_its_own_asker_and_others_ask_again() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    source.failing = True
    first = asyncio.ensure_future(facts.get(["a"], source))
    second = asyncio.ensure_future(facts.get(["a"], source))
    await asyncio.sleep(0)
    source.gate.set()
    with pytest.raises(OSError, match="no upstream"):
        await first
    source.failing = False
    assert await second == {"a": "a:2"}


async def test_a_cancelled_leader_leaves_nobody_waiting() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    leader = asyncio.ensure_future(facts.get(["a"], source))
    await asyncio.sleep(0)
    follower = asyncio.ensure_future(facts.get(["a"], source))
    await asyncio.sleep(0)
    leader.cancel()
    source.gate.set()
    assert await asyncio.wait_for(follower, 1) == {"a": "a:2"}


async def test_a_cancelled_follower_harms_nobody() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    leader = asyncio.ensure_future(facts.get(["a"], source))
    follower = asyncio.ensure_future(facts.get(["a"], source))
    other = asyncio.ensure_future(facts.get(["a"], source))
    await asyncio.sleep(0)
    follower.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await leader == await other == {"a": "a:1"}


async def test_two_askers_that_each_wait_for_the_other_do_not_lock() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock)
    source.gate.clear()
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        group.create_task(facts.get(["a"], source))
        await asyncio.sleep(0)
        group.create_task(facts.get(["b", "a"], source))
        group.create_task(facts.get(["a", "b"], source))
        await asyncio.sleep(0)
        source.gate.set()
    assert source.asked == [["a"], ["b"]]


async def test_the_longest_unused_leaves_first() -> None:
    clock, source = Clock(), Source()
    facts = cache(clock, size=2)
    for key in ("a", "b", "a", "c"):
        await facts.get([key], source)
    assert len(facts) == 2
    await facts.get(["a"], source)
    assert source.asked == [["a"], ["b"], ["c"]]


async def test_a_key_without_answer_is_missing() -> None:
    async def silent(_: list[str]) -> Mapping[str, Found[str]]:
        return {}

    assert await cache(Clock()).get(["a"], silent) == {}
