"""What every number is called and what it means: the unit is the last word of its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DIRECT_FORCES = ", direct forces"
"""After the family of a model that predicts forces beside its energy: they are no gradient of it."""

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
        force_mae_normalised_ratio="force MAE over the RMS reference component of the molecule",
        force_rmse_normalised_ratio="force RMSE over the RMS reference component of the molecule",
        force_angle_deg="mean angle between predicted and reference force vectors",
        energy_mae_eV="mean absolute error of the energy of a molecule, absolute",
        energy_rmse_eV="root-mean-square error of the energy of a molecule, absolute",
        energy_offset_removed_mae_eV="energy MAE after each molecule's mean error is removed",
        energy_offset_removed_rmse_eV="energy RMSE after each molecule's mean error is removed",
    ),
    **_metrics("higher", force_cosine="mean cosine between predicted and reference force vectors"),
    **_metrics(
        "neither",
        energy_offset_eV="mean energy error of a molecule: a constant, which dynamics cannot feel",
        force_magnitude_bias_ratio="mean of |F| - |F_ref| over that of |F_ref|: positive where forces are too long",
        force_direction_fraction="share of the squared force error from the direction; 2/3 for errors without one",
    ),
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
        bond_deviation_mean_A="mean deviation of bond lengths from the reference minimum that it started from",
        bond_deviation_max_A="the largest of them",
        angle_deviation_mean_deg="mean deviation of angles from the reference minimum that it started from",
        angle_deviation_max_deg="the largest of them",
        torsion_deviation_mean_deg="the same of torsions, of the backbone and of hydroxyl groups; the short way round",
        torsion_deviation_max_deg="the largest of them",
        relaxed_on_bond_deviation_mean_A="mean deviation of bond lengths from where the reference relaxes on to",
        relaxed_on_bond_deviation_max_A="the largest of them",
        relaxed_on_angle_deviation_mean_deg="mean deviation of angles from where the reference relaxes on to",
        relaxed_on_angle_deviation_max_deg="the largest of them",
        relaxed_on_torsion_deviation_mean_deg="the same of torsions, of the backbone and of hydroxyl groups",
        relaxed_on_torsion_deviation_max_deg="the largest of them",
        n_imaginary_modes="imaginary normal modes of the model at its own minimum",
        frequency_mae_per_cm="mean deviation of its frequencies from the reference's, in ascending order",
        frequency_error_max_per_cm="the largest of them",
        frequency_by_overlap_mae_per_cm="the same mean over modes paired by what moves",
    ),
    **_metrics("higher", mode_overlap_cosine="mean |cosine| between a mode and the reference's that is paired with it"),
    **_metrics(
        "neither",
        frequency_mean_relative_ratio="mean of the model's frequencies over that of the reference's",
        n_reference_imaginary_modes="imaginary normal modes of the reference at its own minimum",
        lowest_frequency_per_cm="the model's lowest frequency at its own minimum; imaginary ones are negative",
    ),
    # scans: of the worst bond of a molecule; counts over all of them
    **_metrics(
        "lower",
        torsion_rms_meV="RMS error of the energy along a turn about a bond, its mean removed",
        torsion_max_meV="the largest of them",
        torsion_barrier_error_meV="error of highest less lowest energy along a turn",
        torsion_minimum_error_deg="from the model's lowest point to the nearest lowest minimum of the reference",
        torsion_misplaced_meV="reference energy at the model's lowest point above the reference's lowest",
        torsion_force_mae_eV_per_A="force MAE along a turn",
        n_extra_minima="minima along turns that the reference does not have",
        n_missing_minima="minima of the reference along turns that the model does not have",
        n_torsion_holes="points of turns that the reference forbids and the model does not",
        stretch_roughness_meV="largest distance of a bond's energy from a smooth curve through its neighbours",
        stretch_work_error_meV="largest difference between energy and integrated force along a stretch",
        n_spurious_minima="minima along stretches beside the bond's own that the reference does not have",
        stretch_minimum_error_A="error of the bond length at the minimum of a stretch",
        stretch_near_rms_meV="RMS error of the energy along a stretch near the minimum, its mean removed",
        stretch_far_rms_meV="the same beyond, with the same mean removed",
        stretch_force_mae_eV_per_A="force MAE along a stretch near the minimum",
    ),
    **_metrics("higher", stretch_escape_eV="the model's lowest pass from a bond's own minimum to one that is false"),
    **_metrics(
        "neither",
        n_torsion_left_out="points of turns that are left out as sterically impossible",
        n_torsion_unlabelled="points of turns where the reference failed",
    ),
    # dynamics: is it alive?
    **_metrics("higher", alive_ps="time before the first failure, or to the end"),
    **_metrics(
        "neither",
        failed_at_ps="time of the first failure of any kind",
        nonfinite_at_ps="first frame with a value that is not finite",
        too_hot_at_ps="first frame above the temperature limit, or the hottest step if that is earlier",
        bond_broken_at_ps="first bond more than 0.5 Å from its reference length (Fu et al. 2023)",
        bond_broken_by_radii_at_ps="first bond longer than 1.5 times the sum of covalent radii",
        clash_at_ps="first pair closer than 0.7 times the sum of covalent radii",
        new_bond_at_ps="begin of the first lasting bond that the start had not",
        transfer_at_ps="begin of the first lasting proton transfer",
        inversion_at_ps="begin of the first lasting inversion of an atom with four bonds, or turn of a double bond",
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
        energy_rms_relative_ratio="RMS of the total energy about its line over the spread of the kinetic energy",
        half_step_energy_rms_meV_per_atom="RMS of the total energy about its line at half the time step",
        double_step_energy_rms_meV_per_atom="the same at twice the time step",
        float32_half_step_energy_drift_meV_per_atom_per_ps="slope of the total energy at half the time step in float32",
        float32_half_step_energy_rms_meV_per_atom="RMS about it",
        float64_half_step_energy_drift_meV_per_atom_per_ps="slope of the total energy at half the time step in float64",
        float64_half_step_energy_rms_meV_per_atom="RMS about it",
        precision_force_rmse_eV_per_A="RMS difference of force components in float32 and float64",
        precision_energy_rmse_meV_per_atom="RMS difference of the energy in float32 and float64",
        gradient_error_ratio="forces against central differences of the energy: RMS difference over the RMS force",
        curl_ratio="||J - J^T|| / (2 ||J||) of the force Jacobian J (arXiv 2412.11569), the largest over frames",
        curl_standard_error_ratio="of the curl where it is estimated from random probes; 0 where it is exact",
        reversal_rmsd_A="RMSD to the start after steps forth, velocities turned round, and as many steps back",
        momentum_change_ratio="largest change of the total momentum over what the atoms carry",
        angular_momentum_change_ratio="the same of the angular momentum about the centre of mass",
        equipartition_deviation_ratio="largest deviation of an element's mean kinetic temperature from the mean",
    ),
    **_metrics(
        "higher",
        equipartition_chance_fraction="how likely so uneven a share of kinetic energy among the elements is by chance",
    ),
    **_metrics(
        "neither",
        order_fine_ratio="log2[rms(dt)/rms(dt/2)] of the total energy: 2 for velocity Verlet on a smooth surface",
        order_coarse_ratio="log2[rms(2 dt)/rms(dt)] of the total energy",
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
    # dynamics against reference dynamics: noise is the same distance between two runs of the reference
    **_metrics(
        "lower",
        hr_mae_ratio="integral of the difference of h(r), the density of interatomic distances (Fu et al. 2023)",
        bond_wasserstein_ratio="Wasserstein distance of bond lengths over their spread, mean over kinds of bonds",
        angle_wasserstein_ratio="the same of angles",
        torsion_wasserstein_ratio="the same of torsions, on the circle",
        stretch_wasserstein_per_cm="Wasserstein distance of power spectra of bond lengths, mean over kinds of bonds",
        spectrum_wasserstein_per_cm="the same of the vibrational densities of states, mean over kinds of atoms",
        hr_over_noise_ratio="error of h(r) over its noise",
        bond_over_noise_ratio="distance of bond lengths over its noise",
        angle_over_noise_ratio="distance of angles over its noise",
        torsion_over_noise_ratio="distance of torsions over its noise",
        stretch_over_noise_ratio="distance of the spectra of bond lengths over its noise",
        spectrum_over_noise_ratio="distance of the vibrational densities of states over its noise",
    ),
    **_metrics(
        "neither",
        hr_mae_noise_ratio="noise of h(r): what two runs of the reference differ by",
        bond_wasserstein_noise_ratio="noise of bond lengths",
        angle_wasserstein_noise_ratio="noise of angles",
        torsion_wasserstein_noise_ratio="noise of torsions",
        stretch_wasserstein_noise_per_cm="noise of the spectra of bond lengths",
        spectrum_wasserstein_noise_per_cm="noise of the vibrational densities of states",
    ),
}
