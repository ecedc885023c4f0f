"""UMA (fairchem-core 2) as a calculator for gmd26-md; the weights are a file that you have.

gmd26-md stability --model examples/calculators/uma.py:calculator --model-arg weights=uma-s-1p1.pt \
    --reference gfn2-xtb --molecules mine.xyz
"""

from __future__ import annotations

from ase.calculators.calculator import BaseCalculator


def calculator(weights: str, task_name: str = "omol", device: str = "cpu") -> BaseCalculator:
    """Return fairchem's own ASE calculator.

    Parameters
    ----------
    weights
        Path of the checkpoint.
    task_name
        What kind of system: "omol" is molecules.
    device
        "cpu" or "cuda"; gmd26-md fills it in from --device.
    """
    from fairchem.core import FAIRChemCalculator, pretrained_mlip

    predictor = pretrained_mlip.load_predict_unit(weights, device=device.partition(":")[0])
    made = FAIRChemCalculator(predictor, task_name=task_name)
    made.takes_charge = task_name == "omol"  # it reads charge and spin from atoms.info, where gmd26-md puts them
    return made
