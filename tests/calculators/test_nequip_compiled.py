"""Compiled models of nequip run as they are, without nequip; `nequip_by_itself.py script` made the one that is here.

What `nequip-compile` writes with AOTInductor holds for one machine, and is made and tested in `test_nequip.py`.
"""

import json
import shutil
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule

from gmd26_md.calculators import load_calculator
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.calculators.vendors import nequip_compiled
from gmd26_md.calculators.vendors.convert import converted
from gmd26_md.calculators.vendors.model import Whole
from gmd26_md.calculators.vendors.nequip_about import About
from gmd26_md.errors import UserError

HERE = Path(__file__).parent
COMPILED = HERE / "compiled.nequip.pth"
SAYS = {
    "type_names": "C H O", "r_max": "4.0", "model_dtype": "float64", "AOTI_DEVICE_KEY": "cpu",
    "nequip_aoti_inputs": "pos edge_index atom_types cell edge_cell_shift",
    "nequip_aoti_outputs": "atomic_energy total_energy forces stress",
}  # fmt: skip


def by_itself():
    """Return the script that made the file as a module: its molecules and its ways to keep numbers."""
    spec = spec_from_file_location("nequip_by_itself", HERE / "nequip_by_itself.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refusal(path: Path, **how: object) -> str:
    with pytest.raises(UserError) as told:
        open_model_file(path, **{"trust_pickle": True, **how})
    assert "\n" not in str(told.value)
    return str(told.value)


def rewritten(path: Path, **changed: str | None) -> Path:
    """Copy the compiled model with other words beside its code; None leaves one out."""
    with zipfile.ZipFile(COMPILED) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            word = name.rpartition("/extra/")[2]
            if word not in changed:
                copy.writestr(name, archive.read(name))
            elif changed[word] is not None:
                copy.writestr(name, changed[word])
    return path


def aot_file(path: Path, **changed: str) -> Path:
    """Write what AOTInductor leaves beside its code, without the code."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data/aotinductor/model/x.wrapper_metadata.json", json.dumps(SAYS | changed))
    return path


def test_a_compiled_model_says_what_it_says_by_nequips_calculator_in_a_batch_and_alone():
    """It has cutoffs by pair of elements, and energies and scales of elements; nequip is not needed."""
    there = by_itself()
    wanted = there.kept(HERE / "compiled.npz")
    opened = open_model_file(COMPILED, trust_pickle=True)
    assert (opened.elements, opened.cutoff, opened.family) == ((1, 6, 8), 4.0, "nequip-compiled")
    systems = there.molecules()
    batch = Layout.of([a.numbers for a in systems]).batch(
        torch.as_tensor(np.concatenate([a.positions for a in systems])), opened.cutoff
    )
    potential = opened.potential()
    energies, forces = energy_and_forces(potential, batch)
    # float64 sums in another order, of energies of a few hundred eV (measured: 6e-14 eV)
    assert (energies + potential.reference_energy(batch)).tolist() == pytest.approx([e for e, _ in wanted], abs=1e-9)
    np.testing.assert_allclose(forces.numpy(), np.concatenate([f for _, f in wanted]), rtol=0, atol=1e-9)
    assert min(np.abs(f).max() for _, f in wanted) > 1e-2
    for (energy, alone), (energy_there, forces_there) in zip(
        there.answers(load_calculator(COMPILED, "cpu", trust_pickle=True)), wanted, strict=True
    ):
        assert energy == pytest.approx(energy_there, rel=0, abs=1e-9)
        np.testing.assert_allclose(alone, forces_there, rtol=0, atol=1e-9)


def test_it_is_told_by_its_content_and_runs_only_with_trust(tmp_path):
    path = Path(shutil.copy(COMPILED, tmp_path / "model.bin"))
    said = refusal(path, trust_pickle=False)
    assert "is a compiled model of nequip: to load it is to run code from it, and nothing in it was run" in said
    assert "--trust-pickle" in said
    assert said.endswith("or give the checkpoint of nequip-train or the package that it was compiled from.")
    assert open_model_file(path, trust_pickle=True).sha256 == open_model_file(COMPILED, trust_pickle=True).sha256
    with pytest.raises(UserError, match="cannot be converted: a compiled model does not tell its hyperparameters"):
        converted(path, trust_pickle=True)
    assert "takes no arguments, got 'head'" in refusal(path, arguments={"head": "x"})
    with pytest.raises(UserError, match=r"compiled in float64 .*leave the precision at float64"):
        open_model_file(path, trust_pickle=True).potential("cpu", "float32")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"type_names": "C H W1"}, "atoms of type 'W1', which is no element's symbol"),
        ({"r_max": None}, "does not say its r_max; compile it again"),
        ({"r_max": "four"}, "says nonsense of itself"),
        ({"per_edge_type_cutoff": "4.0 2.0"}, "says nonsense of itself"),
    ],
)
def test_what_it_does_not_say_of_itself_is_named(tmp_path, changed, words):
    assert words in refusal(rewritten(tmp_path / "x.pth", **changed))


def test_a_damaged_one_is_refused(tmp_path):
    content = bytearray(COMPILED.read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "x.pth").write_bytes(content)
    assert "damaged" in refusal(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AOTI_PLATFORM": "linux", "AOTI_MACHINE": "vax"}, "was compiled for linux vax, this is "),
        ({"nequip_aoti_outputs": ""}, "does not say its nequip_aoti_outputs; compile it again"),
        ({"nequip_aoti_outputs": "total_energy"}, "compile it with --target ase"),
        ({"nequip_aoti_inputs": "edge_vectors"}, "compile it with --target ase"),
        ({"nequip_custom_ops_libs": "no_such_kernels"}, "calls no_such_kernels, which cannot be imported"),
        ({}, "compiled code depends on the version of torch"),  # there is none
    ],
)
def test_what_aotinductor_compiled_for_something_else_is_refused_before_it_is_loaded(tmp_path, changed, words):
    assert words in refusal(aot_file(tmp_path / "x.pt2", **changed))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_what_was_compiled_for_a_gpu_says_so_where_there_is_none(tmp_path):
    assert "compiled for cuda, which is not here" in refusal(aot_file(tmp_path / "x.pt2", AOTI_DEVICE_KEY="cuda"))


def springs(about: About, seen: list[dict[str, torch.Tensor]], by_size: float = 0.0):
    """Return in place of compiled code: half a spring of 1 eV/Å² for each pair, and what sees the frame."""

    def call(values: list[torch.Tensor]) -> list[torch.Tensor]:
        data = dict(zip(about.inputs, values, strict=True))
        seen.append(data)
        centre, neighbour = data["edge_index"]
        vectors = data["pos"][neighbour] - data["pos"][centre]
        energies = torch.zeros(len(data["pos"]), dtype=torch.float64)
        energies.index_add_(0, centre, 0.25 * vectors.square().sum(-1))
        forces = torch.zeros_like(data["pos"]).index_add_(0, centre, vectors)
        return [energies[:, None] + by_size * len(energies), forces]

    return nequip_compiled.CompiledNequIP(about, call, "toy")


@pytest.mark.parametrize("frames", ["", " batch num_atoms"])
def test_aotinductor_is_never_asked_for_sizes_below_two(frames):
    """Which it does not compile. What is added is not in the answer, and the frames add up to the atoms."""
    inputs = tuple(f"pos edge_index atom_types cell edge_cell_shift{frames}".split())
    about = About((6, 1, 8), 4.0, inputs=inputs, outputs=("atomic_energy", "forces"), device="cpu")
    seen: list[dict[str, torch.Tensor]] = []
    potential = Potential(springs(about, seen), cutoff=4.0, element_energies={1: 0.0, 6: 0.0, 8: 0.0})
    for numbers, at, energy in (
        ([8], [[0, 0, 0]], 0.0),
        ([1, 8], [[0, 0, 0], [0, 0, 9]], 0.0),
        ([1, 8], [[0, 0, 0], [0, 0, 2]], 2.0),
    ):
        batch = Layout.of([np.array(numbers)]).batch(torch.tensor(at, dtype=torch.float64), 4.0)
        energies, forces = energy_and_forces(potential, batch)
        assert energies.tolist() == [energy]
        assert forces.shape == batch.positions.shape
        data = seen[-1]
        assert data["edge_index"].shape[1] >= 2
        assert data["edge_cell_shift"].shape == (data["edge_index"].shape[1], 3)
        if frames:
            assert len(data["num_atoms"]) == len(data["cell"]) == 2
            assert torch.bincount(data["batch"]).tolist() == data["num_atoms"].tolist()
            assert int(data["num_atoms"].sum()) == len(data["pos"])


def test_a_model_that_sees_more_than_pairs_is_not_asked_for_several_molecules_at_once():
    inputs = tuple(SAYS["nequip_aoti_inputs"].split())
    about = About((1, 6, 8), 4.0, inputs=inputs, outputs=("atomic_energy", "forces"), device="cpu")

    def told(by_size: float) -> str:
        whole = Whole(lambda: springs(about, [], by_size), 4.0, dict.fromkeys((1, 6, 8), 0.0))
        return nequip_compiled._not_one_by_one(whole, about)

    assert told(0.0) == ""
    assert "energies differ by" in told(1e-3)


def test_pairs_beyond_the_cutoff_of_their_elements_are_left_out():
    inputs = tuple(SAYS["nequip_aoti_inputs"].split())
    cutoffs = ((4.0, 1.0), (4.0, 4.0))  # of centre and neighbour: carbon does not see hydrogen beyond 1 Å
    about = About((6, 1), 4.0, cutoffs, inputs=inputs, outputs=("atomic_energy", "forces"), device="cpu")
    seen: list[dict[str, torch.Tensor]] = []
    methane = molecule("CH4")
    layout = Layout.of([methane.numbers])
    springs(about, seen)(layout.batch(torch.as_tensor(methane.positions), 4.0))
    pairs = seen[-1]["edge_index"]
    assert not ((pairs[0] == 0) & (pairs[1] > 0)).any()
    assert int((pairs[1] == 0).sum()) == 4
