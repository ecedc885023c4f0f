"""DeepSet-MoE: every switch gives a smooth, invariant energy whose parts are known."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.deepset_moe import DEFAULTS, network
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.errors import UserError
from gmd26_md.models.radial import cutoff_envelope, shell_gates

ELEMENTS = (1, 6, 8)
SWITCHES = list(
    itertools.product(("spatial", "identity", "both"), ("sum", "none"), ("identity", "mlp"), ("bessel", "gaussian"))
)
SMALL = {"n_features": 8, "n_products": 6, "n_triples": 5, "expert_width": 6, "decoder_width": 12}


def potential_of(seed: int = 0, elements: tuple[int, ...] = ELEMENTS, **hyperparameters: object) -> Potential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = network({**SMALL, **hyperparameters}, elements).double()
        torch.nn.init.normal_(net.self_energy)
    return Potential(net, cutoff=net.cutoff, element_energies=dict.fromkeys(elements, 0.0))


def evaluate(potential: Potential, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
    batch = batch_of(potential, [numbers], positions)
    energy, forces = energy_and_forces(potential, batch)
    return float(energy[0]), forces.numpy()


def batch_of(potential: Potential, numbers: list[np.ndarray], positions: np.ndarray) -> Batch:
    return Layout.of(numbers).batch(torch.as_tensor(positions, dtype=torch.float64), potential.cutoff)


def molecule(n_atoms: int = 7, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A made-up molecule: atoms on a jittered grid of 1.5 Å, so no two are closer than a bond."""
    random = np.random.default_rng(seed)
    grid = 1.5 * np.array(list(itertools.product(range(2), range(2), range(3))), dtype=float)[:n_atoms]
    return random.choice(ELEMENTS, n_atoms), grid + random.normal(0.0, 0.1, grid.shape)


@pytest.mark.parametrize(("routing", "aggregation", "decoder", "radial_basis"), SWITCHES)
def test_forces_are_the_energys_gradient_for_every_switch(routing, aggregation, decoder, radial_basis):
    potential = potential_of(routing=routing, aggregation=aggregation, decoder=decoder, radial_basis=radial_basis)
    numbers, positions = molecule()
    _, forces = evaluate(potential, numbers, positions)
    assert np.abs(forces).max() > 1e-3  # a network that sees nothing would pass otherwise
    step = 1e-5
    for atom, axis in ((0, 0), (3, 1), (6, 2)):
        moved = [positions.copy(), positions.copy()]
        moved[0][atom, axis] += step
        moved[1][atom, axis] -= step
        slope = (evaluate(potential, numbers, moved[0])[0] - evaluate(potential, numbers, moved[1])[0]) / (2 * step)
        # central differences: truncation step**2 E''' ~ 1e-10 * 1e3 where gates cross; rounding ~ 1e-15 / step
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-6)


@pytest.mark.parametrize(("routing", "aggregation", "decoder", "radial_basis"), SWITCHES)
def test_a_loss_on_forces_can_be_differentiated_by_the_weights(routing, aggregation, decoder, radial_basis):
    potential = potential_of(routing=routing, aggregation=aggregation, decoder=decoder, radial_basis=radial_basis)
    numbers, positions = molecule()

    def loss() -> torch.Tensor:
        return energy_and_forces(potential, batch_of(potential, [numbers], positions), training=True)[1].square().sum()

    weight = potential.network.encoder.radial_weight
    loss().backward()
    flat = int(weight.grad.abs().argmax())
    slope = float(weight.grad.flatten()[flat])
    step = 1e-5
    with torch.no_grad():
        weight.view(-1)[flat] += step
        up = float(loss())
        weight.view(-1)[flat] -= 2 * step
        down = float(loss())
    # central difference of a smooth function, relative error ~ step**2
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-5)


@pytest.mark.parametrize(("routing", "aggregation", "decoder", "radial_basis"), SWITCHES)
def test_contributions_add_up_to_the_energy(routing, aggregation, decoder, radial_basis):
    potential = potential_of(routing=routing, aggregation=aggregation, decoder=decoder, radial_basis=radial_basis)
    numbers, positions = molecule()
    other, elsewhere = molecule(5, seed=4)
    batch = batch_of(potential, [numbers, other], np.concatenate([positions, elsewhere]))
    parts = potential.network.contributions(batch)
    energy, _ = energy_and_forces(potential, batch)
    atoms = torch.zeros(2, dtype=torch.float64).index_add(0, batch.system_idx, parts.atom_energy)
    torch.testing.assert_close(atoms, energy, rtol=1e-13, atol=1e-13)  # the same sum, in another order
    assert (parts.pair_energy is None) == (aggregation == "sum" and decoder == "mlp")
    if parts.pair_energy is not None:
        own = parts.atom_self_energy.index_add(0, batch.pairs[0], parts.pair_energy)
        torch.testing.assert_close(own, parts.atom_energy, rtol=1e-13, atol=1e-13)
    assert (parts.expert_energy is None) == (decoder == "mlp")
    if parts.expert_energy is not None:
        torch.testing.assert_close(parts.expert_energy.sum(1), parts.pair_energy, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("routing", ["spatial", "identity", "both"])
def test_contributions_name_the_expert_of_each_pair(routing):
    potential = potential_of(routing=routing, decoder="identity", shell_boundaries=[1.2, 2.0])
    numbers = np.array([1, 6, 8])
    positions = np.array([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0], [2.5, 0.0, 0.0]])  # 0.9, 1.6 and 2.5 Å: three shells
    parts = potential.network.contributions(batch_of(potential, [numbers], positions))
    assert parts.pairs.T.tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    shell = [0, 2, 0, 1, 2, 1]
    element = [0, 0, 1, 1, 2, 2]
    expected = {
        "spatial": shell,
        "identity": element,
        "both": [3 * e + s for e, s in zip(element, shell, strict=True)],
    }
    assert parts.expert.tolist() == expected[routing]


@pytest.mark.parametrize("routing", ["identity", "both"])
def test_an_identity_expert_serves_its_own_central_element_only(routing):
    potential = potential_of(routing=routing, decoder="identity")
    numbers, positions = molecule()
    batch = batch_of(potential, [numbers], positions)
    before = potential.network.contributions(batch).atom_energy
    with torch.no_grad():
        potential.network.encoder.output_weight[ELEMENTS.index(6)] += 1.0
    changed = (potential.network.contributions(batch).atom_energy - before).abs() > 1e-9
    assert changed.tolist() == (numbers == 6).tolist()


def test_gates_share_out_every_distance():
    distance = torch.linspace(0.3, 6.0, 400, dtype=torch.float64)
    gates = shell_gates(distance, (1.75, 2.85, 4.0), 0.5)
    torch.testing.assert_close(gates.sum(1), torch.ones_like(distance), rtol=0, atol=1e-15)
    assert float(gates.min()) >= 0.0
    assert gates.argmax(1).unique().tolist() == [0, 1, 2, 3]
    assert shell_gates(distance, (), 0.5).tolist() == [[1.0]] * 400


def test_the_envelope_ends_with_two_zero_derivatives():
    distance = torch.tensor([5.0, 5.5], dtype=torch.float64, requires_grad=True)
    value = cutoff_envelope(distance, 5.0)
    (slope,) = torch.autograd.grad(value.sum(), distance, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), distance)
    for derivative in (value, slope, curvature):
        assert derivative.abs().max() < 1e-12  # cancellation of terms up to 48


@pytest.mark.parametrize(("routing", "aggregation", "decoder", "radial_basis"), SWITCHES)
def test_energy_and_forces_are_smooth_where_a_pair_enters(routing, aggregation, decoder, radial_basis):
    potential = potential_of(routing=routing, aggregation=aggregation, decoder=decoder, radial_basis=radial_basis)
    numbers = np.array([8, 6])

    def at(distance: float) -> tuple[float, np.ndarray]:
        return evaluate(potential, numbers, np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]))

    cutoff = potential.cutoff
    inside, outside = at(cutoff - 1e-4), at(cutoff + 1e-4)
    # the envelope falls as the third power of the distance to the cutoff: (2e-5)**3 * O(100), its slope as the second
    assert inside[0] == pytest.approx(outside[0], abs=1e-10)
    np.testing.assert_allclose(inside[1], outside[1], atol=1e-6)
    assert abs(at(0.5 * cutoff)[0] - outside[0]) > 1e-4


@pytest.mark.parametrize(("max_degree", "n_triples"), [(0, 5), (1, 5), (2, 5), (2, 0), (3, 5), (3, 0)])
def test_energy_is_invariant_and_forces_turn_with_the_molecule(max_degree, n_triples):
    potential = potential_of(max_degree=max_degree, n_triples=n_triples)
    numbers, positions = molecule()
    seed = int(np.random.default_rng().integers(10**6))
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))  # rotations and mirrors
    order = np.random.default_rng(seed).permutation(len(numbers))
    energy, forces = evaluate(potential, numbers, positions)
    turned = evaluate(potential, numbers[order], positions[order] @ turn.T + 7.0)
    # rounding of sums of O(100) terms in float64
    assert turned[0] == pytest.approx(energy, abs=1e-10), f"rotation seed {seed}"
    np.testing.assert_allclose(turned[1], forces[order] @ turn.T, atol=1e-10, err_msg=f"rotation seed {seed}")


def test_directions_tell_apart_what_distances_to_the_centre_cannot():
    numbers = np.array([8, 1, 1])
    straight = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    bent = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for max_degree, differs in ((0, False), (1, True), (2, True), (3, True)):
        potential = potential_of(max_degree=max_degree)
        atom = [
            float(potential.network.contributions(batch_of(potential, [numbers], p)).atom_energy[0])
            for p in (straight, bent)
        ]
        assert (abs(atom[0] - atom[1]) > 1e-6) is differs


def test_a_lone_atom_has_a_finite_energy_and_no_force():
    for routing, aggregation, decoder, radial_basis in SWITCHES:
        potential = potential_of(routing=routing, aggregation=aggregation, decoder=decoder, radial_basis=radial_basis)
        energy, forces = evaluate(potential, np.array([8]), np.zeros((1, 3)))
        assert np.isfinite(energy)
        assert forces.tolist() == [[0.0, 0.0, 0.0]]


def test_a_batch_gives_what_each_molecule_gives_alone():
    potential = potential_of()
    one, other = molecule(7, seed=1), molecule(4, seed=2)
    batch = batch_of(potential, [one[0], other[0]], np.concatenate([one[1], other[1]]))
    energies, forces = energy_and_forces(potential, batch)
    alone = [evaluate(potential, *m) for m in (one, other)]
    # another order of summation
    np.testing.assert_allclose(energies, [a[0] for a in alone], atol=1e-12)
    np.testing.assert_allclose(forces, np.concatenate([a[1] for a in alone]), atol=1e-12)


def test_copies_and_pickles_predict_the_same():
    potential = potential_of()
    energy, forces = evaluate(potential, *molecule())
    for twin in (copy.deepcopy(potential), pickle.loads(pickle.dumps(potential))):
        again = evaluate(twin, *molecule())
        assert again[0] == energy
        assert (again[1] == forces).all()


def test_the_default_checkpoint_stays_under_two_megabytes():
    net = network({}, (1, 6, 7, 8))
    assert 4 * sum(t.numel() for t in net.state_dict().values()) < 2_000_000


def test_an_element_that_is_not_known_is_refused():
    potential = potential_of()
    with pytest.raises((IndexError, RuntimeError)):
        evaluate(potential, np.array([6, 14]), np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0]]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cut_off": 5.0}, "Did you mean 'cutoff'"),
        ({"routing": "spacial"}, "Did you mean 'spatial'"),
        ({"aggregation": "summ"}, "Did you mean 'sum'"),
        ({"cutoff": -1.0}, "positive number"),
        ({"max_degree": 4}, "0 to 3"),
        ({"shell_boundaries": [3.0, 2.0]}, "ascending"),
        ({"shell_overlap": 0.0}, "positive"),
        ({"n_radial": 0}, "n_radial"),
        ({"n_features": 2.5}, "n_features"),
    ],
)
def test_a_wrong_hyperparameter_is_named_with_its_cure(wrong, message):
    with pytest.raises(UserError, match=message):
        network(wrong, ELEMENTS)


def test_defaults_are_plain_json():
    import json

    assert json.loads(json.dumps(DEFAULTS)) == DEFAULTS
