"""Ragged batches and the order of the data."""

import numpy as np
import pytest
import torch

from gmd26_md.calculators.batch import Layout
from gmd26_md.training.frames_in_memory import digest, force_rms, frames_in_memory
from gmd26_md.training.order import DataOrder
from gmd26_md.training.training_data import MoleculeFrames, evenly_spaced

CUTOFF = 2.5


def random_molecule(numbers: list[int], n_frames: int, seed: int) -> MoleculeFrames:
    rng = np.random.default_rng(seed)
    shape = (n_frames, len(numbers), 3)
    return MoleculeFrames(np.array(numbers), 3 * rng.random(shape), rng.random(n_frames), rng.random(shape))


@pytest.fixture
def two_molecules():
    return [random_molecule([8, 1, 1], 4, 1), random_molecule([6, 1, 1, 1, 1], 3, 2)]


def test_a_ragged_batch_equals_its_systems_one_by_one(two_molecules):
    energies = {1: -1.0, 6: -6.0, 8: -8.0}
    frames = frames_in_memory(two_molecules, energies, dtype=torch.float64)
    chosen = [(1, 2), (0, 0), (1, 0), (0, 3)]  # (molecule, frame), sizes mixed
    first = [0, 4]
    labelled = frames.batch(torch.tensor([first[m] + f for m, f in chosen]), CUTOFF)
    numbers = [two_molecules[m].numbers for m, _ in chosen]
    positions = np.concatenate([two_molecules[m].positions[f] for m, f in chosen])
    expected = Layout.of(numbers).batch(torch.as_tensor(positions), CUTOFF)
    for name in ("numbers", "positions", "system_idx", "pairs"):
        assert torch.equal(getattr(labelled.batch, name), getattr(expected, name)), name
    assert labelled.batch.n_systems == 4
    forces = np.concatenate([two_molecules[m].forces[f] for m, f in chosen])
    assert np.array_equal(labelled.forces.numpy(), forces)
    interaction = [
        two_molecules[m].energies[f] - sum(energies[int(z)] for z in two_molecules[m].numbers) for m, f in chosen
    ]
    assert np.allclose(labelled.energies.numpy(), interaction, rtol=1e-15)  # one subtraction in float64
    assert labelled.n_atoms.tolist() == [5.0, 3.0, 5.0, 3.0]


def test_a_molecule_of_more_than_300_atoms_has_its_pairs_too():
    """Large ones have no list of all pairs, only of near ones; small ones may stand on either side in a batch."""
    molecules = [random_molecule([8, 1, 1], 2, 1), random_molecule([6] * 301, 2, 2), random_molecule([6, 1], 2, 3)]
    frames = frames_in_memory(molecules, {1: 0.0, 6: 0.0, 8: 0.0}, dtype=torch.float64)
    chosen = [2, 0, 4, 3, 1]  # two frames of each molecule
    labelled = frames.batch(torch.tensor(chosen), CUTOFF)
    positions = np.concatenate([molecules[i // 2].positions[i % 2] for i in chosen])
    expected = Layout.of([molecules[i // 2].numbers for i in chosen]).batch(torch.as_tensor(positions), CUTOFF)
    assert torch.equal(labelled.batch.pairs, expected.pairs)
    assert bool(torch.bincount(expected.system_idx[expected.pairs[0]])[[0, 3]].gt(301).all()), "if not, they are apart"


def test_element_energies_leave_before_rounding_to_float32():
    molecule = random_molecule([8, 1, 1], 2, 5)
    shifted = MoleculeFrames(molecule.numbers, molecule.positions, molecule.energies - 2.0e6, molecule.forces)
    frames = frames_in_memory([shifted], {8: -2.0e6, 1: 0.0}, dtype=torch.float32)
    assert np.allclose(frames.energies.numpy(), molecule.energies, atol=1e-7)  # 2e6 alone would cost 0.1 eV in float32


def test_an_epoch_sees_every_frame_once_and_the_next_in_another_order():
    n_atoms = torch.randint(8, 42, (200,), generator=torch.Generator().manual_seed(0))
    order = DataOrder(n_atoms, 128, seed=4)
    epochs = [[order.batch(e * order.n_batches + i) for i in range(order.n_batches)] for e in (0, 1)]
    for batches in epochs:
        assert sorted(torch.cat(batches).tolist()) == list(range(200))
        sizes = [int(n_atoms[batch].sum()) for batch in batches]
        assert max(abs(size - np.mean(sizes)) for size in sizes) <= 41  # off by less than one largest frame
    assert torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()


def test_the_order_follows_from_seed_and_step_alone():
    n_atoms = torch.full((50,), 10)
    straight = DataOrder(n_atoms, 60, seed=1)
    walked = [straight.batch(step).tolist() for step in range(30)]
    assert DataOrder(n_atoms, 60, seed=1).batch(23).tolist() == walked[23]
    assert DataOrder(n_atoms, 60, seed=2).batch(23).tolist() != walked[23]


@pytest.mark.parametrize("batch_atoms", [1, 41, 10**6])
def test_no_batch_is_empty_whatever_the_batch_size(batch_atoms):
    order = DataOrder(torch.tensor([8, 41, 8, 20, 8, 8, 41]), batch_atoms, seed=0)
    assert all(len(order.batch(step)) > 0 for step in range(3 * order.n_batches))


def test_the_digest_notices_one_changed_force(two_molecules):
    before = digest(two_molecules)
    two_molecules[1].forces[2, 4, 1] += 1e-12
    assert digest(two_molecules) != before


def test_the_force_rms_is_over_all_components(two_molecules):
    everything = np.concatenate([m.forces.ravel() for m in two_molecules])
    assert force_rms(two_molecules) == pytest.approx(np.sqrt(np.mean(everything**2)), rel=1e-12)


def test_evenly_spaced_frames_span_the_trajectory_and_never_repeat(two_molecules):
    (thinned, whole) = evenly_spaced(two_molecules, 3)
    assert np.array_equal(thinned.energies, two_molecules[0].energies[[0, 1, 2]])
    assert np.array_equal(whole.energies, two_molecules[1].energies)
    (half,) = evenly_spaced([random_molecule([1], 100, 3)], 4)
    assert np.array_equal(half.energies, random_molecule([1], 100, 3).energies[[0, 25, 50, 75]])
