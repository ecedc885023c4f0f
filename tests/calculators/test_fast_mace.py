"""MACE's own evaluation gives the energies, forces and gradients of mace-torch's, for every plain architecture."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import mace
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces

ELEMENTS = (1, 6, 7, 8)
SMALL = {"hidden_irreps": "4x0e", "MLP_irreps": "4x0e", "radial_MLP": [8]}
PLAIN = {
    "defaults": {},
    "vectors": {**SMALL, "hidden_irreps": "4x0e + 4x1o", "max_ell": 3, "correlation": 3},
    "three layers": {**SMALL, "hidden_irreps": "4x0e + 4x1o + 4x2e", "num_interactions": 3},
    "one layer": {**SMALL, "num_interactions": 1, "correlation": 1},
    "no hidden radial layer": {**SMALL, "radial_MLP": [], "max_ell": 1, "num_polynomial_cutoff": 5, "cutoff": 3.5},
}


class VendorsRoad(torch.nn.Module):
    """The same network, evaluated by mace-torch's forward."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.network.vendor_forward(batch)


def both_roads(hyperparameters: dict[str, object], *, frozen: bool = True) -> tuple[Potential, Potential]:
    """Return the same weights as a potential evaluated by our road and one by the vendor's, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = mace.network(hyperparameters, ELEMENTS)
    assert network.own is not None
    roads = network, VendorsRoad(network)
    cutoff = network.hyperparameters["cutoff"]
    potentials = [Potential(n, cutoff=cutoff, element_energies=dict.fromkeys(ELEMENTS, 0.0)) for n in roads]
    return tuple(p.requires_grad_(not frozen) for p in potentials)


def systems() -> list[Atoms]:
    """Molecules that share few elements, one with a part out of reach, and a lone atom between them."""
    far = molecule("CH3COOH") + Atoms("O", [(30.0, 0.0, 0.0)])
    found = [molecule("H2O"), Atoms("N"), molecule("CH3CONH2"), far, molecule("trans-butane")]
    for n, atoms in enumerate(found):
        atoms.rattle(0.05, seed=n)
    return found


def batch_of(found: list[Atoms], cutoff: float, dtype: torch.dtype = torch.float64) -> Batch:
    positions = torch.as_tensor(np.concatenate([a.positions for a in found]), dtype=dtype)
    return Layout.of([a.numbers for a in found]).batch(positions, cutoff)


def assert_same(values: torch.Tensor, expected: torch.Tensor, accuracy: float) -> None:
    """Compare to a fraction of the largest value: sums of terms that large, in another order."""
    torch.testing.assert_close(values, expected, rtol=0, atol=accuracy * float(expected.abs().max()))


@pytest.mark.parametrize("name", PLAIN)
def test_energies_and_forces_are_the_vendors(name):
    ours, vendors = both_roads(PLAIN[name])
    batch = batch_of(systems(), ours.cutoff)
    energy, forces = energy_and_forces(ours, batch)
    expected_energy, expected_forces = energy_and_forces(vendors, batch)
    assert expected_forces.abs().max() > 1e-3
    assert_same(energy, expected_energy, 1e-12)
    assert_same(forces, expected_forces, 1e-12)


@pytest.mark.parametrize("name", ["defaults", "vectors"])
def test_gradients_of_a_loss_on_forces_are_the_vendors(name):
    ours, vendors = both_roads(PLAIN[name], frozen=False)
    batch = batch_of(systems()[:3], ours.cutoff)
    slopes = []
    for potential in (ours, vendors):
        energy, forces = energy_and_forces(potential, batch, training=True)
        loss = energy.square().sum() + forces.square().sum()
        weights = dict(potential.network.named_parameters())
        found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        slopes.append({n.removeprefix("network."): s for n, s in zip(weights, found, strict=True)})
    largest = max(float(s.abs().max()) for s in slopes[1].values() if s is not None and s.numel())
    for name_of_weight, expected in slopes[1].items():
        if expected is None or not expected.numel():
            continue
        # one more differentiation than the forces, with the cancellations of the loss's squares
        torch.testing.assert_close(slopes[0][name_of_weight], expected, rtol=1e-9, atol=1e-12 * largest)


@pytest.mark.parametrize("name", ["defaults", "vectors"])
def test_forces_are_the_energys_gradient_and_differentiable_once_more(name):
    ours, _ = both_roads(PLAIN[name])
    batch = batch_of([molecule("H2O")], ours.cutoff)
    batch.positions.requires_grad_(True)

    def energy(positions: torch.Tensor) -> torch.Tensor:
        return ours(Batch(batch.numbers, positions, batch.system_idx, 1, batch.pairs))[0].sum()

    assert torch.autograd.gradcheck(energy, batch.positions)
    assert torch.autograd.gradgradcheck(energy, batch.positions)


@pytest.mark.parametrize("atoms", [[Atoms("O")], [Atoms("O"), Atoms("H")], [Atoms("CO", [(0, 0, 0), (20, 0, 0)])]])
def test_atoms_without_pairs_have_the_vendors_energy_and_no_force(atoms):
    ours, vendors = both_roads(PLAIN["vectors"])
    batch = batch_of(atoms, ours.cutoff)
    energy, forces = energy_and_forces(ours, batch)
    assert_same(energy, energy_and_forces(vendors, batch)[0], 1e-12)
    assert not forces.any()


def test_a_system_that_has_become_nan_leaves_the_others_alone():
    ours, _ = both_roads(PLAIN["defaults"])
    found = systems()
    energy, forces = energy_and_forces(ours, batch_of(found, ours.cutoff))
    found[0].positions[1] = found[0].positions[0]  # two atoms in one place have no direction
    with_nan = energy_and_forces(ours, batch_of(found, ours.cutoff))
    assert with_nan[0][0].isnan()
    assert torch.equal(with_nan[0][1:], energy[1:])
    assert torch.equal(with_nan[1][3:], forces[3:])


def test_float32_stays_float32_and_near():
    ours, _ = both_roads(PLAIN["defaults"])
    energy, forces = energy_and_forces(ours, batch_of(systems(), ours.cutoff))
    low = copy.deepcopy(ours).float()
    low_energy, low_forces = energy_and_forces(low, batch_of(systems(), ours.cutoff, torch.float32))
    assert (low_energy.dtype, low_forces.dtype) == (torch.float32, torch.float32)
    assert_same(low_energy.double(), energy, 1e-5)  # some hundred roundings of 6e-8
    assert_same(low_forces.double(), forces, 1e-5)


def test_two_threads_at_once_give_the_bits_of_one():
    ours, _ = both_roads(PLAIN["defaults"])
    batches = [batch_of([a], ours.cutoff) for a in systems()] * 6
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [energy_and_forces(ours, batch) for batch in batches]
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            together = list(pool.map(lambda batch: energy_and_forces(ours, batch), batches))
    finally:
        torch.set_num_threads(n_threads)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("hyperparameters", [{**SMALL, "max_ell": 4}])
def test_what_is_not_plain_takes_the_vendors_road(hyperparameters):
    network = mace.network(hyperparameters, ELEMENTS)
    assert network.own is None
    batch = batch_of(systems(), 5.0)
    assert torch.equal(network(batch), network.vendor_forward(batch))


def test_a_state_dict_holds_the_learned_weights_only():
    network = mace.network({}, ELEMENTS)
    assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}
