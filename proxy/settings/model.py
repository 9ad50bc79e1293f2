"""The settings: one frozen value, read once from gateway.yaml and the environment (interfaces, gateway.yaml).

Unknown keys and unset required keys refuse to start, with file and line.
"""

from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from proxy.audit.notice import Folding
from proxy.policy.terms import Label, Written
from proxy.settings.sides import Identity, Secret, UpstreamSettings, Url


class Tls(Written):
    """Certificate chain and private key, as PEM files."""

    cert: str
    key: str
    client_ca: str | None = Field(
        None, description="PEM of the authorities whose client certificates may bind tokens"
    )


class Listen(Written):
    """The public listener."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 picks a free one")
    base_path: str = Field(
        "/fhir", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path of the FHIR base"
    )
    tls: Tls | None = None
    trusted_peers: tuple[str, ...] = Field(
        (), description="addresses of TLS terminators whose `Client-Cert` header is believed"
    )


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


class FactSettings(Written):
    """How long facts are kept, and how much may be looked up."""

    ttl_s: int = Field(
        30, ge=0, description="0: every request looks again, a revocation acts on the next request"
    )
    max_pages: int = Field(50, ge=1)
    max_lookups_per_request: int = Field(20, ge=1)
    decoys: bool = Field(
        True, description="a refused instance takes as many look-ups where there is nothing (T-227)"
    )


class Repository(Written):
    """A FHIR base to which something is delivered."""

    url: Url


class AuditSettings(Written):
    """The journal and the audit record repository."""

    journal: str = Field("sqlite:///var/journal.db", pattern=r"^sqlite:///.+$")
    repository: Repository | Literal["none"] = "none"
    on_failure: Literal["refuse"] = "refuse"
    retention_days: int = Field(7300, ge=1)


class Webhook(Written):
    """Where the privacy officer's notices are posted, signed with a secret of at least 32 characters."""

    url: Url
    secret: Secret


class NoticeTexts(Written):
    """What patients read; one constant text for each kind of message, never anything clinical."""

    access: str = Field("Your health record was consulted.", min_length=1)
    emergency: str = Field("Your health record was opened in an emergency.", min_length=1)
    digest: str = Field("Your health record was consulted during the day.", min_length=1)


class NoticeSettings(Written):
    """Where notices go; without an address they stay in the journal."""

    repository: Repository | Literal["none"] = "none"
    patient: Folding = Field("each", description="one message an access, a person, or a day")
    texts: NoticeTexts = NoticeTexts()
    webhook: Webhook | Literal["none"] = "none"


class Paging(Written):
    """Sealed page links, and how far one page may read upstream."""

    key: Secret | None = Field(
        None, description="at least 32 characters, shared by all replicas; absent: made at start"
    )
    max_count: int = Field(1000, ge=1)
    default_count: int = Field(20, ge=1)
    max_upstream_pages: int = Field(200, ge=2)
    max_consulted: int = Field(500, ge=1)
    max_counted: int = Field(5000, ge=1)
    ttl_s: int = Field(3600, ge=1)


class Limits(Written):
    """What one request may cost."""

    body_bytes: int = Field(10485760, ge=1024)
    depth: int = Field(64, ge=8)
    concurrent: int = Field(256, ge=1)


class ExportSettings(Written):
    """Bulk export: what it may cost, and how long a job and the reading of one file may live."""

    concurrent: int = Field(
        4, ge=0, description="files read at once, per process; 0: none is given"
    )
    line_bytes: int = Field(10485760, ge=1024, description="the largest resource")
    job_s: int = Field(86400, ge=60)
    file_s: int = Field(3600, ge=1)
    poll_s: int = Field(10, ge=1, le=3600, description="what clients are told to wait")


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
    policies_reload_s: int = Field(
        5,
        ge=0,
        description="seconds between two looks at the policies; 0: a change needs a restart",
    )
    facts: FactSettings = FactSettings()
    audit: AuditSettings = AuditSettings()
    notices: NoticeSettings = NoticeSettings()
    paging: Paging = Paging()
    limits: Limits = Limits()
    export: ExportSettings = ExportSettings()
    mode: Literal["enforce", "observe"] = "enforce"
    observe_acknowledged: Literal["answers leave unfiltered"] | None = Field(
        None, description="`mode: observe` refuses to start without these very words"
    )
    clock: str = Field("system", description="`system`, or an instant (RFC 3339) that tests fix")
    time_zone: str = "Europe/Paris"

    @model_validator(mode="after")
    def _observing_is_meant(self) -> "Settings":
        if self.mode == "observe" and self.observe_acknowledged is None:
            raise ValueError(
                "`mode: observe` filters nothing; to say that this is meant, write "
                "`observe_acknowledged: answers leave unfiltered`"
            )
        return self

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
