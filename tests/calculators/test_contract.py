"""The ten promises that every calculator keeps, whatever is behind it. A new family file is found by its name.

Where a promise means something else for a calculator, `Case` says so and why; none is skipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, build
from ase.calculators.fd import FiniteDifferenceCalculator
from scipy.spatial.transform import Rotation

from gmd26_md import load_calculator
from gmd26_md.calculators import families
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.checkpoint import load_checkpoint
from gmd26_md.calculators.potential import energy_and_forces
from gmd26_md.errors import UnsupportedElementError, UserError
from gmd26_md.observables import gradient

FAMILIES = families.family_names()


@dataclass(frozen=True)
class Case:
    """One calculator, and how exactly it can be held to its promises.

    Attributes
    ----------
    energy_tolerance, force_tolerance
        Largest difference between two roads to the same number, eV and eV/Å.
    unknown
        Atomic number of an element that it does not know.
    takes_charge
        Whether a charged molecule is another calculation (else it is refused).
    remembers
        Whether an answer depends on the first geometry seen, so that every question needs a new calculator.
    slow
        Whether an evaluation takes seconds: water then stands in for acetic acid, and hydrogen for ethanol.
    needs
        Package of an extra, without which the case is skipped.
    direct
        Whether it is a family's variant that predicts forces beside the energy: it makes no promise that they are the
        energy's gradient, says so, and is shown to be right in that.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    energy_tolerance: float = 1e-9  # float64 sums in another order, of energies of some hundred eV
    force_tolerance: float = 1e-9
    unknown: int = 14  # silicon: the tiny checkpoints know H, C and O
    takes_charge: bool = False
    remembers: bool = False
    slow: bool = False
    needs: str = ""
    direct: bool = False

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Return what a family's variant is built with beside its small hyperparameters."""
        return {"direct_forces": True} if self.direct else {}


CASES = [
    # nequip is not in the default environment: scripts/all-families.sh makes one where its case runs, as CI does.
    *(Case(family, needs="nequip" if family == "nequip" else "") for family in FAMILIES),
    *(Case(family, direct=True) for family in FAMILIES if "direct_forces" in families.default_hyperparameters(family)),
    # The self-consistent field stops at a finite accuracy, which forces feel first (measured: 5e-6 eV/Å).
    Case("gfn2-xtb", energy_tolerance=1e-7, force_tolerance=5e-5, unknown=92, takes_charge=True),
    # Springs know every element, so only a dummy atom (Z = 0) is unknown; lengths are given, as a toy that has its
    # minimum wherever it was first asked would pass every test with zeros.
    Case("harmonic", options={"r0_A": 1.2}, unknown=0, remembers=True),
    # The grid turns with the axes (measured at level 3: 1e-4 eV, 1e-3 eV/Å), and the field starts from the last one.
    Case(
        "pbe-d3bj",
        options={"n_threads": 1},
        energy_tolerance=1e-3,
        force_tolerance=5e-3,
        unknown=92,
        takes_charge=True,
        slow=True,
        needs="pyscf.dispersion",
    ),
]


def is_there(package: str) -> bool:
    try:
        return not package or find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it lies in
        return False


def for_cases(cases: list[Case]):
    absent = {c.name: pytest.mark.skipif(not is_there(c.needs), reason=f"{c.needs} is not installed") for c in cases}
    marked = [
        pytest.param(case, marks=absent[case.name], id=f"{case.name}-direct" if case.direct else case.name)
        for case in cases
    ]
    return pytest.mark.parametrize("case", marked)


for_each = for_cases(CASES)
for_each_family = for_cases([case for case in CASES if case.name in FAMILIES])
for_each_gradient = for_cases([case for case in CASES if not case.direct])
for_each_direct = for_cases([case for case in CASES if case.direct])
for_each_engine = for_cases([case for case in CASES if case.name not in FAMILIES])


@pytest.fixture
def acid(case: Case, acid) -> Atoms:
    """Return acetic acid, or something smaller where an evaluation takes seconds."""
    return bent("H2O") if case.slow else acid


@pytest.fixture
def alcohol(case: Case, alcohol) -> Atoms:
    """Return ethanol, or something smaller where an evaluation takes seconds."""
    return bent("H2") if case.slow else alcohol


def bent(name: str) -> Atoms:
    atoms = build.molecule(name)
    atoms.positions += np.random.default_rng(3).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


@pytest.fixture
def new(case: Case, checkpoint_path) -> Callable[..., Any]:
    """Return a function that makes a new calculator for the case."""

    def make(**options: Any) -> Any:
        is_family = case.name in FAMILIES
        source: str | Path = checkpoint_path(case.name, **case.hyperparameters) if is_family else case.name
        return load_calculator(source, **{"device": "cpu", **case.options, **options})

    return make


@pytest.fixture
def ask(case: Case, new) -> Callable[[Atoms], tuple[float, np.ndarray]]:
    """Return a function: molecule -> energy and forces, from one calculator, or a new one where it remembers."""
    one = cache(new)

    def energy_forces(atoms: Atoms) -> tuple[float, np.ndarray]:
        calculator = new() if case.remembers else one()
        return calculator.get_property("energy", atoms), calculator.get_property("forces", atoms)

    return energy_forces


def assert_same(case: Case, got, wanted, why: str) -> None:
    (energy, forces), (wanted_energy, wanted_forces) = got, wanted
    assert np.isfinite(energy), why
    assert np.isfinite(forces).all(), why
    assert energy == pytest.approx(wanted_energy, rel=0, abs=case.energy_tolerance), why
    assert np.abs(forces - wanted_forces).max() <= case.force_tolerance, why


def with_positions(atoms: Atoms, positions: np.ndarray) -> Atoms:
    moved = atoms.copy()
    moved.positions = positions
    return moved


@for_each
def test_every_family_and_engine_is_found_by_its_file_and_held_to_the_promises(case):
    wanted = {"deepset-moe", "schnet", "painn", "mace", "dimenet-plus-plus", "gfn2-xtb", "harmonic", "pbe-d3bj"}
    found = {*FAMILIES, *families.engine_names()}
    assert wanted <= found, "if this fails, a file of calculators/ no longer defines network() or engine()"
    assert {c.name for c in CASES} == found, "if this fails, add a Case for the new engine"


@for_each
def test_the_model_under_test_has_forces_worth_testing(case, ask, acid):
    _, forces = ask(acid)
    assert np.abs(forces).max() > 1e-3, "if this fails, every other promise is kept by zeros: give the toy more weight"


@for_each_gradient
def test_1_forces_are_the_negative_gradient_of_the_energy(case, new, acid):
    calculator = new()
    forces = calculator.get_property("forces", acid)
    acid.set_cell([20, 20, 20])  # ASE's tool wants a volume, for a stress that is not looked at
    # Error of the difference: third derivative (up to 1e4 eV/Å³ seen) x step²/6 = 2e-7; digits of the energy / step:
    # 1e-13 eV / step = 1e-8, for GFN2-xTB 1e-11 eV / step = 1e-6.
    numerical = FiniteDifferenceCalculator(calculator, eps_disp=1e-5).get_property("forces", acid)
    tolerance = 1e-6 + case.force_tolerance
    assert np.abs(forces - numerical).max() < tolerance, (
        "if this fails, something between positions and energy is detached from the graph, or not smooth"
    )


@for_each_direct
def test_1_forces_beside_the_energy_say_so_and_have_a_curl(case, new, checkpoint_path, acid):
    checkpoint = load_checkpoint(checkpoint_path(case.name, **case.hyperparameters))
    assert not checkpoint.forces_are_gradient
    assert not checkpoint.potential("cpu", "float64").forces_are_gradient
    calculator, few = new(), acid[[0, 1, 4]]  # three atoms: 9 coordinates, 4 geometries for each
    displaced = gradient.displaced(few.positions, gradient.unit_vectors(len(few)), 1e-3)
    flat = displaced.reshape(-1, len(few), 3)
    forces = np.array([calculator.get_property("forces", with_positions(few, x)) for x in flat])
    found = gradient.curl(forces.reshape(displaced.shape), 1e-3)
    assert found.value > 0.01, "if this fails, the forces are a gradient after all: is the head in use?"


@for_each
@pytest.mark.parametrize("seed", [0, 1])
def test_2_a_rotated_molecule_has_the_same_energy_and_rotated_forces(case, ask, acid, seed):
    rotation = Rotation.random(random_state=seed).as_matrix()
    energy, forces = ask(acid)
    rotated = ask(with_positions(acid, acid.positions @ rotation.T))
    why = f"if this fails, the model depends on the axes; rotation =\n{np.array2string(rotation, precision=17)}"
    assert_same(case, rotated, (energy, forces @ rotation.T), why)


@for_each
def test_3_a_shifted_molecule_has_the_same_energy_and_forces(case, ask, acid):
    shifted = ask(with_positions(acid, acid.positions + np.array([11.0, -7.0, 3.0])))
    assert_same(case, shifted, ask(acid), "if this fails, the model sees positions and not only differences")


@for_each
def test_4_the_order_of_the_atoms_does_not_matter(case, ask, acid):
    order = np.random.default_rng(5).permutation(len(acid))
    energy, forces = ask(acid)
    assert_same(case, ask(acid[order]), (energy, forces[order]), f"if this fails, order matters; {order=}")


@for_each
def test_5_two_molecules_far_apart_add_up(case, ask, acid, alcohol):
    # 1000 Å: two dipoles of a few debye then feel less than 1e-8 eV, should the model have them at all
    far = with_positions(alcohol, alcohol.positions + np.array([1000.0, 0, 0]))
    (energy_a, forces_a), (energy_b, forces_b) = ask(acid), ask(alcohol)
    sum_of_both = energy_a + energy_b, np.concatenate([forces_a, forces_b])
    assert_same(case, ask(acid + far), sum_of_both, "if this fails, atoms beyond the cutoff still interact")


@for_each_family
def test_6_many_molecules_in_one_batch_answer_as_one_by_one(case, ask, checkpoint_path, acid, alcohol):
    molecules = [acid, Atoms("O", positions=[[0, 0, 0]]), alcohol, acid[[0, 1, 2]]]
    potential = load_checkpoint(checkpoint_path(case.name, **case.hyperparameters)).potential("cpu", "float64")
    layout = Layout.of([m.numbers for m in molecules])
    positions = torch.as_tensor(np.concatenate([m.positions for m in molecules]))
    batch = layout.batch(positions, potential.cutoff)
    energies, forces = energy_and_forces(potential, batch)
    energies = (energies + potential.reference_energy(batch)).tolist()
    parts = np.split(forces.numpy(), np.cumsum([len(m) for m in molecules])[:-1])
    for molecule, energy, part in zip(molecules, energies, parts, strict=True):
        assert_same(case, (energy, part), ask(molecule), f"if this fails, systems see each other: {molecule.symbols}")


@for_each_engine
def test_6_without_batches_molecules_in_turn_answer_as_one_by_one(case, new, acid, alcohol):
    """These engines take one molecule at a time; what may leak is the molecule before."""
    calculator = new()
    in_turn = [
        (calculator.get_property("energy", m), calculator.get_property("forces", m)) for m in (acid, alcohol) * 2
    ]
    for got, molecule in zip(in_turn, (acid, alcohol) * 2, strict=True):
        fresh = new()
        wanted = fresh.get_property("energy", molecule), fresh.get_property("forces", molecule)
        # bitwise on one thread; with more, a library's sums may differ in their last bits: eV and eV/Å
        assert got[0] == pytest.approx(wanted[0], abs=1e-9), (
            "if this fails, the answer depends on what was asked before"
        )
        np.testing.assert_allclose(got[1], wanted[1], rtol=0.0, atol=1e-9)


@for_each
def test_7_an_unknown_element_is_refused_by_name(case, new, acid):
    stranger = acid.copy()
    stranger.numbers[0] = case.unknown
    with pytest.raises(UnsupportedElementError) as caught:
        new().get_property("energy", stranger)
    assert f"has {Atoms([case.unknown]).symbols} " in str(caught.value).replace(";", " ")
    assert "knows H" in str(caught.value)


@for_each
def test_8_the_molecule_that_is_asked_for_is_not_changed(case, new, acid):
    acid.info.update(name="acetic acid", tags=[1, 2])
    acid.set_cell([20, 20, 20])  # a box without periodicity means nothing, and is kept
    before = acid.copy()
    calculator = new()
    forces = calculator.get_property("forces", acid)
    forces += 1.0  # nor does the caller's array reach into the calculator
    assert not np.array_equal(calculator.get_property("forces", acid), forces)
    assert acid == before
    assert acid.info == before.info
    assert acid.arrays.keys() == before.arrays.keys()
    assert acid.calc is None


@for_each
def test_9_a_new_charge_is_a_new_calculation(case, new, acid):
    calculator = new()
    acid.calc = calculator
    neutral = acid.get_potential_energy()
    acid.info["charge"] = 1
    if case.takes_charge:
        assert acid.get_potential_energy() > neutral + 1.0, "if this fails, the old charge's energy was returned"
    else:
        with pytest.raises(UserError, match=r"charge \+1"):
            acid.get_potential_energy()
        with pytest.raises(UserError, match=r"charge \+1"):
            acid.get_forces()
    acid.info["charge"] = 0
    assert acid.get_potential_energy() == pytest.approx(neutral, rel=0, abs=case.energy_tolerance)


@for_each_family
def test_10_two_calculators_of_different_precision_never_meet(case, new, acid):
    wide = new(dtype="float64")
    before = wide.get_property("energy", acid), wide.get_property("forces", acid)
    narrow = new(dtype="float32")
    energy, forces = narrow.get_property("energy", acid), narrow.get_property("forces", acid)
    again = with_positions(acid, acid.positions + 0.0)
    wide.reset()
    assert wide.get_property("energy", again) == before[0]
    assert np.array_equal(wide.get_property("forces", again), before[1])
    assert torch.get_default_dtype() == torch.float32
    assert type(energy) is float
    assert forces.dtype == np.float64
    # float32 holds 7 digits of an interaction energy of some eV, and the element energies are summed in float64
    assert energy == pytest.approx(before[0], rel=0, abs=1e-4)
    assert np.abs(forces - before[1]).max() < 1e-4
    assert not np.array_equal(forces, before[1]), "if this fails, float32 computes in float64"


@for_each_family
def test_10_float32_is_as_good_far_from_the_origin(case, new, acid):
    narrow = new(dtype="float32")
    forces = narrow.get_property("forces", acid)
    far = narrow.get_property("forces", with_positions(acid, acid.positions + 1000.0))
    # the same digits but for the last; float32 itself knows a position there to 6e-5 Å only, 1e-3 eV/Å and more
    assert np.abs(far - forces).max() < 1e-5


@for_each_engine
def test_10_an_engine_of_one_precision_refuses_the_other(case, new):
    with pytest.raises(UserError, match="computes in float64, not in 'float32'"):
        new(dtype="float32")
