"""Bonds, angles and torsions of geometries made by hand."""

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.internal import (
    angle_values_deg,
    angles_of,
    backbone_torsions_of,
    torsion_values_deg,
    torsions_of,
    turned_deg,
)


def test_counts_of_butane():
    atoms = molecules.get("butane").atoms()
    graph = bond_graph(atoms.numbers, atoms.positions)
    assert len(angles_of(graph)) == 4 * 6  # six at each sp3 carbon
    assert len(torsions_of(graph)) == 3 * 9  # nine about each C-C bond
    assert len(backbone_torsions_of(graph)) == 1


@pytest.mark.parametrize("angle", [0.001, 60.0, 109.5, 180.0])
def test_an_angle_is_what_it_was_made_as(angle):
    a = np.radians(angle)
    positions = np.array([[[1.0, 0, 0], [0, 0, 0], [2 * np.cos(a), 2 * np.sin(a), 0]]])
    assert angle_values_deg(positions, np.array([[0, 1, 2]]))[0, 0] == pytest.approx(angle, abs=1e-9)


@pytest.mark.parametrize("angle", [-179.0, -60.0, 0.0, 60.0, 180.0])
def test_a_torsion_has_the_sign_of_a_right_handed_screw(angle):
    a = np.radians(angle)
    # seen along +z from atom 1 to atom 2, clockwise is from x towards y
    positions = np.array([[[1.0, 0, 0], [0, 0, 0], [0, 0, 1.5], [np.cos(a), np.sin(a), 1.5]]])
    found = torsion_values_deg(positions, np.array([[0, 1, 2, 3]]))[0, 0]
    assert turned_deg(np.array(found - angle)) == pytest.approx(0.0, abs=1e-9)
    mirrored = torsion_values_deg(positions * [1.0, 1.0, -1.0], np.array([[0, 1, 2, 3]]))[0, 0]
    assert turned_deg(np.array(mirrored + angle)) == pytest.approx(0.0, abs=1e-9)


def test_nan_is_passed_on():
    positions = np.full((1, 4, 3), np.nan)
    assert np.isnan(torsion_values_deg(positions, np.array([[0, 1, 2, 3]]))).all()
    assert np.isnan(angle_values_deg(positions, np.array([[0, 1, 2]]))).all()


def test_the_short_way_round():
    assert turned_deg(np.array([350.0, -190.0, 180.0])).tolist() == [-10.0, 170.0, -180.0]
