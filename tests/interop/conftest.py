"""Fixtures of the interoperability tests: a HAPI FHIR server, and a way to ask it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
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


@pytest.fixture(scope="session")
def hapi() -> Iterator[str]:
    """Base URL of a fresh HAPI FHIR R4 server that lives as long as the test run."""
    with ExitStack() as stack:
        try:
            base_url = stack.enter_context(hapi_server.running())
        except hapi_server.Unavailable as reason:
            pytest.skip(f"no HAPI FHIR server: {reason}")
        yield base_url


@pytest.fixture
async def ask(hapi: str) -> AsyncIterator[Ask]:
    async with asking(hapi) as ask:
        yield ask
