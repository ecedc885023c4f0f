"""The options of the stability protocol, and presets of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from gmd26_md.errors import UserError, unknown_name

ENSEMBLES = ("nve", "nvt")
_MAX_STEPS = 1e9
_LARGEST_SAVE_FS = 50.0  # half of what a bond must last to count as new (`topology.Limits.lasting_fs`)


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    temperature_K
        Of the thermalisation.
    timestep_fs
        0.5 fs: velocity Verlet's own error stays under a tenth of the drift limit.
    thermalise_ps, friction_per_fs
        Langevin dynamics before the run proper; failures in it count.
    ensemble
        Of the run proper: "nve", at constant energy, or "nvt", Langevin dynamics with the same friction, in which
        energy is not conserved, so that neither drift nor the true energy is judged.
    run_ps
        Length of the run proper.
    save_every_fs
        Between frames; 10 fs sees every bond stretch.
    n_seeds, seed
        Runs a molecule, seeds counted from the first.
    n_label_frames
        Frames of each run labelled with the reference; 0 leaves truth unexamined, and no run can be faithful then.
    reference
        What labels them; the level of the model's own training labels if empty.
    """

    temperature_K: float = 300.0
    timestep_fs: float = 0.5
    thermalise_ps: float = 0.5
    friction_per_fs: float = 0.02
    ensemble: str = "nve"
    run_ps: float = 1.0
    save_every_fs: float = 10.0
    n_seeds: int = 1
    seed: int = 0
    n_label_frames: int = 21
    reference: str = ""

    def __post_init__(self) -> None:
        for name in ("temperature_K", "timestep_fs", "run_ps", "save_every_fs"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name in ("thermalise_ps", "friction_per_fs", "n_label_frames", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.n_label_frames == 1:
            raise UserError("n_label_frames is 1; give 2 or more, as truth is a change since the first, or 0 for none.")
        if self.n_seeds < 1:
            raise UserError(f"n_seeds is {self.n_seeds}; it must be 1 or more.")
        if self.ensemble not in ENSEMBLES:
            raise unknown_name("ensemble", self.ensemble, ENSEMBLES)
        if self.friction_per_fs == 0 and (self.thermalise_ps > 0 or self.ensemble == "nvt"):
            raise UserError("friction_per_fs is 0, so nothing thermalises; give 0.02, or thermalise_ps 0 and nve.")
        self._check_lengths()

    def _check_lengths(self) -> None:
        """Raise unless the run has steps, not too many, and frames dense enough to see what lasts."""
        if 1000.0 * self.run_ps < self.timestep_fs:
            raise UserError(f"run_ps {self.run_ps} is shorter than timestep_fs {self.timestep_fs}; make it longer.")
        n_steps = 1000.0 * (self.thermalise_ps + self.run_ps) / self.timestep_fs
        if not n_steps <= _MAX_STEPS:
            raise UserError(
                f"timestep_fs {self.timestep_fs} makes {n_steps:.3g} steps of thermalise_ps and run_ps; allowed are "
                f"{_MAX_STEPS:.0e}. Make the run shorter or the step longer."
            )
        if not self.timestep_fs <= self.save_every_fs <= _LARGEST_SAVE_FS:
            raise UserError(
                f"save_every_fs is {self.save_every_fs}; allowed is timestep_fs ({self.timestep_fs}) to "
                f"{_LARGEST_SAVE_FS:g}, as a new bond that lasts 100 fs must be seen in more than one frame."
            )
        steps = self.save_every_fs / self.timestep_fs
        if abs(steps - round(steps)) > 1e-6 * steps:
            raise UserError(
                f"save_every_fs {self.save_every_fs} is no multiple of timestep_fs {self.timestep_fs}; "
                f"make it {round(steps) * self.timestep_fs:g}."
            )


PRESETS: dict[str, Settings] = {
    "quick": Settings(),
    "standard": Settings(thermalise_ps=1.0, run_ps=10.0, n_seeds=3, n_label_frames=51),
    "thorough": Settings(thermalise_ps=2.0, run_ps=50.0, save_every_fs=10.0, n_seeds=5, n_label_frames=201),
}


def preset(name: str, **changed: Any) -> Settings:
    """Return a preset with some settings changed; None leaves one as it is.

    Raises
    ------
    UserError
        If there is no such preset, or a setting is out of bounds.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return replace(PRESETS[name], **{k: v for k, v in changed.items() if v is not None})


def of_a_run(settings: Settings) -> dict[str, Any]:
    """Return what a run depends on: all settings but which seeds were asked for, so that more can join a folder."""
    return {name: value for name, value in asdict(settings).items() if name not in ("n_seeds", "seed")}
