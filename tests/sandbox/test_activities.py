"""The embedded server answers the searches by which a care team is told."""

import pytest

from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from tests.activities import ON_THE_TEAM, WITH_GRACE, gathered, transaction
from tests.stage import NOW


@pytest.mark.parametrize("version", ["4.0.1", "4.3.0", "5.0.0"])
async def test_what_is_done_for_a_patient_proves_the_care_team(version: str) -> None:
    store = Store(version, clock=lambda: NOW)
    load_samples(store, [transaction(version.startswith("5"))])
    sandbox = await start_sandbox(store)
    try:
        assert await gathered(sandbox.url, version) == ON_THE_TEAM
        assert await gathered(sandbox.url, version, grace_days=3) == WITH_GRACE
    finally:
        await sandbox.close()
