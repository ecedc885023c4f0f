"""`gmd26-md distance`: fitted once, asked of any molecule, and held against errors; each mistake in one line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read, write

from gmd26_md.descriptors.reference import load_reference, save_reference
from gmd26_md.distance import fit
from gmd26_md.errors import UserError
from gmd26_md.records import Record
from gmd26_md.report.distance_outcomes import outcome_correlations
from gmd26_md.run_folder import RunFolder

SHIPPED = str(Path(__file__).resolve().parents[1] / "checkpoints" / "schnet-duplication.pt")


def write_shaken(path, seed, n_frames=30):
    """Write frames of acetic acid, shaken."""
    frames = [molecule("CH3COOH") for _ in range(n_frames)]
    for i, atoms in enumerate(frames):
        atoms.rattle(0.04, seed=1000 * seed + i)
    write(path, frames)
    return path


@pytest.fixture(scope="module")
def place(tiny_model, tmp_path_factory):
    """Return a folder with a model and what was fitted for it, from files."""
    from gmd26_md.cli import main

    folder = tmp_path_factory.mktemp("distance")
    shutil.copy(tiny_model, folder / "tiny.pt")
    train, heldout = write_shaken(folder / "train.xyz", 1), write_shaken(folder / "heldout.xyz", 2)
    with pytest.raises(SystemExit) as end:
        main(["distance", "fit", "--model", str(folder / "tiny.pt"), "--train", str(train), "--heldout", str(heldout)])
    assert not end.value.code
    return folder


def test_fitting_writes_one_file_a_space_beside_the_model(place):
    soap, own = load_reference(place / "tiny.soap.npz"), load_reference(place / "tiny.distance.npz")
    assert (soap.kind, own.kind) == ("soap", "model")
    assert sorted(soap.elements) == sorted(own.elements) == [1, 6, 8]
    assert own.made_of["environments"]["H"] == {"n_train": 120, "n_heldout": 120}


def test_a_molecule_is_asked_in_both_spaces(place, cli):
    asked = write_shaken(place / "asked.xyz", 3, 12)
    code, out, _ = cli("distance", "--model", place / "tiny.pt", asked, "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found["references"]) == {"soap", "model"}
    atoms = [atom for one in found["molecules"] for atom in one["atoms"]]
    assert len(atoms) == 12 * 8
    for space in ("soap", "model"):
        values = [atom[space]["mahalanobis"] for atom in atoms]
        assert np.median(values) == pytest.approx(1.0, abs=0.2)  # frames as those held out, 30 of them
        assert set(atoms[0][space]) == {
            "nearest", "mahalanobis", "nearest_percentile", "mahalanobis_percentile",
        }  # fmt: skip


def test_another_molecule_is_farther_and_the_table_says_so(place, cli):
    write(place / "ethanol.xyz", molecule("CH3CH2OH"))
    code, out, _ = cli("distance", "--model", place / "tiny.pt", place / "ethanol.xyz")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["atom", "element"]
    assert sum(line.split()[1:2] == ["H"] for line in lines) == 6
    assert max(map(len, lines)) <= 110
    oxygen = next(line.split() for line in lines if line.split()[1:2] == ["O"])
    assert float(oxygen[3]) > 3.0
    assert "1 is the median of held-out frames" in out


def test_several_structures_are_a_line_each_and_atoms_on_request(place, cli):
    write(place / "two.xyz", [molecule("CH3CH2OH"), molecule("CH3COOH")])
    _, short, _ = cli("distance", "--model", place / "tiny.pt", place / "two.xyz")
    _, long, _ = cli("distance", "of", "--model", place / "tiny.pt", place / "two.xyz", "--atoms")
    assert sum(line.startswith("two-") for line in short.splitlines()) == 2
    assert "element  " not in short
    assert long.count("element  ") == 2
    _, csv, _ = cli("distance", "--model", place / "tiny.pt", place / "two.xyz", "--format", "csv")
    assert csv.splitlines()[0].startswith("molecule,")
    assert len(csv.splitlines()) == 3


def test_a_molecule_of_the_benchmark_is_asked_by_its_name(place, cli):
    code, out, _ = cli("distance", "--model", place / "tiny.pt", "oxalic acid", "--space", "soap", "--json")
    (found,) = json.loads(out)["molecules"]
    assert code == 0
    assert (found["molecule"], found["formula"]) == ("ethanedioic acid", "C2H2O4")


def test_an_element_that_training_has_not_is_infinitely_far_and_said(place, cli):
    write(place / "amine.xyz", molecule("CH3CONH2"))
    code, out, _ = cli("distance", "--model", place / "tiny.pt", place / "amine.xyz", "--json")
    (found,) = json.loads(out)["molecules"]
    assert code == 0
    assert found["elements_not_in_training"] == ["N"]
    assert found["summary"]["soap"]["mahalanobis_max"] == "Infinity"
    assert {atom["model"]["mahalanobis"] for atom in found["atoms"]} == {"Infinity"}  # the model knows no N
    _, text, _ = cli("distance", "--model", place / "tiny.pt", place / "amine.xyz")
    assert "N is not in the training set" in text
    assert "inf" in text
    write(place / "salt.xyz", molecule("NaCl"))
    assert "Cl, Na are not in the training set" in cli("distance", "--model", place / "tiny.pt", place / "salt.xyz")[1]


def test_data_fits_what_is_missing_and_keeps_it(tiny_model, tmp_path, cli, new_frames):
    from gmd26_md import molecules, tasks
    from gmd26_md.datasets import store
    from gmd26_md.trajectory import Trajectory

    model = shutil.copy(tiny_model, tmp_path / "tiny.pt")
    data = tmp_path / "data"
    for name in [m.name for m in tasks.get("duplication").train]:
        atoms = molecules.get(name).atoms()
        for stage, seed in (("primary", 1), ("secondary", 2)):
            noise = np.random.default_rng(seed).normal(scale=0.03, size=(12, len(atoms), 3))
            frames = Trajectory(
                atoms.numbers, 10.0 * np.arange(12), atoms.positions + noise, None, np.zeros(12), np.zeros_like(noise)
            )
            store.write_stage(store.folder_of(data, "gfn2-xtb", molecules.get(name)), stage, frames, {"settings": {}})
    write(tmp_path / "one.xyz", molecule("CH3COOH"))
    asked = ("distance", "--model", model, tmp_path / "one.xyz", "--space", "soap")
    code, _, err = cli(*asked)
    assert code == 2
    assert "gmd26-md distance fit" in err
    code, _, _ = cli(*asked, "--data", data)
    assert code == 0
    reference = load_reference(tmp_path / "duplication-gfn2-xtb.soap.npz")
    assert reference.made_of["task"] == "duplication"
    assert reference.made_of["environments"]["O"]["n_train"] == 12 * 12 * 2
    code, out, err = cli("distance", "--model", model, tmp_path / "one.xyz")
    assert code == 0
    assert "no model reference beside" in err
    assert "Mahalanobis, own" not in out


def test_errors_correlates_with_frames_and_own_runs_and_draws(place, cli, frames_folder, short_run, tmp_path):
    run = tmp_path / "run"
    arguments = list(short_run)
    arguments[arguments.index("--model") + 1] = place / "tiny.pt"
    assert cli(*arguments, "--out", run)[0] == 0
    asked = ("distance", "errors", "--model", place / "tiny.pt", "--frames", frames_folder, "--run", run)
    code, out, _ = cli(*asked, "--picture", tmp_path / "far.png", "--json")
    assert code == 0
    found = json.loads(out)
    (model,) = found["models"]
    frames = model["frames"]
    assert frames["all"]["n_atoms"] == 3 * (8 + 8)
    assert frames["ood"]["n_molecules"] == 1
    assert set(frames["ood"]["by_element"]) == {"C", "H", "O"}
    assert frames["all"]["atoms"]["being OOD"]["over"] == "molecules, frames"
    assert model["own_runs"]["id"]["n_frames"] == 2  # what the reference labelled
    assert [m["molecule"] for m in model["by_molecule"]] == ["ethanoic acid", "ethanedioic acid"]
    mean = np.mean([m["force_mae_eV_per_A"] for m in model["by_molecule"]])
    assert frames["all"]["force_mae_eV_per_A"] == pytest.approx(mean)  # eight atoms and three frames of both
    assert frames["ood"]["far"]["soap"]["far_fraction"] > 0.5  # oxalic acid is no acetic acid
    assert (tmp_path / "far.png").stat().st_size > 10_000
    code, text, _ = cli(*asked)
    assert code == 0
    assert "rank correlation with an atom's force error (the models' own runs)" in text
    assert "Mahalanobis, SOAP" in text
    assert "Without reference frames, and so not in the tables: propanoic acid" in text
    assert "and 19 more" in text  # of 24 two have frames, and three are named


def test_a_model_without_a_fit_of_its_own_space_is_said_to_have_none(place, cli, frames_folder, tiny_model, tmp_path):
    (tmp_path / "one").mkdir()
    model = shutil.copy(tiny_model, tmp_path / "one" / "bare.pt")
    shutil.copy(place / "tiny.soap.npz", tmp_path / "one" / "bare.soap.npz")
    both = ("--model", model, "--model", place / "tiny.pt")
    for asked in (both, both[2:] + both[:2]):
        code, out, err = cli("distance", "errors", *asked, "--frames", frames_folder, "--picture", tmp_path / "far.png")
        assert code == 0, err
        row = next(line for line in out.splitlines() if line.startswith("ethanedioic acid"))
        assert row.count("not fitted") == 1
        assert (tmp_path / "far.png").stat().st_size > 10_000


def test_distances_that_rise_with_the_trouble_predict_it():
    run = {"thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5}
    records, distances = [], {}
    for i in range(8):
        name = f"m{i}"
        common = {"model": "one", "model_sha256": "a", "family": "toy", "molecule": name, "formula": "C2H4O2",
                  "split": "ood", "task": "duplication", "seed": 0}  # fmt: skip
        metrics = {"failed_at_ps": None, "alive_ps": 2.0, "path_force_mae_eV_per_A": 0.1 * i}
        verdict = "silent" if i > 4 else "faithful"
        records.append(Record(**common, protocol="stability", settings=run, verdict=verdict, metrics=metrics))
        records.append(
            Record(**common, protocol="static-errors", settings={}, metrics={"force_mae_eV_per_A": 0.05 * (i % 3)})
        )
        distances["a", name] = {"soap mahalanobis": 1.0 + i if i < 7 else np.inf}
    found = {(r["predictor"], r["outcome_metric"]): r for r in outcome_correlations(distances, records)}
    assert found["soap mahalanobis", "path_force_mae_eV_per_A"]["rho"] == pytest.approx(1.0)
    assert found["soap mahalanobis", "not_faithful"]["rho"] > 0.8
    assert found["soap mahalanobis", "failed"]["why"] == "one of them is constant"
    assert abs(found["static force MAE", "path_force_mae_eV_per_A"]["rho"]) < 0.5
    assert ("number of atoms", "failed") in found


@pytest.mark.parametrize("soap_only", ["a", "b"])
def test_a_distance_that_one_model_has_not_is_that_of_the_others(soap_only):
    run = {"thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5}
    records, distances = [], {}
    for sha in ("a", "b"):
        for i in range(8):
            common = {"model": sha, "model_sha256": sha, "family": "toy", "molecule": f"m{i}", "formula": "C2H4O2",
                      "split": "ood", "task": "duplication", "seed": 0}  # fmt: skip
            metrics = {"failed_at_ps": None, "alive_ps": 2.0, "path_force_mae_eV_per_A": 0.1 * i}
            records.append(Record(**common, protocol="stability", settings=run, verdict="faithful", metrics=metrics))
            distances[sha, f"m{i}"] = {"soap nearest": 1.0 + i}
            if sha != soap_only:
                distances[sha, f"m{i}"]["model nearest"] = 9.0 - i
    found = {(r["predictor"], r["outcome_metric"]): r for r in outcome_correlations(distances, records)}
    both, one = (found[f"{kind} nearest", "path_force_mae_eV_per_A"] for kind in ("soap", "model"))
    assert (both["n_models"], one["n_models"]) == (2, 1)
    assert (both["rho"], one["rho"]) == (pytest.approx(1.0), pytest.approx(-1.0))


def test_soap_of_a_task_that_did_not_train_the_model_is_refused(place, cli, tmp_path):
    from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint

    checkpoint, soap = load_checkpoint(place / "tiny.pt"), load_reference(place / "tiny.soap.npz")
    for sha in ("now", "before"):
        save_reference(replace(soap, made_of=soap.made_of | {"task_sha256": sha}), tmp_path / f"{sha}.soap.npz")
    save_reference(soap, tmp_path / "files.soap.npz")  # says nothing of a task
    checkpoint.training["task_sha256"] = "now"
    save_checkpoint(replace(checkpoint, task="mine"), tmp_path / "one.pt")
    write(tmp_path / "one.xyz", molecule("CH3COOH"))
    asked = ("distance", "--model", tmp_path / "one.pt", tmp_path / "one.xyz", "--space", "soap")
    for name in ("now", "files"):
        assert cli(*asked, "--reference", tmp_path / f"{name}.soap.npz")[0] == 0
    shutil.copy(tmp_path / "before.soap.npz", tmp_path / "mine-gfn2-xtb.soap.npz")
    code, _, err = cli(*asked)
    assert code == 2
    assert err.count("\n") == 1
    assert "fitted for another task than trained one.pt" in err
    assert "fit it again" in err


MISTAKES = [
    (("distance", "--model", "{place}/tiny.pt", "{place}/none.xyz"), "no molecule file at"),
    (("distance", "--model", "{place}/tiny.pt", "oxalic acit"), "Did you mean"),
    (("distance", "--model", "{place}/tiny.pt", "{place}/one.xyz", "--space", "sope"), "Did you mean 'soap'?"),
    (("distance", "--model", "{place}/tiny.pt", "{place}/one.xyz", "--format", "xml"), "unknown format 'xml'"),
    (("distance", "--model", "{place}/one.xyz", "{place}/one.xyz"), "one.xyz"),
    (("distance", "--model", "{place}/tiny.pt"), "Missing argument 'MOLECULE"),
    (("distance", "--model", "{place}/tiny.pt", "{place}/one.xyz", "--reference", "{place}/one.xyz"), "is no distance"),
    (("distance", "--model", "{place}/other.pt", "{place}/one.xyz", "--space", "model"), "fitted for another model"),
    (("distance", "fit", "--space", "model"), "needs the model"),
    (("distance", "fit", "--model", "{place}/tiny.pt", "--train", "{place}/one.xyz"), "come together"),
    (("distance", "fit", "--space", "soap"), "name a --task"),
    (("distance", "fit", "--space", "soap", "--task", "duplication", "--data", "{place}"), "no reference data at"),
    (
        ("distance", "fit", "--space", "soap", "--train", "{place}/one.xyz", "--heldout", "{place}/heldout.xyz"),
        "cannot be calibrated",
    ),
    (
        ("distance", "fit", "--space", "soap", "--train", "{place}/train.xyz", "--heldout", "{place}/turned.xyz"),
        "30 structures of",
    ),
    (
        ("distance", "--model", SHIPPED, "acetic acid", "--space", "soap", "--reference", "{place}/acids.soap.npz"),
        "fitted for another task than trained schnet-duplication.pt, or for other molecules",
    ),
    (
        (
            "distance",
            "fit",
            "--model",
            SHIPPED,
            "--task",
            "chain-extension",
            "--data",
            "{place}/alkanes",
            "-o",
            "{place}",
        ),
        "the molecules of chain-extension are not those that trained",
    ),
    (("distance", "errors", "--model", "{place}/tiny.pt", "--run", "{place}"), "has no records"),
    (("distance", "errors", "--model", "{place}/tiny.pt", "--frames", "{place}"), "no folder gfn2-xtb"),
    (("distance", "errors", "--model", "{place}/tiny.pt", "--picture", "far.jpg"), "must end in one of"),
    (("distance", "errors", "--model", "{place}/tiny.pt", "--task", "duplicate"), "Did you mean 'duplication'?"),
    (("distance", "errors", "--model", SHIPPED, "--task", "fusion", "--space", "soap"), "of task fusion has trained"),
]


@pytest.mark.parametrize(
    ("key", "fitted", "trained"),
    [("molecules", ["ethane"], ["ethane", "propane"]), ("task_sha256", "before", "now")],
)
def test_nothing_is_fitted_of_a_task_that_did_not_train_the_model(tmp_path, key, fitted, trained):
    frames = ([], [], {"task": "mine", "molecules": ["ethane"]} | {key: fitted})
    model = SimpleNamespace(training={"molecules": ["ethane"]} | {key: trained})
    with pytest.raises(UserError, match="the molecules of mine are not those that trained my"):
        fit("soap", frames, tmp_path / "x.npz", model=model, name="my.pt")


def write_alkanes(data):
    """Write a few frames of what trains in chain extension."""
    from gmd26_md import tasks
    from gmd26_md.datasets import store
    from gmd26_md.trajectory import Trajectory

    for known in tasks.get("chain-extension").train:
        atoms = known.atoms()
        for stage in ("primary", "secondary"):
            n = 2
            frames = Trajectory(
                atoms.numbers, np.arange(n), np.tile(atoms.positions, (n, 1, 1)), None, np.zeros(n),
                np.zeros((n, len(atoms), 3)),
            )  # fmt: skip
            store.write_stage(store.folder_of(data, "gfn2-xtb", known), stage, frames, {"settings": {}})


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_a_mistake_gets_one_line(place, cli, arguments, words):
    write(place / "one.xyz", molecule("CH3COOH"))
    frames = read(place / "train.xyz", ":")
    for atoms in frames:
        atoms.rotate(40, "x")
    write(place / "turned.xyz", frames)
    soap = load_reference(place / "tiny.soap.npz")
    made_of = soap.made_of | {"task": "two-acids", "molecules": ["ethanoic acid", "propanoic acid"]}
    save_reference(replace(soap, made_of=made_of), place / "acids.soap.npz")
    write_alkanes(place / "alkanes")
    if not (place / "other.pt").exists():
        from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint

        checkpoint = load_checkpoint(place / "tiny.pt")
        checkpoint.training["note"] = "another"
        save_checkpoint(checkpoint, place / "other.pt")
        shutil.copy(place / "tiny.distance.npz", place / "other.distance.npz")
    code, _, err = cli(*(a.format(place=place) for a in arguments))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err


def test_a_reference_of_another_model_is_said_not_to_be_used(place, cli):
    other = SHIPPED.replace(".pt", ".distance.npz")
    code, _, err = cli("distance", "--model", place / "tiny.pt", "acetic acid", "--reference", other)
    assert code == 0
    assert f"{other} belongs to another model than {place / 'tiny.pt'}, and is not used for it." in err


def test_the_runs_of_another_model_have_no_part(place, tmp_path):
    from gmd26_md.evaluate.distance_errors import own_frames

    folder = RunFolder(tmp_path)
    folder.add(
        Record(
            model="x",
            model_sha256="of another",
            family="toy",
            molecule="m",
            formula="H2",
            split="id",
            task="t",
            protocol="stability",
            settings={},
            seed=0,
        )
    )
    assert own_frames([tmp_path], "of this one") == []
