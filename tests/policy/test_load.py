import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import UnusableError
from proxy.fhir.coding import Effect
from proxy.policy.load import fingerprint, load, load_cases
from tests.policy.packs import CAMPAIGN, CASES, LABELS, POLICY, TERMS, write

POLICIES = Path(__file__).parents[2] / "policies"
PACKS = sorted(path.parent for path in POLICIES.glob("*/terms.yaml"))
VARIANTS = sorted(
    {path.parent for path in POLICIES.glob("*/*/*.yaml")} - {pack / "tests" for pack in PACKS}
)


def findings(directory: Path) -> list[str]:
    with pytest.raises(UnusableError) as caught:
        load(directory)
    prefix = f"{directory}/"
    return [str(finding).removeprefix(prefix) for finding in caught.value.findings]


def test_a_good_directory_is_one_policy_set(tmp_path: Path) -> None:
    policies = load(write(tmp_path))
    assert [rule.id for rule in policies.rules] == ["masked", "team"]
    assert policies.sources == {"masked": "house rule", "team": "house rule"}
    assert policies.places["masked"] == (str(tmp_path / "policy.yaml"), 10)
    assert policies.labels.knows(policies.terms.coding("fr#masque"))


def test_what_is_stated_nowhere_is_the_strictest(tmp_path: Path) -> None:
    policies = load(write(tmp_path))
    assert (policies.unlabelled, policies.refusal, policies.combine) == (
        "deny",
        "hide",
        "deny-wins",
    )
    assert policies.references == "prune"
    assert policies.default_purpose == {}
    assert policies.universal == frozenset()
    assert policies.matrix is None


def test_a_setting_holds_for_the_whole_directory_whichever_file_states_it(tmp_path: Path) -> None:
    other = 'policy: z\nversion: "1"\nsource: s\nunlabelled: R\nrefusal: tell\nreferences: keep\nuniversal: [Practitioner]\n'
    policies = load(write(tmp_path, other=other))
    assert (policies.unlabelled, policies.refusal, policies.references) == ("R", "tell", "keep")
    assert policies.universal == {"Practitioner"}
    assert [policy.policy for policy in policies.policies] == ["ward", "z"]


def test_a_matrix_is_read_from_beside_the_policy(tmp_path: Path) -> None:
    policy = POLICY.replace("rules:", "matrix: matrix.csv\nrules:")
    policies = load(write(tmp_path, policy=policy, matrix="type,title,nurse\nsct#1,One,Y\n"))
    assert policies.matrix is not None
    assert policies.matrix.cell("nurse", policies.terms.coding("sct#1")) is True


BROKEN = [
    ({"policy": POLICY + "a: b\n"}, ["policy.yaml:14: unknown key `a`"]),
    ({"policy": POLICY + "  - id: masked\n"}, ["policy.yaml:14: `effect` is missing", "policy.yaml:14: `target` is missing"]),
    ({"policy": POLICY.replace("care-team", "friend")}, ["policy.yaml:8: `friend` is no known relationship; known are 'self', 'care-team', 'general-practitioner', 'author', 'author-organization', 'guardian', 'trusted-person', 'delegate', 'denied' or 'break-glass'"]),
    ({"policy": POLICY.replace("physician", "wizard")}, ["policy.yaml:8: `wizard` is no role of terms.yaml"]),
    ({"policy": "a: [", "terms": "a: *b"}, ["policy.yaml:1: not YAML: expected the node content, but found '<stream end>'", "terms.yaml:1: alias `*b`; write it out"]),
    ({"policy": POLICY.replace("rules:", "matrix: gone.csv\nrules:")}, ["policy.yaml:4: `gone.csv` is no file beside this one"]),
    ({"policy": POLICY.replace("rules:", "matrix: ../matrix.csv\nrules:")}, ["policy.yaml:4: `../matrix.csv` is no file beside this one"]),
    ({"policy": POLICY.replace("rules:", "matrix: matrix.csv\nrules:"), "matrix": "type,title,wizard\n"}, ["matrix.csv:1: `wizard` is no role of terms.yaml"]),
    ({"labels": LABELS.replace("known:", "knwon:")}, ["labels.yaml:1: `known` is missing", "labels.yaml:1: unknown key `knwon`"]),
    ({"terms": TERMS.replace("physician:", "Physician:")}, ["terms.yaml:7: `Physician` is not a well-formed roles"]),
    ({"other": POLICY}, ["policy.yaml:1: policy `ward` exists already in {}/other.yaml", "policy.yaml:5: rule `team` exists already at {}/other.yaml:5", "policy.yaml:10: rule `masked` exists already at {}/other.yaml:10"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), BROKEN)
def test_a_broken_file_is_told_by_file_and_line(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    assert findings(write(tmp_path, **files)) == [
        line.replace("{}", str(tmp_path)) for line in expected
    ]


@pytest.mark.parametrize("name", ["terms.yaml", "labels.yaml"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).unlink()
    assert findings(tmp_path) == [f"{name}:1: the file cannot be read: no such file or directory"]


def test_a_directory_without_policies_is_not_a_set_that_permits_nothing_but_an_error(
    tmp_path: Path,
) -> None:
    (write(tmp_path) / "policy.yaml").unlink()
    with pytest.raises(UnusableError, match="no policy file"):
        load(tmp_path)
    with pytest.raises(UnusableError, match="no policy file"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["more.yml", "more.YAML", "more.json"])
def test_a_file_that_looks_like_a_policy_but_would_not_be_read_is_told(
    tmp_path: Path, name: str
) -> None:
    (write(tmp_path) / name).write_text(POLICY, encoding="utf-8")
    assert findings(tmp_path) == [
        f"{name}:1: the file would not be read; policy files end in .yaml"
    ]


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (write(tmp_path) / "policy.yaml").write_bytes(b"policy: caf\xe9\n")
    assert findings(tmp_path) == ["policy.yaml:1: the file is not UTF-8"]


def test_the_digest_is_of_what_the_files_say_not_of_how_they_are_laid_out(tmp_path: Path) -> None:
    digest = load(write(tmp_path / "a")).digest
    assert load(write(tmp_path / "b", policy="# a remark\n\n" + POLICY)).digest == digest
    changes = {
        "policy": POLICY.replace("care-team", "author"),
        "terms": TERMS.replace("309343006", "309343007"),
        "labels": LABELS.replace("B21*", "B22*"),
    }
    digests = {
        load(write(tmp_path / name, **{name: text})).digest for name, text in changes.items()
    }
    assert len(digests | {digest}) == 1 + len(changes)


TEXTS = (
    st.text()
    | st.text(alphabet="abc:-?[]{}&*!#|>'\", \n0")
    | st.sampled_from([POLICY, TERMS, LABELS, CASES])
)


def mangled(text: str) -> st.SearchStrategy[str]:
    """A good file with a piece cut out and something else put in."""
    places = st.integers(0, len(text))
    pieces = st.sampled_from(
        ["", "x", ": ", "- ", "[]", "{}", "\n", "  ", "null", "true", "7", "'", "#", "id: team"]
    )
    return st.builds(
        lambda a, b, piece: text[: min(a, b)] + piece + text[max(a, b) :], places, places, pieces
    )


@settings(max_examples=150, deadline=None)
@given(
    policy=TEXTS | mangled(POLICY),
    terms=st.just(TERMS) | TEXTS | mangled(TERMS),
    labels=st.just(LABELS) | TEXTS | mangled(LABELS),
    cases=TEXTS | mangled(CASES),
)
def test_whatever_the_files_hold_loading_gives_a_set_or_an_unusable_error(
    policy: str, terms: str, labels: str, cases: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts = {"policy": policy, "terms": terms, "labels": labels, "cases": cases}
        safe = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
        directory = write(Path(folder), **safe)
        try:
            load_cases(directory, load(directory))
        except UnusableError as error:
            told = [finding.line >= 1 and "\n" not in finding.message for finding in error.findings]
        else:
            told = [True]
    assert told
    assert all(told)


@pytest.mark.parametrize("pack", PACKS + VARIANTS, ids=lambda pack: pack.name)
def test_every_pack_we_ship_loads_and_has_cases_for_permit_and_deny(pack: Path) -> None:
    policies = load(pack)
    cases = load_cases(pack, policies)
    assert {case.effect for case in cases} == set(Effect)
    assert all(policies.sources[rule.id] and rule.description for rule in policies.rules)


def test_broken_cases_are_told_by_file_and_line(tmp_path: Path) -> None:
    directory = write(
        tmp_path, cases=CASES.replace("[physician]", "[wizard]").replace("[plain]", "[plane]")
    )
    with pytest.raises(UnusableError) as caught:
        load_cases(directory, load(directory))
    assert [finding.line for finding in caught.value.findings] == [3, 10]


# ---- variants of a pack ----------------------------------------------------------------------------------------------

OWN = 'policy: night\nversion: "1"\nsource: house rule\nrules:\n  - {id: night, effect: permit, target: {principal: {role: [nurse]}}}\n'


def variant(pack: Path, policy: str = OWN) -> Path:
    """A directory below a good pack, with a policy of its own."""
    directory = write(pack) / "night"
    (directory / "tests").mkdir(parents=True)
    (directory / "night.yaml").write_text(policy, encoding="utf-8")
    return directory


def test_a_variant_holds_its_pack_and_its_own(tmp_path: Path) -> None:
    directory = variant(tmp_path)
    whole, pack = load(directory), load(tmp_path)
    assert [rule.id for rule in whole.rules] == ["masked", "night", "team"]
    assert [rule.id for rule in pack.rules] == ["masked", "team"], "the pack knows no variant"
    assert whole.places["night"] == (str(directory / "night.yaml"), 5)
    assert whole.terms == pack.terms
    assert whole.digest != pack.digest


def test_a_variant_runs_the_cases_of_its_pack_and_its_own(tmp_path: Path) -> None:
    directory = variant(tmp_path)
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "tests/one.yaml").write_text(CASES, encoding="utf-8")
    (directory / "tests/two.yaml").write_text(CASES, encoding="utf-8")
    files = {case.file for case in load_cases(directory, load(directory))}
    assert files >= {str(tmp_path / "tests/one.yaml"), str(directory / "tests/two.yaml")}
    assert str(directory / "tests/two.yaml") not in {
        case.file for case in load_cases(tmp_path, load(tmp_path))
    }


def test_a_variant_may_not_contradict_its_pack(tmp_path: Path) -> None:
    directory = variant(tmp_path, OWN + "unlabelled: R\n")
    assert load(directory).unlabelled == "R"
    (tmp_path / "policy.yaml").write_text(POLICY + "unlabelled: N\n", encoding="utf-8")
    with pytest.raises(UnusableError, match="`unlabelled` is `R` here and `N` in"):
        load(directory)


def test_a_matrix_of_the_pack_stands_beside_the_policy_that_names_it(tmp_path: Path) -> None:
    directory = variant(tmp_path)
    (tmp_path / "policy.yaml").write_text(
        POLICY.replace("rules:", "matrix: matrix.csv\nrules:"), encoding="utf-8"
    )
    (tmp_path / "matrix.csv").write_text("type,title,nurse\nsct#1,One,Y\n", encoding="utf-8")
    assert load(directory).matrix is not None


def test_labels_in_a_variant_are_not_overlooked(tmp_path: Path) -> None:
    directory = variant(tmp_path)
    (directory / "labels.yaml").write_text(LABELS, encoding="utf-8")
    assert findings(directory) == [
        f"labels.yaml:1: the file would not be read; {tmp_path.name}/labels.yaml holds here too"
    ]


def test_an_empty_or_misspelled_variant_is_no_pack(tmp_path: Path) -> None:
    directory = variant(tmp_path)
    (directory / "night.yaml").unlink()
    for wrong in (directory, tmp_path / "nihgt"):
        with pytest.raises(UnusableError, match="no policy file"):
            load(wrong)


def test_what_proves_a_care_team_is_read_from_the_policy(tmp_path: Path) -> None:
    stated = "care_team_from: [Encounter, Appointment]\ncare_team_grace_days: 3\nrules:"
    policies = load(write(tmp_path, policy=POLICY.replace("rules:", stated)))
    assert policies.care_team_from == {"Encounter", "Appointment"}
    assert policies.care_team_grace_days == 3
    silent = load(write(tmp_path))
    assert silent.care_team_from == {"CareTeam"}
    assert silent.care_team_grace_days == 0
    assert silent.digest != policies.digest


def test_rules_of_a_campaign_are_rules_with_a_period_and_its_basis(tmp_path: Path) -> None:
    policies = load(write(tmp_path, policy=POLICY + CAMPAIGN))
    assert [rule.id for rule in policies.rules] == ["masked", "nurses-vaccinate", "team"]
    assert {rule: one.id for rule, one in policies.campaigns.items()} == {
        "nurses-vaccinate": "winter"
    }
    assert policies.sources["nurses-vaccinate"] == "order 12"
    file, line = policies.places["nurses-vaccinate"]
    assert (tmp_path / "policy.yaml").read_text().splitlines()[line - 1].strip() == (
        "- id: nurses-vaccinate"
    )
    assert file.endswith("policy.yaml")


def test_the_digest_tells_the_period_of_a_campaign(tmp_path: Path) -> None:
    one = load(write(tmp_path / "a", policy=POLICY + CAMPAIGN)).digest
    later = CAMPAIGN.replace("2027-01-31", "2027-02-28")
    assert load(write(tmp_path / "b", policy=POLICY + later)).digest != one


def directory_for(path: Path) -> None:
    path.unlink()
    path.mkdir()


TOUCHES: dict[str, Callable[[Path], object]] = {
    "another word": lambda pack: (pack / "policy.yaml").write_text(POLICY + "# remark"),
    "another test": lambda pack: (pack / "tests/cases.yaml").write_text(CASES + "# remark"),
    "a file more": lambda pack: (pack / "more.yaml").write_text(""),
    "a file that would not be read": lambda pack: (pack / "more.yml").write_text(""),
    "a file less": lambda pack: (pack / "labels.yaml").unlink(),
    "another name": lambda pack: (pack / "policy.yaml").rename(pack / "polity.yaml"),
    "a matrix": lambda pack: (pack / "matrix.csv").write_text("type,title"),
    "a directory instead of a file": lambda pack: directory_for(pack / "policy.yaml"),
    "nothing": shutil.rmtree,
}  # fmt: skip


@pytest.mark.parametrize("name", TOUCHES)
def test_every_change_has_a_fingerprint_of_its_own(tmp_path: Path, name: str) -> None:
    pack = write(tmp_path / "pack")
    before = fingerprint(pack)
    assert fingerprint(pack) == before
    TOUCHES[name](pack)
    assert fingerprint(pack) != before
