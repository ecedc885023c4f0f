"""Several checkpoints as one ASE calculator: the mean, how far the members are apart, and ASE's promises as before."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.calculators.fd import FiniteDifferenceCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators import MLIPCalculator, families
from gmd26_md.calculators.checkpoint import save_checkpoint
from gmd26_md.calculators.committee import CommitteeEngine
from gmd26_md.errors import UnsupportedElementError


@pytest.fixture
def paths(checkpoint_path, new_checkpoint, tmp_path):
    """Two seeds of DeepSet-MoE and a SchNet, whose cutoff is another."""
    other = new_checkpoint("schnet")
    nearer = {"cutoff": 4.0, "hyperparameters": {**other.hyperparameters, "cutoff": 4.0}}
    save_checkpoint(new_checkpoint("deepset-moe", seed=8), tmp_path / "seed8.pt")
    save_checkpoint(replace(other, **nearer), tmp_path / "schnet-near.pt")
    return [checkpoint_path("deepset-moe"), tmp_path / "seed8.pt", tmp_path / "schnet-near.pt"]


@pytest.fixture
def committee(paths):
    return load_calculator(paths, device="cpu")


def test_energy_and_forces_are_the_mean_of_the_members_and_the_spread_their_standard_deviation(paths, committee, acid):
    alone = [load_calculator(path, device="cpu") for path in paths]
    energies = np.array([c.get_property("energy", acid) for c in alone])
    forces = np.array([c.get_property("forces", acid) for c in alone])
    committee.calculate(acid)
    assert committee.results["energy"] == committee.results["free_energy"] == pytest.approx(energies.mean(), rel=1e-14)
    assert committee.results["forces"] == pytest.approx(forces.mean(axis=0), abs=1e-14)
    said = committee.committee
    assert said.energies.tolist() == energies.tolist(), "if this fails, the members are not in the order given"
    assert (said.forces == forces).all()
    assert said.energy_std == pytest.approx(np.sqrt(((energies - energies.mean()) ** 2).sum() / 2))
    assert said.forces_std == pytest.approx(np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=0) / 2))


def test_two_equal_members_are_the_member_without_a_spread(checkpoint_path, new_checkpoint, acid, tmp_path):
    twin = replace(new_checkpoint("deepset-moe"), training={"note": "the same weights in another file"})
    save_checkpoint(twin, tmp_path / "twin.pt")
    committee = load_calculator([checkpoint_path("deepset-moe"), tmp_path / "twin.pt"], device="cpu")
    committee.calculate(acid)
    alone = load_calculator(checkpoint_path("deepset-moe"), device="cpu")
    assert committee.results["energy"] == alone.get_property("energy", acid)
    assert (committee.results["forces"] == alone.get_property("forces", acid)).all()
    assert committee.committee.energy_std == 0.0
    assert (committee.committee.forces_std == 0.0).all()


def test_forces_of_the_mean_are_the_gradient_of_the_mean_energy(committee, acid):
    acid.set_cell([20, 20, 20])  # ASE's tool wants a volume, for a stress that is not looked at
    numerical = FiniteDifferenceCalculator(committee, eps_disp=1e-5).get_property("forces", acid)
    # as promise 1 of test_contract.py, where the tolerance is derived
    assert committee.get_property("forces", acid) == pytest.approx(numerical, abs=1e-6)


def test_the_order_of_the_members_does_not_matter(paths, committee, acid):
    committee.calculate(acid)
    turned = load_calculator(paths[::-1], device="cpu")
    turned.calculate(acid)
    # a sum of three in another order differs in the last digit of 500 eV
    assert turned.results["energy"] == pytest.approx(committee.results["energy"], abs=1e-12)
    assert turned.results["forces"] == pytest.approx(committee.results["forces"], abs=1e-14)
    assert turned.committee.forces_std == pytest.approx(committee.committee.forces_std, abs=1e-14)


def test_results_hold_standard_names_only_so_that_ase_can_do_with_them_what_it_likes(committee, acid, tmp_path):
    acid.calc = committee
    energy = acid.get_potential_energy()
    assert set(committee.results) == set(committee.implemented_properties) <= set(all_properties)
    assert acid.get_properties(["energy", "forces"])["energy"] == energy
    assert SinglePointCalculator(acid, **committee.results).get_potential_energy() == energy
    with pytest.raises(PropertyNotImplementedError):
        committee.get_property("energies", acid)  # in ASE those of atoms; the members' are in `committee`
    ase.io.write(tmp_path / "a.traj", acid)
    assert ase.io.read(tmp_path / "a.traj").get_potential_energy() == energy
    assert BFGS(acid, logfile=None).run(fmax=0.5, steps=2) in (True, False)


def test_what_the_members_said_never_answers_for_another_molecule(committee, acid, alcohol):
    assert committee.committee is None
    committee.calculate(acid)
    first = committee.committee
    assert committee.get_property("energy", alcohol, allow_calculation=False) is None
    assert committee.committee is None
    committee.calculate(alcohol)
    assert committee.committee.forces.shape == (3, len(alcohol), 3)
    assert first.forces.shape == (3, len(acid), 3)
    committee.set(dtype="float32")
    assert committee.committee is None
    acid.positions[0, 0] = np.nan
    with pytest.raises(UserError, match="NaN"):
        committee.calculate(acid)
    assert committee.committee is None


def test_a_single_model_has_no_committee(checkpoint_path, acid):
    alone = load_calculator(checkpoint_path("deepset-moe"), device="cpu")
    alone.calculate(acid)
    assert alone.committee is None


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"])
def test_a_copy_gives_the_same_answer_and_keeps_cache_and_spread(committee, acid, copied):
    committee.calculate(acid)
    twin = copied(committee)
    assert twin.get_property("energy", acid, allow_calculation=False) == committee.results["energy"]
    assert (twin.committee.forces == committee.committee.forces).all()
    acid.rattle(0.02, seed=1)
    assert twin.get_property("energy", acid) == committee.get_property("energy", acid)
    assert len(pickle.dumps(committee)) < 20_000, "if this fails, the weights travel in the pickle"


def test_todict_is_json_makes_the_same_committee_again_and_knows_its_files(committee, acid, paths, new_checkpoint):
    made = committee.todict()
    again = MLIPCalculator(**json.loads(json.dumps(made)))
    assert again.get_property("energy", acid) == committee.get_property("energy", acid)
    made["model"].reverse()
    made["sha256"].reverse()
    assert committee.todict()["model"] == [str(p) for p in paths], "if this fails, what todict gives is its own list"
    save_checkpoint(new_checkpoint("deepset-moe", seed=9), paths[1])
    with pytest.raises(UserError, match=r"seed8\.pt is another file than when this calculator was made"):
        MLIPCalculator(**committee.todict())


def test_a_committee_knows_the_elements_that_every_member_knows(checkpoint_path, new_checkpoint, acid, tmp_path):
    whole = new_checkpoint("deepset-moe", seed=8)
    fewer = {"elements": (1, 6), "element_energies": {z: whole.element_energies[z] for z in (1, 6)}}
    weights = families.build_network("deepset-moe", whole.hyperparameters, (1, 6)).state_dict()
    save_checkpoint(replace(whole, **fewer, state_dict=weights), tmp_path / "hydrocarbons.pt")
    committee = load_calculator([checkpoint_path("deepset-moe"), tmp_path / "hydrocarbons.pt"], device="cpu")
    with pytest.raises(UnsupportedElementError, match=r"has O; committee of 2.* knows H C"):
        committee.get_property("energy", acid)


def test_mistakes_are_told_in_one_line(paths, tmp_path):
    for wrong, words in [
        ([paths[0]], "a committee of 1 was given; name two checkpoints or more"),
        ([], "a committee of 0 was given"),
        ([paths[0], paths[1], paths[0]], "is given twice; the members of a committee must differ"),
        ([paths[0], "gfn2-xtb"], "gfn2-xtb cannot be a member of a committee"),
        ([paths[0], tmp_path / "absent.pt"], "does not exist"),
    ]:
        with pytest.raises(UserError, match=words) as told:
            load_calculator(wrong, device="cpu")
        assert "\n" not in str(told.value)
    with pytest.raises(UserError, match="takes as many sha256, or none"):
        MLIPCalculator(paths, sha256="ab")


class Says:
    """An engine that says one number, or raises."""

    label, elements, takes_charge, device = "toy", frozenset({1}), False, "cpu"

    def __init__(self, value: float | Exception) -> None:
        self.value = value

    def __call__(self, numbers, positions, charge, multiplicity):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value, np.full((len(numbers), 3), self.value)


def test_nan_of_one_member_is_nan_of_mean_and_spread():
    engine = CommitteeEngine([Says(1.0), Says(float("nan"))])
    energy, forces = engine(np.array([1]), np.zeros((1, 3)), 0, None)
    assert np.isnan(energy)
    assert np.isnan(forces).all()
    assert np.isnan(engine.answers.forces_std).all()


def test_a_member_that_fails_leaves_no_old_answers():
    engine = CommitteeEngine([Says(1.0), Says(3.0)])
    assert engine(np.array([1]), np.zeros((1, 3)), 0, None)[0] == 2.0
    engine.members[1].value = RuntimeError("no convergence")
    with pytest.raises(RuntimeError):
        engine(np.array([1]), np.zeros((1, 3)), 0, None)
    assert engine.answers is None
