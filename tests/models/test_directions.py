"""Spherical harmonics: their norm, their degrees, and e3nn's order."""

import pytest
import torch

from gmd26_md.calculators._mace_import import mace_imports
from gmd26_md.models.directions import Harmonics


def unit_vectors() -> torch.Tensor:
    vectors = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("like_e3nn", [False, True])
def test_products_of_one_degree_depend_on_the_angle_only(like_e3nn):
    directions = unit_vectors()
    cosine = directions @ directions.T
    legendre = [torch.ones_like(cosine), cosine, 1.5 * cosine**2 - 0.5, 2.5 * cosine**3 - 1.5 * cosine]
    parts = Harmonics(3, like_e3nn=like_e3nn)(directions).split([1, 3, 5, 7], dim=1)
    for degree, (part, polynomial) in enumerate(zip(parts, legendre, strict=True)):
        # the addition theorem; sums of seven products of O(1)
        torch.testing.assert_close(part @ part.T, (2 * degree + 1) * polynomial, rtol=0, atol=1e-13)


@pytest.mark.parametrize("max_degree", [0, 1, 2, 3])
def test_they_can_stand_in_e3nns_order(max_degree):
    with mace_imports():
        from e3nn import o3
    degrees = list(range(max_degree + 1))
    expected = o3.spherical_harmonics(degrees, unit_vectors(), normalize=True, normalization="component")
    found = Harmonics(max_degree, like_e3nn=True)(unit_vectors())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
