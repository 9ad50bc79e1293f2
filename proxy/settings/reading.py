"""Reads gateway.yaml and the environment, once; the one reader of the environment.

`PROXY_<SECTION>__<KEY>` overrides. A secret is `{file: path}` or `{env: NAME}`, never a literal. Paths are relative to
the file they stand in.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from proxy.errors import Finding, UnusableError
from proxy.policy.parse import content_of
from proxy.policy.strict import NotStrictError, read
from proxy.settings.model import Settings
from proxy.settings.sides import Secret

_PREFIX = "PROXY_"


def environment() -> dict[str, str]:
    """The process environment; read here and nowhere else."""
    return dict(os.environ)


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings of a gateway.yaml; `UnusableError` with every finding."""
    text = read_file(path, "the configuration").decode("utf-8", "replace")
    try:
        document = read(text)
    except NotStrictError as error:
        raise UnusableError(Finding(str(path), error.line, error.message)) from error
    tree = _anchored(_overridden(document.tree, env, path), path.resolve().parent)
    return content_of(str(path), document, tree, Settings)


def _overridden(tree: JsonValue, env: Mapping[str, str], path: Path) -> dict[str, JsonValue]:
    """The tree with `PROXY_SECTION__KEY` values put in; a value is read as YAML scalars are."""
    if not isinstance(tree, dict):
        raise UnusableError(Finding(str(path), 1, "expected a mapping of settings"))
    merged = dict(tree)
    for name, value in sorted(env.items()):
        if name.startswith(_PREFIX) and "__" in name:
            _put(merged, name.removeprefix(_PREFIX).lower().split("__"), _scalar(value))
    return merged


def _put(tree: dict[str, JsonValue], keys: list[str], value: JsonValue) -> None:
    head, *rest = keys
    if not rest:
        tree[head] = value
        return
    below = tree.get(head)
    inner = dict(below) if isinstance(below, dict) else {}
    tree[head] = inner
    _put(inner, rest, value)


def _scalar(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() else text


def _anchored(node: JsonValue, home: Path) -> JsonValue:
    """The tree with every `{file: …}` made absolute against the folder the file stands in."""
    if isinstance(node, list):
        return [_anchored(item, home) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _under(home, value)
        if key in _PATHS and isinstance(value, str)
        else _anchored(value, home)
        for key, value in node.items()
    }


_PATHS = frozenset({"file", "policies", "cert", "key", "client_ca", "journal"})
_SQLITE = "sqlite:///"


def _under(home: Path, value: str) -> str:
    if value.startswith(_SQLITE):
        return _SQLITE + str(home / value.removeprefix(_SQLITE))
    return str(home / value)


def secret_of(secret: Secret, env: Mapping[str, str], what: str) -> str:
    """The secret's value, without surrounding white space; `UnusableError` naming what is missing, never the value."""
    if secret.env is not None:
        value = env.get(secret.env, "")
        source = f"environment variable `{secret.env}`"
    else:
        source = f"file `{secret.file}`"
        value = read_file(Path(secret.file or ""), what).decode("utf-8", "replace")
    if not value.strip():
        raise UnusableError(Finding("gateway.yaml", 1, f"{what}: {source} is empty or not set"))
    return value.strip()


def read_file(path: Path, what: str) -> bytes:
    """A file's bytes; `UnusableError` that says what it was for."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(
            Finding(str(path), 1, f"{what}: cannot be read ({error.strerror})")
        ) from None
