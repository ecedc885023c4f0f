"""What ASE expects of a calculator that is dropped into any of its tools, point by point."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_properties
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators import MLIPCalculator
from gmd26_md.calculators.checkpoint import save_checkpoint

SOURCES = ["deepset-moe", "gfn2-xtb", "harmonic"]  # one of each kind of engine


@pytest.fixture(params=SOURCES)
def source(request, checkpoint_path):
    return checkpoint_path(request.param) if request.param == "deepset-moe" else request.param


@pytest.fixture
def calculator(source):
    return load_calculator(source, device="cpu")


@pytest.fixture
def count_evaluations(calculator, monkeypatch):
    """Return a list that grows by one with every evaluation of the engine."""
    calls, engine = [], calculator.engine

    class Counted:
        def __getattr__(self, name):
            return getattr(engine, name)

        def __call__(self, *args):
            calls.append(args)
            return engine(*args)

    monkeypatch.setattr(calculator, "engine", Counted())
    return calls


# 1. implemented_properties


def test_implemented_properties_are_standard_names_and_nobody_elses_list(calculator):
    assert set(calculator.implemented_properties) == {"energy", "free_energy", "forces"}
    assert set(calculator.implemented_properties) <= set(all_properties)
    assert calculator.implemented_properties is not Calculator.implemented_properties
    assert Calculator.implemented_properties == []


@pytest.mark.parametrize("name", ["stress", "dipole", "charges", "magmoms"])
def test_a_property_that_cannot_be_computed_is_not_implemented(calculator, acid, name):
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_property(name, acid)


# 2. super().calculate: the atoms of the last calculation are kept


def test_the_molecule_of_the_last_calculation_is_kept_as_a_copy(calculator, acid):
    calculator.calculate(acid)
    assert calculator.atoms == acid
    assert calculator.atoms is not acid


# 3. one evaluation


def test_energy_free_energy_and_forces_cost_one_evaluation(calculator, acid, count_evaluations):
    acid.calc = calculator
    energy = acid.get_potential_energy(force_consistent=True)  # what optimisers ask first
    assert acid.get_potential_energy() == energy
    acid.get_forces()
    assert len(count_evaluations) == 1
    acid.positions[0, 0] += 1e-12  # far above the tolerance of 1e-15: a new geometry
    acid.get_forces()
    acid.get_potential_energy()
    assert len(count_evaluations) == 2


# 4. types and shapes


@pytest.mark.parametrize("n_atoms", [1, 2, 8])
def test_energy_is_a_float_and_forces_are_float64_of_three_columns(calculator, acid, n_atoms):
    part = acid[[2]] if n_atoms == 1 else acid[:n_atoms]
    part = part if n_atoms != 2 else molecule("H2")
    calculator.calculate(part)
    assert type(calculator.results["energy"]) is float
    assert calculator.results["free_energy"] == calculator.results["energy"]
    assert calculator.results["forces"].shape == (n_atoms, 3)
    assert calculator.results["forces"].dtype == np.float64


# 5. check_state and info


@pytest.mark.parametrize("key", ["charge", "spin", "multiplicity"])
@pytest.mark.parametrize(
    "value", [1, 1.0, np.array(1), np.array([1]), [1], "1", np.array([1, 2]), {"a": 1}, float("nan")]
)
def test_a_change_of_charge_or_spin_is_noticed_whatever_its_type(calculator, acid, key, value):
    calculator.calculate(acid)
    assert calculator.check_state(acid) == []
    acid.info[key] = value
    assert calculator.check_state(acid) == ["info"]


def test_equal_arrays_in_info_are_no_change_and_other_keys_do_not_matter(calculator, acid):
    acid.info["charge"] = np.array([0])
    calculator.calculate(acid)
    acid.info["charge"] = np.array([0])
    acid.info["frame"] = np.arange(3)
    assert calculator.check_state(acid) == []
    acid.info["charge"] = None
    assert calculator.check_state(acid) == ["info"]


# 6. allow_calculation


def test_nothing_cached_and_no_calculation_allowed_is_none(calculator, acid):
    assert calculator.get_property("energy", acid, allow_calculation=False) is None
    energy = calculator.get_property("energy", acid)
    assert calculator.get_property("energy", acid, allow_calculation=False) == energy


# 7. parameters, set, todict


def test_todict_is_json_and_makes_the_same_calculator_again(calculator, acid):
    again = MLIPCalculator(**json.loads(json.dumps(calculator.todict())))
    assert again.get_property("energy", acid) == calculator.get_property("energy", acid)


def test_trajectory_and_database_files_take_the_calculator(calculator, acid, tmp_path):
    acid.calc = calculator
    energy = acid.get_potential_energy()
    ase.io.write(tmp_path / "a.traj", acid)
    ase.io.write(tmp_path / "a.extxyz", acid)
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(acid)
    assert ase.io.read(tmp_path / "a.traj").get_potential_energy() == energy
    assert ase.io.read(tmp_path / "a.extxyz").get_potential_energy() == pytest.approx(
        energy, abs=1e-7
    )  # digits in text
    assert ase.db.connect(tmp_path / "a.db").get_atoms(1).get_potential_energy() == energy


def test_set_changes_the_answer_and_drops_the_old_one(acid):
    calculator = load_calculator("harmonic", r0_A=1.0)
    energy = calculator.get_property("energy", acid)
    assert calculator.set(k_eV_per_A2=60.0) == {"k_eV_per_A2": 60.0}
    assert calculator.get_property("energy", acid) == pytest.approx(2 * energy, rel=1e-12)
    assert calculator.todict() == {"model": "harmonic", "r0_A": 1.0, "k_eV_per_A2": 60.0}


def test_a_refused_option_changes_nothing(calculator, acid):
    energy, before = calculator.get_property("energy", acid), calculator.todict()
    for wrong in ({"dtype": "float16"}, {"device": "gpu"}, {"no_such_option": 1}):
        with pytest.raises(UserError):
            calculator.set(**wrong)
        assert calculator.todict() == before
    assert calculator.get_property("energy", acid) == energy


# 9. pickle, deepcopy, processes


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"])
def test_a_copy_gives_the_same_answer_and_keeps_the_cache(calculator, acid, copied):
    energy = calculator.get_property("energy", acid)
    twin = copied(calculator)
    assert twin.get_property("energy", acid, allow_calculation=False) == energy
    acid.rattle(0.02, seed=1)
    assert twin.get_property("energy", acid) == calculator.get_property("energy", acid)
    assert len(pickle.dumps(calculator)) < 20_000, "if this fails, the weights travel in the pickle"


def energy_of(atoms: Atoms) -> float:
    return float(atoms.get_potential_energy())


def test_a_worker_process_gets_the_same_energy(checkpoint_path, acid):
    acid.calc = load_calculator(checkpoint_path("deepset-moe"), device="cpu")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(Atoms.get_potential_energy, acid).result() == energy_of(acid)


def test_a_copy_refuses_a_file_that_has_changed_since(checkpoint_path, new_checkpoint, acid, tmp_path):
    path = tmp_path / "model.pt"
    shutil.copy(checkpoint_path("deepset-moe"), path)
    calculator = load_calculator(path, device="cpu")
    packed = pickle.dumps(calculator)
    save_checkpoint(new_checkpoint("deepset-moe", seed=8), path)
    with pytest.raises(UserError, match="is another file than when this calculator was made"):
        pickle.loads(packed).get_property("energy", acid)
    with pytest.raises(UserError, match="is another file"):
        MLIPCalculator(**calculator.todict())
    assert np.isfinite(calculator.get_property("energy", acid))  # the first one has its weights
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        pickle.loads(packed).get_property("energy", acid)


# 12. ASE's own tools, without anything deprecated


def test_ase_dynamics_and_optimisers_run_without_a_deprecation(calculator, acid):
    acid.calc = calculator
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("error", FutureWarning)
        thermalize_momenta(acid, temperature_K=100, rng=np.random.default_rng(0))
        before = acid.get_total_energy()
        VelocityVerlet(acid, timestep=0.1 * units.fs).run(10)
        BFGS(acid, logfile=None).run(fmax=0.5, steps=2)
    assert np.isfinite(before)


def test_energy_is_conserved_in_ase_dynamics(acid):
    acid.calc = load_calculator("harmonic", r0_A=1.2)
    before = acid.get_total_energy()
    VelocityVerlet(acid, timestep=0.05 * units.fs).run(100)
    # Verlet's error is of order (omega dt)²/8 of the energy: (0.4 /fs x 0.05 fs)²/8 = 5e-5
    assert acid.get_total_energy() == pytest.approx(before, rel=1e-4)
    assert acid.get_kinetic_energy() > 0.1 * before
