"""The settings: what the operator writes in gateway.yaml, as one frozen value."""

from proxy.settings.model import Reviewers, Settings
from proxy.settings.reading import environment, load_settings, read_file, secret_of
from proxy.settings.sides import Introspection, IssuerSettings, Jwks, Secret, UpstreamAuth

__all__ = [
    "Introspection",
    "IssuerSettings",
    "Jwks",
    "Reviewers",
    "Secret",
    "Settings",
    "UpstreamAuth",
    "environment",
    "load_settings",
    "read_file",
    "secret_of",
]
