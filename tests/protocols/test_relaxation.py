"""Where the model comes to rest, and what is made of it."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.predict import predict
from gmd26_md.metrics import METRICS
from gmd26_md.observables.modes import displaced, hessian, normal_modes
from gmd26_md.protocols import relaxation
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation import HOME, SeenByReference, Settings, analyse, judged
from gmd26_md.protocols.relaxation_modes import TwoModes
from gmd26_md.protocols.starts import begin
from gmd26_md.reference.labels import Labels
from gmd26_md.reference.minima import relaxed as relaxed_by
from gmd26_md.trajectory import Trajectory


@pytest.fixture
def relaxed(water, springs):
    return relaxation.run(springs(), [begin(water, HOME, 0, 0.05)], Settings())[0]


def seen(water, relaxed, *, moved=0.0, drop=0.0):
    """Return what a reference says that relaxes on by opening the angle, `moved` Å a hydrogen, and `drop` eV."""
    there = relaxed.path.part(slice(-1, None))
    on = there.positions + moved * np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, -1.0]])
    minimum = replace(there, positions=on, energies=np.array([0.5 - drop]))
    return SeenByReference(Labels(np.array([0.5]), np.zeros((1, 3, 3)), {}), minimum)


def outcome_of(water, relaxed, *, view=None, start=HOME, path=None, **changed):
    """Return the outcome with some of what was found changed; `view` is the reference's."""
    found = replace(relaxed, **changed)
    if path is not None:
        found = replace(found, path=replace(found.path, positions=path))
    return analyse(begin(water, start, 0, 0.05), found, view or seen(water, relaxed), Settings())


@pytest.mark.parametrize("kind", [HOME, "perturbed-minimum", "structure"])
def test_a_model_with_the_same_minimum_comes_home_from_everywhere(water, springs, label_with_springs, kind):
    start = begin(water, kind, 1, 0.05)
    assert kind != "perturbed-minimum" or np.abs(start.positions - water.minimum.positions[0]).max() > 0.02
    found = relaxation.run(springs(), [start], Settings())[0]
    energies, forces = label_with_springs(water.numbers, found.path.positions[-1:])
    view = SeenByReference(Labels(energies, forces, {}), water.minimum)
    outcome = analyse(start, found, view, Settings())
    assert outcome.judgement == "agrees", outcome.reason
    assert outcome.metrics["converged_fraction"] == 1.0
    # 0.001 eV/Å against the softest of three springs of 30 eV/Å^2
    assert outcome.metrics["rmsd_A"] < 1e-4
    assert outcome.metrics["relaxed_on_bond_deviation_max_A"] < 2e-4
    assert outcome.metrics["relaxed_on_angle_deviation_max_deg"] < 0.02
    assert outcome.metrics["relaxed_on_torsion_deviation_max_deg"] is None  # water has none
    assert ("bond_deviation_max_A" in outcome.metrics) == (kind == HOME)
    assert outcome.metrics["reference_energy_above_minimum_eV"] == pytest.approx(0.0, abs=1e-6)
    assert outcome.metrics.keys() <= METRICS.keys()


def test_a_relaxation_from_a_stretched_structure_comes_home(water, springs):
    stretched = water.structure.copy()
    stretched.positions *= 1.1
    start = begin(replace(water, structure=stretched), "structure", 0, 0.05)
    found = relaxation.run(springs(), [start], Settings())[0]
    assert found.converged
    assert found.fmax_eV_per_A < 0.001  # not where FIRE handed over
    assert outcome_of(water, found, start="structure").metrics["rmsd_A"] < 1e-4


def test_what_counts_is_told_in_its_order(water, relaxed):
    apart = water.minimum.positions + np.array([[0, 0, 0], [0, 3.0, 0], [0, 0, 0]])
    assert outcome_of(water, relaxed).judgement == "agrees"
    assert outcome_of(water, relaxed, error="RuntimeError: no").judgement == "failed"
    assert outcome_of(water, relaxed, error="RuntimeError: no").reason == "RuntimeError: no"
    assert outcome_of(water, relaxed, path=apart).judgement == "reacted"
    assert outcome_of(water, relaxed, path=apart, converged=False).judgement == "reacted"
    assert outcome_of(water, relaxed, converged=False, fmax_eV_per_A=0.4).judgement == "not converged"
    # 3 atoms: 0.06 eV is 20 meV an atom
    assert outcome_of(water, relaxed, view=seen(water, relaxed, drop=0.06)).judgement == "strained"
    assert outcome_of(water, relaxed, view=SeenByReference(seen(water, relaxed).labels, None)).judgement == "unknown"


def place(on=0.0, drop=0.0, heavy=0.0, **more):
    """Return the metrics that a judgement looks at."""
    return {"relaxed_on_heavy_rmsd_A": on, "relaxed_on_energy_drop_eV": drop, "heavy_rmsd_A": heavy} | more


def verdict(metrics, kind=HOME):
    return judged(metrics, 10, kind, Settings())


def test_a_place_that_the_reference_leaves_is_a_false_minimum_from_every_start():
    for kind in (HOME, "structure", "rdkit-conformer"):
        word, reason = verdict(place(0.4, 0.2, 0.1), kind)
        assert word == "false minimum"
        assert "the reference has no minimum there" in reason
        assert "0.40 Å and 0.200 eV" in reason


@pytest.mark.parametrize("start", [HOME, "structure"])
def test_a_proton_that_goes_over_where_the_reference_relaxes_on_makes_a_false_minimum(water, relaxed, start):
    view = seen(water, relaxed)
    away = view.minimum.positions + np.array([[0, 0, 0], [0, 0, 0], [0, 0, -2.0]])  # no heavy atom, no torsion moves
    gone = SeenByReference(view.labels, replace(view.minimum, positions=away))
    found = outcome_of(water, relaxed, view=gone, start=start)
    assert found.judgement == "false minimum"
    assert found.reason == "the reference has no minimum there: it breaks O0-H2, and goes 0.000 eV down"
    # without an energy there it is not known how far down
    silent = replace(gone, labels=replace(view.labels, energies=np.array([np.nan])))
    assert outcome_of(water, relaxed, view=silent, start=start).judgement == "unknown"


def test_a_hydroxyl_group_that_the_reference_turns_round_is_a_false_minimum_too():
    word, reason = verdict(place(0.02, 0.05, relaxed_on_torsion_deviation_max_deg=175.0), "structure")
    assert word == "false minimum"
    assert "a torsion turned by 175°" in reason
    assert verdict(place(0.02, 0.05, relaxed_on_torsion_deviation_max_deg=59.0))[0] == "agrees"
    assert verdict(place(0.02, 0.05, relaxed_on_torsion_deviation_max_deg=np.nan))[0] == "false minimum"


def test_a_conformer_far_from_the_minimum_is_moved_away_only_from_there():
    for metrics in (place(heavy=0.31), place(torsion_deviation_max_deg=100.0)):
        assert verdict(metrics)[0] == "moved away"
    assert verdict(place(heavy=0.31), "structure")[0] == "agrees"


@pytest.mark.parametrize(
    ("ratio", "word"),
    [(0.0, "wrong modes"), (0.49, "wrong modes"), (0.9, "agrees"), (1.1, "agrees"), (2.1, "wrong modes"),
     (np.nan, "wrong modes")],
)  # fmt: skip
def test_a_surface_that_holds_nothing_or_in_another_unit_is_no_agreement(ratio, word):
    assert verdict(place(n_imaginary_modes=0.0, n_reference_imaginary_modes=0.0, frequency_mean_relative_ratio=ratio))[
        0
    ] == word  # fmt: skip


def test_a_saddle_is_one_only_where_the_reference_has_none():
    hills = {"n_imaginary_modes": 2.0, "lowest_frequency_per_cm": -150.0}
    word, reason = verdict(place(n_reference_imaginary_modes=0.0, **hills))
    assert word == "saddle"
    assert "-150 1/cm" in reason
    assert verdict(place(n_reference_imaginary_modes=2.0, **hills))[0] == "agrees"
    assert verdict(place(on=0.4, n_reference_imaginary_modes=0.0, **hills))[0] == "false minimum"


@pytest.mark.parametrize("converged", [True, False])
def test_no_number_that_is_none_agrees(water, relaxed, converged):
    nowhere = water.minimum.positions.copy()
    nowhere[0, 1, 2] = np.nan
    assert outcome_of(water, relaxed, path=nowhere, converged=converged).judgement == "failed"
    assert outcome_of(water, relaxed, fmax_eV_per_A=float("nan"), converged=converged).judgement == "failed"
    assert outcome_of(water, relaxed, fmax_eV_per_A=float("inf"), converged=converged).judgement == "failed"
    assert outcome_of(water, relaxed, view=seen(water, relaxed, moved=np.nan)).judgement == "unknown"
    assert outcome_of(water, relaxed, view=seen(water, relaxed, drop=np.nan)).judgement == "unknown"
    assert verdict(place(heavy=np.nan))[0] == "moved away"


@pytest.mark.parametrize("on", [0.0, 0.4])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_energy_that_the_reference_lacks_is_not_held_against_the_model(on, bad):
    word, reason = verdict(place(on, drop=bad))
    assert word == "unknown"
    assert reason.startswith("the reference has no energy")


def test_modes_that_were_asked_for_and_failed_do_not_agree(water, relaxed):
    view, words = seen(water, relaxed), "the model failed on a displaced geometry"
    start = begin(water, HOME, 0, 0.05)
    failed = analyse(start, relaxed, view, Settings(), TwoModes(None, None, words))
    assert (failed.judgement, failed.reason) == ("failed", f"no normal modes: {words}")
    left_out = TwoModes(None, None, "60 atoms; the limit is 50", left_out=True)
    assert analyse(start, relaxed, view, Settings(), left_out).judgement == "agrees"
    # where the model has its modes it was the reference that failed
    truth = normal_modes(water.numbers, water.minimum.positions[0], np.eye(9))
    untold = analyse(start, relaxed, view, Settings(), TwoModes(truth, None, "the reference failed"))
    assert (untold.judgement, untold.reason) == ("unknown", "no normal modes: the reference failed")
    # what is known to be wrong is said all the same
    strained = seen(water, relaxed, drop=0.06)
    assert analyse(start, relaxed, strained, Settings(), TwoModes(None, None, words)).judgement == "strained"


def test_the_labels_are_counted_before_they_are_made(water):
    assert Settings().n_starts == 6  # minimum, structure, two perturbed, two conformers
    assert Settings().n_labels(water.structure) == 6 + 18
    assert Settings(modes=False).n_labels(water.structure) == Settings(modes_max_atoms=2).n_labels(water.structure) == 6
    assert Settings(starts=("structure",)).n_labels(water.structure) == 1  # modes are those of the reference minimum


def test_a_case_without_a_reference_minimum_cannot_be_asked(water):
    with pytest.raises(ValueError, match="water has no reference minimum"):
        begin(replace(water, minimum=None), HOME, 0, 0.05)


# --- a chain of four carbon atoms on six springs: the last says how far it is twisted ---


def chain(torsion_deg):
    a, t = np.radians(112.0), np.radians(torsion_deg)
    out = 1.53 * np.sin(a) * np.array([np.cos(t), np.sin(t)])
    first = [1.53 * np.sin(a), 0.0, 1.53 * np.cos(a)]
    return np.array([first, [0, 0, 0], [0, 0, 1.53], [out[0], out[1], 1.53 - 1.53 * np.cos(a)]])


PAIRS = [[0, 1], [1, 2], [2, 3], [0, 2], [1, 3], [0, 3]]
FOUR = np.array([6, 6, 6, 6])


def twist_springs(torsion_deg, k=0.15):
    x = chain(torsion_deg)
    lengths = [float(np.linalg.norm(x[i] - x[j])) for i, j in PAIRS]
    return load_calculator("harmonic", bonds=PAIRS, k_eV_per_A2=[30, 30, 30, 10, 10, k], r0_A=lengths)


def chain_case(torsion_deg):
    x = chain(torsion_deg)
    minimum = Trajectory(FOUR, np.zeros(1), x[None], None, np.zeros(1), np.zeros((1, 4, 3)))
    return Case("chain", "chain", "C4", "ood", Atoms(FOUR, x), minimum, None)


def asked(calculator, positions):
    """Return what a calculator says of a geometry, and where it comes to rest from there."""
    atoms = Atoms(FOUR, positions, calculator=calculator)
    labels = Labels(np.array([atoms.get_potential_energy()]), atoms.get_forces()[None], {})
    return SeenByReference(labels, relaxed_by(Atoms(FOUR, positions), calculator, 0.001))


def test_a_collapse_into_a_minimum_that_the_reference_lacks_is_named_as_such():
    truth, start = twist_springs(150.0), begin(chain_case(150.0), HOME, 0, 0.05)
    found = relaxation.run(AseForces(lambda: twist_springs(50.0)), [start], Settings())[0]
    assert found.converged
    outcome = analyse(start, found, asked(truth, found.path.positions[-1]), Settings())
    assert outcome.judgement == "false minimum"
    assert "the reference has no minimum there" in outcome.reason
    # the springs hold the torsion with 0.03 eV a square radian: 0.001 eV/Å at 1.4 Å turns it by 3°
    assert outcome.metrics["torsion_deviation_max_deg"] == pytest.approx(100.0, abs=4.0)
    assert outcome.metrics["relaxed_on_torsion_deviation_max_deg"] == pytest.approx(100.0, abs=4.0)
    assert outcome.metrics["relaxed_on_bond_deviation_max_A"] < 0.01
    assert outcome.evidence["relaxed_on_largest_deviation_atoms"]["torsion"] == [0, 1, 2, 3]
    # the same model beside a reference that twists as it does
    agreeing = analyse(start, found, asked(twist_springs(50.0), found.path.positions[-1]), Settings())
    assert agreeing.judgement == "moved away"


def test_a_model_at_rest_on_a_ridge_is_on_a_saddle():
    start = begin(chain_case(180.0), HOME, 0, 0.05)
    provider = AseForces(lambda: twist_springs(60.0))
    found = relaxation.run(provider, [start], Settings())[0]
    assert found.converged  # flat to the last bit: nothing pushes it out of the plane
    view = asked(twist_springs(180.0), found.path.positions[-1])

    def modes_at(calculator, positions):
        moved = displaced(positions, 0.01)
        frames = Trajectory(FOUR, np.zeros(24), moved, None, np.zeros(24), np.zeros(moved.shape))
        return normal_modes(FOUR, positions, hessian(predict(AseForces(lambda: calculator), frames)[1], 0.01))

    here, there = found.path.positions[-1], view.minimum.positions[0]
    modes = TwoModes(modes_at(twist_springs(60.0), here), modes_at(twist_springs(180.0), there))
    loose = replace(Settings(), max_drop_meV_per_atom=100.0)
    outcome = analyse(start, found, view, loose, modes)
    assert outcome.judgement == "saddle", outcome.reason
    assert outcome.metrics["n_imaginary_modes"] == 1.0
    assert outcome.metrics["lowest_frequency_per_cm"] < -20.0
    assert outcome.evidence["modes"]["model_frequencies_per_cm"][0] < -20.0
    assert outcome.metrics.keys() <= METRICS.keys()
    assert analyse(start, found, view, loose).judgement == "agrees"  # without modes nobody can tell
