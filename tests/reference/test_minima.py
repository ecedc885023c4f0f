"""Reference minima: at rest, in order, and None where there is none."""

import os
import signal

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from gmd26_md.calculators import load_calculator
from gmd26_md.errors import UserError
from gmd26_md.reference.minima import minima, relaxed
from gmd26_md.reference.pool import one_thread_workers


class Fails(Calculator):
    """Fails at its second calculation."""

    implemented_properties = ("energy", "forces")
    left = 2

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left <= 0:
            raise CalculationFailed("the field did not converge")
        self.results = {"energy": 0.0, "forces": np.ones((len(atoms), 3))}


class Lost(Calculator):
    """Gives no number from its second calculation on: of the energy, or of the forces too."""

    implemented_properties = ("energy", "forces")

    def __init__(self, of_forces):
        super().__init__()
        self.n, self.of_forces = 0, of_forces

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        if not np.isfinite(atoms.positions).all():
            raise UserError("the molecule has NaN or infinite positions")
        super().calculate(atoms, properties, system_changes)
        self.n += 1
        lost = np.nan if self.n > 1 else 0.0
        forces = np.full((len(atoms), 3), 1.0 if self.n == 1 else 0.0)
        self.results = {"energy": lost, "forces": forces + (lost if self.of_forces else 0.0)}


DEADLY = """
import os, signal
from ase.calculators.calculator import Calculator, all_changes
class Deadly(Calculator):
    implemented_properties = ("energy", "forces")
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(atoms) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        self.results = {"energy": 0.0, "forces": 0.0 * atoms.positions}
def make():
    return Deadly()
"""


def test_minima_are_at_rest_and_in_order():
    asked = [molecule("H2O"), molecule("H2"), molecule("CH4")]
    before = [atoms.positions.copy() for atoms in asked]
    found = minima(asked, fmax=0.005, n_workers=2)
    for atoms, start, minimum in zip(asked, before, found, strict=True):
        assert minimum is not None
        assert (minimum.numbers == atoms.numbers).all()
        assert minimum.n_frames == 1
        assert np.linalg.norm(minimum.forces[0], axis=-1).max() < 0.005
        assert np.array_equal(atoms.positions, start)  # the caller's are left alone
    assert np.linalg.norm(found[1].positions[0, 1] - found[1].positions[0, 0]) == pytest.approx(0.777, abs=0.01)


def test_no_structures_have_no_minima():
    assert minima([]) == []


def test_a_relaxation_that_does_not_converge_has_no_minimum():
    stretched = molecule("H2O")
    stretched.positions *= 1.3
    assert relaxed(stretched, load_calculator("gfn2-xtb"), fmax=0.01, max_steps=1) is None
    assert relaxed(molecule("H2O"), Fails(), fmax=0.01) is None


@pytest.mark.parametrize("of_forces", [False, True])
def test_a_reference_that_gives_no_number_has_no_minimum(of_forces):
    assert relaxed(molecule("H2O"), Lost(of_forces), fmax=0.01) is None


def test_a_mistake_in_the_input_is_still_told():
    class Mistaken(Fails):
        def calculate(self, *args, **options):
            raise UserError("the file has changed")

    with pytest.raises(UserError, match="the file has changed"):
        relaxed(molecule("H2O"), Mistaken(), fmax=0.01)


def test_a_structure_that_kills_its_worker_has_no_minimum_and_the_others_have_theirs(tmp_path):
    (tmp_path / "deadly.py").write_text(DEADLY)
    progress = []
    asked = [molecule(name) for name in ("H2", "H2O", "CH4")]
    found = minima(asked, f"{tmp_path}/deadly.py:make", n_workers=1, on_progress=progress.append)
    assert found[0] is None
    for atoms, minimum in zip(asked[1:], found[1:], strict=True):
        assert np.array_equal(minimum.positions[0], atoms.positions)
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_a_worker_that_dies_is_one_line():
    with pytest.raises(UserError, match="worker process died"), one_thread_workers(1) as pool:
        pool.submit(signal.raise_signal, signal.SIGKILL).result()


def test_workers_have_one_thread_and_this_process_is_left_alone():
    before = dict(os.environ)
    with one_thread_workers(1) as pool:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    assert dict(os.environ) == before
