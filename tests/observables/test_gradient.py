"""Central differences and curl, of functions whose derivatives are known."""

import numpy as np
import pytest

from gmd26_md.observables import gradient
from gmd26_md.observables.gradient import TwoSteps

N_ATOMS = 4
H = 1e-3


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def linear(matrix):
    """Return forces F = M x of geometries (..., n_atoms, 3)."""
    return lambda x: (x.reshape(*x.shape[:-2], -1) @ matrix.T).reshape(x.shape)


def stiff(rng):
    """Return a symmetric and an antisymmetric matrix."""
    drawn = rng.normal(size=(3 * N_ATOMS, 3 * N_ATOMS))
    return 10.0 * (drawn + drawn.T), drawn - drawn.T


def curl_of(force, positions, step=H):
    return gradient.curl(force(gradient.displaced(positions, gradient.unit_vectors(len(positions)), step)), step)


def known(symmetric, antisymmetric):
    """||A - A^T|| / (2 ||S + A||), and S and A are orthogonal."""
    size = np.linalg.norm(antisymmetric)
    return size / np.hypot(size, np.linalg.norm(symmetric))


def test_directions_have_length_one_over_the_whole_molecule(rng):
    directions = gradient.random_directions((2, 3, N_ATOMS, 3), rng)
    assert np.linalg.norm(directions.reshape(2, 3, -1), axis=-1) == pytest.approx(1.0)
    assert np.linalg.norm(directions[0, 0] - directions[0, 1]) > 0.1


def test_the_two_steps_together_cancel_the_cubic_term():
    x, u = np.array([[0.3, 0.0, 0.0]]), np.array([[[1.0, 0.0, 0.0]]])
    values = gradient.displaced(x, u, 0.01)[..., 0, 0] ** 3  # f = x^3: (f(x+h) - f(x-h)) / 2h = 3x^2 + h^2
    both, short, long = gradient.derivatives(values, 0.01)
    assert short[0] - 0.27 == pytest.approx(1e-4, rel=1e-8)
    assert long[0] - 0.27 == pytest.approx(16e-4, rel=1e-8)
    assert both[0] == pytest.approx(0.27, abs=1e-14)  # rounding


def pieces(rng, energy, force, n_frames=3, n_directions=4):
    """Return the gradient error of a field on random frames."""
    positions = rng.normal(size=(n_frames, N_ATOMS, 3))
    directions = gradient.random_directions((n_frames, n_directions, N_ATOMS, 3), rng)
    moved = np.stack([gradient.displaced(x, u, H) for x, u in zip(positions, directions, strict=True)])
    return gradient.gradient_error(force(positions), directions, energy(moved), H)


def quartic(x):
    return (x**4).sum((-2, -1)) + (x**2).sum((-2, -1))


def quartic_force(x):
    return -4.0 * x**3 - 2.0 * x


def test_forces_that_are_the_gradient_differ_by_truncation_and_that_cancels(rng):
    found = pieces(rng, quartic, quartic_force)
    assert found.growth == pytest.approx(16.0, rel=1e-3)  # the next term is h^2 smaller
    assert found.value < 1e-10 < 1e-8 < found.short  # 1e-13 of rounding over 1e-3


def test_forces_off_by_a_part_in_a_thousand_differ_by_that_at_either_step(rng):
    found = pieces(rng, quartic, lambda x: 1.001 * quartic_force(x))
    assert found.value == pytest.approx(1e-3 / 1.001, rel=1e-3)
    assert found.growth == pytest.approx(1.0, abs=0.05)


def test_a_rounded_energy_differs_by_less_at_the_longer_step(rng):
    found = pieces(rng, lambda x: quartic(x).astype(np.float32).astype(float), quartic_force, n_frames=20)
    assert found.growth < 0.5  # 1/4 and its scatter over 80 directions
    assert found.value > 1e-5


def test_a_kink_between_the_steps_differs_by_more_at_the_longer_one(rng):
    """E = |x - 2h| on one coordinate, at x = 0: the short step does not see it, the long one sees half a jump."""
    x, u = np.zeros((1, 1, 3)), np.array([[[[1.0, 0, 0]]]])
    energies = np.abs(gradient.displaced(x[0], u[0], H)[..., 0, 0] - 2.0 * H)[None]
    found = gradient.gradient_error(np.array([[[1.0, 0, 0]]]), u, energies, H)
    assert found.short < 1e-12
    assert found.growth > 16.0


def test_what_is_typical_tells_a_kink_at_one_place_from_an_error_at_all(rng):
    def kinked(x):
        energies = quartic(x)
        energies[0, 0, 0] += 1e-3  # one of twelve differences
        return energies

    found = pieces(rng, kinked, quartic_force)
    assert found.value > 1e-3
    assert found.typical < 1e-10
    everywhere = pieces(rng, quartic, lambda x: 1.001 * quartic_force(x))
    # the median of a normal distribution's size is 0.67 of its RMS, give or take twelve draws
    assert 0.2 < everywhere.typical / everywhere.value < 1.0


@pytest.mark.parametrize("where", ["energy", "force"])
def test_one_number_that_is_none_is_enough(rng, where):
    def spoilt(function):
        def wrapped(x):
            value = function(x)
            value.flat[5] = np.nan
            return value

        return wrapped

    energy = spoilt(quartic) if where == "energy" else quartic
    force = spoilt(quartic_force) if where == "force" else quartic_force
    assert np.isnan(pieces(rng, energy, force).value)


def test_a_harmonic_field_has_no_curl(rng):
    symmetric, _ = stiff(rng)
    found = curl_of(linear(-symmetric), rng.normal(size=(N_ATOMS, 3)))
    assert found.value < 1e-12  # forces of 100 rounded to 1e-14, over h


def test_a_turning_field_has_the_curl_that_is_known(rng):
    symmetric, antisymmetric = stiff(rng)
    at = rng.normal(size=(N_ATOMS, 3))
    assert curl_of(linear(antisymmetric), at).value == pytest.approx(1.0, rel=1e-10)
    found = curl_of(linear(-symmetric + antisymmetric), at)
    assert found.value == pytest.approx(known(symmetric, antisymmetric), rel=1e-9)
    assert found.growth == pytest.approx(1.0, abs=1e-6)
    assert found.standard_error == 0.0


def test_curl_of_a_smooth_field_falls_with_the_step_and_of_a_rounded_one_grows(rng):
    at = rng.normal(size=(N_ATOMS, 3))

    def coupled(x):
        # E = (w x) sum of x^3: the third derivative of force k by coordinate l is -6 w_k, which is not symmetric
        flat = x.reshape(*x.shape[:-2], -1)
        weights = np.arange(flat.shape[-1])
        cubes, weighed = (flat**3).sum(-1, keepdims=True), (flat @ weights)[..., None]
        return -(weights * cubes + 3.0 * flat**2 * weighed).reshape(x.shape)

    smooth = curl_of(coupled, at)
    assert smooth.growth == pytest.approx(16.0, rel=1e-3)
    assert smooth.value < 1e-11
    # at a tenth of the step, where rounding is larger than truncation at both steps
    rounded = curl_of(lambda x: coupled(x).astype(np.float32).astype(float), at, 0.1 * H)
    assert rounded.growth < 0.5
    assert rounded.value > 1e-6


def test_probes_find_the_curl_of_a_larger_molecule_within_their_error(rng):
    n_atoms = 40
    drawn = rng.normal(size=(3 * n_atoms, 3 * n_atoms))
    symmetric, antisymmetric = 10.0 * (drawn + drawn.T), drawn - drawn.T
    force = linear(-symmetric + antisymmetric)
    at = rng.normal(size=(n_atoms, 3))
    found = []
    for _ in range(20):
        probes = gradient.random_signs(24, n_atoms, rng)
        found.append(gradient.probed_curl(probes, force(gradient.displaced(at, probes, H)), H))
    truth = known(symmetric, antisymmetric)
    values = np.array([f.value for f in found])
    # a mean of twenty
    assert values.mean() == pytest.approx(truth, abs=4.0 * values.std() / np.sqrt(20))
    # the stated error is that which repeats show: a standard deviation of twenty is known to a sixth
    assert np.mean([f.standard_error for f in found]) == pytest.approx(values.std(), rel=0.6)
    assert values.std() < 0.15 * truth


def test_probes_see_no_curl_where_there_is_none_whatever_they_are(rng):
    symmetric, _ = stiff(rng)
    at = rng.normal(size=(N_ATOMS, 3))
    probes = gradient.random_signs(3, N_ATOMS, rng)
    found = gradient.probed_curl(probes, linear(-symmetric)(gradient.displaced(at, probes, H)), H)
    assert found.value < 1e-11
    assert found.standard_error < 1e-11


def test_growth_is_told_at_its_edges():
    assert TwoSteps(1.0, 0.0, 1.0).growth == np.inf
    assert np.isnan(TwoSteps(0.0, 0.0, 0.0).growth)
    assert np.isnan(TwoSteps(np.nan, np.nan, 1.0).growth)
