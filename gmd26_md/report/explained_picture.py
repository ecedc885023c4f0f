"""The explanation of an energy as a picture: pairs over their distance, and atoms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gmd26_md.errors import UserError
from gmd26_md.report.explained import undirected

ENDINGS = (".png", ".svg", ".pdf")


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the picture.

    Raises
    ------
    UserError
        For another ending than those of `ENDINGS`, a folder that is not there, or where matplotlib is not installed.
    """
    check_picture(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    FigureCanvasAgg(figure)  # no window, and the process keeps its own backend
    pairs, atoms = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    kinds: dict[str, list[tuple[float, float]]] = {}
    for there, back in undirected(found):
        kind = "-".join(sorted(there["elements"]))
        kinds.setdefault(kind, []).append((there["distance_A"], there["energy_eV"] + back["energy_eV"]))
    for kind in sorted(kinds):
        pairs.plot(*zip(*kinds[kind], strict=True), "o", markersize=4, alpha=0.7, label=kind)
    for edge in sorted({expert["shell_A"][1] for pair in found["pairs"] for expert in pair["experts"]}):
        pairs.axvline(edge, color="0.7", linewidth=0.8, linestyle="--")
    pairs.axhline(0.0, color="0.3", linewidth=0.6)
    pairs.set(xlabel="distance, Å (dashed: one expert's distances end)", ylabel="energy of a pair, eV")
    if kinds:
        pairs.legend(fontsize=8)
    names = [f"{entry['element']}{entry['atom'] + 1}" for entry in found["atoms"]]
    atoms.bar(range(len(names)), [entry["energy_eV"] for entry in found["atoms"]], color="0.45")
    atoms.set_xticks(range(len(names)), names, fontsize=7, rotation=90)
    atoms.set_ylabel("energy of an atom, eV")
    figure.suptitle(f"{found['molecule']}: {found['interaction_energy_eV']:.3f} eV ({found['model']})", fontsize=10)
    figure.savefig(path, dpi=150)


def check_picture(path: Path) -> None:
    """Raise what `draw` would, before anything is computed."""
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"--picture is {path}; its name must end in one of {', '.join(ENDINGS)}.")
    if not path.parent.is_dir():
        raise UserError(f"--picture is {path}, whose folder does not exist; make it first.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--picture needs matplotlib, which is not installed; pip install matplotlib, or leave --picture out."
        ) from error
