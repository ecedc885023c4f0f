"""The campaign file: what it must say, and what is said of a mistake in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gmd26_md.campaign import units
from gmd26_md.campaign.description import read_campaign
from gmd26_md.campaign.units import as_arguments, units_of
from gmd26_md.errors import UserError

GOOD = """
name: audit
out: {out}
models:
  - model: gfn2-xtb
    name: xtb
tasks: [duplication]
protocols:
  - stability: {{preset: quick, temperature-K: [300, 500]}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "campaign.yaml"
    path.write_text(text.format(out=folder / "out"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("models:", "modles:", "modles.*models"),
        ("tasks: [duplication]", "", "neither tasks nor molecules"),
        ("tasks: [duplication]", "tasks: duplication", "write it as a list"),
        ("stability:", "stabilty:", "stability"),
        ("name: audit", "name: a/b", "folder"),
        ("model: gfn2-xtb", "file: gfn2-xtb", "gfn2-xtb"),
        ("    name: xtb", "    environment: other", "environment"),
        ("protocols:", "keep_trajectories: some\nprotocols:", "all, failures, none"),
        ("protocols:", "keep_trajectories: true\nprotocols:", "all, failures, none"),
        ("protocols:", "molecules_per_unit: 2.5\nprotocols:", "whole number"),
        ("    name: xtb", "    resources: {GPU: many}", "GPU is 'many'"),
        ("name: audit", "name: ..", "folder"),
        ("out: {out}", "out: [x]", "folder"),
        ("preset: quick", "out: elsewhere", "out is not for a file to say"),
        ("    name: xtb", "    options: {help: true}", "help is not for a file to say"),
        ("protocols:", "n_retries: -1\nprotocols:", "n_retries.*0 or more"),
        ("protocols:", "unit_minutes: .nan\nprotocols:", "unit_minutes"),
        ("protocols:", "environments: {x: /no/python}\nprotocols:", "does not exist"),
        ("protocols:", "protocols: [", "no YAML"),
    ],
)
def test_a_mistake_is_named_with_the_file(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new.replace("{", "{{").replace("}", "}}"), 1))
    with pytest.raises(UserError, match=words) as problem:
        read_campaign(path)
    assert str(path) in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("preset: quick", "presett: quick", "No such option"),
        ("temperature-K: [300, 500]", "temperature-K: cold", "cold"),
        ("[duplication]", "[duplicatoin]", "duplication"),
        ("model: gfn2-xtb", "model: no.pt", "does not exist"),
        ("stability: {{preset: quick,", "stability: {{name: a/b,", "no folder's name"),
        ("name: xtb", f"name: {'x' * 200}", "no folder's name"),
        (
            "models:",
            "models:\n  - {{model: harmonic, name: XTB}}",
            "would be the folder stability-xtb-duplication twice",
        ),
        ("[duplication]", "[duplication, duplication]", "stands there twice; leave one out"),
        (
            "models:",
            "models:\n  - {{model: gfn2-xtb, name: again}}",
            "xtb on duplication, .* and again on duplication, .* are the same question",
        ),
    ],
)
def test_what_the_command_line_refuses_is_refused_before_anything_runs(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    campaign = read_campaign(written(tmp_path, GOOD.replace(old, new, 1)))
    with pytest.raises(UserError, match=words):
        units_of(campaign)


def test_a_task_is_cut_into_units_that_hold_each_molecule_once(tmp_path: Path) -> None:
    text = GOOD.replace("tasks:", "molecules_per_unit: 7\ntasks:")
    units = units_of(read_campaign(written(tmp_path, text)))
    assert [len(unit.molecules) for unit in units] == [7, 7, 7, 3]
    assert len({name for unit in units for name in unit.molecules}) == 24
    assert len({unit.key for unit in units}) == 4


def test_two_files_of_one_name_are_refused_as_their_records_would_be_one_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.xyz").write_text("1\n\nHe 0 0 0\n", encoding="utf-8")
    both = f"molecules: [{tmp_path / 'a' / 'mine.xyz'}, {tmp_path / 'b' / 'mine.xyz'}]"
    campaign = read_campaign(written(tmp_path, GOOD.replace("tasks: [duplication]", both)))
    with pytest.raises(UserError, match=r"a/mine\.xyz of .*b/mine\.xyz would be the folder stability-xtb-mine twice"):
        units_of(campaign)


def test_two_files_of_one_content_are_two_units_as_the_file_names_the_molecules(tmp_path: Path) -> None:
    for name in ("mine.xyz", "yours.xyz"):
        (tmp_path / name).write_text("1\n\nHe 0 0 0\n", encoding="utf-8")
    text = GOOD.replace("tasks: [duplication]", f"molecules: [{tmp_path / 'mine.xyz'}, {tmp_path / 'yours.xyz'}]")
    assert len(keys(tmp_path, text)) == 2


def test_a_model_that_nothing_is_tried_on_is_refused_and_tasks_of_its_own_suffice(tmp_path: Path) -> None:
    (tmp_path / "mine.xyz").write_text("1\n\nHe 0 0 0\n", encoding="utf-8")
    only_files = GOOD.replace("tasks: [duplication]", f"molecules: [{tmp_path / 'mine.xyz'}]")
    static = only_files.replace("stability: {{preset: quick, temperature-K: [300, 500]}}", "static-errors")
    with pytest.raises(UserError, match="xtb has nothing to be tried on"):
        units_of(read_campaign(written(tmp_path, static)))
    own = GOOD.replace("tasks: [duplication]\n", "").replace("    name: xtb", "    tasks: [duplication]")
    assert len(units_of(read_campaign(written(tmp_path, own)))) == 3


def test_models_are_not_tried_as_on_the_unseen_on_what_trained_them(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "checkpoints"
    two = "".join(f"\n  - {shipped / name}-duplication.pt" for name in ("schnet", "painn"))
    text = GOOD.replace("\n  - model: gfn2-xtb\n    name: xtb", two)
    assert len(units_of(read_campaign(written(tmp_path, text)))) == 6  # what they were trained for
    with pytest.raises(UserError) as problem:
        units_of(read_campaign(written(tmp_path, text.replace("[duplication]", "[duplication, fusion]"))))
    words = str(problem.value)
    assert words.count("of task fusion has trained") == 2
    assert "schnet-duplication" in words
    assert "painn-duplication" in words
    assert words.endswith("of its own.")


@pytest.mark.parametrize("option", ["reference: '{file}:f'", "model-arg: 'table={file}'", "recipe: '{file}'"])
def test_files_that_options_name_are_known_by_their_content(tmp_path: Path, option: str) -> None:
    file = tmp_path / "named.py"
    arguments = as_arguments(
        {name: text for name, _, text in [option.format(file=file).replace("'", "").partition(": ")]}, "stability"
    )
    found = []
    for text in ("one", "two", "one"):
        file.write_text(text, encoding="utf-8")
        units._sha256.cache_clear()  # a call of the command reads a file once
        found.append(units._digests_of_files([*arguments, "--preset", "quick", "x" * 5000]))
    assert found[0] == found[2] != found[1]
    assert list(found[0]) == [arguments[1]]


def test_a_key_follows_a_reference_s_file(tmp_path: Path) -> None:
    file = tmp_path / "reference.py"
    text = GOOD.replace("preset: quick", f"preset: quick, reference: '{file}:f'")
    file.write_text("def f():\n    return 1\n", encoding="utf-8")
    first = keys(tmp_path, text)
    file.write_text("def f():\n    return 2\n", encoding="utf-8")
    units._sha256.cache_clear()
    assert not keys(tmp_path, text) & first


def keys(folder: Path, text: str) -> set[str]:
    return {unit.key for unit in units_of(read_campaign(written(folder, text)))}


def test_a_key_follows_what_is_computed_and_nothing_else(tmp_path: Path) -> None:
    first = keys(tmp_path, GOOD)
    assert keys(tmp_path, GOOD) == first
    assert keys(tmp_path, GOOD.replace("name: audit", "name: other")) == first  # what the campaign is called
    assert not keys(tmp_path, GOOD.replace("[300, 500]", "[300]")) & first
    assert not keys(tmp_path, GOOD.replace("quick", "standard")) & first
    turned = GOOD.replace("preset: quick, temperature-K: [300, 500]", "temperature_K: [300, 500], preset: quick")
    assert keys(tmp_path, turned) == first  # the order of options, and how they are spelled
    twice = GOOD.replace("    name: xtb", "    name: xtb\n    options: {{temperature_K: [100], preset: quick}}")
    assert keys(tmp_path, twice) == first  # the protocol's go before the model's
    added = GOOD.replace("models:", "models:\n  - harmonic")
    assert first < keys(tmp_path, added)  # a model that is added adds its units and leaves the others


def test_a_key_follows_the_content_of_the_model_s_file(tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("def f():\n    return None\n", encoding="utf-8")
    text = GOOD.replace("model: gfn2-xtb", f"model: {model}:f")
    first = units_of(read_campaign(written(tmp_path, text)))
    model.write_text("def f():\n    return None\n\n\ng = f\n", encoding="utf-8")
    units._sha256.cache_clear()
    edited = {u.key for u in units_of(read_campaign(written(tmp_path, text)))}
    assert not edited & {u.key for u in first}
    assert not keys(tmp_path, text.replace("model.py:f", "model.py:g")) & edited  # another function of the same file
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(model, tmp_path / "elsewhere")  # what lies beside it may be other code
    assert not keys(tmp_path, GOOD.replace("model: gfn2-xtb", f"model: {moved}:f")) & edited
    other = tmp_path / "other.py"
    other.write_text("def f():\n    return 1\n", encoding="utf-8")
    changed = units_of(read_campaign(written(tmp_path, GOOD.replace("model: gfn2-xtb", f"model: {other}:f"))))
    assert not {u.key for u in changed} & {u.key for u in first}


def test_a_checkpoint_that_was_moved_has_the_same_key_and_one_of_another_name_has_not(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "checkpoints" / "schnet-duplication.pt"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(shipped, tmp_path / folder / "one.pt")
    shutil.copy(shipped, tmp_path / "b" / "two.pt")  # its records carry another name
    first, moved, named = (
        keys(tmp_path, GOOD.replace("model: gfn2-xtb", f"model: {tmp_path / name}.pt"))
        for name in ("a/one", "b/one", "b/two")
    )
    assert first == moved
    assert not first & named


def test_options_become_a_command_line() -> None:
    options = {"temperature-K": [300, 500], "n_seeds": 3, "skip-unsupported": True, "json": False, "minutes": None}
    assert as_arguments(options, "stability") == [
        "--temperature-K", "300", "--temperature-K", "500", "--n-seeds", "3", "--skip-unsupported",
    ]  # fmt: skip
    assert as_arguments({"modes": False}, "relaxation") == ["--no-modes"]
    with pytest.raises(UserError, match="n-seeds is false"):
        as_arguments({"n-seeds": False}, "stability")


def test_a_file_that_is_no_yaml_of_ours_is_one_line(tmp_path: Path) -> None:
    for text in ("name: 2024-13-45\n", "name: !!int abc\n", "? [a, b]\n: c\n"):
        (tmp_path / "campaign.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=r"campaign\.yaml"):
            read_campaign(tmp_path / "campaign.yaml")
