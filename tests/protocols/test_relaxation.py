"""Where the model comes to rest, and what is made of it."""

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.protocols import relaxation
from gmd26_md.protocols.relaxation import Settings, analyse
from gmd26_md.reference.labels import Labels

HOME = "reference-minimum"


@pytest.fixture
def relaxed(water, springs):
    return relaxation.run(springs(), [water], Settings())[0]


def judged(water, relaxed, *, force=0.01, start=HOME, path=None, **changed):
    """Return the outcome with some of what was found changed; `force` is the reference's at the end, eV/Å."""
    found = replace(relaxed, **changed)
    if path is not None:
        found = replace(found, path=replace(found.path, positions=path))
    labels = Labels(np.array([0.5]), np.full((1, 3, 3), force / np.sqrt(3.0)), {})
    return analyse(water, start, found, labels, Settings())


def test_a_model_with_the_same_minimum_agrees(water, springs, label_with_springs):
    for start in relaxation.STARTS:
        found = relaxation.run(springs(), [water], Settings(), start=start)[0]
        energies, forces = label_with_springs(water.numbers, found.path.positions[-1:])
        outcome = analyse(water, start, found, Labels(energies, forces, {}), Settings())
        assert outcome.judgement == "agrees", outcome.reason
        assert outcome.metrics["converged_fraction"] == 1.0
        assert outcome.metrics["heavy_rmsd_A"] == pytest.approx(0.0, abs=1e-6)
        assert outcome.metrics["reference_energy_above_minimum_eV"] == pytest.approx(0.0, abs=1e-6)


def test_a_relaxation_from_a_stretched_structure_comes_home(water, springs):
    stretched = water.structure.copy()
    stretched.positions *= 1.1
    found = relaxation.run(springs(), [replace(water, structure=stretched)], Settings(), start="structure")[0]
    assert found.converged
    outcome = judged(water, found, start="structure")
    # 0.02 eV/Å against 30 eV/Å^2
    assert outcome.metrics["rmsd_A"] < 0.002


def test_what_counts_is_told_in_its_order(water, relaxed):
    apart = water.minimum.positions + np.array([[0, 0, 0], [0, 3.0, 0], [0, 0, 0]])
    assert judged(water, relaxed).judgement == "agrees"
    assert judged(water, relaxed, error="RuntimeError: no").judgement == "failed"
    assert judged(water, relaxed, error="RuntimeError: no").reason == "RuntimeError: no"
    assert judged(water, relaxed, path=apart).judgement == "reacted"
    assert judged(water, relaxed, path=apart, converged=False).judgement == "reacted"
    assert judged(water, relaxed, converged=False, fmax_eV_per_A=0.4).judgement == "not converged"
    assert judged(water, relaxed, force=0.6).judgement == "moved away"


def test_a_conformer_far_from_the_minimum_is_moved_away_only_from_there(water, relaxed):
    settings = replace(Settings(), max_rmsd_A=-1.0)  # so that any RMSD is too far
    labels = Labels(np.zeros(1), np.zeros((1, 3, 3)), {})
    assert analyse(water, HOME, relaxed, labels, settings).judgement == "moved away"
    assert analyse(water, "structure", relaxed, labels, settings).judgement == "agrees"


@pytest.mark.parametrize("converged", [True, False])
def test_no_number_that_is_none_agrees(water, relaxed, converged):
    nowhere = water.minimum.positions.copy()
    nowhere[0, 1, 2] = np.nan
    assert judged(water, relaxed, path=nowhere, converged=converged).judgement == "failed"
    assert judged(water, relaxed, fmax_eV_per_A=float("nan"), converged=converged).judgement == "failed"
    assert judged(water, relaxed, fmax_eV_per_A=float("inf"), converged=converged).judgement == "failed"
    assert judged(water, relaxed, force=np.nan).judgement == "moved away"


def test_a_case_without_a_reference_minimum_cannot_be_asked(water, springs):
    with pytest.raises(ValueError, match="water has no reference minimum"):
        relaxation.run(springs(), [replace(water, minimum=None)], Settings())
