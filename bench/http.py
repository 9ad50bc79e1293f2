"""CPU per request of the gateway and of a bare pass-through proxy, in one run: `python -m bench.http`.

Each device under test is pinned to one core, upstream and the load to the other. What counts is the process's own CPU time
(user and system, all threads) per request, as the operating system accounts it; the ratio of the two is the figure.
The gateway enforces in full: token, Consents, care team, labels, journal. Facts are warm (`facts.ttl_s: 3600`).
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from proxy.identity.development import development_keys, development_token

AUDIENCE = "http://127.0.0.1/fhir"
CLAIMS = {
    "iss": "https://idp.example.org", "sub": "dr", "aud": AUDIENCE, "client_id": "bench", "scope": "user/*.rs fhirUser openid",
    "fhirUser": "Practitioner/dr",
}  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of request: its path, how many count in one round, how many at once, and the budget."""

    name: str
    path: str
    requests: int
    at_once: int
    budget: float | None


SHAPES = (
    Shape("read of 2 kB", "/fhir/Observation/o1", 4000, 64, 1.3),
    Shape(
        "searchset, 100 entries, 200 kB",
        "/fhir/Observation?patient=p0&code=100&_count=100",
        400,
        8,
        2.2,
    ),
    Shape(
        "searchset, 1,000 entries, 2 MB",
        "/fhir/Observation?patient=p0&code=1000&_count=1000",
        40,
        4,
        None,
    ),
    Shape(
        "searchset, 1,000 patients, 2 MB", "/fhir/Observation?code=1000&_count=1000", 40, 4, None
    ),
)
ROUNDS = 5


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, of all its threads, from the kernel's clock for that process."""
    return time.clock_gettime((~pid << 3) | 2)


@contextlib.contextmanager
def running(core: int, *command: str) -> Iterator[tuple[int, str]]:
    """A process pinned to a core: its pid and the URL it printed."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready "):
            raise SystemExit(f"`{' '.join(command)}` did not start")
        yield process.pid, line.split()[1]
    finally:
        process.terminate()
        process.wait(timeout=20)


def gateway_yaml(directory: Path, upstream: str, ttl_s: int = 3600) -> Path:
    """A gateway.yaml in a directory of its own; AuditEvents stay in the journal (delivery is measured apart)."""
    private, jwks = development_keys()
    (directory / "keys.json").write_bytes(jwks)
    (directory / "key.pem").write_bytes(private)
    path = directory / "gateway.yaml"
    path.write_text(
        f"""listen: {{port: 0}}
admin: {{port: 0}}
upstream: {{url: "{upstream}", fhir_version: 4.0.1}}
identity:
  issuers:
    - {{issuer: "{CLAIMS["iss"]}", audience: "{AUDIENCE}", jwks: {{file: keys.json}}}}
policies: {ROOT / "policies/baseline"}
facts: {{ttl_s: {ttl_s}}}
audit: {{journal: "sqlite:///journal.db", repository: none}}
"""
    )
    return path


async def load(url: str, shape: Shape, token: str) -> int:
    """Sends a shape's requests, a few at once; gives the size of an answer."""
    left, size = iter(range(shape.requests)), 0
    headers = {"authorization": f"Bearer {token}", "accept": "application/fhir+json"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers=headers
    ) as session:

        async def caller() -> None:
            nonlocal size
            for _ in left:
                async with session.get(url + shape.path) as answer:
                    body = await answer.read()
                    if answer.status != 200:
                        raise SystemExit(f"{shape.path}: {answer.status} {body[:200]!r}")
                    size = len(body)

        async with asyncio.TaskGroup() as group:
            for _ in range(shape.at_once):
                group.create_task(caller())
    return size


async def cost(pid: int, url: str, shape: Shape, token: str) -> tuple[float, int]:
    """Milliseconds of CPU per request, and the size of an answer."""
    before = cpu_seconds(pid)
    size = await load(url, shape, token)
    return (cpu_seconds(pid) - before) / shape.requests * 1000, size


async def upstream_calls(url: str) -> int:
    """How many requests upstream has had."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/count") as answer:
        return int(json.loads(await answer.read()).get("all", 0))


Device = tuple[int, str]
"""A process under test: its pid, and its URL without the FHIR base."""


async def compare(bare: Device, rewriting: Device, gateway: Device) -> None:
    """Prints a row a shape: the three costs, and the ratios to the bare proxy, round by round."""
    token = development_token(CLAIMS, None, time.time())
    print(
        f"{'CPU per request':32}{'bare':>10}{'rewriting':>11}{'gateway':>10}   ratio to bare (min–max)   budget   rewriting"
    )
    for shape in SHAPES:
        for device in (bare, rewriting, gateway):
            await cost(*device, shape, token)
        rounds = [
            [(await cost(*device, shape, token))[0] for device in (bare, rewriting, gateway)]
            for _ in range(ROUNDS)
        ]
        bare_ms, rewriting_ms, gateway_ms = (
            statistics.median(column) for column in zip(*rounds, strict=True)
        )
        ratios = sorted(one[2] / one[0] for one in rounds)
        other = statistics.median(one[1] / one[0] for one in rounds)
        budget = "" if shape.budget is None else f"≤ {shape.budget}"
        print(
            f"{shape.name:32}{bare_ms:7.2f} ms{rewriting_ms:8.2f} ms{gateway_ms:7.2f} ms"
            f"{statistics.median(ratios):11.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}){budget:>14}{other:12.2f}"
        )


async def memory(pid: int, url: str) -> None:
    """Prints the most memory a worker ever held while 100 clients read pages of 200 kB."""
    page = SHAPES[1]
    await load(
        url,
        Shape(page.name, page.path, 2000, 100, None),
        development_token(CLAIMS, None, time.time()),
    )
    print(
        f"resident memory, 100 clients reading pages of 200 kB: at most {peak_megabytes(pid):.0f} MB (budget 200 MB)"
    )


def peak_megabytes(pid: int) -> float:
    """The most memory a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


async def lookups(upstream: str) -> None:
    """Counts what 1,000 patients on one page cost upstream when no fact is known yet."""
    with tempfile.TemporaryDirectory() as name:
        config = gateway_yaml(Path(name), upstream, ttl_s=0)
        with running(0, "proxy", "serve", "--config", str(config)) as (_, url):
            token = development_token(CLAIMS, None, time.time())
            before = await upstream_calls(upstream)
            await load(url.removesuffix("/fhir"), Shape("", SHAPES[-1].path, 1, 1, None), token)
            made = await upstream_calls(upstream) - before - 2
    print(
        f"look-ups for a page of 1,000 entries of 1,000 patients, no fact known: {made} (budget 20)"
    )


def main() -> None:
    """Starts the three processes and compares."""
    with tempfile.TemporaryDirectory() as name, running(1, "bench.upstream") as (_, upstream):
        config = gateway_yaml(Path(name), upstream)
        os.sched_setaffinity(0, {1})
        with (
            running(0, "bench.bare", upstream.removesuffix("/fhir")) as bare,
            running(0, "bench.bare", upstream.removesuffix("/fhir"), "rewrite") as rewriting,
            running(0, "proxy", "serve", "--config", str(config)) as (pid, url),
        ):
            asyncio.run(compare(bare, rewriting, (pid, url.removesuffix("/fhir"))))
            asyncio.run(memory(pid, url.removesuffix("/fhir")))
        asyncio.run(lookups(upstream))


if __name__ == "__main__":
    main()
