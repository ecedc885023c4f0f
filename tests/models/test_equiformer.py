"""EquiformerV2 beside the published code, beside e3nn, and beside its own energy."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gmd26_md.calculators import equiformer_v2
from gmd26_md.calculators._mace_import import built_in_float64, mace_imports
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.errors import UserError
from gmd26_md.models import equiformer_activation
from gmd26_md.models.equiformer import envelope
from gmd26_md.models.equiformer_activation import SphereGrid
from gmd26_md.models.equiformer_frames import EdgeFrames
from gmd26_md.models.equiformer_sphere import harmonics, kept, quadrature
from gmd26_md.models.radial import cutoff_envelope

HERE = Path(__file__).parent
ELEMENTS = (1, 6, 8)
FINE = {"edge_grid": [4, 36], "node_grid": [24, 48]}  # whose error is below all others
AXES = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]]


def cases():
    """Return the module that the fixture was made with; it is no test and so on no path."""
    spec = importlib.util.spec_from_file_location("equiformer_cases", HERE / "equiformer_cases.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["equiformer_cases"] = module
    spec.loader.exec_module(module)
    return module


def potential_of(seed: int = 5, **hyperparameters) -> Potential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = equiformer_v2.network(hyperparameters, ELEMENTS).double()
    cutoff = {**equiformer_v2.DEFAULTS, **hyperparameters}["cutoff"]
    return Potential(network, cutoff=cutoff, element_energies=dict.fromkeys(ELEMENTS, 0.0)).requires_grad_(False)


def answers(potential: Potential, numbers, geometries) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (n,) and forces (n, n_atoms, 3) of one molecule at geometries (n, n_atoms, 3), as one batch."""
    geometries = np.asarray(geometries)
    layout = Layout.of([np.asarray(numbers)] * len(geometries))
    batch = layout.batch(torch.as_tensor(geometries.reshape(-1, 3)), potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    return energies.numpy(), forces.numpy().reshape(geometries.shape)


def acid() -> Atoms:
    atoms = molecule("CH3COOH")
    atoms.rattle(0.05, seed=3)
    return atoms


def directions(n: int = 40) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(n, 3))
    return np.concatenate([AXES, drawn / np.linalg.norm(drawn, axis=1, keepdims=True)])


# --- the published code


@pytest.mark.parametrize("name", json.loads((HERE / "fixtures" / "equiformer_v2.json").read_text(encoding="utf-8")))
def test_with_the_same_weights_the_published_code_gives_the_same_numbers(name):
    made = cases()
    wanted = json.loads((HERE / "fixtures" / "equiformer_v2.json").read_text(encoding="utf-8"))[name]
    hyperparameters = made.CASES[name]
    batch = made.batch_of(hyperparameters["cutoff"])
    output = made.drawn_network(hyperparameters, **made.FINE)(batch)
    atoms, forces = output if hyperparameters["direct_forces"] else (output, None)
    energies = torch.zeros(batch.n_systems, dtype=torch.float64).index_add(0, batch.system_idx, atoms)
    # the rest of the grid's error, which the vendor's 60 x 60 points have too: 7e-14, 9e-11, 1e-7 in the three cases
    np.testing.assert_allclose(energies.numpy(), wanted["energies"], rtol=1e-5)
    if forces is not None:
        largest = np.abs(wanted["forces"]).max()
        assert largest > 0.1
        np.testing.assert_allclose(forces.numpy(), wanted["forces"], rtol=0, atol=1e-5 * largest)


# --- functions on the sphere, and frames


def test_harmonics_and_turned_harmonics_are_those_of_e3nn():
    with mace_imports():
        from e3nn import o3
    n = torch.as_tensor(directions())
    ours = torch.as_tensor(harmonics(n.numpy(), 6))
    into, _ = EdgeFrames(6, 6)(n)
    degrees, orders = kept(6, 6)
    turn = EdgeFrames(1, 1)(n)[0][:, [3, 1, 2], 1:]  # rows of degree 1 by order -1, 0, +1, which are x, y, z
    for degree in range(7):
        block = slice(degree**2, (degree + 1) ** 2)
        torch.testing.assert_close(
            ours[:, block], o3.spherical_harmonics(degree, n, False, "component"), atol=1e-13, rtol=0
        )
        rows = [i for i, d in enumerate(degrees) if d == degree]
        with built_in_float64():  # e3nn 0.6 makes its generators in torch's default precision
            theirs = o3.Irrep(degree, 1).D_from_matrix(turn)[:, [orders[i] + degree for i in rows]]
        torch.testing.assert_close(into[:, rows, block], theirs, atol=1e-12, rtol=0)


def test_a_frame_has_its_edge_as_the_pole_whatever_the_direction():
    n = torch.as_tensor(directions())
    into, back = EdgeFrames(3, 3)(n)
    at_pole = into @ torch.as_tensor(harmonics(n.numpy(), 3))[:, :, None]
    expected = np.zeros(16)
    expected[:4] = np.sqrt([1, 3, 5, 7])  # order 0 comes first
    np.testing.assert_allclose(at_pole[:, :, 0], np.broadcast_to(expected, (len(n), 16)), atol=1e-13)
    np.testing.assert_allclose(back @ into, np.broadcast_to(np.eye(16), (len(n), 16, 16)), atol=1e-13)


def test_the_grid_gives_back_what_is_put_on_it():
    points, weights = quadrature(4, 7)
    table = harmonics(points, 3)
    np.testing.assert_allclose(table.T @ (weights[:, None] * table), np.eye(16), atol=1e-13)
    for mmax in (None, 3):
        grid = SphereGrid(3, mmax, 4, 7)
        np.testing.assert_allclose(grid.coefficients @ grid.values, np.eye(16), atol=1e-13)


def test_the_activation_has_its_first_and_second_derivatives(monkeypatch):
    monkeypatch.setattr(equiformer_activation, "CACHE_VALUES", 300)  # 4 rows at a time
    grid = SphereGrid(2, 1, 4, 6)
    x = torch.randn(7, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = grid.coefficients @ torch.nn.functional.silu(grid.values @ x)
    torch.testing.assert_close(grid(x), plain, atol=1e-14, rtol=0)
    assert torch.autograd.gradcheck(grid, x)
    assert torch.autograd.gradgradcheck(grid, x)


def test_the_envelope_is_the_houses_and_above_zero_up_to_the_cutoff():
    distance = torch.linspace(0.0, 5.0, 200, dtype=torch.float64)
    torch.testing.assert_close(envelope(distance, 5.0), cutoff_envelope(distance, 5.0), atol=1e-13, rtol=0)
    last = torch.nextafter(torch.tensor(5.0), torch.tensor(0.0))
    assert float(envelope(last, 5.0)) > 0.0
    assert float(envelope(torch.tensor(5.0), 5.0)) > 0.0


# --- forces


def differences(potential: Potential, atoms: Atoms, step: float = 1e-3) -> np.ndarray:
    """Return -dE/dx, (n_atoms, 3), from central differences at two steps, whose leading errors cancel."""
    units = np.eye(3 * len(atoms)).reshape(-1, len(atoms), 3)
    slopes = []
    for h in (step, 2.0 * step):
        both = np.concatenate([atoms.positions + h * units, atoms.positions - h * units])
        up, down = np.split(answers(potential, atoms.numbers, both)[0], 2)
        slopes.append((up - down) / (2.0 * h))
    return -((4.0 * slopes[0] - slopes[1]) / 3.0).reshape(-1, 3)


@pytest.mark.parametrize("axis", range(3))
def test_forces_are_the_gradient_with_edges_along_an_axis(axis):
    """Three atoms on a line along the axis, and one off it; edges point both ways along the axis exactly."""
    positions = np.array([[0.0, 0, 0], [1.2, 0, 0], [-1.25, 0, 0], [0.3, 0.9, 0.4]])
    atoms = Atoms("COOH", positions=np.roll(positions, axis, axis=1))
    potential = potential_of()
    _, forces = answers(potential, atoms.numbers, [atoms.positions])
    assert np.abs(forces).max() > 0.05
    # step^4 times the fifth derivative leaves 1e-9; the digits of the energy over the step 1e-13, eV/Å
    np.testing.assert_allclose(forces[0], differences(potential, atoms), rtol=0, atol=1e-7)


@pytest.mark.parametrize("hyperparameters", [{}, {"lmax": 3, "num_layers": 1, "edge_grid": [4, 18]}, {"mmax": 0}])
def test_forces_are_the_gradient_of_a_molecule(hyperparameters):
    atoms, potential = acid(), potential_of(**hyperparameters)
    _, forces = answers(potential, atoms.numbers, [atoms.positions])
    np.testing.assert_allclose(forces[0], differences(potential, atoms), rtol=0, atol=1e-6)


def test_a_flat_molecule_in_a_plane_of_two_axes_has_no_force_out_of_it():
    atoms = molecule("H2CO")  # in the plane of y and z
    assert np.abs(atoms.positions[:, 0]).max() == 0.0
    _, forces = answers(potential_of(**FINE), atoms.numbers, [atoms.positions])
    assert np.abs(forces[0, :, 1:]).max() > 0.05
    assert np.abs(forces[0, :, 0]).max() < 1e-8  # the grid's error


def rotation_errors(potential: Potential, n: int = 6) -> tuple[float, float]:
    """Return the largest differences of energy (eV) and of forces turned back (eV/Å) among turned copies."""
    atoms = acid()
    turns = Rotation.random(n, random_state=1).as_matrix()
    energies, forces = answers(potential, atoms.numbers, [atoms.positions @ turn.T for turn in turns])
    back = np.einsum("nai,nij->naj", forces, turns)
    return float(np.ptp(energies)), float(np.ptp(back, axis=0).max())


@pytest.mark.parametrize("direct", [False, True])
def test_equivariance_is_as_good_as_the_grid(direct):
    """Measured, eV and eV/Å: default grid 6e-8 and 4e-6 (direct: see docs/families/equiformer-v2.md)."""
    energy, force = rotation_errors(potential_of(direct_forces=direct))
    assert energy < 1e-5
    assert force < 1e-4
    finer_energy, finer_force = rotation_errors(potential_of(direct_forces=direct, **FINE))
    assert finer_energy < 1e-9
    assert finer_force < 1e-8
    coarse = {"edge_grid": [4, 5], "node_grid": [3, 5]}
    assert rotation_errors(potential_of(direct_forces=direct, **coarse))[1] > 1e-3, "the grid does not matter?"


# --- the cutoff


@pytest.mark.parametrize("others", [[], [[1.1, 0.2, 0.0]]])
def test_nothing_jumps_when_an_atom_crosses_the_cutoff(others):
    """The last neighbour, to which attention gives all its weight, and one of two."""
    distances = np.array([4.999, 4.9999, 5.0001])
    geometries = np.array([[[0.0, 0, 0], *others, [0.0, -d, 0.0]] for d in distances])
    numbers = [8, *[1] * len(others), 6]
    energies, forces = answers(potential_of(), numbers, geometries)
    within = np.abs(energies[:2] - energies[2])
    # the envelope falls with the third power of the distance from the cutoff: 56 (2e-4)^3 and 56 (2e-5)^3
    assert within[0] < 1e-7
    assert within[1] < 1e-10
    assert np.abs(forces[1] - forces[2]).max() < 1e-6
    abrupt = answers(potential_of(smooth_cutoff=False), numbers, geometries)[0]
    assert abs(abrupt[1] - abrupt[2]) > 1e-3, "if this fails, the pair does not matter here and the test is idle"


def test_a_pair_at_the_last_number_before_the_cutoff_leaves_weights_and_forces_finite_in_float32():
    potential = potential_of().float().requires_grad_(True)
    last = float(torch.nextafter(torch.tensor(5.0), torch.tensor(0.0)))
    for place in ([0.0, 0.0, last], [last, 0.0, 0.0], [0.0, 0.0, 5.0]):
        positions = torch.tensor([[0.0, 0.0, 0.0], place])
        batch = Layout.of([np.array([8, 1])]).batch(positions, 5.1)  # a list that goes beyond the network's own cutoff
        energy, forces = energy_and_forces(potential, batch, training=True)
        (energy.sum() + forces.square().sum()).backward()
        assert torch.isfinite(forces).all()
        assert all(torch.isfinite(w.grad).all() for w in potential.parameters() if w.grad is not None)


def test_a_batch_without_pairs_trains():
    potential = potential_of().float().requires_grad_(True)
    batch = Layout.of([np.array([8]), np.array([1, 6])]).batch(torch.tensor([[0.0] * 3, [1.0] * 3, [9.0] * 3]), 5.0)
    assert batch.pairs.shape[1] == 0
    energy, forces = energy_and_forces(potential, batch, training=True)
    (energy.sum() + forces.square().sum()).backward()
    assert torch.equal(forces, torch.zeros(3, 3))
    assert all(torch.isfinite(w.grad).all() for w in potential.parameters() if w.grad is not None)


# --- weights and words


@pytest.mark.parametrize("direct", [False, True])
def test_every_weight_has_a_part_in_the_energy_or_the_forces(direct):
    """Layers whose result nobody reads are not built, but for two in the force head, of which degree 1 is read."""
    potential = potential_of(direct_forces=direct).requires_grad_(True)
    atoms = acid()
    batch = Layout.of([atoms.numbers]).batch(torch.as_tensor(atoms.positions), potential.cutoff)
    energy, forces = energy_and_forces(potential, batch, training=True)
    (energy.square().sum() + forces.square().sum()).backward()
    idle = [name for name, w in potential.named_parameters() if w.grad is None or not w.grad.abs().max() > 0.0]
    assert idle == (["network.force.second.pairs.1.weight", "network.force.project.bias"] if direct else [])


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"mmax": 3}, "mmax is 3; it may be 0 to lmax, which is 2"),
        ({"lmax": 11}, "lmax is 11; it may be 1 to 10"),
        ({"node_grid": [12]}, r"node_grid is \[12\]; it must be \[latitudes, longitudes\], at least \[3, 5\]"),
        ({"lmax": 4}, r"edge_grid is \[4, 14\].*at least \[5, 5\]"),
        ({"direct_forces": "yes"}, "direct_forces is 'yes'; it must be true or false"),
        ({"num_layer": 3}, "num_layers"),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused_with_what_may(hyperparameters, message):
    with pytest.raises(UserError, match=message):
        equiformer_v2.network(hyperparameters, ELEMENTS)
