"""The settings: one frozen value, read once from gateway.yaml and the environment (interfaces, gateway.yaml).

Unknown keys and unset required keys refuse to start, with file and line. `PROXY_<SECTION>__<KEY>` overrides.
A secret is `{file: path}` or `{env: NAME}`, never a literal. Paths are relative to the file they stand in.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, JsonValue, field_validator, model_validator

from proxy.errors import Finding, UnusableError
from proxy.policy.parse import content_of
from proxy.policy.strict import NotStrictError, read
from proxy.policy.terms import Label, Written

Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class Secret(Written):
    """Where a secret stands: a file, or an environment variable; exactly one."""

    file: str | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Secret":
        if (self.file is None) == (self.env is None):
            raise ValueError("give exactly one of `file` and `env`")
        return self


class Tls(Written):
    """Certificate chain and private key, as PEM files."""

    cert: str
    key: str


class Listen(Written):
    """The public listener."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 picks a free one")
    base_path: str = Field(
        "/fhir", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path of the FHIR base"
    )
    tls: Tls | None = None


class Reviewers(Written):
    """Who may ask for explanations: bearers of a token with one of these roles."""

    roles: tuple[Label, ...] = Field(
        min_length=1, description="`alias#CODE`, aliases of terms.yaml"
    )


class Admin(Written):
    """The admin listener: health, readiness, metrics, the reviewer API; never on the public port."""

    host: str = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)
    reviewers: Reviewers | None = Field(None, description="absent: there is no reviewer API")


class Pool(Written):
    """Connections kept to upstream: data requests and fact look-ups never starve each other."""

    data: int = Field(100, ge=1)
    lookups: int = Field(50, ge=1)


class UpstreamAuth(Written):
    """How the gateway authenticates to upstream."""

    type: Literal["none", "forward", "basic", "bearer"] = "none"
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None

    @model_validator(mode="after")
    def _complete(self) -> "UpstreamAuth":
        needed = {"basic": ("username", "password"), "bearer": ("token",)}.get(self.type, ())
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"type `{self.type}` needs `{'`, `'.join(missing)}`")
        return self


class UpstreamSettings(Written):
    """The FHIR server behind the gateway."""

    url: Url
    fhir_version: Literal["auto", "4.0.1", "4.3.0", "5.0.0"] = "auto"
    auth: UpstreamAuth = UpstreamAuth()
    pool: Pool = Pool()
    timeout_s: int = Field(30, ge=1, le=600)
    max_body_bytes: int = Field(
        67108864, ge=1024, description="an upstream answer larger than this is refused"
    )


class Jwks(Written):
    """Where an issuer's public keys come from: a file or a URL; exactly one."""

    file: str | None = None
    url: Url | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Jwks":
        if (self.file is None) == (self.url is None):
            raise ValueError("give exactly one of `file` and `url`")
        return self


class IssuerSettings(Written):
    """One token issuer that is trusted."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks: Jwks
    algorithms: tuple[str, ...] = Field(("ES256", "RS256"), min_length=1)
    claims: str | dict[str, str] = "smart"


class Identity(Written):
    """Who is believed."""

    issuers: tuple[IssuerSettings, ...] = Field(min_length=1)


class FactSettings(Written):
    """How long facts are kept, and how much may be looked up."""

    ttl_s: int = Field(
        30, ge=0, description="0: every request looks again, a revocation acts on the next request"
    )
    max_pages: int = Field(50, ge=1)
    max_lookups_per_request: int = Field(20, ge=1)


class Repository(Written):
    """Where AuditEvents are delivered."""

    url: Url


class AuditSettings(Written):
    """The journal and the audit record repository."""

    journal: str = Field("sqlite:///var/journal.db", pattern=r"^sqlite:///.+$")
    repository: Repository | Literal["none"] = "none"
    on_failure: Literal["refuse"] = "refuse"
    retention_days: int = Field(7300, ge=1)


class Paging(Written):
    """Sealed page links, and how far one page may read upstream."""

    key: Secret | None = Field(
        None, description="at least 32 characters, shared by all replicas; absent: made at start"
    )
    max_count: int = Field(1000, ge=1)
    default_count: int = Field(20, ge=1)
    max_upstream_pages: int = Field(20, ge=2)
    ttl_s: int = Field(3600, ge=1)


class Limits(Written):
    """What one request may cost."""

    body_bytes: int = Field(10485760, ge=1024)
    depth: int = Field(64, ge=8)
    concurrent: int = Field(256, ge=1)


class Settings(Written):
    """gateway.yaml."""

    listen: Listen = Listen()
    public_url: Url | None = Field(
        None, description="what clients see; absent: the listener's own address"
    )
    admin: Admin = Admin()
    upstream: UpstreamSettings
    identity: Identity
    policies: str
    facts: FactSettings = FactSettings()
    audit: AuditSettings = AuditSettings()
    paging: Paging = Paging()
    limits: Limits = Limits()
    mode: Literal["enforce"] = "enforce"
    clock: str = Field("system", description="`system`, or an instant (RFC 3339) that tests fix")
    time_zone: str = "Europe/Paris"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("is no IANA time zone")
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which partial dates are understood."""
        return ZoneInfo(self.time_zone)


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


_PATHS = frozenset({"file", "policies", "cert", "key", "journal"})
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
