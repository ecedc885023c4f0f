"""Published static errors, to stand beside ours.

Source: arXiv 2605.08988, Nourollah, Khalid, Leoni, Schockaert, "Benchmarking Compositional Generalisation for Machine
Learning Interatomic Potentials" (May 2026), fragment duplication, GFN2-xTB edition. Their training sets hold about
2,013 frames a molecule; no spread is given.
"""

from __future__ import annotations

from gmd26_md.metrics import DIRECT_FORCES

SOURCE = "arXiv 2605.08988, GFN2-xTB edition"
COLUMNS = ("force_mae_eV_per_A", "force_cosine", "force_magnitude_mae_eV_per_A", "energy_mae_eV")

# task -> model -> (ID, OOD) of each of COLUMNS
STATIC_ERRORS: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {
    "duplication": {
        "SchNet": ((0.0292, 0.1143), (0.9979, 0.9691), (0.0307, 0.1458), (0.0295, 29.32)),
        "PaiNN": ((0.0020, 0.0600), (0.9999, 0.9768), (0.0022, 0.0713), (0.0181, 30.72)),
        "GemNet": ((0.0009, 0.0224), (0.9999, 0.9978), (0.0010, 0.0223), (0.0129, 12.27)),
        "EquiFormerV2": ((0.0018, 0.0538), (0.9999, 0.9746), (0.0019, 0.0603), (0.0984, 133.77)),
        "DimeNet++": ((0.0018, 0.2484), (0.9999, 0.9406), (0.0019, 0.3863), (0.0128, 34.86)),
        "MACE": ((0.0028, 0.0171), (0.9999, 0.9978), (0.0030, 0.0201), (0.0018, 40.97)),
        "NequIP": ((0.0256, 0.0460), (0.9984, 0.9922), (0.0269, 0.0501), (0.0198, 34.59)),
    },
}

NAMES = {
    "schnet": "SchNet",
    "painn": "PaiNN",
    "gemnet": "GemNet",
    "equiformer-v2": "EquiFormerV2",
    "dimenet-plus-plus": "DimeNet++",
    "mace": "MACE",
    "nequip": "NequIP",
    "deepset-moe": "DeepSet-MoE",
}
"""How the published table writes our families; DeepSet-MoE stands in the authors' slides, without figures."""


def name_of(family: str) -> str:
    """Return a family's name as the paper writes it, direct forces marked; another family's as it is."""
    bare = family.removesuffix(DIRECT_FORCES)
    return NAMES.get(bare, bare) + (DIRECT_FORCES if bare != family else "")
