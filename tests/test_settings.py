from pathlib import Path

import pytest

from proxy.errors import UnusableError
from proxy.settings import Secret, Settings, environment, load_settings, secret_of

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


def test_what_is_not_said_keeps_to_this_machine_and_closes(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.listen.host == settings.admin.host == "127.0.0.1"
    assert settings.mode == "enforce"
    assert settings.audit.on_failure == "refuse"
    assert settings.upstream.auth.type == "none"


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.policies == str(tmp_path / "policies/baseline")
    assert settings.identity.issuers[0].jwks.file == str(tmp_path / "keys.json")


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


def test_a_url_of_keys_is_no_path(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, LEAST.replace("{file: keys.json}", "{url: https://idp.example.org/k}")
    )
    assert settings.identity.issuers[0].jwks.url == "https://idp.example.org/k"


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


# ---- what refuses to start -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        (LEAST + "mode: observe\n", 9, "mode"),
        (LEAST + "time_zone: Mars/Olympus\n", 9, "IANA"),
        (LEAST + "surprise: 1\n", 9, "surprise"),
        (LEAST + "listen: {port: 70000}\n", 9, "port"),
        (LEAST + "audit: {on_failure: ignore}\n", 9, "on_failure"),
        (LEAST + "audit: {journal: /var/journal.db}\n", 9, "journal"),
        (LEAST + "paging: {max_upstream_pages: 1}\n", 9, "max_upstream_pages"),
        (LEAST + "paging: {key: a-literal-secret}\n", 9, "key"),
        (LEAST.replace("http://127.0.0.1:8090/fhir", "'http://a/fhir?x=1'"), 2, "url"),
        (LEAST.replace("http://127.0.0.1:8090", "http://me:secret@127.0.0.1"), 2, "url"),
        (
            LEAST.replace("{file: keys.json}", "{file: k, url: https://idp.example.org}"),
            7,
            "exactly one",
        ),
    ],
)
def test_a_wrong_setting_is_one_finding_with_its_line(
    tmp_path: Path, text: str, line: int, names: str
) -> None:
    said = complaint(tmp_path, text)
    assert said.startswith(f"{line}: ")
    assert names in said


@pytest.mark.parametrize("key", ["upstream", "identity", "policies"])
def test_what_is_required_is_named_when_it_is_missing(tmp_path: Path, key: str) -> None:
    blocks = LEAST.strip().split("\n")
    keep = [line for line in blocks if not line.startswith(key)]
    if key == "identity":
        keep = [line for line in keep if not line.startswith(" ")]
    assert key in complaint(tmp_path, "\n".join(keep) + "\n")


@pytest.mark.parametrize(
    ("auth", "missing"),
    [
        ("{type: basic, username: gateway}", "password"),
        ("{type: basic, password: {env: P}}", "username"),
        ("{type: bearer}", "token"),
    ],
)
def test_credentials_for_upstream_are_whole(tmp_path: Path, auth: str, missing: str) -> None:
    assert missing in complaint(tmp_path, LEAST.replace("/fhir}", f"/fhir, auth: {auth}}}", 1))


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


def test_partial_dates_are_understood_in_the_zone_of_the_house(tmp_path: Path) -> None:
    assert loaded(tmp_path, f"{LEAST}time_zone: America/Montreal\n").zone.key == "America/Montreal"
