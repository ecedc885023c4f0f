"""SchNet and PaiNN whose weights do not learn are evaluated another way than the vendor's, to the same numbers.

They are compared with the vendor's own evaluation, which `test_vendor_agreement` holds to the vendor's pipeline.
"""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import painn, schnet
from gmd26_md.calculators._schnetpack import import_schnetpack, with_atomwise
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces

ELEMENTS = (1, 6, 7, 8)
FAMILIES = {"schnet": schnet, "painn": painn}
EXACT = 1e-12  # float64 sums in another order, measured 3e-15
CASES = [
    ("schnet", {}),
    ("schnet", {"n_atom_basis": 16, "n_filters": 24, "n_interactions": 1, "radial_basis": "bessel", "cutoff": 4.0}),
    ("schnet", {"n_atom_basis": 24, "n_filters": 16, "n_interactions": 4, "n_rbf": 7}),
    ("painn", {}),
    ("painn", {"n_atom_basis": 16, "n_interactions": 1}),
    ("painn", {"n_atom_basis": 24, "n_interactions": 4, "n_rbf": 7, "radial_basis": "gaussian", "cutoff": 4.0}),
]
every_case = pytest.mark.parametrize(("family", "hyperparameters"), CASES)
every_family = pytest.mark.parametrize("family", sorted(FAMILIES))


def frozen_potential(family: str, **hyperparameters: object) -> Potential:
    """A potential whose weights do not learn, with biases that are not the zeros of a new network."""
    module = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = module.network(hyperparameters, ELEMENTS).double()
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.data.normal_(std=0.1)
    cutoff = {**module.DEFAULTS, **hyperparameters}["cutoff"]
    energies = dict.fromkeys(ELEMENTS, 0.0)
    return Potential(network, cutoff=cutoff, element_energies=energies, energy_scale=1.5).requires_grad_(False)


def learning_twin(potential: Potential) -> Potential:
    return copy.deepcopy(potential).requires_grad_(True)


def shaken(name: str, seed: int) -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)  # so that no force is zero by symmetry
    return atoms


def two_far_apart() -> Atoms:
    far = shaken("H2O", 1)
    far.translate((30.0, 0.0, 0.0))
    return shaken("CH3COOH", 2) + far


SYSTEMS = {
    "one molecule": [shaken("CH3CONH2", 3)],
    "a lone atom": [Atoms("O")],
    "a dimer": [Atoms("CO", positions=[(0.0, 0.0, 0.0), (0.4, -0.9, 0.6)])],
    "no pairs": [Atoms("OH", positions=[(0.0, 0.0, 0.0), (20.0, 0.0, 0.0)]), Atoms("H")],
    "a mixed batch": [shaken("H2O", 4), Atoms("N"), two_far_apart(), shaken("CH3CH2OH", 5), Atoms("H")],
    # 91 pairs of atoms each: more than are worked on at a time
    "many molecules": [shaken("trans-butane", seed) for seed in range(8)],
    "nothing": [],
}
every_system = pytest.mark.parametrize("systems", SYSTEMS.values(), ids=SYSTEMS)


def batch_of(potential: Potential, systems: list[Atoms], dtype: torch.dtype = torch.float64) -> Batch:
    positions = np.concatenate([np.zeros((0, 3)), *(atoms.positions for atoms in systems)])
    layout = Layout.of([atoms.numbers for atoms in systems])
    return layout.batch(torch.as_tensor(positions, dtype=dtype), potential.cutoff)


def assert_close(got: torch.Tensor, wanted: torch.Tensor, relative: float) -> None:
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    largest = float(wanted.abs().max()) if wanted.numel() else 0.0
    torch.testing.assert_close(got, wanted, rtol=0.0, atol=relative * largest)


@every_case
@every_system
def test_energies_and_forces_are_those_of_the_vendors_evaluation(family, hyperparameters, systems):
    potential = frozen_potential(family, **hyperparameters)
    batch = batch_of(potential, systems)
    energy, forces = energy_and_forces(potential, batch)
    energy_there, forces_there = energy_and_forces(learning_twin(potential), batch)
    assert_close(energy, energy_there, EXACT)
    assert_close(forces, forces_there, EXACT)
    if batch.pairs.shape[1]:
        assert forces_there.abs().max() > 1e-4  # or there is nothing to compare


@every_family
def test_float32_is_as_near_as_its_digits(family):
    exact = frozen_potential(family)
    low = copy.deepcopy(exact).float()
    systems = SYSTEMS["a mixed batch"]
    energy, forces = energy_and_forces(low, batch_of(low, systems, torch.float32))
    assert (energy.dtype, forces.dtype) == (torch.float32, torch.float32)
    energy_there, forces_there = energy_and_forces(exact, batch_of(exact, systems))
    assert_close(energy.double(), energy_there, 1e-5)  # some hundred roundings of 6e-8
    assert_close(forces.double(), forces_there, 1e-5)


@every_family
def test_the_forces_are_the_slope_of_the_energy(family):
    potential = frozen_potential(family, n_atom_basis=16)
    [atoms] = SYSTEMS["one molecule"]
    _, forces = energy_and_forces(potential, batch_of(potential, [atoms]))
    step = 1e-4  # Å
    moved = []
    for atom, axis in np.ndindex(atoms.positions.shape):
        for sign in (1, -1):
            copied = atoms.copy()
            copied.positions[atom, axis] += sign * step
            moved.append(copied)
    energy, _ = energy_and_forces(potential, batch_of(potential, moved))
    plus, minus = energy.view(-1, 2).unbind(1)
    assert_close(((minus - plus) / (2 * step)).view_as(forces), forces, 1e-6)  # the step's third-order error


@every_family
def test_each_atoms_own_energy_has_the_right_slope(family):
    potential = frozen_potential(family)
    batch = batch_of(potential, SYSTEMS["a mixed batch"])
    shares = torch.as_tensor(np.random.default_rng(6).normal(size=len(batch.numbers)))

    def slope(network):
        at = batch.positions.clone().requires_grad_(True)
        energies = network(Batch(batch.numbers, at, batch.system_idx, batch.n_systems, batch.pairs))
        return torch.autograd.grad((energies * shares).sum(), at)[0]

    assert_close(slope(potential.network), slope(learning_twin(potential).network), EXACT)


def refuse(*_: object) -> None:
    raise AssertionError("the vendor's evaluation was called")


@every_family
def test_the_vendors_evaluation_is_left_to_weights_that_learn(family):
    potential = frozen_potential(family)
    potential.network.representation.forward = refuse
    batch = batch_of(potential, SYSTEMS["one molecule"])
    energy_and_forces(potential, batch)
    potential.network.atomwise.outnet[0].weight.requires_grad_(True)  # one is enough
    with pytest.raises(AssertionError, match="was called"):
        energy_and_forces(potential, batch)


@every_family
def test_a_loss_on_forces_reaches_every_weight_that_learns(family):
    potential = learning_twin(frozen_potential(family))
    kept = potential.network.representation.embedding.weight.requires_grad_(False)
    energy, forces = energy_and_forces(potential, batch_of(potential, SYSTEMS["one molecule"]), training=True)
    (forces.square().sum() + energy.square().sum()).backward()
    assert kept.grad is None
    for name, weight in potential.named_parameters():
        assert weight is kept or weight.grad.abs().max() > 0, name


@every_family
def test_what_can_be_differentiated_once_says_so(family):
    potential = frozen_potential(family)
    _, forces = energy_and_forces(potential, batch_of(potential, SYSTEMS["one molecule"]), training=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        forces.square().sum().backward()


@every_family
def test_two_threads_at_once_give_the_bits_of_one(family):
    potential = frozen_potential(family)
    batches = [batch_of(potential, systems) for systems in SYSTEMS.values()] * 8
    alone = [energy_and_forces(potential, batch) for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda batch: energy_and_forces(potential, batch), batches))
    for (energy, forces), (energy_there, forces_there) in zip(together, alone, strict=True):
        assert torch.equal(energy, energy_there)
        assert torch.equal(forces, forces_there)


def painn_with(kind=None, **options):
    """A frozen PaiNN built by hand, as nobody's hyperparameters would have it."""
    spk = import_schnetpack()
    representation = (kind or spk.representation.PaiNN)(
        n_atom_basis=16,
        n_interactions=2,
        radial_basis=spk.nn.BesselRBF(n_rbf=8, cutoff=5.0),
        cutoff_fn=spk.nn.CosineCutoff(5.0),
        **options,
    )
    network = with_atomwise(representation, 16).double()
    return Potential(network, cutoff=5.0, element_energies=dict.fromkeys(ELEMENTS, 0.0)).requires_grad_(False)


@pytest.mark.parametrize("option", ["shared_filters", "shared_interactions"])
def test_a_painn_that_shares_weights_between_layers_is_the_vendors_too(option):
    potential = painn_with(**{option: True})
    batch = batch_of(potential, SYSTEMS["a mixed batch"])
    for got, wanted in zip(
        energy_and_forces(potential, batch), energy_and_forces(learning_twin(potential), batch), strict=True
    ):
        assert_close(got, wanted, EXACT)


def test_a_subclass_is_evaluated_by_its_own_forward():
    class Doubled(import_schnetpack().representation.PaiNN):
        def forward(self, inputs):
            outputs = super().forward(inputs)
            return {**outputs, "scalar_representation": 2 * outputs["scalar_representation"]}

    potential = painn_with(Doubled)
    batch = batch_of(potential, SYSTEMS["one molecule"])
    for got, wanted in zip(
        energy_and_forces(potential, batch), energy_and_forces(learning_twin(potential), batch), strict=True
    ):
        assert_close(got, wanted, EXACT)
