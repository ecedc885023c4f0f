"""Relaxations from the model to the records: a line a molecule, start and seed, and none made twice."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md import evaluate, tasks
from gmd26_md.metrics import METRICS
from gmd26_md.protocols.cases import Case, cases_of_task
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import Question, structure_of
from gmd26_md.report.summary import summarise
from gmd26_md.run_folder import open_run_folder
from gmd26_md.trajectory import Trajectory


@pytest.fixture(scope="module")
def question(tiny_model, frames_folder):
    subject = open_subject(str(tiny_model), device="cpu")
    cases = cases_of_task(tasks.get("duplication"), frames_folder, "gfn2-xtb", only=("acetic acid",))
    return Question(subject, "duplication", cases)


def opened(question, path):
    return open_run_folder(path, question.content("relaxation", {}))


def test_a_record_a_start_and_seed_and_a_lost_one_is_made_again_as_it_was(question, tmp_path):
    folder = opened(question, tmp_path / "run")
    settings = Settings(starts=("reference-minimum", "perturbed-minimum"))
    evaluate.measure_relaxation(question, folder, settings, "gfn2-xtb")
    lines = folder.records_path.read_bytes().splitlines(keepends=True)
    records = folder.records()
    assert [(r.settings["start"], r.seed) for r in records] == [
        ("reference-minimum", 0), ("perturbed-minimum", 0), ("perturbed-minimum", 1),
    ]  # fmt: skip
    assert len({r.trajectory for r in records}) == 3
    assert all((folder.path / r.trajectory).is_file() for r in records)
    assert {name for r in records for name in r.metrics} <= METRICS.keys()
    # a model of hardly any force has nothing of the reference's frequencies
    home, *perturbed = records
    assert home.metrics["n_reference_imaginary_modes"] == 0.0
    assert home.metrics["frequency_mae_per_cm"] > 500.0
    assert len(home.evidence["modes"]["reference_frequencies_per_cm"]) == 18
    assert home.cost["n_mode_calls"] == 48
    assert "frequency_mae_per_cm" not in perturbed[0].metrics
    assert perturbed[0].metrics["rmsd_A"] != perturbed[1].metrics["rmsd_A"]
    assert {r.structure_sha256 for r in records} == {structure_of(question.cases[0])}
    headings = summarise(records, {})["splits"]["id"]["judged"]
    assert headings["relaxed from the perturbed-minimum"]["n_runs"] == 2

    folder.records_path.write_bytes(b"".join(lines[:2]))  # killed before the last
    evaluate.measure_relaxation(question, folder, settings, "gfn2-xtb")
    again = folder.records_path.read_bytes().splitlines(keepends=True)
    assert again[:2] == lines[:2]
    assert len(again) == 3
    assert folder.records()[2].metrics == records[2].metrics


def test_a_molecule_without_conformers_is_a_record_that_says_so(question, tmp_path):
    atoms = molecule("CH3")  # a radical: no bond orders
    minimum = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], None, np.zeros(1), np.zeros((1, 4, 3)))
    radical = replace(question, cases=[Case("methyl", "methyl", "CH3", "user", atoms, minimum, None)])
    folder = opened(radical, tmp_path / "run")
    evaluate.measure_relaxation(radical, folder, Settings(starts=("rdkit-conformer",), n_conformers=1), "gfn2-xtb")
    (record,) = folder.records()
    assert record.verdict == "error"
    assert "no rdkit-conformer to start from: RDKit cannot tell the bond orders" in record.reason
