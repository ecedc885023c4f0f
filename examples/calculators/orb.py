"""Orb (orb-models) as a calculator for gmd26-md; the weights are a file that you have.

gmd26-md stability --model examples/calculators/orb.py:calculator --model-arg weights=orb-v3-conservative.ckpt \
    --reference gfn2-xtb --molecules mine.xyz
"""

from __future__ import annotations

from ase.calculators.calculator import BaseCalculator


def calculator(
    weights: str, name: str = "orb_v3_conservative_inf_omat", device: str = "cpu", dtype: str = "float64"
) -> BaseCalculator:
    """Return orb-models' own ASE calculator.

    Parameters
    ----------
    weights
        Path of the weights.
    name
        Function of `orb_models.forcefield.pretrained` that builds the architecture of these weights.
    device, dtype
        gmd26-md fills them in from --device and --dtype.
    """
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.calculator import ORBCalculator

    precision = {"float64": "float64", "float32": "float32-highest"}[dtype]
    loaded = getattr(pretrained, name)(weights_path=weights, device=device, precision=precision)
    model = loaded[0] if isinstance(loaded, tuple) else loaded  # newer versions return an adapter beside the model
    more = {"atoms_adapter": loaded[1]} if isinstance(loaded, tuple) else {}
    return ORBCalculator(model, device=device, **more)
