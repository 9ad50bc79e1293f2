"""Examinations ask what a gateway would ask, open no listener and write nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy import app
from proxy.errors import UnusableError, UpstreamError
from proxy.settings import Settings, load_settings
from tests.facts.consents import permit, r4
from tests.stage import (
    Json,
    Upstream,
    bundle,
    claims_of,
    configuration,
    free_port,
    serving,
    world_of,
)


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    spoilt = r4(permit(), own="spoilt", patient="Patient/camille", implicitRules="urn:x")
    upstream = Upstream(world_of(bundle(spoilt)))
    async with serving(upstream.respond) as url:
        upstream.url = url
        yield upstream


def settings_of(folder: Path, url: str) -> Settings:
    return load_settings(configuration(folder, url, free_port(), 0), {})


async def test_a_request_is_explained_and_nothing_is_left_behind(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = settings_of(tmp_path, upstream.url)
    told = await app.explain(settings, {}, claims_of("care-team-physician"), "GET /Patient/susan")
    assert (told.status, [one.outcome for one in told.resources]) == (200, ["disclosed"])
    assert not (tmp_path / "journal.db").exists()
    assert {call.method for call in upstream.calls} == {"GET"}


ARGUMENTS = [
    ({"iss": "x", "sub": "x"}, "GET /Patient", "--claims:1: claim `iss` names no issuer of this gateway"),
    ({"scope": "user/*.rs"}, "GET /Patient", "--claims:1: claim `sub` is required"),
    ({"sub": "x"}, "Patient", "REQUEST:1: a request is written `GET /Type/id` or `GET /Type?name=value`"),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "line", "finding"), ARGUMENTS)
async def test_an_argument_that_cannot_be_used_is_named(
    tmp_path: Path, upstream: Upstream, claims: Json, line: str, finding: str
) -> None:
    with pytest.raises(UnusableError) as refused:
        await app.explain(settings_of(tmp_path, upstream.url), {}, claims, line)
    assert [str(one) for one in refused.value.findings] == [finding]


async def test_what_cannot_serve_cannot_be_examined(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1/fhir")
    with pytest.raises(UnusableError):
        await app.explain(settings, {}, {"sub": "x"}, "GET /Patient")
    known = settings.upstream.model_copy(update={"fhir_version": "4.0.1"})
    with pytest.raises(UpstreamError):
        await app.lint(settings.model_copy(update={"upstream": known}), {})


async def test_consents_are_linted_all_or_one_patients(tmp_path: Path, upstream: Upstream) -> None:
    settings = settings_of(tmp_path, upstream.url)
    told = {one.consent.split("/_")[0]: one.status for one in await app.lint(settings, {})}
    assert told["Consent/spoilt"] == "UNSUPPORTED"
    assert told["Consent/ines-draft"] == "INACTIVE"
    assert told["Consent/susan-treatment"] == "ENFORCEABLE"
    own = await app.lint(settings, {}, "Patient/camille")
    assert {one.patient for one in own} == {"Patient/camille"}
    assert 0 < len(own) < len(told)
