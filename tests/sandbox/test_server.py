import aiohttp
import pytest

from proxy.sandbox.server import start_sandbox
from tests.sandbox import made


async def test_a_closed_sandbox_answers_no_more_and_leaves_the_store() -> None:
    store = made.store()
    running = await start_sandbox(store)
    await running.close()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{running.url}/metadata")
    assert made.put(store, "Patient", "a").version == 1


async def test_two_sandboxes_take_two_free_ports() -> None:
    one, two = await start_sandbox(made.store()), await start_sandbox(made.store("5.0.0"))

    assert one.url != two.url
    assert one.url.startswith("http://127.0.0.1:")
    assert one.url.endswith("/fhir")
    await one.close()
    await two.close()


async def test_a_taken_port_is_an_error() -> None:
    running = await start_sandbox(made.store())
    port = int(running.url.split(":")[2].partition("/")[0])

    with pytest.raises(OSError, match="in use"):
        await start_sandbox(made.store(), "127.0.0.1", port)
    await running.close()
