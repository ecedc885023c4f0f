"""Known answers first: a calculator that knows no direction, and one with a field along z."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md import cli
from gmd26_md.protocols.turning import Settings, analyse

FIELD_eV_per_A = 0.01


class Field(Calculator):
    """No bonds, only a field that pulls the first atom along z: E = -F z."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(atoms), 3))
        forces[0, 2] = FIELD_eV_per_A
        self.results = {"energy": -FIELD_eV_per_A * atoms.positions[0, 2], "forces": forces}


def field():
    return Field()


def turned(model, tmp_path, capsys):
    """Run the command on acetic acid as a user would, and return the record."""
    molecule = ("--task", "duplication", "--only", "acetic acid", "--reference", "gfn2-xtb")
    frames = ("--frames", str(Path(__file__).parents[2] / "checkpoints" / "frames"))
    with pytest.raises(SystemExit) as end:
        cli.main(["turning", "--model", model, *molecule, *frames, "--out", str(tmp_path / "run")])
    assert not end.value.code
    printed = capsys.readouterr().out
    (line,) = (tmp_path / "run" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(line), printed


def test_forces_that_turn_with_the_molecule_are_told_from_those_that_do_not():
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turns = np.stack([np.eye(3), quarter])
    along_x, along_y = [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]
    right = analyse(np.zeros(2), np.array([along_x, along_y]), turns, Settings())
    wrong = analyse(np.zeros(2), np.array([along_x, along_x]), turns, Settings())
    assert right.metrics["turning_force_change_eV_per_A"] == pytest.approx(0, abs=1e-15)
    assert wrong.metrics["turning_force_change_eV_per_A"] == pytest.approx(1)


def test_an_energy_that_is_no_number_does_not_pass():
    turns = np.stack([np.eye(3)] * 2)
    assert analyse(np.array([0.0, np.nan]), np.zeros((2, 1, 3)), turns, Settings()).judgement == "feels direction"


def test_gfn2_xtb_knows_no_direction(tmp_path, capsys):
    record, printed = turned("gfn2-xtb", tmp_path, capsys)
    assert record["reason"].startswith("no direction: ")
    # the field stops at a finite accuracy; measured 2e-5 meV
    assert record["metrics"]["turning_energy_change_meV"] < 1e-2
    assert "turned as a whole" in printed


def test_a_field_is_found(tmp_path, capsys):
    record, printed = turned(f"{__file__}:field", tmp_path, capsys)
    assert record["reason"].startswith("feels direction: ")
    # an atom about 1 Å from the origin moves along z by some Å as the molecule turns
    assert record["metrics"]["turning_energy_change_meV"] > 1000 * FIELD_eV_per_A * 0.1
    assert "feels direction" in printed
