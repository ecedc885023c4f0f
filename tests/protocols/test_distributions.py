"""Dynamics against dynamics: the same springs are within noise, others are off, and what is none is never within it."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses
from ase.units import kB

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator
from gmd26_md.calculators.harmonic import dimer_period_fs
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.sampled import Sampled
from gmd26_md.errors import UserError
from gmd26_md.observables.spectrum import PER_CM_OF_PER_FS
from gmd26_md.protocols import distributions
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.distributions import Settings
from gmd26_md.protocols.distributions_analysis import Trouble, analyse, trouble
from gmd26_md.protocols.distributions_judgement import Compared, judge
from gmd26_md.trajectory import Trajectory

SETTINGS = Settings(run_ps=1.0, equilibrate_ps=0.1, timestep_fs=1.0, window_ps=0.5)
SOFT = 7.5  # eV/Å²: O-H near 1500 1/cm


DIMER = Atoms("CO", positions=[[0, 0, 0], [1.13, 0, 0]])


def runs_of(case, provider, seed, settings=SETTINGS):
    """Return two runs of a case; those of another seed are independent of them."""
    found = distributions.run(provider, [(case, 0), (case, 1)], replace(settings, seed=seed))
    return [Sampled.of(run, case.numbers, distributions.SAMPLE) for run in found]


@pytest.fixture(scope="module")
def soft_water(water, springs):
    """Return two pairs of runs of water on the same springs."""
    return [runs_of(water, springs(SOFT), seed) for seed in (0, 1)]


def shaken(atoms, spread, seed, n_frames=501):
    """Return frames of atoms that are displaced at random, by no dynamics, with velocities of 300 K."""
    random = np.random.default_rng(seed)
    positions = atoms.positions + spread * random.normal(size=(n_frames, len(atoms), 3))
    scale = np.sqrt(kB * 300.0 / atomic_masses[atoms.numbers])[:, None]
    velocities = scale * random.normal(size=positions.shape)
    return Sampled(atoms.numbers, 2.0 * np.arange(n_frames), positions, velocities)


def case_of(atoms):
    nothing = np.zeros((1, len(atoms), 3))
    minimum = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], None, np.zeros(1), nothing)
    return Case("it", "it", "X", "user", atoms, minimum, None)


@pytest.fixture(scope="module")
def acid():
    return molecules.get("acetic acid").atoms()


def test_the_same_springs_are_within_noise(water, soft_water):
    judged = analyse(water, *soft_water, SETTINGS)
    assert judged.judgement == "within noise", judged.reason
    ratios = [v for k, v in judged.metrics.items() if k.endswith("over_noise_ratio") and v is not None]
    assert len(ratios) == 5
    assert all(0.3 < ratio < 2.5 for ratio in ratios), judged.metrics  # means of four distances, over one of their kind
    assert judged.metrics["torsion_wasserstein_ratio"] is None  # three atoms have none


def test_the_curves_are_there_to_be_drawn(water, soft_water):
    curves = analyse(water, *soft_water, SETTINGS).evidence["spectrum"]
    assert len(curves["frequency_per_cm"]) == len(curves["model"]) == len(curves["reference"])
    assert sum(curves["reference"]) == pytest.approx(1.0, abs=0.01)


def test_a_spring_four_times_as_stiff_vibrates_twice_as_fast_and_swings_half_as_wide():
    def on_spring(k):
        return AseForces(lambda: load_calculator("harmonic", bonds=[[0, 1]], k_eV_per_A2=k, r0_A=1.13))

    case, frequency = case_of(DIMER), PER_CM_OF_PER_FS / dimer_period_fs(*atomic_masses[[6, 8]], 20.0)
    settings = replace(SETTINGS, run_ps=2.0)
    runs = [runs_of(case, on_spring(k), seed, settings) for k, seed in ((80.0, 0), (20.0, 1))]
    judged = analyse(case, *runs, settings)
    assert judged.judgement == "off", judged.reason
    # twice as fast is off by the frequency itself
    assert judged.metrics["stretch_wasserstein_per_cm"] == pytest.approx(frequency, rel=0.05)
    # half of a Gaussian's spread is at 0.5 sqrt(2 / pi) = 0.40 of it; 2 ps hold twenty swings that are independent
    assert judged.metrics["bond_wasserstein_ratio"] == pytest.approx(0.40, abs=0.15)


def test_two_samples_of_one_distribution_are_at_the_noise_and_a_longer_bond_is_off_by_what_it_is_longer():
    atoms = DIMER
    reference = [shaken(atoms, 0.02, seed, 4001) for seed in (1, 2)]
    same = analyse(case_of(atoms), [shaken(atoms, 0.02, seed, 4001) for seed in (3, 4)], reference, SETTINGS)
    assert same.judgement == "within noise", same.reason
    longer = atoms.copy()
    longer.positions[1, 0] += 0.02
    judged = analyse(case_of(atoms), [shaken(longer, 0.02, seed, 4001) for seed in (3, 4)], reference, SETTINGS)
    assert judged.judgement == "off"
    # of the spread of the bond, 0.02 sqrt(2); two means of 4000 values are off by 0.02 of it
    assert judged.metrics["bond_wasserstein_ratio"] == pytest.approx(2**-0.5, abs=0.1)
    assert "0 bonds from a functional group" in judged.reason
    assert [0, 1] in [w["atoms"] for w in judged.evidence["worst"][:2]]  # h(r), which is as far off, has no atoms


def test_a_turned_methyl_group_is_the_same_molecule(acid):
    case = case_of(acid)
    runs = [shaken(acid, 0.03, seed) for seed in range(4)]
    carbon = next(k for k in range(8) if acid.numbers[k] == 6 and (acid.get_distances(k, range(8)) < 1.2).sum() == 4)
    methyl = [j for j in range(8) if acid.numbers[j] == 1 and acid.get_distance(carbon, j) < 1.2]
    order = np.arange(8)
    order[methyl] = np.roll(methyl, 1)
    turned = [replace(r, positions=r.positions[:, order], velocities=r.velocities[:, order]) for r in runs[:2]]
    plain = analyse(case, runs[:2], runs[2:], SETTINGS)
    again = analyse(case, turned, runs[2:], SETTINGS)
    assert again.judgement == plain.judgement
    for name, value in plain.metrics.items():
        assert again.metrics[name] == pytest.approx(value, rel=1e-9), name
    # that exchange of unlike atoms does count is what makes this a test
    order[[methyl[0], carbon]] = [carbon, methyl[0]]
    wrong = [replace(r, positions=r.positions[:, order]) for r in runs[:2]]
    assert analyse(case, wrong, runs[2:], SETTINGS).metrics["bond_wasserstein_ratio"] > 1.0


def test_a_run_that_ended_badly_is_named_not_compared(acid):
    case = case_of(acid)
    good = shaken(acid, 0.03, 0)
    assert trouble(case, [good, good]) is None
    blown = replace(good, stopped="exploded", stopped_at_fs=120.0, reason="too hot")
    assert trouble(case, [good, blown]) == Trouble("exploded", "run 1: too hot, at 0.120 ps", 1, 0.12)
    assert trouble(case, [replace(good, stopped="error", reason="no")]).judgement == "failed"
    assert trouble(case, [replace(good, time_fs=np.zeros(0), positions=np.zeros((0, 8, 3)))]).judgement == "failed"
    for name in ("positions", "velocities"):
        lost = getattr(good, name).copy()
        lost[200, 3, 1] = np.nan
        assert trouble(case, [replace(good, **{name: lost})]).judgement == "exploded"
    apart = good.positions.copy()
    apart[100:, 5] += 3.0
    assert trouble(case, [replace(good, positions=apart)]).judgement == "broken"


def test_a_run_ends_where_a_bond_breaks():
    far = AseForces(lambda: load_calculator("harmonic", bonds=[[0, 1]], k_eV_per_A2=1.0, r0_A=1.7))
    case = case_of(DIMER)
    runs = runs_of(case, far, 0)
    found = trouble(case, runs)
    assert found.judgement == "broken"
    assert found.reason.startswith("run 0: bond_broken: atoms 0 and 1 were 1.")
    assert found.at_ps < 0.084  # half a swing: before any frame
    assert not len(runs[0].time_fs)


def compared(**changed):
    fields = {"family": "bond", "kind": None, "distance": 0.1, "noise": 0.1, "model_noise": 0.1}
    return Compared(**(fields | {"model_mean": None, "reference_mean": None, "unit": "Å"} | changed))


def word(*found):
    return judge(found, Settings(), {}).judgement


def test_the_word_follows_from_distance_noise_and_the_models_own_noise():
    assert word(compared()) == "within noise"
    assert word(compared(distance=0.26)) == "off"  # 2.6 times
    assert word(compared(distance=0.26, model_noise=0.2)) == "unsettled"
    assert word(compared(noise=1.1)) == "unsettled"  # the reference was not sampled
    assert word(compared(family="hr", noise=1.1)) == "within noise"  # which has no spread to be measured by
    assert word() == "failed"


def test_one_bad_kind_among_many_is_off_and_one_lucky_noise_is_no_reason():
    good = [compared() for _ in range(20)]
    assert word(*good, compared(noise=0.001)) == "within noise"
    assert word(*good, compared(distance=0.39)) == "within noise"
    bad = judge([*good, compared(distance=0.41)], Settings(), {})  # the mean is at 1.15 times the noise
    assert bad.judgement == "off"
    assert bad.reason.startswith("bond lengths off by 0.410 of the spread, 4.1 times the noise, in")


def test_a_kind_that_is_off_is_not_hidden_behind_a_worse_one_that_is_unsettled():
    good = [compared() for _ in range(20)]
    unsettled, off = compared(distance=0.6, model_noise=0.6), compared(distance=0.55)
    assert word(*good, unsettled) == "unsettled"
    both = judge([*good, unsettled, off], Settings(), {})
    assert both.judgement == "off"
    assert both.reason.startswith("bond lengths off by 0.550 of the spread, 5.5 times the noise, in")


@pytest.mark.parametrize("name", ["distance", "noise", "model_noise"])
def test_a_number_that_is_none_is_never_within_noise(name):
    assert word(compared(), compared(**{name: np.nan})) == "failed"
    assert word(compared(distance=9.0), compared(**{name: np.nan, "family": "spectrum"})) == "failed"


def test_no_difference_at_all_is_within_no_noise_but_any_difference_is_off():
    assert word(compared(distance=0.0, noise=0.0, model_noise=0.0)) == "within noise"
    assert word(compared(distance=1e-9, noise=0.0, model_noise=0.0)) == "off"


def test_model_and_reference_run_alike_from_the_same_place_with_other_seeds(water):
    orders = distributions.reference_orders(water, SETTINGS, "harmonic")
    assert orders[0].segments == distributions.segments(SETTINGS)
    assert np.array_equal(orders[0].positions, water.minimum.positions[0])
    assert len({order.seed for order in orders}) == 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_runs": 1}, "noise is what differs between two runs"),
        ({"save_every_fs": 5.0}, "slower frames do not see O-H stretches"),
        ({"save_every_fs": 0.7}, "multiples of timestep_fs"),
        ({"save_every_fs": 0.25}, "multiples of timestep_fs"),
        ({"window_ps": 6.0}, "make the run longer or the window shorter"),
        ({"run_ps": float("nan")}, "must be a number above 0"),
        ({"max_ratio": float("inf")}, "must be a number above 0"),
        ({"friction_per_fs": 0.0}, "must be a number above 0"),
        ({"seed": -1}, "must be 0 or more"),
        ({"run_ps": 1e9}, "make it shorter"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed, words):
    with pytest.raises(UserError, match=f"(?i){words}"):
        Settings(**changed)
