"""The house keeps its own rules: what the documents say is so, and what the style forbids does not occur."""

import ast
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import get_args

import aiohttp
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from proxy.app import start
from proxy.cli.commands import app as command_line
from proxy.cli.policies import examined
from proxy.identity.development import development_keys, development_token
from proxy.policy.labels import LabelFile
from proxy.policy.model import Policy
from proxy.policy.parse import parse
from proxy.sandbox.samples import load_samples
from proxy.sandbox.server import start_sandbox
from proxy.sandbox.store import Store
from proxy.settings import Secret, Settings, load_settings

ROOT = Path(__file__).parent.parent
PROXY = sorted((ROOT / "proxy").rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
GENERATED = {ROOT / f"proxy/fhir/definitions/{version}.py" for version in ("r4", "r4b", "r5")}
"""Tables made by docs/generate_definitions.py from HL7's packages."""


def committed() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(  # noqa: S603  (our own git, no input)
        [git, "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = filter(None, listed.stdout.split("\0"))
    return [path for name in names if (path := ROOT / name).is_file()]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- the mirror ------------------------------------------------------------------------------------------------------

WITHOUT_MIRROR: dict[str, str] = {
    "proxy/fhir/definitions/model.py": "tests/fhir/test_definitions.py, with the tables it reads",
}
"""Modules that do something and have no test file of their name, and why."""


def does_something(module: Path) -> bool:
    """Whether there is a function with a body; values, tables and Protocols are covered by who uses them."""
    functions = (node for node in definitions_in(module) if not isinstance(node, ast.ClassDef))
    return any(not is_text(step) for function in functions for step in function.body)


def is_text(step: ast.stmt) -> bool:
    """Whether a statement is a docstring or `...`."""
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)


OUTER = frozenset({"cli", "demo"})
"""Packages that are tried as a whole, by the one test that bears the package's name: they only wire and print."""


def mirror_of(module: Path) -> Path:
    inside = module.relative_to(ROOT / "proxy")
    if inside.parts[0] in OUTER:
        return ROOT / "tests" / f"test_{inside.parts[0]}.py"
    return ROOT / "tests" / inside.with_name(f"test_{inside.name}")


def test_each_module_is_covered_by_the_test_that_bears_its_name() -> None:
    modules = [path for path in PROXY if path.name != "__init__.py" and does_something(path)]
    missing = {shown(path) for path in modules if not mirror_of(path).is_file()}
    assert missing == set(WITHOUT_MIRROR)


# ---- shape and words -------------------------------------------------------------------------------------------------

LONGEST_FUNCTION = 40
LONGEST_MODULE = 350
FORBIDDEN = frozenset({"manager", "helper", "util", "service", "handler", "processor"})
OF_OTHERS = {"_make_error_handler"}
"""Names that a library gives to what we override (aiohttp)."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions_in(module: Path) -> Iterator[Definition]:
    return (node for node in ast.walk(parsed(module)) if isinstance(node, Definition))


def words_of(name: str) -> set[str]:
    words = re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower().removesuffix("s") for word in words}


def test_no_function_is_longer_than_an_eye_can_hold() -> None:
    lengths = {
        f"{shown(module)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in PROXY
        for node in definitions_in(module)
        if not isinstance(node, ast.ClassDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        shown(module): len(module.read_text().splitlines())
        for module in PROXY
        if module not in GENERATED
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


@pytest.mark.parametrize("module", PROXY, ids=shown)
def test_names_say_what_a_thing_is_and_never_that_it_helps(module: Path) -> None:
    names = {module.stem, *(node.name for node in definitions_in(module))}
    assert {name for name in names - OF_OTHERS if words_of(name) & FORBIDDEN} == set()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("RequestHandler", True),
        ("_audit_utils", True),
        ("HTTPService", True),
        ("Handled", False),
        ("utility_of", False),
    ],
)
def test_the_forbidden_words_are_found_as_words(name: str, *, wrong: bool) -> None:
    assert bool(words_of(name) & FORBIDDEN) is wrong


@pytest.mark.parametrize("module", PROXY, ids=shown)
def test_every_module_says_first_what_it_is(module: Path) -> None:
    assert ast.get_docstring(parsed(module))


# ---- what must not be in any file ------------------------------------------------------------------------------------

REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("repo1", "maven", "org"), ("repo", "maven", "apache", "org"),
        ("docker", "io"), ("ghcr", "io"), ("quay", "io"), ("crates", "io"), ("packages", "fhir", "org"),
    )
]  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w./~$}-])/(?:work|tmp|home|root|Users|opt)/(?=\w)")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {shown(path): path.read_bytes().decode("utf-8", "replace") for path in committed()}


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_package_registry(host: str, texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if host in text] == []


def test_no_file_holds_a_path_of_one_machine(texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if MACHINE_PATH.search(text)] == []


# ---- the documents ---------------------------------------------------------------------------------------------------

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def fences(text: str, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(text) if name == language]


def code_in(text: str) -> str:
    """All that is set as code, in fences and in lines."""
    return "\n".join([body for _, body in FENCE.findall(text)] + CODE.findall(FENCE.sub("", text)))


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted name and default of every setting; a secret is one setting."""
    for name, field in model.model_fields.items():
        below = [inner for inner in models_in(field.annotation) if inner is not Secret]
        for inner in below:
            yield from settings_of(inner, f"{prefix}{name}.")
        if not below:
            yield prefix + name, ... if field.is_required() else field.default


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def row_of(setting: str) -> str:
    [row] = [line for line in OPERATIONS.splitlines() if line.startswith(f"| `{setting}` |")]
    return row


@pytest.mark.parametrize(("setting", "default"), list(settings_of(Settings)))
def test_every_setting_is_documented_with_its_default(setting: str, default: object) -> None:
    stated = row_of(setting).split("|")[2]
    match default:
        case None:
            assert "`" not in stated
        case tuple():
            assert CODE.findall(stated) == list(default)
        case value if value is ...:
            assert stated.strip() in ("required", "none")
        case _:
            assert CODE.findall(stated) == [str(default)]


def test_no_setting_is_documented_that_does_not_exist() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \|", OPERATIONS.partition("### From the environment")[0], re.MULTILINE
    )
    sections = {"audit.repository", "notices.repository", "notices.webhook"}
    assert set(rows) - sections == {name for name, _ in settings_of(Settings)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = [one for one in LINK.findall(document.read_text()) if "://" not in one]
    assert [one for one in targets if not (document.parent / one).exists()] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=shown)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^ *make ([a-z]+)", code_in(document.read_text()), re.MULTILINE))
    assert named <= targets


def invocations(text: str) -> list[list[str]]:
    """Words after `python -m proxy`, of every command line that is shown."""
    lines = re.findall(r"python -m proxy ((?:[^\n|&)`#\\]|\\\n)+)", code_in(text))
    return [line.replace("\\\n", " ").split() for line in lines]


COMMANDS = [words for document in DOCUMENTS for words in invocations(document.read_text())]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_that_are_shown_exist_with_their_options(words: list[str]) -> None:
    command = [word for word in words if re.fullmatch("[a-z]+", word)][
        : 2 if words[0] == "audit" else 1
    ]
    asked = CliRunner().invoke(command_line, [*command, "--help"], env={"COLUMNS": "200"})
    assert asked.exit_code == 0
    assert [word for word in words if word.startswith("--") and word not in asked.output] == []


def test_the_quick_start_shows_commands() -> None:
    assert {words[0] for words in invocations(README)} == {"demo", "sandbox", "serve", "token"}


# ---- the quick start, executed -----------------------------------------------------------------------------------------


async def test_the_gateway_yaml_of_the_readme_serves(tmp_path: Path) -> None:
    [yaml] = fences(README, "yaml")
    key, jwks = development_keys(fresh=True)
    (tmp_path / "gateway.yaml").write_text(yaml)
    (tmp_path / "keys.json").write_bytes(jwks)
    shutil.copytree(ROOT / "policies/baseline", tmp_path / "policies/baseline")
    claims = json.loads((ROOT / "fhir-samples/tokens/care-team-physician.json").read_text())
    store = Store("4.0.1")
    load_samples(store, [ROOT / "fhir-samples"])
    async with AsyncExitStack() as stack:
        upstream = await start_sandbox(store, "127.0.0.1", 0)
        stack.push_async_callback(upstream.close)
        ports = {
            "PROXY_UPSTREAM__URL": upstream.url,
            "PROXY_LISTEN__PORT": "0",
            "PROXY_ADMIN__PORT": "0",
        }
        gateway = await start(load_settings(tmp_path / "gateway.yaml", ports), {})
        stack.push_async_callback(gateway.close)
        client = await stack.enter_async_context(aiohttp.ClientSession())
        token = development_token(claims, key, time.time())
        asked = f"{gateway.url}/Observation?patient=camille"
        with_token = await client.get(asked, headers={"authorization": f"Bearer {token}"})
        without = await client.get(asked)
        seen = await with_token.json(content_type="application/fhir+json")
    assert (with_token.status, without.status) == (200, 401)
    assert {entry["resource"]["subject"]["reference"] for entry in seen["entry"]} == {
        "Patient/camille"
    }
    assert (tmp_path / "var/journal.db").is_file()


def test_the_worked_example_of_the_policies_page_is_in_order(tmp_path: Path) -> None:
    policy, cases, *_ = fences((ROOT / "docs/policies.md").read_text(), "yaml")
    shutil.copytree(ROOT / "policies/baseline", tmp_path / "house")
    before = examined(tmp_path / "house")
    (tmp_path / "house/research.yaml").write_text(policy)
    (tmp_path / "house/tests/research.yaml").write_text(cases)
    assert cases_in(examined(tmp_path / "house")) - cases_in(before) == 3 * 4 * 3 * 5


EXCERPTS: dict[str, tuple[type[Policy] | type[LabelFile], str]] = {
    "break_glass": (Policy, 'policy: p\nversion: "1"\nsource: s\n'),
    "handling": (LabelFile, "known: {}\n"),
}
"""What an excerpt begins with: the file it is from, and what that file needs besides."""


def test_every_excerpt_of_the_policies_page_can_be_written() -> None:
    _, _, *excerpts = fences((ROOT / "docs/policies.md").read_text(), "yaml")
    assert excerpts
    for excerpt in excerpts:
        model, head = EXCERPTS[excerpt.partition(":")[0]]
        parse("excerpt.yaml", head + excerpt, model)


def cases_in(line: str) -> int:
    return int(re.findall("([0-9]+) test cases", line)[0])


def test_the_architecture_page_names_what_exists_and_no_package_is_left_out() -> None:
    page = (ROOT / "docs/architecture.md").read_text().partition("## The packages")[2]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    named = {
        place: CODE.findall(modules) for places, modules in rows for place in CODE.findall(places)
    }
    assert set(named) == {path.stem for path in (ROOT / "proxy").iterdir() if is_house(path)}
    ghosts = {
        f"{package}.{name}"
        for package, names in named.items()
        for name in names
        if not is_module(package, name)
    }
    assert ghosts == set()


def is_house(path: Path) -> bool:
    return path.stem not in ("__init__", "__pycache__") and not path.name.startswith((".", "_data"))


def is_module(package: str, name: str) -> bool:
    folder = ROOT / "proxy" / package
    is_one = (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
    return is_one or not folder.is_dir() or not name.isidentifier()


def test_every_file_that_the_conformance_page_names_exists() -> None:
    page = (ROOT / "docs/conformance.md").read_text()
    named = set(re.findall(r"`((?:proxy|tests|policies)/[^`]+)`", page))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_row_of_the_conformance_page_that_is_done_names_module_and_test() -> None:
    rows = [
        line.split("|")[1:-1]
        for line in (ROOT / "docs/conformance.md").read_text().splitlines()
        if " | done | " in line
    ]
    assert len(rows) > 50
    assert [row[0].strip() for row in rows if "proxy/" not in row[3] or not row[4].strip()] == []


def test_decisions_have_numbers_of_their_own_and_bear_them_in_their_titles() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert len({one.name[:4] for one in records}) == len(records)
    numbered = [one for one in records if one.name < "0100"]
    titles = {one.name: one.read_text().partition("\n")[0] for one in numbered}
    assert [
        name for name, title in titles.items() if not title.startswith(f"# {int(name[:4])}. ")
    ] == []
