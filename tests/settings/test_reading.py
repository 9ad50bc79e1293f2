from pathlib import Path

import pytest

from proxy.errors import UnusableError
from proxy.settings import Secret, environment, load_settings, secret_of
from tests.settings.written import LEAST, complaint, loaded


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.policies == str(tmp_path / "policies/baseline")
    jwks = settings.identity.issuers[0].jwks
    assert jwks is not None
    assert jwks.file == str(tmp_path / "keys.json")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqlite:///var/journal.db", "sqlite:///{home}/var/journal.db"),
        ("sqlite:////volume/journal.db", "sqlite:////volume/journal.db"),
    ],
)
def test_the_journal_is_relative_with_three_slashes_and_absolute_with_four(
    tmp_path: Path, written: str, read: str
) -> None:
    settings = loaded(tmp_path, f"{LEAST}audit: {{journal: {written}}}\n")
    assert settings.audit.journal == read.format(home=tmp_path)


# ---- the environment ---------------------------------------------------------------------------------------------------


def test_the_environment_overrides_the_file_at_any_depth(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        PROXY_LISTEN__PORT="0",
        PROXY_UPSTREAM__AUTH__TYPE="bearer",
        PROXY_UPSTREAM__AUTH__TOKEN__ENV="UPSTREAM_TOKEN",
        PROXY_TIME_ZONE="UTC",
        OTHER__THING="1",
    )
    assert settings.listen.port == 0
    assert settings.upstream.auth.token == Secret(env="UPSTREAM_TOKEN")
    assert settings.time_zone == "Europe/Paris"  # no `__`: not an override


def test_a_path_from_the_environment_is_relative_to_the_file_too(tmp_path: Path) -> None:
    settings = loaded(tmp_path, PROXY_AUDIT__JOURNAL="sqlite:///j.db")
    assert settings.audit.journal == f"sqlite:///{tmp_path}/j.db"


def test_an_override_of_what_does_not_exist_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="listn"):
        loaded(tmp_path, PROXY_LISTN__PORT="1")


def test_the_environment_is_a_copy() -> None:
    environment()["PROXY_X__Y"] = "1"
    assert "PROXY_X__Y" not in environment()


def test_what_is_no_strict_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert complaint(tmp_path, f"{LEAST}policies: elsewhere\n").startswith("9: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="configuration: cannot be read"):
        load_settings(tmp_path / "gateway.yaml", {})


def test_a_list_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="mapping"):
        loaded(tmp_path, "- 1\n")


# ---- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_comes_from_the_environment_or_a_file_without_the_white_space_around_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_text(" s3cret \n")
    assert secret_of(Secret(env="KEY"), {"KEY": "s3cret\n"}, "paging.key") == "s3cret"
    assert secret_of(Secret(file=str(tmp_path / "key")), {}, "paging.key") == "s3cret"


@pytest.mark.parametrize("env", [{}, {"KEY": ""}, {"KEY": " \n"}])
def test_an_empty_secret_is_refused_by_the_name_of_its_source(env: dict[str, str]) -> None:
    with pytest.raises(UnusableError, match=r"paging.key: environment variable `KEY` is empty"):
        secret_of(Secret(env="KEY"), env, "paging.key")


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"paging.key: cannot be read"):
        secret_of(Secret(file=str(tmp_path / "none")), {}, "paging.key")
