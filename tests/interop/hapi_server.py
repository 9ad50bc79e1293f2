"""A real HAPI FHIR JPA server as upstream: build it, start it, wait until it serves, stop it.

`build` needs Maven and, once, its artefacts; `running` needs Java 17. What cannot be had is
`Unavailable`, with a message that says what to install. See hapi/README.md.
"""

import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).parent / "hapi"
JAVA_RELEASE = 17
OFFLINE_BUILD_S = 120
ONLINE_BUILD_S = 600
START_S = 180
# One compiler tier: 13 s to start instead of 22 s on two cores.
JVM_OPTIONS = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
STOP_S = 15
LOG_LINES_SHOWN = 40
_READY = re.compile(r"^ready (http://\S+)$", re.MULTILINE)


class Unavailable(Exception):  # noqa: N818 - not a failure of the test, only of the machine
    """Java, Maven or the artefacts cannot be had here."""


class Broken(Exception):  # noqa: N818 - reads as `hapi_server.Broken`
    """The server could be had, but does not build or start."""


@cache
def why_unavailable() -> str | None:
    """What this machine lacks to build and run the server, or None."""
    try:
        java()
        build()
    except Unavailable as reason:
        return str(reason)
    return None


@cache
def java() -> str:
    """Path of a Java of release 17 or newer; raises `Unavailable`."""
    path = _tool("java")
    first = _run([path, "-version"], OFFLINE_BUILD_S).stderr
    found = re.search(r'version "(\d+)', first)
    if found is None or int(found[1]) < JAVA_RELEASE:
        raise Unavailable(f"the HAPI FHIR server needs java {JAVA_RELEASE} or newer")
    return path


@cache
def build() -> str:
    """Compile `hapi/` and give its class path; from the local cache if it is complete."""
    maven = [_tool("mvn"), "--batch-mode", "--quiet", "compile"]
    finished = _run([*maven, "--offline"], OFFLINE_BUILD_S)
    if finished.returncode != 0 and "COMPILATION ERROR" not in finished.stdout:
        finished = _run([*maven, "--update-snapshots"], ONLINE_BUILD_S)
    _insist_built(finished)
    target = PROJECT / "target"
    return f"{target / 'classes'}:{(target / 'classpath.txt').read_text().strip()}"


def _insist_built(finished: "subprocess.CompletedProcess[str]") -> None:
    if finished.returncode == 0:
        return
    last = "\n".join(finished.stdout.splitlines()[-LOG_LINES_SHOWN:])
    if "COMPILATION ERROR" in finished.stdout:
        raise Broken(f"hapi/src does not compile:\n{last}")
    reason = next(iter(re.findall(r"^\[ERROR\] (.*)", last, re.MULTILINE)), "no reason given")
    raise Unavailable(f"maven cannot get the HAPI FHIR artefacts: {reason}")


@contextmanager
def running(
    *, enforce_references: bool = True, erasable: bool = False, exports: bool = False
) -> Iterator[str]:
    """A server for as long as the block lasts; gives its base URL, `http://127.0.0.1:PORT/fhir`.

    `enforce_references=False` lets it accept references to resources that do not exist; `erasable=True` lets
    `$expunge` take away everything; `exports=True` lets it export in bulk, which otherwise it does not offer.
    """
    switches = (
        f"-Dupstream.references={enforce_references}",
        f"-Dupstream.erasable={erasable}",
        f"-Dupstream.exports={exports}",
    )
    command = [java(), *JVM_OPTIONS, *switches, "-cp", build(), "Upstream"]
    with tempfile.NamedTemporaryFile("w+", prefix="hapi-", suffix=".log") as log:
        process = _start(command, log)
        try:
            url = _wait_ready(process, Path(log.name))
            _warm(url)
            yield url
        finally:
            _stop(process)


def _start(command: list[str], log: IO[str]) -> "subprocess.Popen[bytes]":
    # The server watches its standard input: when this process dies, the pipe closes and it ends.
    return subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
        command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=PROJECT
    )


def _wait_ready(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        ready = _READY.search(log.read_text(errors="replace"))
        if ready is not None:
            return ready[1]
        time.sleep(0.25)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    raise Broken(f"the HAPI FHIR server did not start within {START_S} s:\n{last}")


def _warm(url: str) -> None:
    """Asks for the CapabilityStatement once: the first one takes a server longer than a gateway waits for it."""
    with urllib.request.urlopen(f"{url}/metadata", timeout=START_S) as answer:  # noqa: S310 - loopback
        answer.read()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"the HAPI FHIR server needs `{name}` on the path")
    return path


def _run(command: list[str], timeout_s: int) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{Path(command[0]).name}` did not end within {timeout_s} s") from None
