"""NequIP gives what nequip gives by itself, and reads the files that nequip's own commands write.

Needs nequip, which the default environment has not: `bash scripts/all-families.sh` makes one, `.ci/run-all-families`
runs these tests in it.
"""

import copy
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import families, load_calculator, load_checkpoint, save_checkpoint
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.nequip_files import open_nequip
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.calculators.vendors.convert import converted
from gmd26_md.errors import UserError

SCRIPT = Path(__file__).with_name("nequip_by_itself.py")
needs_nequip = pytest.mark.skipif(
    find_spec("nequip") is None, reason="nequip is not installed; scripts/all-families.sh makes an environment with it"
)
ELEMENTS = (1, 6, 8)


def by_itself():
    """Return the script as a module: its molecules and its ways to keep numbers."""
    spec = spec_from_file_location("nequip_by_itself", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_by_itself(what: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, what, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def answers(potential: Potential, systems: list[Atoms]) -> list[tuple[float, np.ndarray]]:
    """Energies and forces from one batch of all systems."""
    batch = batch_of(systems, potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    parts = forces.split([len(a) for a in systems])
    totals = energies + potential.reference_energy(batch)
    return [(float(e), f.numpy()) for e, f in zip(totals, parts, strict=True)]


def batch_of(systems: list[Atoms], cutoff: float, dtype: torch.dtype = torch.float64):
    positions = torch.as_tensor(np.concatenate([a.positions for a in systems]), dtype=dtype)
    return Layout.of([a.numbers for a in systems]).batch(positions, cutoff)


def assert_same(got, wanted, tolerance: float) -> None:
    """Compare energies, eV, and forces, eV/Å, and see that there is something to compare."""
    for (energy, forces), (energy_there, forces_there) in zip(got, wanted, strict=True):
        assert energy == pytest.approx(energy_there, rel=0, abs=tolerance)
        np.testing.assert_allclose(forces, forces_there, rtol=0, atol=tolerance)
        assert np.abs(forces_there).max() > 1e-2


def potential_of(**hyperparameters: object) -> Potential:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = families.build_network("nequip", hyperparameters, ELEMENTS)
    return Potential(network, cutoff=hyperparameters.get("cutoff", 5.0), element_energies=dict.fromkeys(ELEMENTS, 0.0))


@needs_nequip
def test_energies_and_forces_are_those_of_nequips_own_model_and_ase_calculator(tmp_path):
    """Its model builder, neighbour list, transforms, sum and force module, on the same weights."""
    run_by_itself("build", tmp_path)
    there = by_itself()
    for name, settings in there.BUILT.items():
        order = [there.TYPES.index(symbol) for symbol in ("H", "C", "O")]
        ours = {key: value for key, value in settings.items() if key != "r_max"} | {"cutoff": settings["r_max"]}
        for key in ("avg_num_neighbors", "per_type_energy_scales"):
            if isinstance(ours.get(key), dict):
                ours[key] = [ours[key][symbol] for symbol in ("H", "C", "O")]
        potential = potential_of(**{"parity": False, **ours})
        weights = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        weights["type_embed.embed_module.weight"] = weights["type_embed.embed_module.weight"][order]
        expected = potential.network.state_dict()
        potential.network.load_state_dict({n: weights[n.removeprefix("vendor.")] for n in expected})
        # float64 sums in another order (measured: 1e-14)
        assert_same(answers(potential, there.molecules()), there.kept(tmp_path / f"{name}.npz"), 1e-9)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Return a folder with what `nequip-train` and `nequip-package` wrote."""
    folder: Path = tmp_path_factory.mktemp("trained")
    run_by_itself("train", folder)
    return folder


@needs_nequip
@pytest.mark.skipif(shutil.which("c++") is None, reason="AOTInductor needs a C++ compiler")
def test_what_nequip_compile_writes_says_what_it_says_by_nequip_and_what_was_compiled(trained):
    """Takes a minute and a half of processor time. And the script that the other tests have is made again."""
    run_by_itself("compile", trained)
    there = by_itself()
    compiled, eager = there.kept(trained / "averaged/ase.npz"), there.kept(trained / "averaged/last.npz")
    assert_same(compiled, eager, 1e-9)
    path = trained / "averaged/ase.nequip.pt2"
    opened = open_model_file(path, trust_pickle=True)
    assert opened.elements == ELEMENTS
    assert_same(answers(opened.potential("cpu"), there.molecules()), compiled, 1e-9)
    assert_same(there.answers(load_calculator(path, "cpu", trust_pickle=True)), compiled, 1e-9)
    many = [a for a in there.molecules() for _ in range(20)]  # several hundred atoms; it was compiled on a dozen
    assert_same(answers(opened.potential("cpu"), many), [one for one in compiled for _ in range(20)], 1e-9)
    # the first layer has no connection of an atom with itself: an atom alone has its shift
    [(energy, _)] = answers(opened.potential("cpu"), [Atoms("O")])
    uncompiled = open_nequip(path.with_name("last.ckpt"))
    assert energy == pytest.approx(uncompiled.element_energies[8], rel=0, abs=1e-9)
    with pytest.raises(UserError, match="was compiled for the device cpu, not meta"):
        opened.whole.potential("meta")
    run_by_itself("script", trained)
    assert_same(there.kept(trained / "compiled.npz"), there.kept(SCRIPT.with_name("compiled.npz")), 1e-9)


@needs_nequip
def test_files_of_nequip_train_and_nequip_package_say_what_they_say_by_nequip(trained, tmp_path):
    there = by_itself()
    files = sorted(path for path in trained.glob("*/*") if path.name in ("last.ckpt", "packaged.nequip.zip"))
    assert len(files) == 5
    for path in files:
        packaged = path.name == "packaged.nequip.zip"
        before = (dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist())
        checkpoint = open_nequip(path, trust_pickle=packaged)
        assert (dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()) == before
        save_checkpoint(checkpoint, tmp_path / "converted.pt")
        potential = load_checkpoint(tmp_path / "converted.pt").potential()
        # a float32 model computes in float32 there, in float64 here: energies of a hundred eV to seven digits
        tolerance = 1e-4 if path.parent.name == "float32" else 1e-9
        assert_same(answers(potential, there.molecules()), there.kept(path.with_suffix(".npz")), tolerance)
        if packaged:
            for opens in (open_nequip, open_model_file, converted):
                with pytest.raises(UserError, match=r"nothing in it was run.*--trust-pickle"):
                    opens(path)
        # by the doors that every file goes through; what nequip-train writes is read without trust
        assert torch.equal(
            converted(path, trust_pickle=packaged).state_dict["vendor.layer0_convnet.conv.linear_1.weight"],
            checkpoint.state_dict["vendor.layer0_convnet.conv.linear_1.weight"],
        )
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(files[0].read_bytes()[:-2000])
    with pytest.raises(UserError, match="damaged"):
        open_nequip(broken)


@needs_nequip
def test_import_build_and_copy_leave_the_process_as_it_was():
    before = (dict(os.environ), torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state().tolist())
    network = families.build_network("nequip", {}, ELEMENTS)
    copy.deepcopy(network)
    after = (dict(os.environ), torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state().tolist())
    assert after == before


@needs_nequip
def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, same = potential_of().state_dict(), potential_of().state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    other = families.build_network("nequip", {}, ELEMENTS).state_dict()
    assert not torch.equal(other["vendor.type_embed.embed_module.weight"], next(iter(one.values())))


@needs_nequip
def test_a_copy_keeps_weights_precision_mode_and_answer():
    potential = potential_of().float().eval().requires_grad_(False)
    twin = copy.deepcopy(potential)
    assert not twin.training
    for weight, again in zip(potential.parameters(), twin.parameters(), strict=True):
        assert torch.equal(weight, again)
        assert (again.dtype, again.requires_grad) == (torch.float32, False)
    batch = batch_of([molecule("CH3COOH")], 5.0, torch.float32)
    assert torch.equal(energy_and_forces(potential, batch)[1], energy_and_forces(twin, batch)[1])


@needs_nequip
def test_constants_are_exact_after_a_way_through_float32():
    potential = potential_of(l_max=2, num_layers=2)
    network = families.build_network("nequip", {"l_max": 2, "num_layers": 2}, ELEMENTS)
    low = copy.deepcopy(potential).float().network.state_dict()
    network.load_state_dict(low, strict=True)
    through = Potential(network, cutoff=5.0, element_energies=dict.fromkeys(ELEMENTS, 0.0))
    potential.network.load_state_dict(low)  # rounded weights, constants that never were
    systems = [molecule("CH3COOH"), molecule("H2O")]
    for (_, forces), (_, wanted) in zip(answers(through, systems), answers(potential, systems), strict=True):
        assert np.array_equal(forces, wanted)


@needs_nequip
def test_no_atom_alone_and_no_pair_makes_no_force_and_no_energy():
    """Its first layer has no connection of an atom with itself, so that isolated atoms are the zero of energy."""
    for systems in ([Atoms("O")], [Atoms("OH", positions=[[0, 0, 0], [9, 0, 0]])], [Atoms("C"), Atoms("H")]):
        for energy, forces in answers(potential_of(), systems):
            assert energy == 0.0
            assert not forces.any()


@needs_nequip
def test_forces_are_the_gradient_for_a_straight_and_an_almost_straight_chain():
    potential = potential_of(l_max=2)
    for bend in (0.0, 1e-9, 1e-3):
        chain = Atoms("OCO", positions=[[0, 0, -1.2], [0, bend, 0], [0, 0, 1.2]])
        [(_, forces)] = answers(potential, [chain])
        for atom in range(3):
            for axis in range(3):
                ends = []
                for sign in (1, -1):
                    moved = chain.copy()
                    moved.positions[atom, axis] += sign * 1e-5
                    ends.append(answers(potential, [moved])[0][0])
                # third derivative (up to 1e3 eV/Å³) times step²/6, and digits of the energy over the step: 1e-8
                assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / 2e-5, abs=1e-7)


@needs_nequip
def test_energy_and_forces_go_to_zero_at_the_cutoff():
    potential = potential_of()
    near = [answers(potential, [Atoms("CO", positions=[[0, 0, 0], [5.0 - gap, 0, 0]])])[0] for gap in (1e-2, 1e-3)]
    # the envelope ends with its second derivative: energy as gap³, force as gap²
    assert abs(near[1][0]) < 2e-3 * abs(near[0][0])
    assert np.abs(near[1][1]).max() < 2e-2 * np.abs(near[0][1]).max()
    assert near[0][0] != 0.0


@needs_nequip
def test_a_loss_on_forces_reaches_the_weights_in_float32():
    potential = potential_of().float()
    batch = batch_of([molecule("CH3CH2OH"), Atoms("O")], 5.0, torch.float32)
    energy, forces = energy_and_forces(potential, batch, training=True)
    assert (energy.dtype, forces.dtype) == (torch.float32, torch.float32)
    forces.square().sum().backward()
    slopes = [w.grad.abs().max() for w in potential.parameters() if w.grad is not None and w.numel()]
    assert len(slopes) > 10
    assert all(torch.isfinite(s) for s in slopes)
    assert min(slopes) > 0


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"lmax": 2}, "Did you mean 'l_max'"),
        ({"parity": 1}, "parity is 1; it must be true or false"),
        ({"polynomial_cutoff_p": 1}, "polynomial_cutoff_p is 1; it must be at least 2"),
        (
            {"num_features": [8, 8, 8]},
            "num_features has 3 numbers; it must have 2, one for each degree from 0 to l_max",
        ),
        ({"num_features": [8, 0]}, "num_features is 0; it must be a whole number of at least 1"),
        ({"avg_num_neighbors": [1.0]}, "avg_num_neighbors has 1 numbers; it must have 3, one for each element"),
        ({"readout_mlp_nonlinearity": "sliu"}, "Did you mean 'silu'"),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused_before_nequip_is_looked_for(hyperparameters, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        families.build_network("nequip", hyperparameters, ELEMENTS)


def test_where_nequip_is_missing_the_error_names_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "nequip", None)  # as if it were not installed
    monkeypatch.setitem(sys.modules, "nequip.model", None)
    with pytest.raises(UserError, match=r"nequip cannot be imported here .*`bash scripts/all-families.sh`"):
        families.build_network("nequip", {}, ELEMENTS)


def test_a_file_that_is_none_of_nequips_is_refused(tmp_path, checkpoint_path):
    with pytest.raises(UserError, match="is no checkpoint of nequip-train"):
        open_nequip(checkpoint_path("schnet"))
    text = tmp_path / "notes.ckpt"
    text.write_text("hello")
    with pytest.raises(UserError, match="text file"):
        open_nequip(text)
    with pytest.raises(UserError, match="does not exist"):
        open_nequip(tmp_path / "nothing.ckpt")
    with pytest.raises(UserError, match="compiled model of nequip"):
        open_nequip(Path(__file__).with_name("compiled.nequip.pth"))
    torch.save({"hyper_parameters": {"model": Path("a")}, "state_dict": {}}, tmp_path / "more.ckpt")
    with pytest.raises(UserError, match="nothing in it was run: package it where it was made"):
        open_nequip(tmp_path / "more.ckpt")
