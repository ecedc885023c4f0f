"""Where the model comes to rest, and what is made of it."""

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.protocols import relaxation
from gmd26_md.protocols.relaxation import SeenByReference, Settings, analyse
from gmd26_md.reference.labels import Labels

HOME = "reference-minimum"


@pytest.fixture
def relaxed(water, springs):
    return relaxation.run(springs(), [water], Settings())[0]


def seen(water, relaxed, *, moved=0.0, drop=0.0):
    """Return what a reference says that relaxes on by opening the angle, `moved` Å a hydrogen, and `drop` eV."""
    there = relaxed.path.part(slice(-1, None))
    on = there.positions + moved * np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, -1.0]])
    minimum = replace(there, positions=on, energies=np.array([0.5 - drop]))
    return SeenByReference(Labels(np.array([0.5]), np.zeros((1, 3, 3)), {}), minimum)


def judged(water, relaxed, *, view=None, start=HOME, path=None, **changed):
    """Return the outcome with some of what was found changed; `view` is the reference's."""
    found = replace(relaxed, **changed)
    if path is not None:
        found = replace(found, path=replace(found.path, positions=path))
    return analyse(water, start, found, view or seen(water, relaxed), Settings())


def test_a_model_with_the_same_minimum_agrees(water, springs, label_with_springs):
    for start in relaxation.STARTS:
        found = relaxation.run(springs(), [water], Settings(), start=start)[0]
        energies, forces = label_with_springs(water.numbers, found.path.positions[-1:])
        view = SeenByReference(Labels(energies, forces, {}), water.minimum)
        outcome = analyse(water, start, found, view, Settings())
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
    # 3 atoms: 0.06 eV is 20 meV an atom
    assert judged(water, relaxed, view=seen(water, relaxed, drop=0.06)).judgement == "strained"
    assert judged(water, relaxed, view=SeenByReference(seen(water, relaxed).labels, None)).judgement == "failed"


def test_a_place_that_the_reference_leaves_is_a_false_minimum_from_either_start():
    far = relaxation._place(0.1, 0.4, 0.2, 5.0, HOME, Settings())
    assert far == relaxation._place(0.1, 0.4, 0.2, 5.0, "structure", Settings())
    assert far[0] == "false minimum"
    assert "0.40 Å and 0.200 eV" in far[1]


def test_a_conformer_far_from_the_minimum_is_moved_away_only_from_there():
    assert relaxation._place(0.31, 0.01, 0.001, 0.3, HOME, Settings())[0] == "moved away"
    assert relaxation._place(0.31, 0.01, 0.001, 0.3, "structure", Settings())[0] == "agrees"


@pytest.mark.parametrize("converged", [True, False])
def test_no_number_that_is_none_agrees(water, relaxed, converged):
    nowhere = water.minimum.positions.copy()
    nowhere[0, 1, 2] = np.nan
    assert judged(water, relaxed, path=nowhere, converged=converged).judgement == "failed"
    assert judged(water, relaxed, fmax_eV_per_A=float("nan"), converged=converged).judgement == "failed"
    assert judged(water, relaxed, fmax_eV_per_A=float("inf"), converged=converged).judgement == "failed"
    assert judged(water, relaxed, view=seen(water, relaxed, moved=np.nan)).judgement == "failed"
    assert judged(water, relaxed, view=seen(water, relaxed, drop=np.nan)).judgement == "strained"
    assert relaxation._place(np.nan, 0.0, 0.0, 0.0, HOME, Settings())[0] == "moved away"


def test_a_case_without_a_reference_minimum_cannot_be_asked(water, springs):
    with pytest.raises(ValueError, match="water has no reference minimum"):
        relaxation.run(springs(), [replace(water, minimum=None)], Settings())
