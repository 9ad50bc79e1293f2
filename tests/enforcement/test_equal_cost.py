"""What the look-ups of a refusal are, one by one; that they are the same in both worlds is in tests/worlds/test_equal_cost.py."""

from pathlib import Path
from typing import Any

import pytest

from proxy.facts.decoys import NAMED
from tests import stage
from tests.attacks.records import PHYSICIAN, ZED, about
from tests.stage import Upstream, bundle, serving, staged, world_of

FACTS = ("Consent", "CareTeam", "Patient", "RelatedPerson")
SEEN = about("Observation", "o", status="final", code={"text": "x"})


async def asked(folder: Path, target: str, ttl_s: int = 0, times: int = 1) -> list[str]:
    """The types of what upstream is asked for, the last of some times."""
    upstream = Upstream(world_of(bundle(*ZED, SEEN)))
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, facts_ttl_s=ttl_s) as on,
    ):
        for _ in range(times):
            await on.ask("Practitioner/dr-martin", PHYSICIAN)
            upstream.calls.clear()
            await on.ask(target, PHYSICIAN)
        paths = (call.target.removeprefix("/fhir/").partition("?")[0] for call in upstream.calls)
        return [path.partition("/")[0] for path in paths]


@pytest.mark.parametrize(
    ("target", "types"),
    [
        ("Condition/absent", ("Condition", *FACTS, *NAMED)),
        ("Observation/absent", ("Observation", "DocumentReference", *FACTS, *NAMED)),
        ("Patient/absent", ("Patient", *FACTS, *NAMED)),
        ("Practitioner/absent", ("Practitioner",)),
        ("Observation/o", ("Observation",)),
    ],
)
async def test_only_a_refusal_asks_more(
    tmp_path: Path, target: str, types: tuple[str, ...]
) -> None:
    found = await asked(tmp_path, target, ttl_s=3600, times=2)
    assert found[0] == types[0]
    assert sorted(found) == sorted(types)


async def test_a_named_patient_is_looked_up_whether_there_is_one_or_not(tmp_path: Path) -> None:
    for number, own in enumerate(("zed", "absent")):
        path = tmp_path / str(number)
        path.mkdir()
        found = await asked(path, f"Observation?patient={own}")
        assert found[-1] == "Observation"
        assert set(FACTS) <= set(found)


async def test_more_patients_than_one_search_asks_for_are_left_to_what_is_found(
    tmp_path: Path,
) -> None:
    many = ",".join(f"p{number}" for number in range(251))
    assert "Consent" not in await asked(tmp_path, f"Observation?patient={many}")


async def test_a_house_may_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stage.configuration

    def without(folder: Path, *rest: Any) -> Path:
        path = whole(folder, *rest)
        path.write_text(path.read_text().replace("ttl_s: 0", "ttl_s: 0, decoys: false"))
        return path

    assert len(await asked(tmp_path, "Condition/absent")) > 1
    monkeypatch.setattr(stage, "configuration", without)
    path = tmp_path / "quick"
    path.mkdir()
    assert (await asked(path, "Condition/absent"))[-1] == "Condition"
