"""Conservation on springs: what is known of them, one fault at a time, and what the diagnosis makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from ase import Atoms

from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.errors import UserError
from gmd26_md.observables.diagnosis import Limits
from gmd26_md.protocols import conservation
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.conservation import Settings, analyse
from gmd26_md.trajectory import Trajectory

NUMBERS = np.array([6, 1, 8, 1])
CORNERS = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(8.0)  # at distance 1 from each other
PAIRS = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
Law = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass
class Field:
    """A force provider of four atoms: a law that maps positions (n, 4, 3) to energies (n,) and forces (n, 4, 3)."""

    law: Law
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def bind(self, numbers):
        return Bound(self.law, len(numbers))

    def cost(self, numbers, positions):
        return 1.0

    def capacity(self):
        return float("inf")


@dataclass
class Bound:
    law: Law
    n: int
    errors: dict[int, str] = field(default_factory=dict)

    def __call__(self, positions):
        energies, forces = self.law(positions.reshape(self.n, 4, 3))
        return energies, forces.reshape(-1, 3)

    def only(self, chosen):
        return Bound(self.law, len(chosen))

    def joined(self, other):
        return Bound(self.law, self.n + other.n)


def springs(x, k=10.0, kink=0.0):
    """Springs between all atoms, and a kink at rest length: k/2 (r - 1)^2 + kink |r - 1|."""
    first, second = torch.as_tensor(PAIRS.T)
    vectors = x[:, second] - x[:, first]
    lengths = vectors.norm(dim=-1)
    stretch = lengths - 1.0
    energies = (0.5 * k * stretch**2 + kink * stretch.abs()).sum(-1)
    pulls = ((k * stretch + kink * stretch.sign()) / lengths)[..., None] * vectors
    return energies, torch.zeros_like(x).index_add(1, first, pulls).index_add(1, second, -pulls)


def rounded_springs(x):
    """Springs whose total energy, thousands of eV, is a float32, as of a model that adds its atoms in float32."""
    energies, forces = springs(x)
    return (energies - 8500.0).to(torch.float32).double(), forces.to(torch.float32).double()


def turning(x):
    """A linear field with a known curl: the springs' Hessian at rest, and an antisymmetric part."""
    shift = (x - torch.as_tensor(CORNERS)).reshape(len(x), -1)
    symmetric, antisymmetric = (torch.as_tensor(m) for m in matrices())
    energies = 0.5 * ((shift @ symmetric) * shift).sum(-1)
    return energies, (-shift @ symmetric + shift @ antisymmetric.T).reshape(x.shape)


def matrices():
    """Return a stiffness that holds every atom in its place, and an antisymmetric matrix."""
    drawn = np.random.default_rng(3).normal(size=(12, 12))
    return 30.0 * np.eye(12) + 2.0 * (drawn + drawn.T), 0.05 * (drawn - drawn.T)


@pytest.fixture(scope="module")
def four():
    zero = np.zeros((1, 4, 3))
    minimum = Trajectory(NUMBERS, np.zeros(1), CORNERS[None], None, np.zeros(1), zero)
    return Case("four", "four", "CH2O", "user", Atoms(numbers=NUMBERS, positions=CORNERS), minimum, None)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SHORT = Settings(thermalise_ps=0.1, run_ps=0.2)


def examined(case, provider, settings=SHORT, other=None, exact=None):
    """Return runs and probes of one molecule."""
    dynamics = conservation.run(provider, [case], settings, other=other)[0]
    frames = dynamics.runs["whole"].frames["nve"]
    return dynamics, conservation.probe(case, frames, settings, own=provider, exact=exact or provider, other=other)


def judged(case, provider, settings=SHORT, **rest):
    return analyse(case, *examined(case, provider, settings, **rest), settings)


@pytest.fixture(scope="module")
def harmonic(four):
    """Return runs and probes of the springs."""
    return examined(four, Field(springs))


def test_springs_conserve_and_every_number_is_the_known_one(four, harmonic):
    outcome = analyse(four, *harmonic, SHORT)
    assert outcome.judgement == "conserves", outcome.reason
    metrics = outcome.metrics
    # omega dt is 0.6 at most, at 1 fs: the next term is a few hundredths; forty runs scattered by 0.01 and 0.03
    assert metrics["order_fine_ratio"] == pytest.approx(2.0, abs=0.05)
    assert metrics["order_coarse_ratio"] == pytest.approx(2.0, abs=0.15)
    assert metrics["curl_ratio"] < 1e-9  # rounding of forces of 10 eV/Å, 1e-15, over 5e-4 Å
    assert metrics["gradient_error_ratio"] < 1e-8
    assert metrics["reversal_rmsd_A"] < 1e-10
    assert metrics["momentum_change_ratio"] < 1e-12
    assert metrics["angular_momentum_change_ratio"] < 1e-12
    assert metrics["precision_force_rmse_eV_per_A"] is None  # there is no other precision
    assert metrics["float32_half_step_energy_drift_meV_per_atom_per_ps"] is None


def test_the_three_runs_start_alike_and_are_sampled_at_the_same_times(harmonic):
    runs = {name: found.frames["nve"] for name, found in harmonic[0].runs.items()}
    for frames in runs.values():
        assert np.array_equal(frames.positions[0], runs["whole"].positions[0])
        assert np.array_equal(frames.velocities[0], runs["whole"].velocities[0])
        assert frames.time_fs == pytest.approx(np.arange(0.0, 201.0, 2.0))
    assert {name: found.n_force_calls - 1 for name, found in harmonic[0].runs.items()} == {
        "half": 800,
        "whole": 400,
        "double": 200,
    }
    start = harmonic[0].thermal.frames["nvt"]
    # the engine puts the centre of mass at the origin: rounding
    assert np.ptp(runs["half"].positions[0] - start.positions[-1], axis=0) == pytest.approx(0.0, abs=1e-14)


def test_a_turning_field_is_no_gradient_and_has_the_curl_that_is_known(four):
    outcome = judged(four, Field(turning))
    assert outcome.judgement == "not a gradient", outcome.reason
    symmetric, antisymmetric = (np.linalg.norm(m) for m in matrices())
    assert outcome.metrics["curl_ratio"] == pytest.approx(antisymmetric / np.hypot(symmetric, antisymmetric), rel=1e-8)


def test_probes_find_the_same_curl(four):
    settings = replace(SHORT, exact_to_atoms=3, n_probes=40)
    outcome = judged(four, Field(turning), settings)
    symmetric, antisymmetric = (np.linalg.norm(m) for m in matrices())
    known = antisymmetric / np.hypot(symmetric, antisymmetric)
    error = outcome.metrics["curl_standard_error_ratio"]
    assert 0.0 < error < 0.2 * known
    assert outcome.metrics["curl_ratio"] == pytest.approx(known, abs=4 * error)


def test_forces_of_another_energy_are_no_gradient_of_this_one_though_free_of_curl(four):
    def scaled(x):
        energies, forces = springs(x)
        return 0.9 * energies, forces

    outcome = judged(four, Field(scaled))
    assert outcome.judgement == "not a gradient", outcome.reason
    assert "not of this energy" in outcome.reason
    assert outcome.metrics["gradient_error_ratio"] == pytest.approx(0.1, rel=1e-3)
    assert outcome.metrics["curl_ratio"] < 1e-9


def judged_together(case, law, n=8):
    """Return the outcomes of copies that start from states of their own."""
    copies = [replace(case, slug=f"copy-{i}") for i in range(n)]
    outcomes = []
    for copy, dynamics in zip(copies, conservation.run(Field(law), copies, SHORT), strict=True):
        frames = dynamics.runs["whole"].frames["nve"]
        probed = conservation.probe(copy, frames, SHORT, own=Field(law), exact=Field(law))
        outcomes.append(analyse(copy, dynamics, probed, SHORT))
    return outcomes


def test_a_kink_costs_the_order_and_is_a_rough_surface(four):
    smooth = judged_together(four, springs)
    assert [o.judgement for o in smooth] == ["conserves"] * 8
    assert np.mean([o.metrics["order_fine_ratio"] for o in smooth]) == pytest.approx(2.0, abs=0.05)
    kinked = judged_together(four, lambda x: springs(x, kink=0.2))
    assert [o.judgement for o in kinked] == ["rough surface"] * 8
    # errors of crossings, each of the order of the step, that add up like a walk
    assert np.mean([o.metrics["order_fine_ratio"] for o in kinked]) < 1.5
    assert max(o.metrics["angular_momentum_change_ratio"] for o in kinked) < 1e-10  # the kink is between atoms


def test_energies_rounded_to_float32_are_low_precision_with_and_without_a_float64_to_hold_them_against(four):
    rounded = Field(rounded_springs)
    alone = judged(four, rounded)
    assert alone.judgement == "low precision", alone.reason
    exact = Field(springs)
    dynamics, probed = examined(four, rounded, other=exact, exact=exact)
    beside = analyse(four, dynamics, probed, SHORT, dtype="float32")
    assert beside.metrics["gradient_error_ratio"] < 1e-8  # asked of the exact one
    assert beside.judgement == "low precision", beside.reason
    assert "in float64 RMS" in beside.reason
    # energies near 8500 eV are 9.8e-4 eV apart in float32, so off by 2.8e-4 RMS: 0.07 meV/atom
    rms = [beside.metrics[f"{width}_half_step_energy_rms_meV_per_atom"] for width in ("float32", "float64")]
    assert np.sqrt(rms[0] ** 2 - rms[1] ** 2) == pytest.approx(0.0705, rel=0.2)  # of a hundred frames
    assert beside.metrics["precision_energy_rmse_meV_per_atom"] == pytest.approx(
        2.125e6, rel=1e-3
    )  # the offset of 8500 eV
    assert 0.0 < beside.metrics["precision_force_rmse_eV_per_A"] < 1e-6


def test_a_float64_model_is_not_blamed_for_its_float32(four):
    exact = Field(springs)
    dynamics, probed = examined(four, exact, other=Field(rounded_springs))
    assert analyse(four, dynamics, probed, SHORT, dtype="float64").judgement == "conserves"


def test_a_step_that_is_too_long_is_called_that(four):
    # the stiffest mode has 0.6 rad/fs, and velocity Verlet bears omega dt up to 2
    outcome = judged(four, Field(springs), replace(SHORT, timestep_fs=2.0, sample_every_fs=4.0))
    assert outcome.judgement == "step too long", outcome.reason
    assert "at 4 fs" in outcome.reason
    # with a limit that a fine step misses by a factor of two it is still the step, and half of it is enough
    rms = judged(four, Field(springs)).metrics["energy_rms_meV_per_atom"]
    strict = replace(SHORT, limits=Limits(max_rms_meV_per_atom=0.5 * rms))
    again = judged(four, Field(springs), strict)
    assert again.judgement == "step too long", again.reason
    assert "0.25 fs is short enough" in again.reason


def test_a_wall_beside_the_molecule_is_an_outside_force(four):
    def held(x):
        energies, forces = springs(x)
        return energies + 0.5 * (x[..., 0] ** 2).sum(-1) * 5.0, forces - 5.0 * x * torch.tensor([1.0, 0, 0])

    outcome = judged(four, Field(held))
    assert outcome.judgement == "outside force", outcome.reason


@pytest.mark.parametrize("friction_per_fs", [0.02, 0.001])
def test_a_thermostat_mistaken_for_constant_energy_does_not_pass(four, harmonic, friction_per_fs):
    dynamics, probed = harmonic
    start = dynamics.runs["whole"].frames["nve"]
    systems = []
    for name in ("half", "whole", "double"):
        segment = replace(SHORT.segment(name, SHORT.n_samples), friction_per_fs=friction_per_fs)
        at = {"positions": start.positions[0], "velocities": start.velocities[0], "segments": (segment,)}
        systems.append(System(name, NUMBERS, seed=len(name), temperature_K=300.0, **at))
    runs = {r.key: r for r in integrate(Field(springs), systems)}
    outcome = analyse(four, replace(dynamics, runs=runs), probed, SHORT)
    assert outcome.judgement == "outside force", outcome.reason
    assert not outcome.metrics["order_fine_ratio"] >= 1.5
    # and if its momenta were taken out, energy tells
    blind = replace(SHORT, limits=Limits(max_momentum_change_ratio=np.inf))
    assert analyse(four, replace(dynamics, runs=runs), probed, blind).judgement != "conserves"


def test_a_ramp_in_the_energy_is_the_drift(four, harmonic):
    dynamics, probed = harmonic

    def tilted(run):
        frames = run.frames["nve"]
        ramp = 4 * 0.02 * frames.time_fs / 1000.0  # four atoms, 20 meV/atom/ps
        return replace(run, frames={"nve": replace(frames, energies=frames.energies + ramp)})

    before = analyse(four, dynamics, probed, SHORT).metrics["energy_drift_meV_per_atom_per_ps"]
    outcome = analyse(four, replace(dynamics, runs={n: tilted(r) for n, r in dynamics.runs.items()}), probed, SHORT)
    assert outcome.metrics["energy_drift_meV_per_atom_per_ps"] - before == pytest.approx(20.0, rel=1e-6)
    assert outcome.judgement == "rough surface"
    assert "does not lessen the drift" in outcome.reason


@pytest.mark.parametrize("name", ["half", "whole", "double"])
@pytest.mark.parametrize("what", ["energies", "velocities", "positions", "forces"])
@pytest.mark.parametrize("frame", [0, 50, 100])
def test_one_number_that_is_none_in_one_frame_of_one_run_is_enough(four, harmonic, name, what, frame):
    dynamics, probed = harmonic
    frames = dynamics.runs[name].frames["nve"]
    array = getattr(frames, what).copy()
    array[(frame, *(0,) * (array.ndim - 1))] = np.nan
    broken = replace(dynamics.runs[name], frames={"nve": replace(frames, **{what: array})})
    outcome = analyse(four, replace(dynamics, runs={**dynamics.runs, name: broken}), probed, SHORT)
    assert outcome.judgement == "failed"
    assert what.replace("energies", "energy") in outcome.reason


def test_a_way_back_or_a_probe_that_is_missing_is_not_passed_over(four, harmonic):
    dynamics, probed = harmonic
    assert analyse(four, replace(dynamics, back=None), probed, SHORT).judgement == "failed"
    assert analyse(four, dynamics, None, SHORT).judgement == "failed"
    spoilt = replace(probed, curl=[probed.curl[0], replace(probed.curl[0], value=np.nan)])
    assert analyse(four, dynamics, spoilt, SHORT).judgement == "failed"
    spoilt = replace(probed, gradient=replace(probed.gradient, value=np.nan))
    assert analyse(four, dynamics, spoilt, SHORT).judgement == "failed"


def test_forces_that_remember_do_not_come_back(four, harmonic):
    dynamics, probed = harmonic
    there = dynamics.back.frames["nve"]
    elsewhere = replace(there, positions=there.positions + 0.01 * np.eye(4, 3))
    outcome = analyse(four, replace(dynamics, back=replace(dynamics.back, frames={"nve": elsewhere})), probed, SHORT)
    assert outcome.judgement == "not reversible", outcome.reason
    # the RMS of 0.01 Å on three of four atoms
    assert outcome.metrics["reversal_rmsd_A"] == pytest.approx(0.01 * np.sqrt(0.75), rel=1e-6)


def test_a_molecule_that_explodes_while_it_warms_has_no_numbers_and_stops_no_other(four):
    def hostile(x):
        energies, forces = springs(x)
        return energies, torch.where(x.abs().amax((1, 2), keepdim=True) > 2.0, float("nan"), forces)

    far = replace(four, slug="far", minimum=replace(four.minimum, positions=5.0 * four.minimum.positions))
    lost, fine = conservation.run(Field(hostile), [far, four], SHORT)
    assert lost.runs == {}
    outcome = analyse(far, lost, None, SHORT)
    assert outcome.judgement == "failed"
    assert "thermalisation" in outcome.reason
    assert set(fine.runs) == {"half", "whole", "double"}


def test_the_same_molecule_alone_and_among_others_gives_the_same_runs(four, harmonic):
    other = replace(four, slug="another")
    together = conservation.run(Field(springs), [other, four], SHORT)[1]
    for name, found in harmonic[0].runs.items():
        # the same arithmetic; a batch of another size may be summed in another order
        assert np.abs(found.frames["nve"].positions - together.runs[name].frames["nve"].positions).max() < 1e-9


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"timestep_fs": 0.0}, "timestep_fs is 0.0"),
        ({"run_ps": float("nan")}, "run_ps is nan"),
        ({"sample_every_fs": 1.5}, "make it 2"),
        ({"timestep_fs": 2.0}, "twice timestep_fs"),
        ({"run_ps": 0.01}, "20 or more"),
        ({"reversal_fs": 900.0}, "reversal_fs is 900.0; allowed"),
        ({"n_probes": 2}, "n_probes is 2"),
        ({"n_frames": 0}, "n_frames is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"run_ps": 1e9}, "steps; allowed"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(changed, words):
    with pytest.raises(UserError, match=words):
        Settings(**changed)


def test_a_case_without_a_reference_minimum_cannot_be_asked(four):
    with pytest.raises(ValueError, match="four has no reference minimum"):
        conservation.run(Field(springs), [replace(four, minimum=None)], SHORT)


def test_progress_goes_from_nothing_to_all(four):
    seen = []
    conservation.run(
        Field(springs), [four], SHORT, other=Field(springs), on_progress=lambda f, words: seen.append((f, words))
    )
    assert list(dict.fromkeys(words for _, words in seen)) == [
        "thermalising", "three time steps", "the way back", "the other precision",
    ]  # fmt: skip
    fractions = [f for f, _ in seen]
    assert fractions[0] == 0.0
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1.0


def test_segments_are_whole_samples_at_every_step():
    assert SHORT.segment("half", 3) == Segment("nve", 24, 0.25, 8)
    assert SHORT.segment("double", 3) == Segment("nve", 6, 1.0, 2)
