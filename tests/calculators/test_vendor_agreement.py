"""SchNet, PaiNN and MACE give what their vendors' own pipelines give with the same weights.

The vendors' pipelines build their own graphs with their own neighbour lists, and take the forces themselves.
"""

import copy
import os

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import mace, painn, schnet
from gmd26_md.calculators._mace_import import mace_imports
from gmd26_md.calculators._schnetpack import import_schnetpack
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.calculators.side_effects import contained

ELEMENTS = (1, 6, 7, 8)
FAMILIES = {"schnet": schnet, "painn": painn, "mace": mace}


def molecules() -> list[Atoms]:
    """Molecules smaller and larger than the cutoff, shaken, so that no force is zero by symmetry."""
    both = molecule("CH3COOH")
    far = molecule("H2O")
    far.translate((30.0, 0.0, 0.0))
    out = [molecule("H2O"), molecule("CH3CH2OH"), molecule("trans-butane"), molecule("CH3CONH2"), both + far]
    for n, atoms in enumerate(out):
        atoms.rattle(0.05, seed=n)
    return out


def potential_of(family: str, **hyperparameters: object) -> Potential:
    module = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = module.network(hyperparameters, ELEMENTS).double()
    cutoff = {**module.DEFAULTS, **hyperparameters}["cutoff"]
    return Potential(net, cutoff=cutoff, element_energies=dict.fromkeys(ELEMENTS, 0.0))


def ours(potential: Potential, systems: list[Atoms]) -> list[tuple[float, np.ndarray]]:
    """Energies and forces from one batch of all systems."""
    layout = Layout.of([a.numbers for a in systems])
    batch = layout.batch(torch.as_tensor(np.concatenate([a.positions for a in systems])), potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    parts = forces.split([len(a) for a in systems])
    return [(float(e), f.numpy()) for e, f in zip(energies, parts, strict=True)]


def by_schnetpack(potential: Potential, systems: list[Atoms]) -> list[tuple[float, np.ndarray]]:
    """What schnetpack's converter, neighbour list, distances, sum and force modules give.

    Its SpkCalculator is passed by: it loads a whole pickled model with torch.load, which torch refuses since 2.6.
    """
    spk = import_schnetpack()
    network = copy.deepcopy(potential.network)
    n_in = network.atomwise.outnet[0].in_features
    head = spk.atomistic.Atomwise(n_in=n_in, output_key="energy").double()
    head.outnet.load_state_dict(network.atomwise.outnet.state_dict())
    model = spk.model.NeuralNetworkPotential(
        representation=network.representation,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[head, spk.atomistic.Forces()],
    )
    convert = spk.interfaces.AtomsConverter(
        neighbor_list=spk.transform.ASENeighborList(cutoff=potential.cutoff), dtype=torch.float64
    )
    results = [model(convert(atoms)) for atoms in systems]
    return [(float(r["energy"].detach()[0]), r["forces"].detach().numpy()) for r in results]


def by_mace(potential: Potential, systems: list[Atoms]) -> list[tuple[float, np.ndarray]]:
    """What mace-torch's ASE calculator gives, with its own graphs and forces."""
    with mace_imports():
        from mace.calculators import MACECalculator
    results = []
    with contained():
        vendor = copy.deepcopy(potential.network).vendor
        calculator = MACECalculator(models=[vendor], device="cpu", default_dtype="float64")
        for atoms in systems:
            alone = atoms.copy()
            alone.calc = calculator
            results.append((alone.get_potential_energy(), alone.get_forces()))
    return results


@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [
        ("schnet", {"n_atom_basis": 32, "n_filters": 32}),
        ("schnet", {"n_atom_basis": 32, "n_filters": 24, "radial_basis": "bessel", "cutoff": 4.0}),
        ("painn", {"n_atom_basis": 32}),
        ("painn", {"n_atom_basis": 16, "radial_basis": "gaussian", "cutoff": 4.0}),
        ("mace", {}),
        ("mace", {"hidden_irreps": "8x0e + 8x1o", "max_ell": 3, "correlation": 3, "cutoff": 4.0}),
    ],
)
def test_energies_and_forces_are_the_vendors_own(family, hyperparameters):
    potential = potential_of(family, **hyperparameters)
    systems = molecules()
    vendor = (by_mace if family == "mace" else by_schnetpack)(potential, systems)
    for (energy, forces), (energy_there, forces_there) in zip(ours(potential, systems), vendor, strict=True):
        # float64 sums in another order; the vendors keep constants of the cutoff in float32 inside (1e-7)
        assert energy == pytest.approx(energy_there, rel=1e-6)
        largest = np.abs(forces_there).max()
        assert largest > 1e-4
        np.testing.assert_allclose(forces, forces_there, rtol=0, atol=1e-6 * largest)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_vendors_import_and_build_leave_the_process_as_it_was(family):
    before = (dict(os.environ), torch.get_default_dtype(), torch.get_num_threads())
    safe = set(torch.serialization.get_safe_globals())
    FAMILIES[family].network({}, ELEMENTS)
    assert (dict(os.environ), torch.get_default_dtype(), torch.get_num_threads()) == before
    assert slice not in set(torch.serialization.get_safe_globals()) - safe


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_same_seed_gives_the_same_first_weights(family):
    one, other = potential_of(family).state_dict(), potential_of(family).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_lone_atom_has_a_finite_energy_and_no_force(family):
    [(energy, forces)] = ours(potential_of(family), [Atoms("O")])
    assert np.isfinite(energy)
    assert forces.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_loss_on_forces_reaches_the_weights_in_float32(family):
    potential = potential_of(family).float()
    atoms = molecules()[1]
    batch = Layout.of([atoms.numbers]).batch(torch.as_tensor(atoms.positions, dtype=torch.float32), potential.cutoff)
    energy, forces = energy_and_forces(potential, batch, training=True)
    assert (energy.dtype, forces.dtype) == (torch.float32, torch.float32)
    forces.square().sum().backward()
    slopes = [w.grad.abs().max() for w in potential.parameters() if w.grad is not None and w.numel()]
    assert len(slopes) > 5
    assert all(torch.isfinite(s) for s in slopes)
    assert max(slopes) > 0


def test_maces_constants_survive_a_float32_checkpoint():
    network = mace.network({}, ELEMENTS)
    exact = {name: tensor.clone() for name, tensor in network.named_buffers()}
    low = copy.deepcopy(network).float().state_dict()
    network.load_state_dict(low, strict=True)
    assert set(low).isdisjoint(exact)
    assert all(torch.equal(tensor, exact[name]) for name, tensor in network.named_buffers())


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_copy_keeps_weights_precision_and_mode(family):
    network = FAMILIES[family].network({}, ELEMENTS).float().eval().requires_grad_(False)
    before = torch.get_rng_state()
    twin = copy.deepcopy(network)
    assert torch.equal(torch.get_rng_state(), before)
    for weight, again in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(weight, again)
        assert (again.dtype, again.requires_grad) == (torch.float32, False)
    assert not twin.training
