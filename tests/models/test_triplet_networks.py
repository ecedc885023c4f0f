"""DimeNet++ and GemNet-T where triplets of atoms are hard: three in line, and one that crosses the cutoff."""

from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import dimenet_plus_plus, gemnet
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces

ELEMENTS = (1, 6, 8)
DIMENET = {
    "hidden_channels": 16, "num_blocks": 2, "int_emb_size": 8, "out_emb_channels": 16, "num_spherical": 4,
    "output_initializer": "glorot_orthogonal",  # else the energy is zero before training
}  # fmt: skip
GEMNET = {"emb_size_atom": 16, "emb_size_edge": 16, "emb_size_trip": 8, "emb_size_bil_trip": 8}
NETWORKS = [pytest.param(dimenet_plus_plus, DIMENET, id="dimenet++"), pytest.param(gemnet, GEMNET, id="gemnet")]
both = pytest.mark.parametrize(("family", "small"), NETWORKS)


def potential_of(family: ModuleType, small: dict[str, object], cutoff: float = 5.0) -> Potential:
    """Return random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = family.network({**small, "cutoff": cutoff}, ELEMENTS).double()
    return Potential(network, cutoff=cutoff, element_energies=dict.fromkeys(ELEMENTS, 0.0))


def batch_of(systems: list[Atoms], cutoff: float = 5.0) -> Batch:
    positions = torch.as_tensor(np.concatenate([atoms.positions for atoms in systems]))
    return Layout.of([atoms.numbers for atoms in systems]).batch(positions, cutoff)


@both
@pytest.mark.parametrize("off_line", [0.0, 1e-8, 1e-4], ids=lambda x: f"{x} Å off the line")
def test_forces_are_the_gradient_where_three_atoms_are_in_line(family, small, off_line):
    atoms = molecule("C2H2") + Atoms("OCO", [[0, 3, 0], [1.2, 3 + off_line, 0], [2.4, 3, 0]])
    potential, batch = potential_of(family, small), batch_of([atoms])
    _, forces = energy_and_forces(potential, batch)
    layout, h = Layout.of([atoms.numbers]), 1e-4

    def energy(flat: torch.Tensor) -> float:
        return float(energy_and_forces(potential, layout.batch(flat.view(-1, 3), 5.0))[0])

    start, numerical = batch.positions.flatten(), []
    for step in torch.eye(len(start), dtype=torch.float64) * h:
        near, far = (energy(start + k * step) - energy(start - k * step) for k in (1, 2))
        numerical.append(-(8.0 * near - far) / (12.0 * h))  # error of the order h^4
    largest = forces.abs().max()
    assert largest > 0.1
    assert torch.isfinite(forces).all()
    error = (forces.flatten() - torch.tensor(numerical, dtype=torch.float64)).abs().max()
    assert error < 1e-9 * largest  # h^4 times a fifth derivative; digits of the energy over h leave less


@both
def test_a_loss_on_forces_has_the_right_gradient_by_weights_even_on_a_line(family, small):
    potential, batch = potential_of(family, small), batch_of([molecule("CO2"), molecule("H2O")])

    def loss() -> torch.Tensor:
        energy, forces = energy_and_forces(potential, batch, training=True)
        return forces.square().sum() + energy.sum()

    loss().backward()
    for weight in weights_before_and_in_triplets(potential.network):
        flat, slopes = weight.data.view(-1), weight.grad.view(-1)
        place, h = int(slopes.abs().argmax()), 1e-5
        ends = []
        for sign in (1.0, -1.0):
            flat[place] += sign * h
            ends.append(loss().item())
            flat[place] -= sign * h
        # error of the difference: h^2 times a third derivative, digits of the loss over h: 1e-10
        assert float(slopes[place]) == pytest.approx((ends[0] - ends[1]) / (2.0 * h), rel=1e-6)


def weights_before_and_in_triplets(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    if hasattr(network, "interaction_blocks"):  # DimeNet++
        block = network.interaction_blocks[0]
        return [network.rbf.freq, block.lin_sbf1.weight, block.lin_down.weight]
    return [network.rbf.frequencies, network.interactions[0].triplets.bilinear]


@both
def test_nothing_jumps_when_an_atom_crosses_the_cutoff(family, small):
    water, potential = molecule("H2O"), potential_of(family, small, cutoff=4.0)

    def with_an_atom_at(distance: float) -> tuple[float, torch.Tensor]:
        system = water + Atoms("O", [water.positions[0] + [distance, 0.0, 0.0]])
        energy, forces = energy_and_forces(potential, batch_of([system], 4.0))
        return float(energy), forces

    (near, near_forces), (far, far_forces) = with_an_atom_at(3.999), with_an_atom_at(4.001)
    # The envelopes go as (1 - x)^3 there and their slopes as (1 - x)^2: of the order 1e-9, and 1e-6 an Å, so close.
    assert near == pytest.approx(far, abs=1e-7)
    assert 0.0 < (near_forces - far_forces).abs().max() < 1e-4
    assert abs(with_an_atom_at(3.0)[0] - far) > 1e-3, "if this fails, atoms do not interact at all"
