"""Real clients as programs of their own: a line in, lines out, everything bounded in time, ended by their process."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.identity_provider import PROJECT, Missing, node

PROGRAM_S = 30
STOP_S = 5
_PYTHON = PROJECT / ".venv" / "bin" / "python"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A running client."""

    name: str
    process: Process

    async def tell(self, what: str | Json) -> None:
        """One line on its standard input, as it stands or as JSON."""
        pipe = self.process.stdin
        assert pipe is not None
        line = what if isinstance(what, str) else json.dumps(what)
        pipe.write(line.encode() + b"\n")
        await pipe.drain()

    async def line(self) -> str:
        """Its next line; where there is none, what it complains of."""
        pipe, complaints = self.process.stdout, self.process.stderr
        assert pipe is not None
        assert complaints is not None
        async with asyncio.timeout(PROGRAM_S):
            line = await pipe.readline()
            if not line:
                raise AssertionError(f"{self.name}: {(await complaints.read()).decode()[-2000:]}")
        return line.decode().strip()

    async def found(self) -> Json:
        """Its next line, as JSON."""
        found = json.loads(await self.line())
        assert isinstance(found, dict)
        return found


@asynccontextmanager
async def started(name: str) -> AsyncIterator[Program]:
    """A program of identity/: `.mjs` by Node.js, `.py` by the Python that has the clients."""
    process = await asyncio.create_subprocess_exec(
        _interpreter(name), name, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=PROJECT
    )
    try:
        yield Program(name, process)
    finally:
        await _stopped(process)


async def asked(name: str, wanted: Json) -> Json:
    """What a program finds that reads all its input, answers with one line and ends."""
    async with started(name) as program:
        await program.tell(wanted)
        pipe = program.process.stdin
        assert pipe is not None
        pipe.close()
        return await program.found()


def _interpreter(name: str) -> str:
    if Path(name).suffix == ".mjs":
        return node()
    if not _PYTHON.exists():
        raise Missing("run `make interop`: it installs the clients")
    return str(_PYTHON)


async def _stopped(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
