"""Access records name patients who acted; who the caller does not see there is found by nothing (T-70)."""

from pathlib import Path

import pytest

from tests.attacks.records import gateway, resource

CAMILLE = "Patient/camille"
OTHER = "Patient/zed"


@pytest.mark.parametrize(
    "search",
    [
        "AuditEvent?patient=Patient/zed",
        "AuditEvent?patient=Patient/zed&entity=Patient/camille",
        "AuditEvent?patient=Patient/zed&_summary=count",
        "Patient/zed/AuditEvent",
    ],
)
async def test_who_acted_and_is_not_shown_is_found_by_no_search(
    tmp_path: Path, search: str
) -> None:
    event = resource(
        "AuditEvent", "a", type={"code": "rest"}, recorded="2026-11-01T10:00:00Z",
        agent=[{"who": {"reference": OTHER}, "requestor": True}], source={"observer": {"display": "x"}},
        entity=[{"what": {"reference": CAMILLE}}],
    )  # fmt: skip
    async with gateway(tmp_path, event, resource("Patient", "zed")) as (stage, _):
        shown = await stage.ask("AuditEvent?patient=camille", "patient")
        assert (shown.status, shown.ids) == (200, ["AuditEvent/a"])
        assert "zed" not in shown.text
        found = await stage.ask(search, "patient")
        assert (found.status, found.json["total"]) == (200, 0)
