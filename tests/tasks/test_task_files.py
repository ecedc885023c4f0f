"""A task of one's own: what a file may say, what is refused and how, and where leakage is found."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ase.build import molecule as ase_molecule
from ase.io import write

from gmd26_md import molecules, tasks
from gmd26_md.errors import UserError
from gmd26_md.leakage import refuse_leakage, refuse_trained_on
from gmd26_md.own_molecules import from_smiles
from gmd26_md.tasks import Task

EXAMPLES = Path(__file__).parents[2] / "examples" / "tasks"
PLAIN = """
name: ethers
note: longer
  ethers
train:
  - {smiles: COC, name: dimethyl ether}
  - smiles: [CCOC, CCOCC]
    family: ethers
  - {family: alcohols, lengths: 2-3}
  - molecule: acetaldehyde
ood:
  - {smiles: CCCOCCC}
"""


@pytest.fixture
def task_file(tmp_path):
    """Return a function that writes a task file and returns its path."""

    def write_it(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_it


def test_a_yaml_file_names_families_smiles_and_molecules(task_file):
    task = tasks.get(str(task_file(PLAIN)))
    assert (task.name, task.note) == ("ethers", "longer ethers")
    assert [m.name for m in task.train] == ["dimethyl ether", "CCOC", "CCOCC", "ethanol", "propan-1-ol", "ethanal"]
    assert [m.family for m in task.train[:3]] == ["user", "ethers", "ethers"]
    assert task.train[3] == molecules.get("ethanol")
    assert task.tested == task.train + task.ood
    assert [task.split_of(m) for m in task.tested] == ["id"] * 6 + ["ood"]
    assert task.warnings == ()


def test_structure_files_lie_beside_the_task_file(task_file, tmp_path):
    (tmp_path / "structures").mkdir()
    write(tmp_path / "structures" / "silane.xyz", ase_molecule("SiH4"))
    task = tasks.get(
        task_file("train: [{file: structures/silane.xyz}]\nood: [{smiles: '[SiH3][SiH3]', name: disilane}]")
    )
    assert (task.name, task.train[0].name, task.train[0].formula) == ("mine", "silane", "H4Si")


def test_the_hash_is_of_molecules_and_splits_not_of_words_or_order(task_file):
    task = tasks.get(task_file(PLAIN))
    reworded = PLAIN.replace("ethers\nnote", "oxa\nnote").replace("[CCOC, CCOCC]", "[CCOCC, CCOC]") + "# a remark\n"
    assert tasks.get(task_file(reworded)).sha256 == task.sha256
    assert tasks.get(task_file(PLAIN.replace("2-3", "2-4"))).sha256 != task.sha256
    assert not tasks.get("duplication").sha256


def test_a_python_file_is_run_and_gives_a_dict_or_a_task(task_file):
    as_dict = """
import helper_of_mine
def ether(n):
    return {"smiles": "C" * n + "OC"}
def task():
    print("not to the standard output")
    return {"train": [ether(n) for n in helper_of_mine.LENGTHS], "ood": [ether(4)]}
"""
    task_file("LENGTHS = (1, 2)", "helper_of_mine.py")
    task = tasks.get(task_file(as_dict, "by_length.py"))
    assert (task.name, [m.smiles for m in task.train]) == ("by_length", ["COC", "CCOC"])
    as_task = """
from gmd26_md.own_molecules import from_smiles
from gmd26_md.tasks import Task
def task():
    return Task("mine", "", (from_smiles("COC"),), (from_smiles("CCOC"),))
"""
    assert tasks.get(task_file(as_task, "whole.py")).sha256


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("name: ethers", "nam: ethers"), "unknown key in .*mine.yaml 'nam'. Did you mean 'name'"),
        (("name: ethers", "name: 26"), "name is a number"),
        (("name: ethers", "name: a/b"), "'a/b' is no plain word"),
        (("name: ethers", "name: fusion"), "'fusion' is taken"),
        (("name: ethers", "name: user"), "'user' is taken"),
        (("ood:", "odd:"), "unknown key in .*'odd'. Did you mean 'ood'"),
        (("  - {smiles: CCCOCCC}", "  []"), "mine.yaml has no ood"),
        (("smiles: CCCOCCC", "smile: CCCOCCC"), "ood, entry 1 'smile'. Did you mean 'smiles'"),
        (("smiles: CCCOCCC", "smiles: CCCOCCC, nam: x"), r"ood, entry 1 \(smiles\) 'nam'. Did you mean 'name'"),
        (("{smiles: CCCOCCC}", "CCCOCCC"), "ood, entry 1 is 'CCCOCCC'; write '- smiles"),
        (("smiles: CCCOCCC", "smiles: CCCOCC("), r"ood, entry 1: SMILES 'CCCOCC\(' does not parse"),
        (("{smiles: CCCOCCC}", "{smiles: CCO, molecule: ethanol}"), "ood, entry 1 names smiles and molecule"),
        (("{smiles: CCCOCCC}", "{}"), "ood, entry 1 names nothing"),
        (("{smiles: CCCOCCC}", "{smiles: [O-]C}"), "does not parse as YAML .* need quotes"),
        (("name: ethers", "name: ethers: more"), r"does not parse as YAML .*line \d[^;]*\.$"),  # and no word of SMILES
        (("{smiles: CCCOCCC}", "{smiles: [[O-]]}"), "ood, entry 1: smiles is .* Put SMILES in quotes"),
        (("{smiles: CCCOCCC}", "{file: gone.xyz}"), "ood, entry 1: no molecule file at .*gone.xyz"),
        (("lengths: 2-3", "lengths: 1-3"), "train, entry 3: lengths is '1-3'; allowed are 2 to 13"),
        (("lengths: 2-3", "lengths: short"), "train, entry 3: lengths is 'short'; write 2-6"),
        (
            ("family: alcohols", "family: alcohol"),
            "train, entry 3: unknown family of molecules 'alcohol'. Did you mean",
        ),
        (("molecule: acetaldehyde", "molecule: acetaldehide"), "train, entry 4: unknown molecule 'acetaldehide'"),
        (("name: ethers", "name: ethers\nname: twice"), "line 3: the key 'name' stands there twice"),
        (("{smiles: CCCOCCC}", "{smiles: CCCOCCC, name: dimethyl ether}"), "two molecules have the name 'dimethyl"),
        (("smiles: CCCOCCC", 'smiles: "CC[O-]"'), r"CC\[O-\] has charge -1; the models know neutral molecules only"),
        (("smiles: CCCOCCC", 'smiles: "CC[O]"'), r"CC\[O\] has multiplicity 2"),
        (("[CCOC, CCOCC]\n", "[CCOC, CCOCC]\n    name: both\n"), "the name 'both' stands for 2 SMILES"),
        (("ood:", "id: 0\nood:"), "mine.yaml, id is not a list"),
        (("ood:", "id: {}\nood:"), "mine.yaml, id is not a list"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line_with_its_place(task_file, changed, said):
    assert changed[0] in PLAIN
    with pytest.raises(UserError, match=said) as caught:
        tasks.get(task_file(PLAIN.replace(*changed)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "empty.yaml", "holds nothing; a task has the keys name, note, train, id, ood"),
        ("- smiles: C", "list.yaml", "holds a list"),
        ("a: &a [*a]\n", "loop.yaml", "unknown key"),
        ("train: C\nood: C", "text.yaml", "train is not a list"),
        ("? [a, b]\n: c\n", "key.yaml", r"key.yaml, line 1: a key that is a list"),
        ("train: []\n? {a: b}\n: c\n", "key.yaml", r"key.yaml, line 2: a key that is a list or a mapping"),
        (
            "train: []\nname: 2024-13-45",
            "day.yaml",
            r"'2024-13-45' cannot be read as timestamp: month .*line 2.*quotes",
        ),
        ("name: !!int abc", "number.yaml", r"'abc' cannot be read as int: .* line 1.* put what is text in quotes"),
        ("name: !!float abc", "number.yaml", r"'abc' cannot be read as float: .* line 1"),
        ("name: !!int ''", "number.yaml", r"'' cannot be read as int: .* line 1"),
        ("name: !!bool abc", "truth.yaml", r"'abc' cannot be read as bool: .* line 1"),
        ("name: !!timestamp abc", "day.yaml", r"'abc' cannot be read as timestamp: .* line 1"),
        ("name: !mine abc", "tag.yaml", r"could not determine a constructor .* line 1.* put what is text in quotes"),
        ("name: " + 5000 * "9", "number.yaml", "cannot be read as int"),
        ("[" * 3000, "deep.yaml", "nested too deeply"),
        ("train: " + "[" * 3000 + "]" * 3000, "deep.yaml", "nested too deeply"),
        ("x = 1", "nothing.py", "has no function 'task'"),
        ("def task():\n    return 1 / 0", "raises.py", "raises ZeroDivisionError"),
        ("import sys; sys.exit(3)", "leaves.py", "raises SystemExit"),
        ("def task():\n    return 3", "three.py", "holds a number"),
        ("{}", "mine.json", "no task file by its name; allowed are .yaml, .yml, .py"),
    ],
)
def test_a_file_that_holds_no_task_is_refused_in_one_line(task_file, text, name, said):
    with pytest.raises(UserError, match=said) as caught:
        tasks.get(task_file(text, name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("Task('a', 'b', train=('CCO',), ood=(two,))", "train is no tuple of molecules; make each with"),
        ("Task('a', 'b', train=one, ood=(two,))", "train is no tuple of molecules"),
        ("Task('a', 'b', train=(one,), ood=(two,), id=None)", "id is no tuple of molecules"),
        ("Task(5, 'b', train=(one,), ood=(two,))", "name is a number; it must be text"),
        ("Task('a', None, train=(one,), ood=(two,))", "note is nothing; it must be text"),
    ],
)
def test_a_task_that_a_python_file_made_of_other_things_is_refused_in_one_line(task_file, made, said):
    head = "from gmd26_md import Task\nfrom gmd26_md.own_molecules import from_smiles\n"
    text = f"{head}one, two = from_smiles('CCO'), from_smiles('CCCO')\ndef task():\n    return {made}\n"
    with pytest.raises(UserError, match=said) as caught:
        tasks.get(task_file(text, "mine.py"))
    assert "\n" not in str(caught.value)


def test_a_task_that_a_python_file_made_with_lists_is_a_task(task_file):
    head = "from gmd26_md import Task\nfrom gmd26_md.own_molecules import from_smiles\n"
    made = "Task('a', 'b', train=[from_smiles('CCO')], ood=[from_smiles('CCCO')])"
    task = tasks.get(task_file(f"{head}def task():\n    return {made}\n", "mine.py"))
    assert (task.train, task.ood) == ((molecules.get("ethanol"),), (molecules.get("propan-1-ol"),))


@pytest.mark.parametrize("unit", ["Bohr", "two molecules"])
def test_a_structure_that_is_no_one_molecule_cannot_be_held_against_the_others_and_is_refused(
    task_file, tmp_path, unit
):
    atoms = ase_molecule("CH3CH2OH")
    if unit == "Bohr":
        atoms.positions /= 0.529177  # no bonds are seen, and so no twin in training
    else:
        twin = ase_molecule("CH3CH2OH")
        twin.positions += 8.0
        atoms += twin
    write(tmp_path / "mine.xyz", atoms)
    with pytest.raises(UserError, match=r"mine.yaml: mine falls into \d pieces by its bonds.*one whole molecule.*in Å"):
        tasks.get(task_file("train: [{molecule: ethanol}]\nood: [{file: mine.xyz}]\n"))


def test_names_stand_on_one_line(task_file, tmp_path):
    methanol = ase_molecule("CH3OH")
    methanol.info["name"] = "wood\nspirit"
    write(tmp_path / "mine.traj", methanol)
    task = tasks.get(task_file('train: [{smiles: CCO, name: "grain\\nspirit"}]\nood: [{file: mine.traj}]\n'))
    assert [m.name for m in task.molecules] == ["grain spirit", "wood spirit"]


def test_a_file_that_is_not_there_is_not_taken_for_a_name():
    with pytest.raises(UserError, match=r"no task file at gone\.yaml"):
        tasks.get("gone.yaml")


def test_a_name_from_a_checkpoint_or_a_record_opens_no_file(task_file):
    path = task_file("raise SystemExit('was run')", "evil.py")
    with pytest.raises(UserError, match="unknown task"):
        tasks.named(str(path))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("{smiles: O(C)C, name: methoxymethane}", "'dimethyl ether' .train. and 'methoxymethane' .OOD. are .* C2H6O"),
        ("{smiles: 'C(O)C', name: spirit}", "'ethanol' .train. and 'spirit' .OOD. are the same"),
        ("{file: same.xyz}", "'dimethyl ether' .train. and 'same' .OOD. are the same"),
    ],
)  # fmt: skip
def test_a_molecule_that_trains_under_one_name_is_not_unseen_under_another(task_file, tmp_path, other, said):
    write(tmp_path / "same.xyz", ase_molecule("CH3OCH3"))
    with pytest.raises(UserError, match=said) as caught:
        tasks.get(task_file(PLAIN.replace("{smiles: CCCOCCC}", other)))
    assert "\n" not in str(caught.value)


def both(train, ood, inside=()):
    """Return a task of SMILES, not checked."""
    lists = [tuple(from_smiles(s, name=f"{s} {n}") for s in names) for n, names in enumerate((train, ood, inside))]
    return Task("mine", "", lists[0], lists[1], id=lists[2])


def test_stereoisomers_are_one_molecule_across_splits_and_two_within_one():
    left, right = "C[C@H](F)Cl", "C[C@@H](F)Cl"
    with pytest.raises(UserError, match="stereoisomers"):
        refuse_leakage(both([left], [right]))
    refuse_leakage(both([left, right], ["CCF"]))
    with pytest.raises(UserError, match=r"of train, .* are the same molecule"):
        refuse_leakage(both([left, "CC(F)Cl"], ["CCF"]))  # one of them may be either
    with pytest.raises(UserError, match="and 1 more such pairs"):
        refuse_leakage(both(["CCF", "FCC", "CCCl", "ClCC"], ["COC"]))


@pytest.mark.parametrize(
    "drawings", [("CN=[N+]=[N-]", "C[N-][N+]#N"), ("CS(C)=O", "C[S+](C)[O-]"), ("CN(=O)=O", "C[N+](=O)[O-]")]
)
def test_two_drawings_of_one_molecule_are_one(drawings):
    with pytest.raises(UserError, match=r"of train, .* are the same molecule, \w+; keep one"):
        refuse_leakage(both(drawings, ["CCF"]))
    with pytest.raises(UserError, match=r"are the same molecule, \w+; what is tested"):  # and no word of stereoisomers
        refuse_leakage(both(drawings[:1], drawings[1:]))


def test_what_is_in_distribution_but_not_trained_on_is_held_to_the_same():
    refuse_leakage(both(["COC"], ["CCOCC"], ["CCOC"]))
    with pytest.raises(UserError, match=r"\(train\) and .* \(ID\)"):
        refuse_leakage(both(["COC"], ["CCOCC"], ["O(C)C"]))
    with pytest.raises(UserError, match=r"\(ID\) and .* \(OOD\)"):
        refuse_leakage(both(["COC"], ["CCOC"], ["COCC"]))


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_benchmarks_tasks_leak_nothing(name):
    refuse_leakage(tasks.get(name))


def test_a_molecule_of_ones_own_is_held_against_the_benchmarks():
    task = replace(tasks.get("duplication"), ood=(from_smiles("C(=O)(O)CC", name="new"),))
    with pytest.raises(UserError, match=r"'propanoic acid' \(train\) and 'new' \(OOD\)"):
        refuse_leakage(task)


def test_what_is_allowed_and_may_surprise_is_a_warning(task_file):
    text = "train: [{smiles: CC(=O)C}]\nood: [{smiles: CC(O)=C}, {smiles: CC(S)CC}]"
    task = tasks.get(task_file(text))
    assert any("CC(S)CC has S, which no training molecule has" in w for w in task.warnings)
    assert any("CC(S)CC leaves 1 stereocentres" in w for w in task.warnings)
    assert any("CC(=O)C and CC(O)=C differ only in where hydrogens sit" in w for w in task.warnings)
    assert len(task.warnings) == 3


def test_explicit_id_molecules_are_the_id_test_by_their_primary_frames():
    task = both(["COC"], ["CCOCC"], ["CCOC"])
    _, inside, unseen = task.molecules
    assert task.tested == (inside, unseen)
    assert [task.split_of(m) for m in task.molecules] == ["id", "id", "ood"]
    assert [task.frames_of(m) for m in task.molecules] == ["id", "ood", "ood"]


def test_a_model_is_not_tested_as_unseen_on_what_trained_it():
    from gmd26_md.constitution import constitution

    task = both(["COC"], ["CCO", "CCOCC"])
    refuse_trained_on(task, [("dimethyl ether", constitution(from_smiles("COC")))], "m.pt")
    with pytest.raises(UserError, match=r"'CCO 1' \(OOD\) of task mine has trained m.pt, as 'ethanol'"):
        refuse_trained_on(task, [("ethanol", "")], "m.pt")
    with pytest.raises(UserError, match=r"'CCOCC 1' .* as 'ether'"):
        refuse_trained_on(task, [("ether", constitution(from_smiles("O(CC)CC")))], "m.pt")


def test_a_molecule_of_a_task_is_found_by_name_slug_and_smiles(task_file):
    task = tasks.get(task_file(PLAIN))
    for name in ("Dimethyl ether", task.train[0].slug, "COC"):
        assert task.find(name) == task.train[0]
    assert task.find("acetaldehyde").name == "ethanal"
    with pytest.raises(UserError, match=r"unknown molecule of ethers 'dimethyl eter'\. Did you mean 'dimethyl ether'"):
        task.find("dimethyl eter")
    with pytest.raises(UserError, match="unknown molecule of ethers 'oxalic acid'"):
        task.find("oxalic acid")
    with pytest.raises(UserError, match="ethane is not in the task duplication"):
        tasks.get("duplication").find("ethane")


@pytest.mark.parametrize(
    "path", sorted(p for p in EXAMPLES.iterdir() if p.suffix in tasks.FILE_TYPES), ids=lambda path: path.name
)
def test_every_example_is_a_fair_task_and_is_shown(cli, path):
    code, out, err = cli("tasks", path)
    assert (code, err) == (0, "")
    assert "Leakage: none." in out
    assert max(map(len, out.splitlines())) <= 110
    shown = json.loads(cli("tasks", path, "--json")[1])
    task = tasks.get(path)
    assert shown["sha256"] == task.sha256
    assert [m["name"] for m in shown["molecules"]] == [m.name for m in task.molecules]
    assert shown["composition"]["rank"] <= shown["composition"]["n_elements"]


def test_a_task_of_the_benchmark_is_shown_too(cli):
    code, out, _ = cli("tasks", "fission")
    assert code == 0
    assert "models of duplication, 12 train, 24 OOD" in out


def test_reading_a_yaml_file_needs_no_torch(task_file):
    code = "import sys; from gmd26_md import tasks; tasks.get(sys.argv[1]); print('torch' in sys.modules)"
    path = task_file(PLAIN)
    said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_the_yaml_of_the_page_is_a_task_and_its_table_is_that_of_the_benchmark(task_file):
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    task = tasks.get(task_file(re.search(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1]))
    assert (len(task.train), len(task.ood), task.warnings) == (7, 2, ())
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(tasks.TASKS)
