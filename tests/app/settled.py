"""Settings of a gateway that would stand in a folder, before an upstream."""

from pathlib import Path

from proxy.settings import Settings, load_settings
from tests.stage import configuration, free_port


def settings_of(folder: Path, url: str, **env: str) -> Settings:
    return load_settings(configuration(folder, url, free_port(), 0), env)
