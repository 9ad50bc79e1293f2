"""Durable journal entries per second and CPU per entry, by number of requests in flight: `python -m bench.journal`.

Budget: 2,000 durable entries per second on one core. Pin it to one core to compare (`taskset -c 0 …`).
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import msgspec

from proxy.audit.entry import Actor, Entry, Judged, Touched
from proxy.audit.journal import SqliteJournal, encoded

_PATIENT = ("Patient/p1",)
ENTRY = Entry(
    id="",
    recorded=1_790_000_000.0,
    request_id="req-1",
    outcome="permitted",
    status=200,
    method="GET",
    target="/fhir/Observation/o1",
    interaction="read",
    type="Observation",
    resource_id="o1",
    accept="application/fhir+json",
    peer="192.0.2.7",
    actor=Actor(
        "https://idp.example.org", "user-1", "app", "jti-1", "practitioner", purposes=("TREAT",)
    ),
    decisions=(Judged("permit", (("policy", "permit", "rule", ""),), ("Consent/c1",), _PATIENT),),
    touched=(Touched(("Observation/o1/_history/3",), "disclosed", _PATIENT, decision=0),),
)


async def measure(path: Path, entries: int, in_flight: int) -> tuple[float, float]:
    """Entries per second, and microseconds of CPU per entry (all threads, system time included)."""
    journal = SqliteJournal(path, writer=str(uuid4()))
    waiting = iter([msgspec.structs.replace(ENTRY, id=str(uuid4())) for _ in range(entries)])

    async def caller() -> None:
        for entry in waiting:
            await journal.record(entry)

    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(caller())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    journal.close()
    if broken := journal.file.verify():
        raise SystemExit(f"the chain is broken: {broken}")
    return entries / wall, cpu / entries * 1e6


def main() -> None:
    """Print one line for each number of requests in flight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--dir", type=Path, help="a directory on the disk to be measured")
    arguments = parser.parse_args()
    print(f"{len(encoded(ENTRY))} bytes per entry")
    for in_flight in (1, 4, 16, 64, 256):
        with tempfile.TemporaryDirectory(dir=arguments.dir) as directory:
            found = asyncio.run(
                measure(Path(directory) / "journal.db", arguments.entries, in_flight)
            )
        print(f"{in_flight:4} in flight: {found[0]:8,.0f} entries/s, {found[1]:6.1f} us CPU/entry")


if __name__ == "__main__":
    main()
