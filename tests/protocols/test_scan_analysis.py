"""What is made of curves that are known: each fault planted alone, and found."""

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.protocols.scan import Answers, Scan
from gmd26_md.protocols.scan_analysis import SEVERITY, analyse
from gmd26_md.protocols.scan_settings import Settings

NUMBERS = [6, 1]
ANGLES = np.arange(0.0, 360.0, 15.0)
BY = 0.01 * np.arange(-21, 55)
LENGTH = 1.09


def torsion_scan():
    frames = np.zeros((24, 2, 3))
    frames[:, 1, 0] = LENGTH
    return Scan("torsion", (0, 1), np.array([1]), LENGTH, ANGLES, frames, np.arange(24))


def stretch_scan():
    frames = np.zeros((len(BY), 2, 3))
    frames[:, 1, 0] = LENGTH + BY
    return Scan("stretch", (0, 1), np.array([1]), LENGTH, BY, frames, np.arange(0, len(BY), 4))


def turned(mine, theirs):
    """Return what two profiles, eV, come to."""
    still = np.zeros((24, 2, 3))
    answers = Answers(np.asarray(mine, float), still, np.asarray(theirs, float), still)
    return analyse(NUMBERS, [torsion_scan()], [answers], Settings())


def threefold(barrier=0.1, shift=0.0):
    return 0.5 * barrier * (1.0 - np.cos(3.0 * np.radians(ANGLES - shift)))


def morse(depth=4.5, a=1.9, shift=0.0):
    """Return energies and slopes of a C-H bond."""
    decay = np.exp(-a * (BY - shift))
    return depth * (1 - decay) ** 2, 2 * depth * a * (1 - decay) * decay


def pulled(energies, slopes=None, reference=None, settings=None):
    """Return what a stretch comes to; by default its forces are its gradient, and the reference is a C-H bond."""
    slopes = np.gradient(energies, 0.01, edge_order=2) if slopes is None else slopes
    theirs = np.full(len(BY), np.nan)
    theirs[::4] = (morse()[0] if reference is None else reference)[::4]
    theirs[21] = 0.0 if reference is None else reference[21]
    answers = Answers(energies, forces_of(slopes), theirs, forces_of(morse()[1]))
    return analyse(NUMBERS, [stretch_scan()], [answers], settings or Settings())


def forces_of(slopes):
    """Return forces along the bond, (n_points, 2, 3), that do this work."""
    forces = np.zeros((len(slopes), 2, 3))
    forces[:, 1, 0], forces[:, 0, 0] = -slopes, slopes
    return forces


def test_equal_curves_follow():
    assert turned(threefold(), threefold()).judgement == "follows"
    # another zero of energy is no fault
    assert turned(threefold() - 200.0, threefold()).judgement == "follows"
    found = pulled(*morse())
    assert found.judgement == "follows", found.words
    assert found.metrics["stretch_near_rms_meV"] == pytest.approx(0.0, abs=1e-9)
    assert pulled(morse()[0] + 300.0, morse()[1]).judgement == "follows"


def test_minima_where_the_reference_has_its_tops_are_false():
    found = turned(threefold(shift=60.0), threefold())
    assert found.judgement == "false minimum"
    assert found.metrics["n_extra_minima"] == found.metrics["n_missing_minima"] == 3
    assert found.metrics["torsion_minimum_error_deg"] == 60.0
    assert found.metrics["torsion_misplaced_meV"] == pytest.approx(100.0)
    assert found.evidence["scans"][0]["extra_minima_deg"] == [60.0, 180.0, 300.0]


def test_a_dimple_no_deeper_than_the_limit_is_none():
    dimple = np.where(ANGLES == 60.0, 1.0, 0.0)
    # neighbours of the top lie 14.6 meV below it
    assert turned(threefold() - 0.023 * dimple, threefold()).judgement == "follows"
    assert turned(threefold() - 0.027 * dimple, threefold()).judgement == "false minimum"


def test_the_wrong_one_of_two_minima_is_told_by_what_it_costs():
    two = 0.05 * (1.0 - np.cos(2.0 * np.radians(ANGLES)))
    tilt = 0.02 * (1.0 - np.cos(np.radians(ANGLES)))  # the far one lies 40 meV higher
    found = turned(two - tilt, two + tilt)
    assert found.judgement == "wrong minimum"
    assert found.metrics["torsion_minimum_error_deg"] == 180.0
    assert found.metrics["torsion_misplaced_meV"] == pytest.approx(40.0)
    assert turned(two - 0.5 * tilt, two + 0.5 * tilt).judgement == "follows"  # 20 meV is less than kT


def test_a_flat_model_misses_the_minima_and_the_barrier():
    found = turned(np.zeros(24), threefold())
    assert found.judgement == "wrong barrier"
    assert found.metrics["n_missing_minima"] == 3
    assert found.metrics["torsion_barrier_error_meV"] == pytest.approx(100.0)


def test_points_that_the_reference_forbids_are_left_out_but_must_not_be_holes():
    clash = np.isin(ANGLES, (165.0, 180.0, 195.0))
    theirs = threefold() + 5.0 * clash
    found = turned(threefold() + 2.0 * clash, theirs)  # 3 eV too little, and still no way through
    assert found.judgement == "follows"
    assert found.metrics["n_torsion_left_out"] == 3
    assert found.metrics["torsion_rms_meV"] == pytest.approx(0.0, abs=1e-9)
    found = turned(threefold() + 0.5 * clash, theirs)
    assert found.judgement == "falls apart"
    assert found.metrics["n_torsion_holes"] == 3


def test_points_where_the_reference_failed_are_not_taken_for_forbidden():
    lost = (ANGLES >= 90) & (ANGLES <= 270)
    well = -1.5 * np.sin(np.radians(ANGLES - 90)) ** 2 * lost
    theirs = np.where(lost, np.nan, threefold())
    found = turned(threefold() + well, theirs)
    assert found.judgement == "unknown"
    assert found.words == "C0-H1: the reference failed at 13 of 24 points, as at 90°, where the model is low"
    assert found.metrics["n_torsion_left_out"] == 0
    assert found.metrics["n_torsion_unlabelled"] == 13
    # a model that climbs there has no well, whatever the reference has
    assert turned(threefold() + 1.5 * lost, theirs).judgement == "follows"
    nowhere = np.where(ANGLES == 180, np.nan, threefold() + 1.5 * lost)
    assert turned(nowhere, theirs).judgement == "unknown"
    # what is wrong where the reference answers stays wrong
    assert turned(threefold(0.3), theirs).judgement == "wrong barrier"


@pytest.mark.parametrize("at", [0, 12, 23])
def test_one_number_of_a_turn_that_is_none_fails(at):
    mine = threefold()
    mine[at] = np.nan
    found = turned(mine, threefold())
    assert found.judgement == "failed"
    assert found.words == f"C0-H1: not finite at {15 * at}°"
    assert np.isnan(found.metrics["torsion_rms_meV"])
    forces = np.zeros((24, 2, 3))
    forces[at, 1, 2] = np.inf
    answers = Answers(threefold(), forces, threefold(), np.zeros((24, 2, 3)))
    assert analyse(NUMBERS, [torsion_scan()], [answers], Settings()).judgement == "failed"


def test_a_reference_that_answers_hardly_anywhere_judges_nothing():
    assert turned(threefold(), np.full(24, np.nan)).judgement == "unknown"
    assert turned(threefold(), np.where(ANGLES < 60, threefold(), np.nan)).judgement == "unknown"
    found = pulled(*morse(), reference=np.full(len(BY), np.nan))
    assert found.judgement == "unknown"
    assert found.metrics["stretch_near_rms_meV"] is None


@pytest.mark.parametrize("at", [0, 5, 21, 75])
def test_one_number_of_a_stretch_that_is_none_fails(at):
    energies, slopes = morse()
    energies[at] = np.nan
    found = pulled(energies, slopes)
    assert found.judgement == "failed"
    assert f"{LENGTH + BY[at]:.2f} Å" in found.words
    energies, slopes = morse()
    slopes[at] = -np.inf
    assert pulled(energies, slopes).judgement == "failed"


def test_a_ripple_is_rough_and_told_where():
    ripple = np.where(np.abs(BY - 0.3) < 0.06, 0.002 * np.sin(2 * np.pi * BY / 0.04), 0.0)
    found = pulled(morse()[0] + ripple)
    assert found.judgement == "rough"
    assert found.metrics["stretch_roughness_meV"] == pytest.approx(2.0, rel=0.3)
    assert abs(found.evidence["scans"][0]["roughest_at_A"] - LENGTH - 0.3) < 0.07
    assert pulled(morse()[0] + 0.2 * ripple, morse()[1]).judgement == "follows"


def test_forces_that_are_no_gradient_are_told():
    energies, slopes = morse()
    found = pulled(energies, slopes + 0.05)
    assert found.judgement == "no gradient"
    assert found.metrics["stretch_work_error_meV"] == pytest.approx(0.5 * 50.0 * (BY[-1] - BY[0]), rel=0.01)


def test_a_bond_that_is_too_long_has_the_wrong_minimum():
    found = pulled(*morse(shift=0.043))
    assert found.judgement == "wrong minimum"
    assert found.metrics["stretch_minimum_error_A"] == pytest.approx(
        0.043, abs=0.001
    )  # a parabola through three points
    found = pulled(*morse(shift=0.3))  # no minimum near the bond's own
    assert found.judgement == "false minimum"
    assert np.isnan(found.metrics["stretch_minimum_error_A"])


def test_a_bond_that_is_too_soft_has_the_wrong_curve():
    assert pulled(*morse(depth=3.0)).judgement == "wrong curve"


def test_a_curve_that_comes_down_again_falls_apart_over_a_known_pass():
    energies = morse()[0]
    top = int(np.argmin(np.abs(BY - 0.4)))
    falling = energies.copy()
    falling[top:] = energies[top] - 0.8 * (BY[top:] - BY[top])
    found = pulled(falling)
    assert found.judgement == "falls apart"
    assert found.metrics["n_spurious_minima"] == 1
    assert found.metrics["stretch_escape_eV"] == pytest.approx(energies[top])
    assert f"{LENGTH + BY[-1]:.2f} Å, the end of the scan" in found.words


def test_a_false_minimum_behind_a_pass_that_nothing_crosses_is_counted_only():
    falling = morse()[0] - 40.0 * np.maximum(BY - 0.51, 0.0)
    found = pulled(falling)
    assert found.metrics["stretch_escape_eV"] == pytest.approx(morse()[0][BY <= 0.511].max(), abs=0.01)
    assert found.metrics["stretch_escape_eV"] > 1.6
    assert found.judgement == "falls apart"
    found = pulled(falling, settings=Settings(reach_eV=1.5))
    assert found.metrics["n_spurious_minima"] == 1
    assert found.judgement == "rough"  # where it turns


def test_a_bond_that_collapses_has_a_false_minimum_unless_the_reference_has_it_too():
    deep = morse()[0] - 3.0 * np.exp(-(((BY + 0.2) / 0.05) ** 2))
    found = pulled(deep)
    assert found.judgement == "false minimum"
    assert found.evidence["scans"][0]["false_minima_A"] == [pytest.approx(LENGTH - 0.2, abs=0.02)]
    proton = morse()[0] - 3.2 * np.exp(-(((BY - 0.45) / 0.08) ** 2))  # drawn over to a neighbour
    assert pulled(proton).judgement == "false minimum"
    assert pulled(proton, reference=proton).metrics["n_spurious_minima"] == 0


def test_a_minimum_where_the_reference_failed_is_not_called_false():
    proton = morse()[0] - 3.2 * np.exp(-(((BY - 0.45) / 0.08) ** 2))
    there = float(BY[int(np.argmin(np.where(BY > 0.3, proton, np.inf)))])
    found = pulled(proton, reference=np.where(np.abs(BY - there) < 0.08, np.nan, morse()[0]))
    assert found.judgement == "unknown"
    assert f"the reference failed near {LENGTH + there:.2f} Å" in found.words
    assert found.metrics["n_spurious_minima"] is None
    # a second one that is false for sure is said all the same
    two = proton - 3.0 * np.exp(-(((BY + 0.2) / 0.05) ** 2))
    found = pulled(two, reference=np.where(np.abs(BY - there) < 0.08, np.nan, morse()[0]))
    assert found.judgement == "false minimum"
    assert found.metrics["n_spurious_minima"] == 1
    # what it does not say elsewhere is no excuse
    assert pulled(proton, reference=np.where(BY < -0.15, np.nan, morse()[0])).judgement == "false minimum"


def test_a_reference_with_too_few_points_near_the_minimum_judges_no_curve_but_false_minima_all_the_same():
    few = morse()[0] + np.where(np.abs(BY) > 0.05, 5.0, 0.0)  # 4 points up to 1 eV, and none that failed
    found = pulled(*morse(), reference=few)
    assert found.judgement == "unknown"
    assert "less than 5 points" in found.words
    assert pulled(morse()[0] - 3.0 * np.exp(-(((BY - 0.45) / 0.08) ** 2)), reference=few).judgement == "false minimum"
    assert pulled(-0.8 * (BY - BY[0]), reference=few).judgement == "falls apart"


def test_a_molecule_has_the_judgement_of_its_worst_bond_and_the_worst_of_each_number():
    still = np.zeros((24, 2, 3))
    good = Answers(threefold(), still, threefold(), still)
    worse = replace(good, energies=threefold(0.2))
    found = analyse(NUMBERS, [torsion_scan()] * 3, [good, worse, good], Settings())
    assert found.judgement == "wrong barrier"
    assert found.metrics["torsion_barrier_error_meV"] == pytest.approx(100.0)
    assert found.metrics["n_torsion_left_out"] == 0
    nan = replace(good, energies=np.full(24, np.nan))
    found = analyse(NUMBERS, [torsion_scan()] * 2, [worse, nan], Settings())
    assert found.judgement == SEVERITY[0] == "failed"
    assert np.isnan(found.metrics["torsion_rms_meV"])


def test_of_bonds_that_fall_apart_the_one_with_the_lowest_pass_is_named():
    def falling(slope):
        top = int(np.argmin(np.abs(BY - 0.1)))
        energies = morse()[0]
        energies[top:] = energies[top] - slope * (BY[top:] - BY[top])
        return energies

    low, high = falling(0.8), 3.0 * falling(0.8)
    reference = np.where(np.arange(len(BY)) % 4 == 1, morse()[0], np.nan)  # the home point, 21, among them
    said = [Answers(e, forces_of(np.gradient(e, 0.01)), reference, forces_of(morse()[1])) for e in (high, low)]
    scan = replace(stretch_scan(), asked=np.arange(1, len(BY), 4))
    other = replace(scan, bond=(1, 0), side=np.array([0]))
    found = analyse(NUMBERS, [scan, other], said, Settings())
    assert found.judgement == "falls apart"
    assert found.words.startswith("H1-C0: ")
    assert found.metrics["stretch_escape_eV"] == pytest.approx(low[31])
    assert found.metrics["n_spurious_minima"] == 2


def test_a_bond_that_falls_apart_without_any_pass_is_the_easiest():
    pathless = -0.8 * (BY - BY[0])  # downhill all the way
    top = int(np.argmin(np.abs(BY - 0.4)))
    over = morse()[0]
    over[top:] = over[top] - 0.8 * (BY[top:] - BY[top])
    reference = np.where(np.arange(len(BY)) % 4 == 1, morse()[0], np.nan)
    said = [Answers(e, forces_of(np.gradient(e, 0.01)), reference, forces_of(morse()[1])) for e in (over, pathless)]
    scan = replace(stretch_scan(), asked=np.arange(1, len(BY), 4))
    other = replace(scan, bond=(1, 0), side=np.array([0]))
    # from home, 21, downhill: the way itself has no pass, so it is 0 and not "none"
    found = analyse(NUMBERS, [scan, other], said, Settings())
    assert found.metrics["stretch_escape_eV"] == 0.0
    assert found.judgement == "falls apart"
    assert found.words.startswith("H1-C0: ")
