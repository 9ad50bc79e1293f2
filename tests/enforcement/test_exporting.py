"""What an export needs: places for files, and exports that begin nothing where a request is only played."""

from pathlib import Path

import pytest

from proxy.enforcement.exporting import NO_EXPORTS, Asking, Exporting, Places
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.rehearsal import rehearse, rehearsed_request
from proxy.errors import OwnError
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from tests.bulk import ASYNC, RECORDS, REGISTRY, registry
from tests.stage import NOW

OBSERVING = "mode: observe\nobserve_acknowledged: answers leave unfiltered"


def test_a_place_is_taken_until_it_is_given_back() -> None:
    places = Places(1)
    places.take()
    with pytest.raises(OwnError):
        places.take()
    places.give_back()
    places.take()


async def test_what_is_rehearsed_begins_nothing_and_has_nothing() -> None:
    played = Exporting(frozenset({""}), places=Places(3), job_s=5).rehearsed()
    asking = Asking("r")
    assert played == Exporting(frozenset({""}), played.upstream, played.places, job_s=5)
    assert await played.upstream.kick_off("$export", asking) == ""
    assert await played.upstream.manifest("x", asking) is None
    await played.upstream.cancel("x", asking)
    assert [piece async for piece in played.upstream.pieces("x", asking)] == []
    with pytest.raises(OwnError):
        played.places.take()
    assert NO_EXPORTS.levels == frozenset()


async def test_an_observing_gateway_lets_the_client_s_export_begin_and_begins_none_itself(
    tmp_path: Path,
) -> None:
    async with registry(tmp_path, *RECORDS, more=OBSERVING) as (stage, upstream):
        reply = await stage.ask("/$export", REGISTRY, headers=ASYNC)
        assert reply.status == 202
        assert [one.target for one in upstream.calls if "$export" in one.target] == [
            "/fhir/$export"
        ]
        [entry] = stage.entries()
        assert entry.would is not None
        assert entry.would.status == 202


async def test_an_export_that_is_explained_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    houses, made = list[House](), Enforcement.__init__

    def seen(self: Enforcement, house: House) -> None:
        houses.append(house)
        made(self, house)

    monkeypatch.setattr(Enforcement, "__init__", seen)
    async with registry(tmp_path, *RECORDS) as (_, upstream):
        who = Principal(
            issuer="i", subject="s", client_id="registry", token_id="t", kind=PrincipalKind.SYSTEM,
            scopes=parse_scopes("system/*.rs"), expires_at=NOW + 60, purposes=frozenset({"HRESCH"}),
        )  # fmt: skip
        for line, status in (
            ("GET /Patient/$export", 202),
            ("GET /Patient/$export?_type=Encounter", 403),
        ):
            told = await rehearse(houses[-1], who, rehearsed_request(line, houses[-1]))
            assert told.status == status
        assert not any("$export" in one.target for one in upstream.calls)
