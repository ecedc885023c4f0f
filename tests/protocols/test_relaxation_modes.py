"""Modes of a model beside the reference's: GFN2-xTB as its own model has its own frequencies."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.metrics import METRICS
from gmd26_md.observables.modes import Modes
from gmd26_md.protocols.relaxation_modes import TwoModes, compare_modes, mode_evidence, mode_metrics
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.reference.minima import relaxed

XTB = AseForces(lambda: load_calculator("gfn2-xtb"))


@pytest.fixture(scope="module")
def rested():
    return relaxed(molecule("CH3OH"), load_calculator("gfn2-xtb"), 0.0005)


def relaxation_to(path, *, converged=True):
    return Relaxation(path=path, converged=converged, n_steps=0, fmax_eV_per_A=0.0005, error=None)


def test_the_reference_as_its_own_model_has_its_own_frequencies(rested):
    # turned, and with its hydrogens in each other's places: neither is a difference
    numbers, turned = rested.numbers, Rotation.random(random_state=2).apply(rested.positions[0])
    carbon = int(np.flatnonzero(numbers == 6)[0])
    methyl = [i for i in np.flatnonzero(numbers == 1) if np.linalg.norm(turned[i] - turned[carbon]) < 1.3]
    order = np.arange(len(numbers))
    order[methyl] = np.roll(methyl, 1)
    path = replace(rested, positions=turned[order][None])
    settings = Settings()
    (found,) = compare_modes(XTB, [relaxation_to(path)], [rested], "gfn2-xtb", settings)
    metrics = mode_metrics(found, settings)
    assert found.n_calls == 36
    assert len(found.model.frequencies_per_cm) == 12
    # differences along other axes: their error by curvature, of stretches of 3000 1/cm
    assert metrics["frequency_mae_per_cm"] < 1.0
    assert metrics["frequency_error_max_per_cm"] < 3.0
    assert metrics["mode_overlap_cosine"] > 0.99
    assert metrics["n_imaginary_modes"] == metrics["n_reference_imaginary_modes"] == 0.0
    assert metrics.keys() <= METRICS.keys()
    stretch = found.model.frequencies_per_cm[-1]
    assert 3000.0 < stretch < 4000.0  # O-H


def test_modes_that_cannot_be_compared_say_why(rested):
    small = replace(Settings(), modes_max_atoms=5)
    loose = replace(Settings(), fmax_eV_per_A=0.02)
    far = replace(rested, positions=rested.positions * 3.0)
    for relaxation, end, settings, words in (
        (relaxation_to(rested), rested, small, "6 atoms; the limit is 5"),
        (relaxation_to(rested), rested, loose, "soft modes need 0.005"),
        (relaxation_to(rested, converged=False), rested, Settings(), "the model did not come to rest"),
        (relaxation_to(rested), None, Settings(), "the reference did not come to rest"),
        (relaxation_to(far), rested, Settings(), "the covalent graphs"),
    ):
        (found,) = compare_modes(XTB, [relaxation], [end], "gfn2-xtb", settings)
        assert words in found.words
        assert found.left_out == (relaxation.path.n_atoms > settings.modes_max_atoms or settings is loose)
        assert mode_metrics(found, settings) == {}
        assert words in mode_evidence(found)["modes"]["words"]


class Lost:
    """A provider that has no answer."""

    def __init__(self):
        self.device = XTB.device

    def bind(self, numbers):
        return AseForces(lambda: None).bind(numbers)  # no calculator: every answer is NaN

    def cost(self, numbers, positions):
        return 1.0

    def capacity(self):
        return float("inf")


def test_a_model_that_fails_on_a_displaced_geometry_has_no_modes(rested):
    (found,) = compare_modes(Lost(), [relaxation_to(rested)], [rested], "gfn2-xtb", Settings())
    assert found.model is None
    assert "the model failed on a displaced geometry" in found.words
    assert not found.left_out


def test_frequencies_are_compared_in_order_and_by_what_moves():
    axes = np.eye(3)
    mine = Modes(np.array([-50.0, 100.0, 300.0]), axes)
    truth = Modes(np.array([90.0, 100.0, 310.0]), axes[[1, 0, 2]])
    metrics = mode_metrics(TwoModes(mine, truth), Settings())
    assert metrics["frequency_mae_per_cm"] == pytest.approx((140 + 0 + 10) / 3)
    assert metrics["frequency_mean_relative_ratio"] == pytest.approx(350 / 500)
    assert metrics["frequency_error_max_per_cm"] == pytest.approx(140)
    assert metrics["frequency_by_overlap_mae_per_cm"] == pytest.approx((150 + 10 + 10) / 3)
    assert metrics["mode_overlap_cosine"] == pytest.approx(1.0)
    assert metrics["n_imaginary_modes"] == 1.0
    assert metrics["lowest_frequency_per_cm"] == -50.0


def test_a_linear_end_beside_a_bent_one_has_counts_only():
    mine, truth = Modes(np.ones(4), np.eye(4, 9)), Modes(np.ones(3), np.eye(3, 9))
    assert mode_metrics(TwoModes(mine, truth), Settings()).keys() == {
        "n_imaginary_modes",
        "n_reference_imaginary_modes",
    }
