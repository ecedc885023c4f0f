"""Scans made and asked: springs and a cosine whose curves are known by hand, ethane by GFN2-xTB."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.errors import UserError
from gmd26_md.protocols import scan
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.scan_analysis import analyse
from gmd26_md.protocols.scan_settings import Settings
from gmd26_md.trajectory import Trajectory


def case_of(atoms, name="toy"):
    still = np.zeros((1, len(atoms), 3))
    minimum = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], None, np.zeros(1), still)
    return Case(name, name, atoms.get_chemical_formula(), "id", atoms, minimum, None)


class Cosine(Calculator):
    """A molecule that feels one threefold torsion, and no force: V/2 (1 + cos 3 phi), lowest at 60 degrees."""

    implemented_properties = ("energy", "forces")

    def __init__(self, barrier_eV, torsion):
        super().__init__()
        self.barrier_eV, self.torsion = barrier_eV, torsion

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        phi = np.radians(atoms.get_dihedral(*self.torsion))
        energy = 0.5 * self.barrier_eV * (1.0 + np.cos(3.0 * phi))
        self.results = {"energy": energy, "forces": np.zeros((len(atoms), 3))}


def cosine(barrier_eV):
    torsion = (2, 0, 1, 5)  # H-C-C-H of ethane
    return AseForces(lambda: Cosine(barrier_eV, torsion))


def springs(ethane, k):
    """Return springs at rest in ethane's minimum, wherever they are asked first."""
    bonds = [[0, 1], *[[0, i] for i in (2, 3, 4)], *[[1, i] for i in (5, 6, 7)]]
    rest = [float(ethane.structure.get_distance(*b)) for b in bonds]
    return AseForces(lambda: load_calculator("harmonic", bonds=bonds, k_eV_per_A2=k, r0_A=rest))


def scanned(case, provider, reference, kind):
    """Return what the scans of one kind say of a provider, with another one as the reference."""
    settings = Settings()
    scans = [s for s in scan.scans_of(case, settings) if s.kind == kind]
    mine, theirs = (scan.run(p, case, scans) for p in (provider, reference))
    with_reference = []
    for s, a, b in zip(scans, mine, theirs, strict=True):
        energies, forces = np.full_like(b.energies, np.nan), np.full_like(b.forces, np.nan)
        energies[s.asked], forces[s.asked] = b.energies[s.asked], b.forces[s.asked]
        with_reference.append(replace(a, reference_energies=energies, reference_forces=forces))
    return analyse(case.numbers.tolist(), scans, with_reference, settings)


@pytest.fixture(scope="module")
def ethane():
    return case_of(molecule("C2H6"), "ethane")


def test_the_labels_are_counted_before_they_are_made(ethane):
    there = [scan.scans_at(ethane.numbers, ethane.minimum.positions[0], Settings()), scan.scans_of(ethane, Settings())]
    assert [sum(len(s.asked) for s in found) for found in there] == [73, 73]  # turn 24, C-C 28, C-H 21


def test_the_stretch_of_a_spring_is_a_parabola(ethane):
    found = scanned(ethane, springs(ethane, 30.0), springs(ethane, 30.0), "stretch")
    assert found.judgement == "follows", found.words
    assert [s["bond"] for s in found.evidence["scans"]] == ["C0-C1", "C0-H2"]
    for curve in found.evidence["scans"]:
        # rounded to 1e-6 eV in the record
        assert curve["energy_eV"] == pytest.approx(15.0 * np.array(curve["moved_A"]) ** 2, abs=1e-6)
        assert curve["slope_eV_per_A"] == pytest.approx(30.0 * np.array(curve["moved_A"]), abs=1e-6)
    assert found.metrics["stretch_roughness_meV"] < 1e-6
    assert found.metrics["stretch_work_error_meV"] < 1e-6
    assert found.metrics["n_spurious_minima"] == 0
    assert found.metrics["stretch_escape_eV"] is None
    assert found.metrics["stretch_minimum_error_A"] == pytest.approx(0.0, abs=1e-9)
    assert found.metrics["stretch_near_rms_meV"] == pytest.approx(0.0, abs=1e-9)


def test_a_stiffer_spring_is_off_by_what_it_is_stiffer(ethane):
    found = scanned(ethane, springs(ethane, 60.0), springs(ethane, 30.0), "stretch")
    assert found.judgement == "wrong curve"
    # the difference is as large as the reference, up to 1 eV; every 0.04 Å to +-0.24 Å, and both ends that are near
    grid = 0.04 * np.arange(-6, 7)
    error = 15.0 * grid**2
    expected = 1000 * np.sqrt(((error - error.mean()) ** 2).mean())
    assert found.metrics["stretch_near_rms_meV"] == pytest.approx(expected, rel=0.1)


def test_a_cosine_has_its_known_barrier(ethane):
    found = scanned(ethane, cosine(0.2), cosine(0.1), "torsion")
    assert found.judgement == "wrong barrier"
    assert found.words == "C0-C1: barrier 200 meV, reference 100"
    assert found.metrics["torsion_barrier_error_meV"] == pytest.approx(100.0)
    assert found.metrics["torsion_rms_meV"] == pytest.approx(50.0 / np.sqrt(2.0))
    assert found.metrics["torsion_max_meV"] == pytest.approx(50.0)
    assert found.metrics["torsion_minimum_error_deg"] == found.metrics["torsion_misplaced_meV"] == 0.0
    assert found.metrics["n_extra_minima"] == found.metrics["n_missing_minima"] == 0
    assert scanned(ethane, cosine(0.1), cosine(0.1), "torsion").judgement == "follows"
    assert scanned(ethane, cosine(0.11), cosine(0.1), "torsion").judgement == "follows"


def test_the_staggered_ethane_of_gfn2_turns_over_a_tenth_of_an_electronvolt(ethane):
    reference = AseForces(lambda: load_calculator("gfn2-xtb"))
    found = scanned(ethane, reference, reference, "torsion")
    assert found.judgement == "follows"
    (curve,) = found.evidence["scans"]
    # 0.126 eV by experiment (Weiss and Leroi 1968); rigid, and a semi-empirical method: a third is allowed
    assert curve["reference_barrier_meV"] == pytest.approx(126.0, rel=0.33)
    low = [a for a, e in zip(curve["moved_deg"], curve["energy_eV"], strict=True) if e < min(curve["energy_eV"]) + 1e-3]
    assert low == [0.0, 120.0, 240.0]


def test_every_point_is_asked_of_the_model_and_some_of_the_reference(ethane):
    scans = scan.scans_of(ethane, Settings())
    assert [s.kind for s in scans] == ["torsion", "stretch", "stretch"]
    assert scans[0].asked.tolist() == list(range(24))
    for s in scans[1:]:
        assert 0.0 in s.moved
        assert s.length_A + s.moved[0] == pytest.approx(0.8 * s.length_A, abs=0.01)
        assert s.length_A + s.moved[-1] == pytest.approx(1.5 * s.length_A, abs=0.01)
        assert np.diff(s.moved) == pytest.approx(0.01)
        assert {0, len(s.moved) - 1, int(np.argmin(np.abs(s.moved)))} <= set(s.asked.tolist())
        assert len(s.asked) < len(s.moved) / 3
    labelled = scan.ask_reference([ethane], [scans], [scan.run(cosine(0.1), ethane, scans)], "gfn2-xtb")
    for s, answers in zip(scans, labelled[0], strict=True):
        assert np.flatnonzero(np.isfinite(answers.reference_energies)).tolist() == s.asked.tolist()
        assert np.isfinite(answers.energies).all()


def test_a_molecule_without_a_bond_has_nothing_to_scan():
    helium = case_of(molecule("CH4")[:1])
    assert scan.scans_of(helium, Settings()) == []
    assert analyse([6], [], [], Settings()).judgement == "nothing to scan"
    with pytest.raises(ValueError, match="no reference minimum"):
        scan.scans_of(replace(helium, minimum=None), Settings())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_torsion_points": 6}, "n_torsion_points = 6; give 12 or more"),
        ({"stretch_step_A": 0.05}, "stretch_step_A = 0.05; give 0.03 or less"),
        ({"label_every": 10}, "label_every = 10 with steps of 0.01"),
        ({"stretch_to_ratio": 1.0}, "a stretch from 0.8 to 1.0"),
        ({"bonds": "some"}, "bonds = 'some'; allowed: kinds, all"),
        ({"max_roughness_meV": float("nan")}, "max_roughness_meV = nan; give a finite number above 0"),
        ({"clash_eV": -1.0}, "clash_eV = -1.0"),
    ],
)
def test_settings_that_make_no_scan_are_refused(changed, words):
    with pytest.raises(UserError) as refused:
        Settings(**changed)
    assert words in str(refused.value)
