"""The container image, without an engine: what the Dockerfile says, and its steps done in a plain directory."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.identity.development import development_keys
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
START_S = 30

Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (name, rest.strip()) for name, rest in re.findall(r"^([A-Z]+)\s+(.*)$", plain, re.MULTILINE)
    ]


ALL = instructions(TEXT)
LAST_STAGE = ALL[max(index for index, (name, _) in enumerate(ALL) if name == "FROM") :]


def said(name: str, among: list[Instruction]) -> list[str]:
    return [rest for instruction, rest in among if instruction == name]


def only(name: str) -> str:
    [rest] = said(name, LAST_STAGE)
    return rest


def healthcheck() -> list[str]:
    command: list[str] = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    return command


# ---- what it says ----------------------------------------------------------------------------------------------------


def test_there_are_two_stages_from_one_slim_image_with_a_version() -> None:
    images = {rest.split()[0] for rest in said("FROM", ALL)}
    assert len(said("FROM", ALL)) == len(images) + 1
    [image] = images
    name, _, tag = image.partition(":")
    assert "." not in name.partition("/")[0]  # no registry host
    assert re.match(r"3\.\d+", tag)
    assert "slim" in tag


def test_the_user_is_a_number_that_is_not_root_and_nothing_is_done_after_it() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only("USER"))
    names = [name for name, _ in LAST_STAGE]
    assert {"RUN", "COPY", "ADD"}.isdisjoint(names[names.index("USER") :])


def test_it_starts_the_program_itself_and_no_shell() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["python", "-m", "proxy"]
    assert json.loads(only("CMD")) == ["serve", "--config", "/etc/gateway/gateway.yaml"]


def test_what_is_installed_is_installed_as_the_makefile_does() -> None:
    def flags(text: str) -> list[list[str]]:
        # what only the interoperability tests need is no part of the image
        lines = [one for one in re.findall(r"pip install (.*)", text) if "CLIENTS" not in one]
        return [
            [
                word
                for word in line.split()
                if word not in ("--quiet", "--no-cache-dir", "--editable")
            ]
            for line in lines
        ]

    assert flags("\n".join(said("RUN", ALL))) == flags(MAKEFILE)


def test_the_tools_of_development_stay_behind() -> None:
    [line] = [rest for rest in said("RUN", ALL) if "pip uninstall" in rest]
    tools = {re.split(r"[\[>]", one)[0] for one in PROJECT["optional-dependencies"]["dev"]}
    assert tools <= set(line.split())
    needed = {re.split(r"[\[>;]", one)[0] for one in PROJECT["dependencies"]}
    assert needed.isdisjoint(line.split())


def test_what_is_copied_exists_and_is_let_into_the_build() -> None:
    let_in = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        name for rest in said("COPY", ALL) if "--from" not in rest for name in rest.split()[:-1]
    }
    assert copied == let_in
    assert {name for name in copied if not (ROOT / name).exists()} == set()


def test_nothing_but_the_journal_is_written() -> None:
    assert said("VOLUME", ALL) == ["/var/lib/gateway"]
    assert "PYTHONDONTWRITEBYTECODE=1" in only("ENV").split()


# ---- its steps, done -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the first stage installs it: from a copy of what is copied, read-only, with no home."""
    home = tmp_path_factory.mktemp("image")
    source = home / "source"
    source.mkdir()
    for rest in said("COPY", ALL):
        if "--from" not in rest:
            for name in rest.split()[:-1]:
                copy_of(ROOT / name, source / name)
    for path in (source, *source.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    done = python("-m", "pip", "install", *options, str(home / "app"), ".", cwd=source)
    assert done.returncode == 0, done.stderr
    return home / "app"


def copy_of(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def bare(**more: str) -> dict[str, str]:
    """An environment that holds what the image's does, and no home."""
    own = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {"PATH": os.defpath, **own, **more}


def python(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(  # noqa: S603  (our own interpreter and words)
        command, cwd=cwd, env=bare(**env), capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_policies_and_samples(installed: Path) -> None:
    for name in ("policies/baseline", "fhir-samples"):
        expected = {
            path.relative_to(ROOT / name) for path in (ROOT / name).rglob("*") if path.is_file()
        }
        packed = installed / "proxy/_data" / name
        assert {
            path.relative_to(packed) for path in packed.rglob("*") if path.is_file()
        } == expected


def test_the_demo_runs_from_the_wheel_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    done = python("-m", "proxy", "demo", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stderr) == (0, "")
    assert "as expected" in done.stdout
    assert names_in(tmp_path) == set()


@asynccontextmanager
async def serving(installed: Path, config: Path) -> AsyncIterator[str]:
    """The image's ENTRYPOINT and CMD; gives the `ready` line, and ends the program as an engine does."""
    words = [*json.loads(only("ENTRYPOINT"))[1:], *json.loads(only("CMD"))[:-1], str(config)]
    program = await create_subprocess_exec(
        sys.executable, *words, cwd="/", env=bare(PYTHONPATH=str(installed)), stdout=PIPE
    )
    assert program.stdout
    try:
        async with asyncio.timeout(START_S):
            yield (await program.stdout.readline()).decode().strip()
    finally:
        program.terminate()
        assert await program.wait() == 0


def gateway_yaml(upstream: str, admin_port: int) -> str:
    issuer = "{issuer: https://idp.example.org, audience: http://127.0.0.1/fhir, jwks: {file: keys.json}}"
    return "\n".join(
        (
            "listen: {host: 127.0.0.1, port: 0}",
            f"admin: {{port: {admin_port}}}",
            f"upstream: {{url: {upstream}}}",
            f"identity: {{issuers: [{issuer}]}}",
            f"policies: {ROOT / 'policies/baseline'}",
            "audit: {journal: sqlite:///volume/journal.db}",
        )
    )


async def test_the_image_serves_and_its_health_check_sees_it(
    installed: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    store = Store("4.0.1")
    load_samples(store, [ROOT / "fhir-samples"])
    upstream = await start_sandbox(store, "127.0.0.1", 0)
    (tmp_path / "gateway.yaml").write_text(gateway_yaml(upstream.url, unused_tcp_port))
    (tmp_path / "keys.json").write_bytes(development_keys(fresh=True)[1])
    try:
        async with serving(installed, tmp_path / "gateway.yaml") as ready:
            assert await asyncio.to_thread(checked, unused_tcp_port, tmp_path) == 0
            statement = await asyncio.to_thread(read, f"{ready.removeprefix('ready ')}/metadata")
    finally:
        await upstream.close()
    assert json.loads(statement)["resourceType"] == "CapabilityStatement"
    assert names_in(tmp_path) == {"gateway.yaml", "keys.json", "volume"}
    assert await asyncio.to_thread(checked, unused_tcp_port, tmp_path) != 0


def checked(admin_port: int, cwd: Path) -> int:
    """The exit code of the image's health check."""
    return python(*healthcheck()[1:], cwd=cwd, PROXY_ADMIN__PORT=str(admin_port)).returncode


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=START_S) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body
