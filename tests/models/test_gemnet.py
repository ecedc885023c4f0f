"""GemNet-T against the published code's numbers, and an atom alone."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import gemnet
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.errors import UserError
from gmd26_md.models.gemnet_basis import RadialBasis, envelope
from gmd26_md.models.gemnet_layers import Scale, fit_scales
from gmd26_md.training.recipe import load_recipe

ELEMENTS = (1, 6, 8)
SMALL = {"emb_size_atom": 16, "emb_size_edge": 16, "emb_size_trip": 8, "emb_size_bil_trip": 8}
PUBLISHED = json.loads((Path(__file__).parent / "fixtures" / "gemnet.json").read_text(encoding="utf-8"))


def potential_of(**hyperparameters: object) -> Potential:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = gemnet.network(hyperparameters, ELEMENTS).double()
    cutoff = {**gemnet.DEFAULTS, **hyperparameters}["cutoff"]
    return Potential(network, cutoff=cutoff, element_energies=dict.fromkeys(ELEMENTS, 0.0))


def batch_of(systems: list[Atoms], cutoff: float = 5.0) -> Batch:
    positions = torch.as_tensor(np.concatenate([atoms.positions for atoms in systems]))
    return Layout.of([atoms.numbers for atoms in systems]).batch(positions, cutoff)


def give_weights_of_the_fixture(network: torch.nn.Module) -> None:
    """Set every weight to the formula that the fixture's note tells."""
    with torch.no_grad():
        for k, (name, weight) in enumerate(sorted(network.state_dict().items())):
            n_inputs = {2: (1,), 3: (0, 1)}.get(weight.dim(), ())
            i = torch.arange(weight.numel(), dtype=torch.float64)
            wave = 1.3 * torch.sin(0.37 + 1.1 * k + 0.71 * i + 0.003 * i * i)
            wave = wave.view(weight.shape) / math.sqrt(math.prod(weight.shape[axis] for axis in n_inputs))
            if name.endswith("factor"):
                wave = 1.5 + 0.5 * wave
            if name.endswith("frequencies"):
                wave = math.pi * torch.arange(1, len(wave) + 1) + 0.1 * wave
            weight.copy_(wave)


@pytest.mark.parametrize("case", PUBLISHED["cases"], ids=lambda case: str(list(case["hyperparameters"].items())[9:]))
def test_energies_and_forces_are_those_of_the_published_code_with_the_same_weights(case):
    potential = potential_of(**case["hyperparameters"])
    give_weights_of_the_fixture(potential.network)
    layout = Layout.of([np.array(z) for z in PUBLISHED["numbers"]])
    batch = layout.batch(torch.tensor(PUBLISHED["positions"], dtype=torch.float64), potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    wanted = torch.tensor(case["forces"], dtype=torch.float64)
    # Digits written; spherical Bessel functions have zeros rounded to float32 over there (6e-9 seen).
    tolerance = 1e-7 if case["hyperparameters"]["circular_basis"] == "by-degree" else 1e-11
    assert energies.tolist() == pytest.approx(case["energies"], rel=tolerance), (
        "if this fails after a tensor was renamed, the formula gives other weights: k counts names in order"
    )
    assert (forces - wanted).abs().max() < tolerance * wanted.abs().max()


def test_the_papers_recipe_has_as_many_weights_as_the_published_code():
    recipe = load_recipe("paper/gemnet")
    network = gemnet.network(recipe.hyperparameters, ELEMENTS)
    counted = sum(weight.numel() for name, weight in network.named_parameters() if name != "atoms")
    assert counted == 1_880_396 - 6  # fairchem's, less six frequencies of a basis that the paper does not have


@pytest.mark.parametrize("direct", [False, True])
def test_atoms_without_neighbours_have_no_energy_and_no_force(direct):
    for systems in ([Atoms("O")], [Atoms("OH", [[0, 0, 0], [9.0, 0, 0]]), Atoms("C")]):
        energy, forces = energy_and_forces(potential_of(**SMALL, direct_forces=direct), batch_of(systems))
        assert energy.tolist() == [0.0] * len(systems)
        assert not forces.any()


def test_direct_forces_are_equal_and_opposite_only_when_coupled():
    batch = batch_of([molecule("CH3COOH")])
    free, coupled = (potential_of(**SMALL, direct_forces=True, forces_coupled=both) for both in (False, True))
    assert not free.forces_are_gradient
    forces = energy_and_forces(free, batch)[1]
    assert forces.sum(0).abs().max() > 1e-3 * forces.abs().max()
    forces = energy_and_forces(coupled, batch)[1]
    assert forces.abs().max() > 0.1
    assert forces.sum(0).abs().max() < 1e-12 * len(forces) * forces.abs().max()


def test_the_radial_basis_is_known_halfway_and_flat_at_the_cutoff():
    basis, cutoff = RadialBasis(2, 4.0, envelope_exponent=5).double(), 4.0
    assert float(envelope(torch.tensor(0.5), 5)) == 1.0 - 21.0 / 32.0 + 35.0 / 64.0 - 15.0 / 128.0
    half = basis(torch.tensor([2.0], dtype=torch.float64))[0].tolist()
    # sin(pi / 2) and sin(pi), the frequencies in float32
    assert half == pytest.approx([math.sqrt(2.0 / cutoff) / 2.0 * 0.7734375, 0.0], abs=1e-6)
    end = torch.tensor([4.0 - 1e-9], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(basis(end).abs().sum(), end)
    assert float(slope.abs()) < 1e-15


def test_a_scaling_factor_brings_its_input_to_the_variance_of_the_reference():
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = Scale()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale(4.0 * x, x)

    network, rows = Twice(), torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    fit_scales(network, rows)
    assert float(network.scale.factor) == pytest.approx(0.25)  # float32
    network(100.0 * rows[:2] ** 2)
    assert float(network.scale.factor) == pytest.approx(0.25), "if this fails, factors are fitted for ever"


def test_the_factors_are_near_those_that_the_authors_fitted():
    factors = {name: float(value) for name, value in potential_of().network.state_dict().items() if "factor" in name}
    assert len(factors) == 9
    # Their file for COLL: 3.0 to 3.5 after the radial functions, 5.6 to 6.4 and 0.8 to 1.1 after sums over neighbours.
    wanted = {"triplets.scale_rbf": 3.2, "triplets.scale_sum": 5.9, "update.scale_sum": 0.95}
    for name, value in factors.items():
        [published] = [v for part, v in wanted.items() if part in name]
        assert published / 2.0 < value < 2.0 * published, f"{name}: other weights and molecules than theirs, not more"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"direct_forces": 1}, "direct_forces is 1; it must be true or false"),
        ({"circular_basis": "by_degree"}, "by-degree"),
        ({"emb_size_trip": 0}, "emb_size_trip is 0; it must be a whole number of at least 1"),
        ({"num_sphericals": 7}, "num_spherical"),
    ],
)
def test_a_wrong_hyperparameter_is_refused_with_what_is_allowed(given, message):
    with pytest.raises(UserError, match=message):
        gemnet.network(given, ELEMENTS)
