"""SOAP: it knows nothing of how a molecule lies and is numbered, and an atom sees no farther than the cutoff."""

import sys

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gmd26_md.descriptors.soap import Soap
from gmd26_md.descriptors.space import soap_space
from gmd26_md.errors import UserError

HCO = Soap((1, 6, 8))


@pytest.fixture(scope="module")
def acid():
    atoms = molecule("CH3COOH")
    atoms.rattle(0.05, seed=1)
    return atoms


def test_turning_moving_and_renumbering_change_nothing(acid):
    turn, order = Rotation.random(rng=2).as_matrix(), np.random.default_rng(3).permutation(len(acid))
    there = HCO.features(acid.numbers, acid.positions[None])
    moved = (acid.positions @ turn.T + [3.0, -1.0, 2.0])[None, order]
    back = HCO.features(acid.numbers[order], moved)
    assert np.isfinite(there).all()
    assert np.abs(back - there[:, order]).max() < 1e-10 * np.abs(there).max(), turn  # sums in another order


def test_mirror_images_are_alike_and_a_longer_bond_is_not(acid):
    frames = np.stack([acid.positions, acid.positions * [1.0, 1.0, -1.0], acid.positions * 1.02])
    plain, mirrored, stretched = HCO.features(acid.numbers, frames)
    assert np.allclose(plain, mirrored, atol=1e-12)  # the power spectrum cannot tell them
    assert np.abs(plain - stretched).max() > 1e-3


def test_no_feature_says_what_another_says(acid):
    random = np.random.default_rng(4)
    frames = acid.positions + random.normal(scale=0.1, size=(60, *acid.positions.shape))
    found = HCO.features(acid.numbers, frames)
    assert found.shape == (60, 8, HCO.n_features)
    assert HCO.n_features == 3 * 5 * 15 + 3 * 5 * 25  # pairs of one element: n_1 <= n_2; of two: all; times 5 degrees
    columns = found.reshape(480, -1)
    columns = columns[:, columns.std(axis=0) > 1e-9]
    alike = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(alike).max() < 1.0 - 1e-9


def test_an_atom_beyond_the_cutoff_is_not_seen(acid):
    far = molecule("H2O")
    far.positions += [40.0, 0.0, 0.0]
    alone = HCO.features(acid.numbers, acid.positions[None])[0]
    both = acid + far
    assert np.allclose(HCO.features(both.numbers, both.positions[None])[0, : len(acid)], alone, atol=1e-14)


def test_missing_elements_leave_zeros_where_they_would_stand():
    methane = molecule("CH4")
    small = Soap((1, 6)).features(methane.numbers, methane.positions[None])[0]
    large = HCO.features(methane.numbers, methane.positions[None])[0]
    assert (np.abs(large).max(axis=0) > 0.0).sum() == (np.abs(small).max(axis=0) > 0.0).sum()
    assert np.abs(large).sum() == pytest.approx(np.abs(small).sum())


def test_what_sees_an_unknown_element_is_not_described_and_the_rest_is_as_without_it(acid):
    space = soap_space(HCO)
    chlorine = molecule("HCl")
    chlorine.positions += [0.0, 0.0, 5.0 - chlorine.positions[chlorine.numbers == 17][0, 2]]
    both = acid + chlorine
    found = space.describe(both.numbers, both.positions[None])[0]
    near = both.get_all_distances()[:, both.numbers == 17][:, 0] < HCO.cutoff_A
    assert 0 < near[: len(acid)].sum() < len(acid)
    assert np.isnan(found[near]).all()
    without = both[both.numbers != 17]
    expected = HCO.features(without.numbers, without.positions[None])[0]
    assert np.allclose(found[~near], expected[~near[both.numbers != 17]], atol=1e-14)


def test_without_featomic_the_install_line_is_said(acid, monkeypatch):
    monkeypatch.setitem(sys.modules, "featomic", None)
    with pytest.raises(UserError, match="pip install 'featomic"):
        HCO.features(acid.numbers, acid.positions[None])
