"""The basis of DimeNet: known zeros, orthogonality, scipy's values, smoothness; and SiLU's derivatives."""

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss, legval
from scipy.special import spherical_jn

from gmd26_md.models.dimenet_basis import SphericalBessel, legendre, spherical_bessel_zeros
from gmd26_md.models.smooth_activation import twice_differentiable_silu

# The published size; the paper's largest use, two orders more; one function alone.
SIZES = [(7, 6), (9, 20), (1, 1)]


def test_zeros_are_those_of_the_tables():
    zeros = spherical_bessel_zeros(3, 3)
    known = [  # Abramowitz and Stegun, table 10.6
        np.pi * np.arange(1, 4),
        [4.493409457909064, 7.725251836937707, 10.904121659428900],
        [5.763459196894550, 9.095011330476355, 12.322940970566582],
    ]
    np.testing.assert_allclose(zeros, known, rtol=1e-13)


@pytest.mark.parametrize("size", SIZES)
def test_functions_of_one_order_are_orthonormal(size):
    nodes, weights = leggauss(120)  # exact to rounding for waves of less than 60 radians on -1 to 1
    x = torch.as_tensor(0.5 * (nodes + 1.0))
    values = SphericalBessel(*size)(x).numpy()
    overlap = np.einsum("x,xln,xlm->lnm", 0.5 * weights * x.numpy() ** 2, values, values)
    np.testing.assert_allclose(overlap, np.broadcast_to(np.eye(size[1]), overlap.shape), atol=1e-11)


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-13), (torch.float32, 3e-6)])
@pytest.mark.parametrize("size", SIZES)
def test_functions_are_scipys_also_at_small_distances(size, dtype, accuracy):
    x = np.concatenate([np.geomspace(1e-4, 0.2, 50), np.linspace(0.2, 1.0, 200)])
    zeros, order = spherical_bessel_zeros(*size), np.arange(size[0])[:, None]
    norm = np.sqrt(0.5) * np.abs(spherical_jn(order + 1, zeros))
    wanted = spherical_jn(order, zeros * x[:, None, None]) / norm
    found = SphericalBessel(*size)(torch.as_tensor(x, dtype=dtype)).double().numpy()
    # Rounding of a wave of k radians is k times that of x; closed formulas would be 1e-3 off here in float32.
    largest = np.abs(wanted).max()
    assert np.abs(found - wanted).max() < accuracy * largest * zeros.max() / 10.0


def test_two_derivatives_by_the_distance_are_right_up_to_the_cutoff():
    x = torch.tensor([0.02, 0.3, 0.9, 0.9999], dtype=torch.float64, requires_grad=True)
    basis = SphericalBessel(7, 2)
    assert torch.autograd.gradcheck(basis, x)
    assert torch.autograd.gradgradcheck(basis, x)


def test_legendre_polynomials_are_numpys_times_their_norm():
    cosine = torch.linspace(-1.0, 1.0, 41, dtype=torch.float64)
    for degree, found in enumerate(legendre(cosine, 7).T):
        wanted = np.sqrt((2 * degree + 1) / (4 * np.pi)) * legval(cosine.numpy(), np.eye(7)[degree])
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-14)
    assert legendre(cosine, 1).shape == (41, 1)


def test_silu_is_torchs_and_so_are_its_two_derivatives():
    x = torch.linspace(-40.0, 40.0, 33, dtype=torch.float64, requires_grad=True)
    slope = torch.sin(x.detach())

    def derivatives(function) -> list[torch.Tensor]:
        (first,) = torch.autograd.grad(function(x), x, slope, create_graph=True)
        return [function(x), first, torch.autograd.grad(first.sum(), x)[0]]

    for found, wanted in zip(
        derivatives(twice_differentiable_silu), derivatives(torch.nn.functional.silu), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-14)
    assert torch.autograd.gradgradcheck(twice_differentiable_silu, x[8:25])
