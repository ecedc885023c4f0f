"""The table of two levels of theory on the same geometries, and the sentences beside it."""

from __future__ import annotations

from typing import Any

from gmd26_md.observables.errors import ERROR_METRICS

_EXTRA = ("force_mae_beyond_rest_lengths_eV_per_A", "rest_lengths_fraction", "force_scale_ratio")
_WORDS = {"id": "all ID", "ood": "all OOD", "all": "all"}


def offset_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table for a person, a row a molecule and a pooled row a split."""
    heading = ["molecule", "split", "frames", "F MAE, eV/Å", "%", "cos", "|F| MAE"]
    heading += ["rel. E, meV", "of", "offset, eV", "min., Å"]
    rows = [heading]
    for row in found["molecules"]:
        rows.append([row["molecule"], row["split"], *_cells(row), _length(row["minimum_rmsd_A"])])
    for name, row in found["pooled"].items():
        if row["n_molecules"] > 1:
            rows.append([_WORDS[name], "", *_cells(row), "-"])
    return rows


def offset_columns(found: dict[str, Any]) -> list[list[str]]:
    """Return every number for a program: full digits, the unit last in each name, `_se` for the standard error."""
    names = [name for metric in ERROR_METRICS for name in (metric, f"{metric}_se")]
    heading = ["molecule", "split", "n_molecules", "n_frames", *names, "reference_energy_spread_eV", "minimum_rmsd_A"]
    heading += list(_EXTRA)
    rows = [heading]
    entries = [(row["slug"], row["split"], row) for row in found["molecules"]]
    entries += [("pooled", split, row) for split, row in found["pooled"].items()]
    for name, split, row in entries:
        spreads = [row["metrics"][metric][part] for metric in ERROR_METRICS for part in ("value", "standard_error")]
        rmsd = row.get("minimum_rmsd_A")
        numbers = [*spreads, row["reference_energy_spread_eV"], "" if rmsd is None else rmsd]
        numbers += [row[extra] for extra in _EXTRA]
        rows.append([name, split, str(row["n_molecules"]), str(row["n_frames"]), *[str(number) for number in numbers]])
    return rows


def offset_words(found: dict[str, Any]) -> list[str]:
    """Return what the table compares, what differs by element, and what counting atoms explains of the offset."""
    first, second = found["level"], found["against"]
    pooled, fit = found["pooled"]["all"], found["element_fit"]
    said = [
        f"{first} held against {second}, on the same geometries. F MAE: of force components, and in % of their mean at "
        f"{second}; rel. E: MAE of energies less each molecule's mean, of an RMS so large at {second}; min.: RMSD "
        "between the two minima.",
        "F MAE by element, eV/Å: "
        + ", ".join(f"{symbol} {mae:.3f}" for symbol, mae in pooled["force_mae_eV_per_A_by_element"].items())
        + ".",
        f"{100 * pooled['rest_lengths_fraction']:.0f} % of the squared difference of forces is a constant tension of "
        "each bond, as of other rest lengths; the MAE without it is "
        f"{pooled['force_mae_beyond_rest_lengths_eV_per_A']:.3f} eV/Å.",
    ]
    energies = ", ".join(f"{symbol} {energy:.2f}" for symbol, energy in fit["energies_eV"].items())
    if fit["n_free"] > 0:
        largest = max(abs(residual) for residual in fit["residuals_eV"].values())
        said.append(
            f"Energies of the elements ({energies} eV) account for the offsets but for {1000 * largest:.0f} meV at "
            f"most, with {fit['n_free']} molecule{'s' if fit['n_free'] > 1 else ''} more than they have freedom."
        )
    else:
        said.append("Too few molecules to tell how much of the offsets is a matter of counting atoms.")
    unmatched = sum(row["n_unmatched"] for row in found["molecules"])
    if unmatched:
        said.append(f"{unmatched} frames of {second} have no labels of {first} and are left out.")
    return said


def _cells(row: dict[str, Any]) -> list[str]:
    def value(name: str, digits: int, factor: float = 1.0) -> str:
        return f"{factor * row['metrics'][name]['value']:.{digits}f}"

    def spread(name: str, digits: int, factor: float = 1.0) -> str:
        error = row["metrics"][name]["standard_error"]
        known = "" if error != error else f" ± {factor * error:.{digits}f}"  # NaN: one frame of one molecule
        return value(name, digits, factor) + known

    return [
        str(row["n_frames"]),
        spread("force_mae_eV_per_A", 3),
        value("force_mae_relative_ratio", 0, 100.0),
        value("force_cosine", 3),
        value("force_magnitude_mae_eV_per_A", 3),
        spread("energy_offset_removed_mae_eV", 0, 1000.0),
        f"{1000 * row['reference_energy_spread_eV']:.0f}",
        value("energy_offset_eV", 2),
    ]


def _length(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
