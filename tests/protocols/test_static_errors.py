"""Static errors: zero for a model that is the reference, known for one that is known to be wrong."""

from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.dynamics.forces import AseForces
from gmd26_md.protocols import static_errors


class Nowhere(Calculator):
    """NaN on every molecule that is wider than it should be."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        value = np.nan if atoms.get_distance(1, 2) > 1.5 else 0.0
        self.results = {"energy": value, "forces": np.full((len(atoms), 3), value)}


def test_a_model_equal_to_the_reference_has_no_errors(water, springs):
    progress = []
    (answer,) = static_errors.run(springs(), [water], progress.append)
    assert (answer.slug, answer.split) == ("water", "id")
    for name in ("force_mae_eV_per_A", "force_rmse_eV_per_A", "energy_mae_eV", "energy_offset_eV"):
        assert answer.metrics[name] == pytest.approx(0.0, abs=1e-12), name
    assert answer.metrics["force_cosine"] == pytest.approx(1.0, abs=1e-12)
    assert np.abs(answer.forces.columns[..., 1]).max() < 1e-12
    assert progress == [1.0]


def test_springs_twice_as_stiff_have_forces_twice_as_large(water, springs):
    (answer,) = static_errors.run(springs(60.0), [water])
    frames = water.frames
    assert answer.metrics["force_mae_relative_ratio"] == pytest.approx(1.0, abs=1e-12)
    assert answer.metrics["force_mae_eV_per_A"] == pytest.approx(np.abs(frames.forces).mean(), abs=1e-12)
    assert answer.metrics["force_cosine"] == pytest.approx(1.0, abs=1e-12)
    assert answer.metrics["energy_offset_eV"] == pytest.approx(frames.energies.mean(), abs=1e-12)


def test_a_frame_on_which_the_model_is_nan_makes_the_errors_nan(water):
    widths = np.linalg.norm(water.frames.positions[:, 1] - water.frames.positions[:, 2], axis=-1)
    assert (widths > 1.5).any()
    assert (widths < 1.5).any()
    (answer,) = static_errors.run(AseForces(Nowhere), [water])
    assert np.isnan(answer.metrics["force_mae_eV_per_A"])
    assert np.isnan(answer.metrics["energy_mae_eV"])


def test_cases_without_reference_frames_have_no_answer(water, springs):
    assert static_errors.run(springs(), [replace(water, frames=None)]) == []


def test_forces_are_kept_by_atom_with_the_bonds_at_rest(water, springs):
    (answer,) = static_errors.run(springs(60.0), [water])
    np.testing.assert_allclose(answer.forces.predicted, 2.0 * water.frames.forces, atol=1e-12)
    assert answer.forces.graph.bonds.tolist() == [[0, 1], [0, 2]]
