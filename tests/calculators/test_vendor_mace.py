"""MACE files that people have: told by content, not run without trust, and the same numbers as mace-torch's own.

The files are written as `mace_run_train` and `mace_create_lammps_model` write them (torch.save of mace's module; e3nn's
jit.compile of it), here of untrained modules: mace_run_train itself needs a newer torchmetrics than schnetpack allows.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md import load_calculator, load_checkpoint
from gmd26_md.calculators._mace_import import mace_imports
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.checkpoint import save_checkpoint
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.potential import energy_and_forces
from gmd26_md.calculators.side_effects import contained
from gmd26_md.calculators.vendors import mace_model
from gmd26_md.calculators.vendors.convert import converted
from gmd26_md.errors import UnsupportedElementError, UserError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a function that saves a module as mace_run_train does and returns the path."""
    folder: Path = tmp_path_factory.mktemp("mace")

    def save(module, name: str = "tiny.model") -> Path:
        torch.save(module, folder / name)
        return folder / name

    return save


@pytest.fixture(scope="module")
def plain(saved, mace_module) -> Path:
    return saved(mace_module())


def systems() -> list[Atoms]:
    both = molecule("CH3COOH") + Atoms("O", [(30.0, 0.0, 0.0)])
    found = [both, molecule("CH3CH2OH"), molecule("trans-butane"), Atoms("C")]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def by_mace(module, head: str = "Default", dtype: str = "float64") -> list[tuple[float, np.ndarray]]:
    """What mace-torch's own ASE calculator gives, with its own graphs and forces."""
    with mace_imports():
        from mace.calculators import MACECalculator
    answers = []
    with contained():
        calculator = MACECalculator(models=[module], device="cpu", default_dtype=dtype, head=head)
        for atoms in systems():
            alone = atoms.copy()
            alone.calc = calculator
            answers.append((alone.get_potential_energy(), alone.get_forces()))
    return answers


def by_us(opened, dtype: str = "float64") -> list[tuple[float, np.ndarray]]:
    """What the potential gives for all systems in one batch."""
    potential = opened.potential("cpu", dtype)
    found = systems()
    positions = torch.as_tensor(np.concatenate([a.positions for a in found]), dtype=getattr(torch, dtype))
    batch = Layout.of([a.numbers for a in found]).batch(positions, potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    energies = energies.double() + potential.reference_energy(batch)
    parts = forces.split([len(a) for a in found])
    return [(float(e), f.numpy()) for e, f in zip(energies, parts, strict=True)]


def assert_same(got, wanted, energy_eV: float, force_eV_per_A: float) -> None:
    assert max(np.abs(forces).max() for _, forces in wanted) > 1e-4, "if this fails, the toy has no forces to compare"
    for (energy, forces), (energy_there, forces_there) in zip(got, wanted, strict=True):
        assert energy == pytest.approx(energy_there, rel=0, abs=energy_eV)
        np.testing.assert_allclose(forces, forces_there, rtol=0, atol=force_eV_per_A)


NONLINEAR = "RealAgnosticResidualNonLinearInteractionBlock"
VARIANTS = {
    "as mace_run_train's defaults": {},
    "the class without scale and shift": {"name": "MACE"},
    "a repulsion and a transform": {"pair_repulsion": True, "distance_transform": "Agnesi"},
    "density blocks on gaussians": {
        "interaction_cls": "RealAgnosticDensityResidualInteractionBlock",
        "interaction_cls_first": "RealAgnosticDensityInteractionBlock",
        "radial_type": "gaussian",
    },
    "a residual first layer": {"interaction_cls_first": "RealAgnosticResidualInteractionBlock", "gate": torch.tanh},
    "the blocks of the newest foundation models": {
        "interaction_cls": NONLINEAR,
        "interaction_cls_first": NONLINEAR,
        "readout_cls": "NonLinearBiasReadoutBlock",
        "apply_cutoff": False,
        "use_agnostic_product": True,
        "use_last_readout_only": True,
        "use_reduced_cg": False,
    },
    "one layer": {"num_interactions": 1},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_becomes_a_checkpoint_that_gives_maces_own_numbers(mace_module, saved, tmp_path, variant):
    module = mace_module(**VARIANTS[variant])
    path = saved(module, f"{variant.replace(' ', '-')}.model")
    checkpoint = converted(path, trust_pickle=True, level_of_theory="pbe", task="duplication")
    save_checkpoint(checkpoint, tmp_path / "model.pt")
    again = load_checkpoint(tmp_path / "model.pt")
    assert (again.family, again.elements, again.level_of_theory) == ("mace", (1, 6, 8), "pbe")
    assert again.training["converted_from"]["file"] == path.name
    # sums of thousands of eV in another order: their last digits
    assert_same(by_us(again), by_mace(module), 1e-10, 1e-10)


def test_a_float32_file_agrees_to_the_precision_of_its_constants(mace_module, saved):
    """mace stores frequencies and couplings in float32 with the weights; the family's own are exact."""
    module = mace_module(torch.float32)
    opened = open_model_file(saved(module, "narrow.model"), trust_pickle=True)
    assert opened.checkpoint is not None
    assert_same(by_us(opened), by_mace(module.double()), 1e-6, 1e-6)
    # and in float32: our energies keep their digits, mace's sum holds thousands of eV
    assert_same(by_us(opened, "float32"), by_mace(module.float(), dtype="float32"), 2e-3, 1e-5)


def test_of_several_heads_the_one_that_is_named_is_taken(mace_module, saved, recwarn):
    energies = np.array([[-13.6, -1030.0, -2040.0], [-1.0, -2.0, -3.0]])
    scales = {"atomic_inter_scale": [0.7, 0.5], "atomic_inter_shift": [0.3, 0.1]}
    module = mace_module(heads=["dft", "cc"], atomic_energies=energies, **scales)
    path = saved(module, "heads.model")
    with pytest.raises(UserError, match=r"heads dft, cc; name one with --model-arg head=cc"):
        open_model_file(path, trust_pickle=True)
    with pytest.raises(UserError, match=r"unknown head .*'cd'.*Did you mean 'cc'"):
        open_model_file(path, trust_pickle=True, arguments={"head": "cd"})
    recwarn.clear()
    both = {head: open_model_file(path, trust_pickle=True, arguments={"head": head}) for head in ("dft", "cc")}
    assert both["dft"].sha256 != both["cc"].sha256, "if this fails, two models pass for one in the records"
    copied = [str(warning.message) for warning in recwarn.list if "To copy construct" in str(warning.message)]
    assert not copied, "if this fails, mace's own warnings stand among our lines"
    for head, opened in both.items():
        assert opened.checkpoint is not None
        assert_same(by_us(opened), by_mace(module, head), 1e-10, 1e-10)


def test_what_the_family_cannot_say_runs_as_a_whole_and_is_not_converted(mace_module, saved):
    module = mace_module(correlation=[2, 1])
    path = saved(module, "uneven.model")
    opened = open_model_file(path, trust_pickle=True)
    assert opened.checkpoint is None
    assert "differ from layer to layer" in opened.why_whole
    assert_same(by_us(opened), by_mace(module), 1e-10, 1e-10)
    with pytest.raises(UserError, match=r"cannot be converted: .*runs as a whole"):
        converted(path, trust_pickle=True)


def test_a_conversion_that_is_not_the_same_is_noticed(plain, monkeypatch):
    """One hyperparameter read wrongly must not become a checkpoint: here the number of neighbours."""
    honest = mace_model._hyperparameters
    monkeypatch.setattr(mace_model, "_hyperparameters", lambda m: honest(m) | {"avg_num_neighbors": 8.30001})
    opened = open_model_file(plain, trust_pickle=True)
    assert opened.checkpoint is None
    assert "energies differ by" in opened.why_whole


def test_other_models_of_mace_are_refused_by_name(mace_module, saved):
    module = mace_module()
    module.joint_embedding, module.embedding_specs = torch.nn.Identity(), {"total_charge": {}}
    with pytest.raises(UserError, match=r"depends on total_charge beside positions"):
        open_model_file(saved(module, "charged.model"), trust_pickle=True)


def test_a_model_that_gives_no_numbers_is_called_that(mace_module, saved):
    module = mace_module()
    next(module.parameters()).data[0] = float("nan")
    with pytest.raises(UserError, match="own energies or forces are not finite; training diverged"):
        open_model_file(saved(module, "diverged.model"), trust_pickle=True)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_model_for_the_mliap_of_lammps_is_told_which_file_to_give(mace_module, saved, trusted):
    with mace_imports():
        from mace.calculators.lammps_mliap_mace import LAMMPS_MLIAP_MACE
    path = saved(LAMMPS_MLIAP_MACE(mace_module(), head="Default"), "tiny.model-mliap_lammps.pt")
    with pytest.raises(UserError, match=r"for the ML-IAP of LAMMPS, .*; give the .model file that it was made of"):
        open_model_file(path, trust_pickle=trusted)


# --- TorchScript


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, mace_module) -> dict[str, Path]:
    """Return scripts of the plain model as mace_run_train (NAME_compiled.model) and mace_create_lammps_model write."""
    folder = tmp_path_factory.mktemp("scripts")
    with mace_imports():
        from e3nn.util import jit
        from mace.calculators import LAMMPS_MACE
    paths = {"compiled": folder / "tiny_compiled.model", "lammps": folder / "tiny.model-lammps.pt"}
    with contained():
        torch.jit.save(jit.compile(mace_module()), paths["compiled"])
        jit.compile(LAMMPS_MACE(mace_module(), head="Default")).save(paths["lammps"])
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["compiled", "lammps"])
def test_a_script_runs_as_a_whole_and_gives_maces_own_numbers(mace_module, scripts, kind):
    with pytest.raises(UserError, match=r"is a TorchScript model of mace-torch: .*nothing in it was run"):
        open_model_file(scripts[kind])
    opened = open_model_file(scripts[kind], trust_pickle=True)
    assert opened.elements == (1, 6, 8)
    assert_same(by_us(opened), by_mace(mace_module()), 1e-10, 1e-10)
    assert_same(by_us(opened, "float32"), by_mace(mace_module()), 1e-4, 1e-5)  # E0 apart, in float64
    with pytest.raises(UserError, match="a script does not tell its hyperparameters"):
        converted(scripts[kind], trust_pickle=True)


# --- use without converting


def test_it_runs_behind_the_ase_face_and_refuses_what_it_does_not_know(plain):
    calculator = load_calculator(plain, device="cpu", trust_pickle=True)
    atoms = systems()[1]
    twin = copy.deepcopy(calculator)
    assert twin.get_property("energy", atoms) == calculator.get_property("energy", atoms)
    assert calculator.parameters["sha256"]
    with pytest.raises(UnsupportedElementError, match="knows H C O"):
        calculator.get_property("energy", molecule("NH3"))


def test_the_process_is_as_it_was(plain, monkeypatch):
    import os

    before = dict(os.environ), torch.get_default_dtype(), torch.get_rng_state()
    open_model_file(plain, trust_pickle=True)
    assert (dict(os.environ), torch.get_default_dtype()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
