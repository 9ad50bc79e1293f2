"""A gateway.yaml that says the least, and what is told of a wrong one."""

from pathlib import Path

import pytest

from proxy.errors import UnusableError
from proxy.settings import Settings, load_settings

LEAST = """
upstream: {url: http://127.0.0.1:8090/fhir}
identity:
  issuers:
    - issuer: https://idp.example.org
      audience: http://127.0.0.1:8080/fhir
      jwks: {file: keys.json}
policies: policies/baseline
"""


def loaded(folder: Path, text: str = LEAST, **env: str) -> Settings:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return load_settings(path, env)


def complaint(folder: Path, text: str, **env: str) -> str:
    with pytest.raises(UnusableError) as refused:
        loaded(folder, text, **env)
    [finding] = refused.value.findings
    assert finding.file == str(folder / "gateway.yaml")
    return f"{finding.line}: {finding.message}"
