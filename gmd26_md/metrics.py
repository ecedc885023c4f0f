"""What every number is called and what it means: the unit is the last word of its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The last word(s) of a metric's name -> its unit; longer endings first, as "eV_per_A" ends with "A" too.
UNIT_ENDINGS = {
    "meV_per_atom_per_ps": "meV/atom/ps",
    "meV_per_atom": "meV/atom",
    "eV_per_A": "eV/Å",
    "per_cm": "1/cm",
    "meV": "meV",
    "eV": "eV",
    "ps": "ps",
    "fs": "fs",
    "s": "s",
    "K": "K",
    "A": "Å",
    "deg": "°",
    "cosine": "1",
    "ratio": "1",
    "fraction": "1",
}


def unit_of(key: str) -> str:
    """Return the unit that a metric's name ends with; "count" for a name that begins with `n_`.

    Raises
    ------
    ValueError
        For a name without a unit.
    """
    if key.startswith("n_"):
        return "count"
    for ending, unit in UNIT_ENDINGS.items():
        if key.endswith(f"_{ending}"):
            return unit
    raise ValueError(f"metric {key!r} has no unit at its end; allowed: {', '.join(UNIT_ENDINGS)}, or a count n_...")


@dataclass(frozen=True)
class Metric:
    """What a number means: its unit, whether less or more of it is better, and one sentence."""

    unit: str
    better: Literal["lower", "higher", "neither"]
    meaning: str


def _metrics(better: Literal["lower", "higher", "neither"], **meanings: str) -> dict[str, Metric]:
    """Return metrics that share a direction, each unit taken from its name."""
    return {key: Metric(unit_of(key), better, meaning) for key, meaning in meanings.items()}


METRICS: dict[str, Metric] = {
    # static errors, on reference frames
    **_metrics(
        "lower",
        force_mae_eV_per_A="mean absolute error of the force components",
        force_rmse_eV_per_A="root-mean-square error of the force components",
        force_magnitude_mae_eV_per_A="mean absolute error of the length of the force vectors",
        force_mae_relative_ratio="force MAE over the mean absolute reference component",
        force_rmse_relative_ratio="force RMSE over the RMS reference component",
        energy_mae_eV="mean absolute error of the energy of a molecule, absolute",
        energy_rmse_eV="root-mean-square error of the energy of a molecule, absolute",
        energy_offset_removed_mae_eV="energy MAE after each molecule's mean error is removed",
        energy_offset_removed_rmse_eV="energy RMSE after each molecule's mean error is removed",
    ),
    **_metrics("higher", force_cosine="mean cosine between predicted and reference force vectors"),
    **_metrics("neither", energy_offset_eV="mean energy error of a molecule: a constant, which dynamics cannot feel"),
    # relaxation
    **_metrics("higher", converged_fraction="1 where the relaxation met its force limit, else 0"),
    **_metrics(
        "lower",
        n_steps="steps taken",
        n_energy_calls="evaluations of energy and forces",
        fmax_eV_per_A="longest force of the model at its last geometry",
        rmsd_A="all-atom RMSD to the reference minimum after alignment",
        heavy_rmsd_A="heavy-atom RMSD to the reference minimum after alignment",
        reference_fmax_eV_per_A="longest reference force at the model's minimum",
        reference_energy_above_minimum_eV="reference energy at the model's minimum above the reference minimum",
        relaxed_on_heavy_rmsd_A="how far the reference moves when it relaxes on from the model's minimum",
        relaxed_on_energy_drop_eV="how much reference energy that sets free",
    ),
    # dynamics: is it alive?
    **_metrics("higher", alive_ps="time before the first failure, or to the end"),
    **_metrics(
        "neither",
        failed_at_ps="time of the first failure of any kind",
        nonfinite_at_ps="first frame with a value that is not finite",
        too_hot_at_ps="first frame above the temperature limit",
        bond_broken_at_ps="first bond more than 0.5 Å from its reference length (Fu et al. 2023)",
        bond_broken_by_radii_at_ps="first bond longer than 1.5 times the sum of covalent radii",
        clash_at_ps="first pair closer than 0.7 times the sum of covalent radii",
        new_bond_at_ps="begin of the first lasting bond that the start had not",
        transfer_at_ps="begin of the first lasting proton transfer",
        temperature_mean_K="mean kinetic temperature",
        temperature_max_K="highest kinetic temperature",
    ),
    # dynamics: is it conserved?
    **_metrics(
        "lower",
        energy_drift_meV_per_atom_per_ps="slope of the total energy in a constant-energy run; its size counts",
        energy_rms_meV_per_atom="RMS of the total energy about its line",
        energy_change_max_meV_per_atom="largest change of the total energy since the start",
        energy_drift_relative_ratio="|slope| times duration over the spread of the kinetic energy",
    ),
    # dynamics: is it true?
    **_metrics(
        "lower",
        path_force_mae_eV_per_A="force MAE against the reference along the model's own run",
        path_force_mae_relative_ratio="the same over the mean absolute reference component of the run",
        true_energy_slope_meV_per_atom_per_ps="slope of kinetic plus reference energy along the run; its size counts",
        true_energy_rms_meV_per_atom="RMS of kinetic plus reference energy about its start",
        true_energy_change_max_meV_per_atom="largest change of kinetic plus reference energy since the start",
    ),
}
