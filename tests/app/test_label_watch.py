"""What the watch does with what it sees; that a gateway starts, degrades and hides accordingly is in tests/attacks/test_labels_lost.py."""

import asyncio

import pytest

from proxy.app.label_watch import LabelWatch
from proxy.errors import UnusableError
from proxy.fhir.interaction import Answer
from proxy.wire.admin import Metrics
from proxy.wire.rereading import Switch
from tests.facts.test_carried import R, Up, resource


class Client:
    """The server of the other test, behind the port of a client."""

    def __init__(self, up: Up) -> None:
        self.up = up

    async def get(self, target: str, request_id: str = "", authorization: str = "") -> Answer:
        status, body = await self.up.get(target)
        return Answer(status, {}, body)


def watch(*loses: str, by_read: bool = False) -> tuple[LabelWatch, Up, Switch]:
    up, switch = Up(resource("a", R), loses=loses), Switch(by_read)
    return LabelWatch(Client(up), switch), up, switch


async def test_labels_that_are_carried_are_no_trouble() -> None:
    watching, _, switch = watch()
    await watching.prove()
    assert (watching.seen.compared, watching.degraded(), switch.on) == (1, {}, False)


async def test_labels_that_are_left_out_stop_the_start_and_say_what_to_do() -> None:
    watching, _, _ = watch("_security")
    with pytest.raises(UnusableError, match=r"`upstream.labels`.*by search;.*`by-read`"):
        await watching.prove()


async def test_where_everything_is_read_again_nothing_is_looked_at() -> None:
    watching, up, _ = watch("_security", by_read=True)
    await watching.prove()
    assert up.asked == []


async def test_labels_that_go_missing_switch_for_good() -> None:
    watching, up, switch = watch()
    await watching.prove()
    up.loses = ("_history",)
    stop, metrics = asyncio.Event(), Metrics()
    async with asyncio.TaskGroup() as group:
        group.create_task(watching.watch(stop, metrics, 0.001))
        for _ in range(500):
            if switch.on:
                break
            await asyncio.sleep(0.002)
        up.loses = ()
        await asyncio.sleep(0.01)
        stop.set()
    assert switch.on
    assert "history" in watching.degraded()["labels"]
    assert metrics.registry.get_sample_value("proxy_labels_lost") == 1
