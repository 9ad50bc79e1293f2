"""Several features at once: what one of them opens, another one keeps shut."""

from pathlib import Path

import pytest

from tests.attacks.records import OUTSIDE, gateway, resource
from tests.emergencies import close_glass, open_glass
from tests.stage import Json

FORM = {"content-type": "application/x-www-form-urlencoded"}
NARROW: Json = {"like": OUTSIDE, "scope": "user/Observation.rs?status=final user/Patient.rs"}


def observations(count: int) -> list[Json]:
    """Of a patient of whom nobody outside sees anything; every second one is final."""
    noe = {"subject": {"reference": "Patient/noe"}}
    return [
        resource("Observation", f"o{one}", status="final" if one % 2 else "preliminary", **noe)
        for one in range(count)
    ]


async def test_a_grant_opens_no_more_than_the_constraints_of_the_scopes(tmp_path: Path) -> None:
    async with gateway(tmp_path, *observations(6)) as (stage, _):
        await open_glass(stage, NARROW)
        for one in range(6):
            status = (await stage.ask(f"Observation/o{one}", NARROW)).status
            assert status == (200 if one % 2 else 404)
        counted = (await stage.ask("Observation?patient=noe&_summary=count", NARROW)).json["total"]
        whole = await stage.ask("Observation?patient=noe&_count=100", NARROW)
        assert counted == whole.json["total"] == len(whole.ids)
        assert not {"Observation/o0", "Observation/o2"} & set(whole.ids)


async def test_a_page_link_of_wider_scopes_and_a_grant_opens_only_what_is_open_now(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, *observations(6)) as (stage, _):
        await open_glass(stage, OUTSIDE)
        first = await stage.ask("Observation?patient=noe&_count=1", OUTSIDE)
        link, seen = first.next, set[str]()
        while link:
            page = await stage.ask(link, NARROW)
            seen |= set(page.ids)
            link = page.next
        assert seen >= {"Observation/o1", "Observation/o3"}
        assert not {"Observation/o0", "Observation/o2"} & seen
        await close_glass(stage, OUTSIDE)
        assert first.next is not None
        for who in (OUTSIDE, NARROW):
            assert (await stage.ask(first.next, who)).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "Patient/noe", "Patient/camille", "Patient/none", "Patient/noe/_history", "Observation?patient=noe",
        "Observation?patient=none", "Observation?subject=Patient/noe,Patient/none", "Patient?_id=noe",
    ],
)  # fmt: skip
async def test_every_method_tells_the_same(tmp_path: Path, target: str) -> None:
    own = {"x-request-id", "date", "content-length"}
    async with gateway(tmp_path) as (stage, _):
        given = await stage.ask(target, OUTSIDE)
        headed = await stage.ask(target, OUTSIDE, "HEAD")
        assert (headed.status, headed.body) == (given.status, b"")
        assert {k: v for k, v in headed.headers.items() if k not in own} == {
            k: v for k, v in given.headers.items() if k not in own
        }
        path, mark, query = target.partition("?")
        if mark:
            posted = await stage.ask(f"{path}/_search", OUTSIDE, "POST", FORM, query.encode())
            assert (posted.status, posted.ids) == (given.status, given.ids)
