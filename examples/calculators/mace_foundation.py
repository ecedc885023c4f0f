"""MACE-OFF and MACE-MP (mace-torch) as a calculator for gmd26-md; the weights are a file that you have.

gmd26-md stability --model examples/calculators/mace_foundation.py:calculator \
    --model-arg weights=MACE-OFF23_small.model --reference gfn2-xtb --molecules mine.xyz
"""

from __future__ import annotations

from ase.calculators.calculator import BaseCalculator


def calculator(weights: str, which: str = "off", device: str = "cpu", dtype: str = "float64") -> BaseCalculator:
    """Return mace-torch's own ASE calculator.

    Parameters
    ----------
    weights
        Path of the .model file; mace-torch would also take a name and download it, and then the weights would be no
        part of the model's identity in a run's records.
    which
        "off" (MACE-OFF, organic molecules) or "mp" (MACE-MP, materials).
    device, dtype
        gmd26-md fills them in from --device and --dtype.
    """
    from mace.calculators import mace_mp, mace_off

    return {"off": mace_off, "mp": mace_mp}[which](model=weights, device=device, default_dtype=dtype)
