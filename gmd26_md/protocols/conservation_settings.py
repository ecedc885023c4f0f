"""The options of the conservation protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from gmd26_md.dynamics.plan import Segment
from gmd26_md.errors import UserError
from gmd26_md.observables.diagnosis import Limits

STEPS = {"half": 0.5, "whole": 1.0, "double": 2.0}
_MAX_STEPS = 1e8


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    temperature_K, thermalise_ps, friction_per_fs
        Langevin dynamics before the runs, at half the time step, which may be the only one that holds; 0.25 ps at
        0.02/fs leave e^-5 of the start.
    timestep_fs
        The step in question; half of it and twice it are run as well.
    run_ps
        Length of each run, rounded to whole samples: 0.5 ps are some 50 periods of a C-H stretch, the mode that the
        error comes from.
    sample_every_fs
        Between frames of every run; a whole number of the longest steps. The energy's error swings at twice a mode's
        frequency, an O-H stretch's in 4.5 fs; sampled less than twice a swing, it is aliased, and the order scatters.
    reversal_fs
        After so long the velocities are turned round, rounded to whole samples. Longer, and chaos makes much of
        rounding.
    n_frames, n_directions
        Forces are held against energy differences on so many frames, along so many random directions each, and the
        Jacobian of each frame is taken. 32 differences tell growth by 1/4 from none; a kink at one of four frames is
        seen to be there only.
    difference_step_A
        h of the central differences; the other is 4 h. At 5e-4 Å truncation of both together is 1e-9 of the force, and
        the rounding of a float64 energy (1e-13 eV) as little; float32 (1e-6 eV) shows as 1e-3, more than truncation at
        either step, so that the two can be told apart.
    exact_to_atoms, n_probes
        The Jacobian is whole up to so many atoms (12 evaluations an atom and frame), and probed with so many random
        vectors above: 24 make 276 pairs, an error of about a tenth.
    seed
        Of velocities, thermostat, directions and probes.
    limits
        What passes.

    Raises
    ------
    UserError
        For a setting that is out of bounds or does not fit the others.
    """

    temperature_K: float = 300.0
    thermalise_ps: float = 0.25
    friction_per_fs: float = 0.02
    timestep_fs: float = 0.5
    run_ps: float = 0.5
    sample_every_fs: float = 2.0
    reversal_fs: float = 100.0
    n_frames: int = 4
    n_directions: int = 8
    difference_step_A: float = 5e-4
    exact_to_atoms: int = 30
    n_probes: int = 24
    seed: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        lengths = ("temperature_K", "thermalise_ps", "friction_per_fs", "timestep_fs", "run_ps", "sample_every_fs")
        for name in (*lengths, "reversal_fs", "difference_step_A"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name, least in {"n_frames": 1, "n_directions": 1, "n_probes": 3}.items():
            if not getattr(self, name) >= least:
                raise UserError(f"{name} is {getattr(self, name)}; it must be {least} or more.")
        if not (self.seed >= 0 and self.exact_to_atoms >= 0):
            raise UserError(f"seed is {self.seed} and exact_to_atoms {self.exact_to_atoms}; both must be 0 or more.")
        self._check_lengths()

    def _check_lengths(self) -> None:
        longest = STEPS["double"] * self.timestep_fs
        steps = self.sample_every_fs / longest
        if not (steps >= 1.0 - 1e-9 and abs(steps - round(steps)) <= 1e-6 * steps):
            raise UserError(
                f"sample_every_fs is {self.sample_every_fs}; it must be a multiple of the longest step, {longest:g} fs "
                f"(twice timestep_fs); make it {max(1, round(steps)) * longest:g}."
            )
        if not self.n_samples >= 20:
            raise UserError(
                f"run_ps {self.run_ps} has {self.n_samples} samples every {self.sample_every_fs} fs; "
                f"it must have 20 or more: {self.sample_every_fs * 0.02:g} ps."
            )
        if not 1 <= self.n_back <= self.n_samples:
            raise UserError(
                f"reversal_fs is {self.reversal_fs}; allowed is sample_every_fs ({self.sample_every_fs:g}) to "
                f"run_ps ({1000 * self.run_ps:g} fs)."
            )
        n_steps = 1000.0 * (self.thermalise_ps + 2.0 * self.run_ps) / self.timestep_fs
        if not n_steps <= _MAX_STEPS:
            raise UserError(f"these settings make {n_steps:.3g} steps; allowed are {_MAX_STEPS:.0e}. Run shorter.")

    @property
    def n_samples(self) -> int:
        """Samples of a run after its first."""
        return round(1000.0 * self.run_ps / self.sample_every_fs)

    @property
    def n_back(self) -> int:
        """Samples after which the velocities are turned round."""
        return round(self.reversal_fs / self.sample_every_fs)

    def segment(self, name: str, n_samples: int) -> Segment:
        """Return the stretch of so many samples at half the step, the step, or twice it."""
        step = STEPS[name] * self.timestep_fs
        every = round(self.sample_every_fs / step)
        return Segment("nve", n_samples * every, step, every)
