"""Attacks with what is too large to be read: that there is something must not show by the way it is refused."""

from pathlib import Path
from typing import Any

import pytest

from proxy.wire.client import Reach
from tests.attacks.records import PHYSICIAN, ZED, about, gateway, resource
from tests.past import happen
from tests.worlds.twins import labelled

MOST = 300_000
LARGE = {"text": "x" * (2 * MOST)}
SHAPES = [
    "Observation/o", "Observation/o?_elements=id", "Observation/o/_history", "Observation/o/_history/1",
    "Composition/c/$document", "Patient/p", "Patient/p/$everything", "Patient/p/$summary", "Device/d/Observation",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of upstream may have so many bytes."""

    def reach(url: str, own: Any, _: int) -> Reach:
        return Reach(url, own, MOST)

    monkeypatch.setattr("proxy.app.upstream.Reach", reach)


async def test_what_is_too_large_to_be_judged_is_absent(tmp_path: Path) -> None:
    composition = about(
        "Composition",
        "c",
        status="final",
        type={"text": "letter"},
        date="2026",
        title="t",
        author=[{"reference": "Practitioner/dr-martin"}],
        section=[{"title": "s", "entry": [{"reference": "Observation/o"}]}],
    )
    composition.pop("language")
    large = [
        about("Observation", "o", status="final", code=LARGE, meta=labelled("V")),
        resource("Patient", "p", name=[LARGE]),
        about("Device", "d", note=[LARGE], patient={"reference": "Patient/zed"}),
    ]
    async with gateway(tmp_path, *ZED, composition) as (stage, upstream):
        absent = [await stage.ask(one, PHYSICIAN) for one in SHAPES]
        stage.entries()
        happen(upstream.world.store, large)
        for shape, other in zip(SHAPES, absent, strict=True):
            reply = await stage.ask(shape, PHYSICIAN)
            assert (reply.status, reply.body) == (other.status, other.body), shape
        read, *_ = stage.entries()
        assert [(one.outcome, one.references) for one in read.touched] == [("withheld", ("Observation/o",))]  # fmt: skip
        assert read.findings == (("unreadable-resource", "something too large in Observation/o"),)
