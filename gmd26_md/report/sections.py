"""What the summary and the table show of each protocol that judges a molecule in words.

A record of such a protocol has a reason that begins with its judgement and a colon ("agrees: ..."), or a verdict where
it could not be made; the numbers shown are means over its records, every molecule the same, with their spread.
"""

from __future__ import annotations

from dataclasses import dataclass

from gmd26_md.records import Record

UNKNOWN = "unknown"
"""Judgement of a record where it was the reference that failed."""


@dataclass(frozen=True)
class Row:
    """One line of the table: the metric's name, what it is called, digits after the point."""

    metric: str
    words: str
    digits: int


@dataclass(frozen=True)
class Section:
    """A protocol's part of the table.

    Attributes
    ----------
    title
        Its heading; a setting's name in braces is replaced by its value: "relaxed from the {start}".
    good
        The judgement that is as it should be; every other that is not neutral is listed below the table.
    rows
        The numbers shown.
    neutral
        Judgements that speak neither for nor against the model: counted, and no failures.
    """

    title: str
    good: str
    rows: tuple[Row, ...]
    neutral: tuple[str, ...] = ()


SECTIONS: dict[str, Section] = {
    "relaxation": Section(
        "relaxed from the {start}",
        "agrees",
        (
            Row("converged_fraction", "converged, fraction", 2),
            Row("heavy_rmsd_A", "heavy-atom RMSD to reference, Å", 3),
            Row("rmsd_A", "all-atom RMSD, Å", 3),
            Row("reference_fmax_eV_per_A", "reference force where it rests, eV/Å", 3),
            Row("reference_energy_above_minimum_eV", "reference energy above minimum, eV", 3),
            Row("relaxed_on_heavy_rmsd_A", "reference relaxes on by, Å", 3),
            Row("relaxed_on_energy_drop_eV", "and sets free, eV", 3),
            Row("relaxed_on_bond_deviation_mean_A", "bonds off by, Å", 4),
            Row("relaxed_on_angle_deviation_mean_deg", "angles off by, °", 2),
            Row("relaxed_on_torsion_deviation_mean_deg", "torsions off by, °", 1),
            Row("n_imaginary_modes", "imaginary modes", 2),
            Row("frequency_mae_per_cm", "frequencies off by, 1/cm", 1),
            Row("frequency_error_max_per_cm", "and at most by, 1/cm", 0),
            Row("n_steps", "steps", 0),
        ),
        neutral=(UNKNOWN,),
    ),
    "conservation": Section(
        "conservation at {timestep_fs} fs",
        "conserves",
        (
            Row("energy_drift_meV_per_atom_per_ps", "drift, meV/atom/ps", 3),
            Row("energy_rms_meV_per_atom", "RMS about it, meV/atom", 3),
            Row("order_fine_ratio", "order in the step, up to it", 2),
            Row("order_coarse_ratio", "order in the step, above it", 2),
            Row("gradient_error_ratio", "forces against energies, relative", 5),
            Row("curl_ratio", "curl of the forces, relative", 5),
            Row("reversal_rmsd_A", "off the start on the way back, Å", 5),
            Row("momentum_change_ratio", "momentum changed by, relative", 5),
            Row("angular_momentum_change_ratio", "angular momentum, relative", 5),
            Row("equipartition_deviation_ratio", "elements hotter or colder by, relative", 2),
            Row("equipartition_chance_fraction", "chance of so uneven a share", 2),
            Row("precision_force_rmse_eV_per_A", "float32 from float64, force, eV/Å", 6),
            Row("float32_half_step_energy_drift_meV_per_atom_per_ps", "drift in float32 at half the step", 4),
            Row("float64_half_step_energy_drift_meV_per_atom_per_ps", "drift in float64 at half the step", 4),
        ),
    ),
    "scan": Section(
        "{scan} scans",
        "follows",
        (
            Row("torsion_rms_meV", "energy along the turn, RMS error, meV", 1),
            Row("torsion_barrier_error_meV", "barrier off by, meV", 1),
            Row("torsion_minimum_error_deg", "lowest minimum off by, °", 0),
            Row("torsion_misplaced_meV", "which costs in the reference, meV", 1),
            Row("torsion_force_mae_eV_per_A", "force MAE along the turn, eV/Å", 3),
            Row("n_extra_minima", "minima that the reference has not", 2),
            Row("n_missing_minima", "minima that only the reference has", 2),
            Row("n_torsion_left_out", "points left out, sterically impossible", 1),
            Row("stretch_roughness_meV", "off a smooth curve by up to, meV", 2),
            Row("stretch_work_error_meV", "energy against integrated force, meV", 2),
            Row("n_spurious_minima", "false minima", 2),
            Row("stretch_escape_eV", "lowest pass to one, eV", 2),
            Row("stretch_minimum_error_A", "bond length off by, Å", 4),
            Row("stretch_near_rms_meV", "energy near the minimum, RMS error, meV", 1),
            Row("stretch_far_rms_meV", "and beyond, meV", 0),
            Row("stretch_force_mae_eV_per_A", "force MAE near the minimum, eV/Å", 3),
        ),
        neutral=("nothing to scan", UNKNOWN),
    ),
    "distributions": Section(
        "against reference dynamics at {temperature_K:g} K",
        "within noise",
        (
            Row("hr_mae_ratio", "h(r) off by", 3),
            Row("hr_over_noise_ratio", "times the noise", 1),
            Row("bond_wasserstein_ratio", "bond lengths off by, of the spread", 3),
            Row("bond_over_noise_ratio", "times the noise", 1),
            Row("angle_wasserstein_ratio", "angles off by, of the spread", 3),
            Row("angle_over_noise_ratio", "times the noise", 1),
            Row("torsion_wasserstein_ratio", "torsions off by, of the spread", 3),
            Row("torsion_over_noise_ratio", "times the noise", 1),
            Row("stretch_wasserstein_per_cm", "spectra of the bonds off by, 1/cm", 0),
            Row("stretch_over_noise_ratio", "times the noise", 1),
            Row("spectrum_wasserstein_per_cm", "vibrational spectra off by, 1/cm", 0),
            Row("spectrum_over_noise_ratio", "times the noise", 1),
        ),
        neutral=("unsettled",),
    ),
}


def heading_of(record: Record) -> str:
    """Return what a record's protocol is called in tables, with the setting that tells its kinds apart."""
    section = SECTIONS.get(record.protocol)
    if section is None:
        return record.protocol
    try:
        return section.title.format(**record.settings)
    except (KeyError, IndexError, TypeError, ValueError):  # settings of another version
        return record.protocol


def judgement_of(record: Record) -> str:
    """Return how a record was judged: its verdict where it could not be made, else as its reason begins."""
    return record.verdict or record.reason.split(":")[0]
