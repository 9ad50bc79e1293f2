"""The sections of gateway.yaml about the two sides that are spoken to: upstream, and the issuers of tokens."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from proxy.identity.issuer import PRO_SANTE_CONNECT
from proxy.policy.terms import Written

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


class Pool(Written):
    """Connections kept to upstream: data requests and fact look-ups never starve each other."""

    data: int = Field(100, ge=1)
    lookups: int = Field(50, ge=1)


_AUTH_NEEDS: dict[str, tuple[str, ...]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "client_credentials": ("token_url", "client_id", "client_secret"),
    "private_key_jwt": ("token_url", "client_id", "private_key", "key_id"),
}


class UpstreamAuth(Written):
    """How the gateway authenticates to upstream."""

    type: Literal["none", "forward", "basic", "bearer", "client_credentials", "private_key_jwt"] = (
        "none"
    )
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = Field(
        None, description="read anew when upstream refuses it, so that it may be replaced"
    )
    token_url: Url | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    private_key: Secret | None = Field(None, description="PEM, unencrypted")
    key_id: str | None = None
    algorithm: Literal["RS384", "ES384", "RS256", "ES256"] = "ES384"
    scope: str = "system/*.rs"

    @model_validator(mode="after")
    def _complete(self) -> "UpstreamAuth":
        missing = [name for name in _AUTH_NEEDS.get(self.type, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"type `{self.type}` needs `{'`, `'.join(missing)}`")
        return self


class UpstreamSettings(Written):
    """The FHIR server behind the gateway."""

    url: Url
    fhir_version: Literal["auto", "4.0.1", "4.3.0", "5.0.0"] = "auto"
    auth: UpstreamAuth = UpstreamAuth()
    lookup_auth: UpstreamAuth | None = Field(
        None,
        description="the gateway's own rights for looking up facts, where `auth` is `forward`; absent: as `auth`",
    )
    tie_breaker: Literal["_id", "none"] = Field(
        "_id", description="what every search is sorted by at last, so that nothing sorts alike"
    )
    labels: Literal["in-searches", "by-read"] = Field(
        "in-searches",
        description="whether search results carry their security labels, or each resource is read again by itself (T-53)",
    )
    pool: Pool = Pool()
    timeout_s: int = Field(30, ge=1, le=600)
    max_body_bytes: int = Field(
        67108864, ge=1024, description="an upstream answer larger than this is refused"
    )

    @model_validator(mode="after")
    def _own_rights(self) -> "UpstreamSettings":
        if self.lookup_auth is not None and self.lookup_auth.type == "forward":
            raise ValueError("`lookup_auth` cannot be `forward`: look-ups are the gateway's own")
        return self


class Jwks(Written):
    """Where an issuer's public keys come from: a file, a URL, or the issuer's metadata; exactly one."""

    file: str | None = None
    url: Url | None = None
    metadata: Url | None = Field(
        None, description="RFC 8414 or OpenID discovery document, which names the keys' address"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "Jwks":
        if sum(one is not None for one in (self.file, self.url, self.metadata)) != 1:
            raise ValueError("give exactly one of `file`, `url` and `metadata`")
        return self


class Introspection(Written):
    """How an issuer is asked about tokens that are no JWT (RFC 7662)."""

    url: Url
    client_id: str | None = Field(None, description="with `client_secret`: HTTP Basic")
    client_secret: Secret | None = None
    token: Secret | None = Field(None, description="a bearer token instead")
    cache_s: int = Field(
        30, ge=0, le=3600, description="an answer is believed so long, and never beyond its `exp`"
    )
    require_audience: bool = Field(
        True, description="whether an answer without `aud` is refused, as a JWT is"
    )

    @model_validator(mode="after")
    def _who_we_are(self) -> "Introspection":
        basic = self.client_id is not None and self.client_secret is not None
        if basic == (self.token is not None):
            raise ValueError("give `client_id` and `client_secret`, or `token`")
        return self


class Userinfo(Written):
    """Where an issuer says who the person of a token is (OpenID Connect Core 5.3)."""

    url: Url
    cache_s: int = Field(
        60, ge=0, le=600, description="an answer is believed so long, and never beyond the token"
    )
    auth_modes: tuple[str, ...] = Field(
        ("CARD", "MOBILE"), min_length=1, description="values of `authMode` that are strong enough"
    )
    levels: tuple[str, ...] = Field(
        (), description="codes of `Palier_Authentification`, one of which is needed; empty: any"
    )


class Smart(Written):
    """What apps are told of an authorization server (SMART App Launch 2.2, `.well-known/smart-configuration`)."""

    token_endpoint: Url
    authorization_endpoint: Url | None = None
    registration_endpoint: Url | None = None
    management_endpoint: Url | None = None
    introspection_endpoint: Url | None = None
    revocation_endpoint: Url | None = None
    grant_types_supported: tuple[str, ...] = Field(
        ("authorization_code", "client_credentials"), min_length=1
    )
    scopes_supported: tuple[str, ...] = (
        "openid",
        "fhirUser",
        "launch/patient",
        "patient/*.rs",
        "user/*.rs",
        "system/*.rs",
    )
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("private_key_jwt",)
    capabilities: tuple[str, ...] = Field(
        ("permission-v1", "permission-v2", "permission-patient", "permission-user"), min_length=1
    )

    @model_validator(mode="after")
    def _launches_somewhere(self) -> "Smart":
        launches = any(one.startswith("launch-") for one in self.capabilities)
        if launches and self.authorization_endpoint is None:
            raise ValueError("a `launch-…` capability needs `authorization_endpoint`")
        return self


class IssuerSettings(Written):
    """One token issuer that is trusted."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks: Jwks | None = Field(None, description="its public keys; absent: its tokens are no JWTs")
    shared_secret: Secret | None = Field(
        None,
        description="instead of `jwks`: its tokens are signed with HS256 and this secret alone",
    )
    introspection: Introspection | None = Field(
        None, description="for tokens that are no JWT; of one issuer only"
    )
    algorithms: tuple[str, ...] = Field(("ES256", "RS256"), min_length=1)
    claims: str | dict[str, str] = "smart"
    userinfo: Userinfo | None = Field(None, description="needed by `claims: pro-sante-connect`")
    system_clients: tuple[str, ...] = Field(
        (), description="clients that never act for a person, whatever their tokens look like"
    )
    shared_accounts: tuple[str, ...] = Field(
        (), description="subjects (`sub`) behind which there are several persons; refused"
    )
    smart: Smart | None = Field(
        None, description="what `/.well-known/smart-configuration` tells apps; of one issuer only"
    )

    @model_validator(mode="after")
    def _signs_in_with_keys(self) -> "IssuerSettings":
        openid = self.smart is not None and "sso-openid-connect" in self.smart.capabilities
        if openid and (self.jwks is None or self.jwks.url is None):
            raise ValueError("the capability `sso-openid-connect` needs `jwks.url`")
        if (self.jwks, self.shared_secret, self.introspection) == (None, None, None):
            raise ValueError("give `jwks`, `introspection` or both, or a `shared_secret`")
        if self.jwks is not None and self.shared_secret is not None:
            raise ValueError("`jwks` and `shared_secret` exclude each other")
        return self

    @model_validator(mode="after")
    def _asks_who_it_is(self) -> "IssuerSettings":
        if (self.claims == PRO_SANTE_CONNECT) != (self.userinfo is not None):
            raise ValueError(f"`userinfo` and `claims: {PRO_SANTE_CONNECT}` need each other")
        return self


class Identity(Written):
    """Who is believed."""

    issuers: tuple[IssuerSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_for_apps(self) -> "Identity":
        if sum(one.smart is not None for one in self.issuers) > 1:
            raise ValueError("only one issuer may have a `smart` section")
        if sum(one.introspection is not None for one in self.issuers) > 1:
            # A token says not whose it is: it must not be shown to one issuer after the other.
            raise ValueError("only one issuer may have an `introspection` section")
        return self
