"""GFN1-xTB as a model under test: `--model examples/add_a_calculator/gfn1_xtb.py:calculator`."""

from ase.calculators.calculator import BaseCalculator
from tblite.ase import TBLite


def calculator(accuracy: float = 1.0) -> BaseCalculator:
    """Return an ASE calculator; a parameter is given as `--model-arg accuracy=0.1`."""
    return TBLite(method="GFN1-xTB", accuracy=accuracy, verbosity=0)
