"""Fixtures of the interoperability tests: a HAPI FHIR server, and a way to ask it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.interop import hapi_server
from tests.interop.asking import Ask, asking

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Here and not in the fixture: pytest folds what one line skips into one message.
    needs_server = "hapi" in getattr(item, "fixturenames", ())
    if needs_server and (reason := hapi_server.why_unavailable()) is not None:
        pytest.skip(f"no HAPI FHIR server: {reason}")


@pytest.fixture(scope="session")
def hapi() -> Iterator[str]:
    """Base URL of a fresh HAPI FHIR R4 server that lives as long as the test run."""
    with hapi_server.running() as base_url:
        yield base_url


@pytest.fixture
async def ask(hapi: str) -> AsyncIterator[Ask]:
    async with asking(hapi) as ask:
        yield ask
