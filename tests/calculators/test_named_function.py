"""Any ASE calculator, by the name of a function that returns one."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT

from gmd26_md import load_calculator
from gmd26_md.errors import UnsupportedElementError, UserError
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import reference_of
from gmd26_md.records import read_records
from gmd26_md.reference.labels import Frames, label_frames

EXAMPLES = Path(__file__).parents[2] / "examples" / "calculators"
SPRINGS = '''
"""Bonds as springs, for which any molecule is known, and which fails for those with oxygen if told to."""
import torch
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from beside import STIFFNESS

class Springs(Calculator):
    implemented_properties = ["energy", "forces"]
    def __init__(self, size, breaks, elements):
        super().__init__()
        self.size, self.breaks = size, breaks
        if elements: self.elements = elements
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        print("at work")
        if self.breaks and 8 in atoms.numbers: raise RuntimeError("no oxygen, please\\nreally")
        assert torch.get_default_dtype() == torch.float64
        centre = atoms.positions - atoms.positions.mean(axis=0)
        self.results = {"energy": 0.5 * STIFFNESS * self.size * float((centre**2).sum()),
                        "forces": -STIFFNESS * self.size * centre}

def make(size=1.0, breaks=False, elements=None, device="?", dtype="?"):
    torch.set_default_dtype(torch.float64)
    made = Springs(size, breaks, elements)
    made.asked = device, dtype
    return made

def not_a_calculator(): return 3
def raises(): raise KeyError("lost")
def leaves(): raise SystemExit(3)
def no_forces():
    made = make(); made.implemented_properties = ["energy"]; return made
'''


@pytest.fixture
def springs(tmp_path) -> str:
    """Return the path of a file with functions that return calculators; it imports what lies beside it."""
    (tmp_path / "mine.py").write_text(SPRINGS)
    (tmp_path / "beside.py").write_text("STIFFNESS = 0.1\n")
    return str(tmp_path / "mine.py")


WATER = molecule("H2O")


def test_a_function_in_a_file_becomes_a_calculator(springs, capsys):
    calculator = load_calculator(f"{springs}:make", device="cpu", arguments={"size": 2.0})
    centre = WATER.positions - WATER.positions.mean(axis=0)
    assert calculator.get_property("energy", WATER) == pytest.approx(0.1 * (centre**2).sum())
    np.testing.assert_allclose(calculator.get_property("forces", WATER), -0.2 * centre)
    assert calculator.engine._calculator.asked == ("cpu", "float64"), "device and precision go where they are asked for"
    assert torch.get_default_dtype() == torch.float32, "what a calculator sets is set while it computes, and only then"
    assert capsys.readouterr().out == "", "standard output is a program's, who may be reading JSON"


def test_a_function_of_an_installed_package_too():
    calculator = load_calculator("ase.calculators.emt:EMT", device="cpu", arguments={"asap_cutoff": True})
    alone = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.1]])
    wanted = EMT(asap_cutoff=True).get_property("energy", alone)
    assert calculator.get_property("energy", alone) == pytest.approx(wanted)
    assert calculator.engine.source.content.startswith("ase 3.")


def test_a_copy_and_a_pickle_make_it_anew(springs):
    calculator = load_calculator(f"{springs}:make", device="cpu")
    for twin in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        assert twin.get_property("energy", WATER) == calculator.get_property("energy", WATER)


def test_a_pickle_refuses_code_that_has_changed_since(springs):
    pickled = pickle.dumps(load_calculator(f"{springs}:make", device="cpu"))
    Path(springs).write_text(SPRINGS.replace("0.5 * STIFFNESS", "77.0 * STIFFNESS"))
    with pytest.raises(UserError, match=r"^mine.py:make has changed since this calculator was made; load it again.$"):
        pickle.loads(pickled).get_property("energy", WATER)


def test_its_identity_is_its_code_and_its_arguments(springs, tmp_path, monkeypatch):
    (tmp_path / "weights.bin").write_bytes(b"one")

    def identity(**arguments) -> str:
        return open_subject(f"{springs}:make", device="cpu", arguments=arguments).sha256

    first = identity()
    assert identity() == first
    monkeypatch.chdir(tmp_path)
    assert open_subject("mine.py:make", device="cpu").sha256 == first, "the same file from another folder is the same"
    assert identity(size=2.0) != first
    with_file = identity(breaks=str(tmp_path / "weights.bin"))
    (tmp_path / "weights.bin").write_bytes(b"two")
    assert identity(breaks=str(tmp_path / "weights.bin")) != with_file, "the content of a file that is named counts"
    Path(springs).write_text(SPRINGS + "\n# changed\n")
    assert identity() != first


def test_a_calculator_may_say_which_elements_it_knows(springs):
    calculator = load_calculator(f"{springs}:make", device="cpu", arguments={"elements": ["H", "C"]})
    with pytest.raises(UnsupportedElementError, match=r"mine.py:make knows H C"):
        calculator.get_property("energy", WATER)


def test_a_charge_is_refused_unless_the_calculator_says_that_it_takes_one(springs):
    ion = WATER.copy()
    ion.info["charge"] = 1
    with pytest.raises(UserError, match=r"charge \+1"):
        load_calculator(f"{springs}:make", device="cpu").get_property("energy", ion)


CHARGED = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Charged(Calculator):
    implemented_properties = ["energy", "free_energy", "forces"]
    takes_charge = True
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 1.0, "forces": np.zeros((len(atoms), 3))}
        if len(atoms) > 1: self.results["free_energy"] = 0.5
        self.asked = atoms.info["charge"], atoms.info["spin"]
"""


@pytest.mark.parametrize(
    ("formula", "stated", "asked"),
    [
        ("CH3", {}, (0, 2)),  # a radical: nine electrons
        ("H2O", {"charge": 1}, (1, 2)),
        ("OH", {"charge": -1}, (-1, 1)),
        ("O", {"multiplicity": 3}, (0, 3)),
        ("H2O", {}, (0, 1)),
    ],
)
def test_where_no_spin_is_stated_it_is_the_lowest_that_the_electrons_allow(tmp_path, formula, stated, asked):
    (tmp_path / "charged.py").write_text(CHARGED)
    calculator = load_calculator(f"{tmp_path / 'charged.py'}:Charged", device="cpu")
    calculator.get_property("energy", Atoms(formula, positions=np.eye(4, 3)[: len(Atoms(formula))], info=stated))
    assert calculator.engine._calculator.asked == asked


def test_the_energy_is_the_one_that_the_forces_are_of(tmp_path):
    (tmp_path / "charged.py").write_text(CHARGED)
    calculator = load_calculator(f"{tmp_path / 'charged.py'}:Charged", device="cpu")
    assert [calculator.get_property(name, WATER) for name in ("energy", "free_energy")] == [0.5, 0.5]
    assert calculator.get_property("free_energy", Atoms("H")) == 1.0, "promised, and not given for this one"


def test_what_it_raises_for_a_molecule_is_a_failed_calculation(springs):
    calculator = load_calculator(f"{springs}:make", device="cpu", arguments={"breaks": True})
    with pytest.raises(CalculationFailed, match=r"^mine.py:make: RuntimeError: no oxygen, please$"):
        calculator.get_property("energy", WATER)
    assert np.isfinite(calculator.get_property("energy", molecule("CH4"))), "and the next molecule is another matter"


ODD = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
FOUND = {
    "complex": lambda f: f + 0.1j, "complex energy": lambda f: f, "texts": lambda f: f.astype(str),
    "truths": lambda f: f > 0, "masked": lambda f: np.ma.masked_array(f, mask=f > 0.5), "nothing": lambda f: None,
    "lists": lambda f: f.tolist(), "narrow": lambda f: f.astype("f4"), "unmasked": np.ma.masked_array,
}
class Odd(Calculator):
    implemented_properties = ["energy", "forces"]
    def __init__(self, how):
        super().__init__()
        self.how = how
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.how == "leaves": raise SystemExit(3)
        energy = 1.0 + 0.1j if self.how == "complex energy" else np.array([[1.0]])
        self.results = {"energy": energy, "forces": FOUND[self.how](np.eye(len(atoms), 3))}
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("complex", "TypeError: forces of kind complex128, not real numbers"),
        ("complex energy", "TypeError: energy of kind complex128, not real numbers"),
        ("texts", "not real numbers"),
        ("truths", "TypeError: forces of kind bool, not real numbers"),
        ("masked", "TypeError: forces of which 3 numbers are masked"),
        ("nothing", "TypeError: forces of kind object, not real numbers"),
        ("leaves", "SystemExit: 3"),
    ],
)
def test_what_is_no_real_number_is_a_failed_calculation_and_not_made_one(tmp_path, how, said):
    (tmp_path / "odd.py").write_text(ODD)
    calculator = load_calculator(f"{tmp_path / 'odd.py'}:Odd", device="cpu", arguments={"how": how})
    with pytest.raises(CalculationFailed, match=re.escape(said)):
        calculator.get_property("forces", WATER)
    assert not calculator.results


@pytest.mark.parametrize("how", ["lists", "narrow", "unmasked"])
def test_real_numbers_in_any_form_are_forces(tmp_path, how):
    (tmp_path / "odd.py").write_text(ODD)
    forces = load_calculator(f"{tmp_path / 'odd.py'}:Odd", device="cpu", arguments={"how": how}).get_forces(WATER)
    assert type(forces) is np.ndarray
    np.testing.assert_array_equal(forces, np.eye(3))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_package_at_all:make", "no module 'no_such_package_at_all' can be imported"),
        ("ase.calculators.emt:EMTT", "Did you mean 'EMT'"),
        ("nowhere/mine.py:make", "does not exist"),
        ("FILE:maek", "Did you mean 'make'"),
        ("FILE:not_a_calculator", "returns int, not an ase.calculators Calculator"),
        ("FILE:raises", "raises KeyError: 'lost'"),
        ("FILE:leaves", "raises SystemExit: 3"),
        ("FILE:no_forces", "does not implement forces"),
    ],
)
def test_what_is_no_calculator_is_refused_in_a_line(springs, name, said):
    with pytest.raises(UserError) as caught:
        load_calculator(name.replace("FILE", springs), device="cpu")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_compile_and_an_argument_it_does_not_take(springs, tmp_path):
    (tmp_path / "broken.py").write_text("def make(:\n")
    with pytest.raises(UserError, match=r"broken.py raises when it is imported \(SyntaxError"):
        load_calculator(f"{tmp_path / 'broken.py'}:make")
    with pytest.raises(UserError, match=r"unexpected keyword argument 'sise'.*--model-arg"):
        load_calculator(f"{springs}:make", arguments={"sise": 1})


# --- through the protocols


def test_it_runs_through_stability_and_one_bad_molecule_is_its_own_record(springs, cli, frames_folder, tmp_path):
    code, out, err = cli(
        *("stability", "--model", f"{springs}:make", "--model-arg", "breaks=true", "--reference", "gfn2-xtb"),
        *("--task", "duplication", "--only", "acetic acid", "--frames", frames_folder, "--temperature-K", 1),
        *("--thermalise-ps", 0.002, "--run-ps", 0.003, "--save-every-fs", 1, "--n-label-frames", 0, "--json"),
        *("--device", "cpu", "--out", tmp_path / "run"),
    )
    assert code == 0, err
    json.loads(out)
    begun = json.loads((tmp_path / "run" / "run.json").read_text())
    assert begun["model"] == "mine-make"
    assert begun["model_source"]["function"] == "mine.py:make"
    assert begun["model_source"]["arguments"] == {"breaks": True}
    runs = [r for r in read_records(tmp_path / "run" / "records.jsonl") if r.protocol == "stability"]
    assert [r.verdict for r in runs] == ["error"]
    assert "no oxygen, please" in runs[0].reason
    assert runs[0].model_sha256 == begun["model_sha256"]


def test_it_may_be_the_reference_but_not_its_own(springs):
    subject = open_subject(f"{springs}:make", device="cpu", arguments={"size": 0.5})
    assert reference_of(subject, f"{springs}:make") == f"{springs}:make"
    with pytest.raises(UserError, match="is the model under test, which cannot judge itself"):
        reference_of(open_subject(f"{springs}:make", device="cpu"), f"{springs}:make")
    labels = label_frames(Frames(WATER.numbers, WATER.positions[None]), f"{springs}:make")
    assert np.isfinite(labels.energies).all()


@pytest.mark.parametrize("argument", ["size", "=3", "2x=3"])
def test_a_model_arg_that_is_none_is_refused(springs, cli, argument):
    code, _, err = cli("stability", "--model", f"{springs}:make", "--model-arg", argument)
    assert (code, "is not of the form NAME=VALUE" in err) == (2, True)


def test_what_nobody_says_is_asked_for(springs, cli):
    code, _, err = cli("stability", "--model", f"{springs}:make", "--task", "duplication", "--device", "cpu")
    assert code == 2
    assert "say so with --level-of-theory, or name what judges it with --reference" in err


# --- the documented foundation models


def test_the_mace_example_runs_a_model_file(mace_module, tmp_path):
    """Not with MACE-OFF's weights, which are not here, but with a file of the same kind."""
    torch.save(mace_module(), tmp_path / "tiny.model")
    name = f"{EXAMPLES / 'mace_foundation.py'}:calculator"
    calculator = load_calculator(name, device="cpu", arguments={"weights": str(tmp_path / "tiny.model")})
    ours = load_calculator(tmp_path / "tiny.model", device="cpu", trust_pickle=True)
    assert calculator.get_property("energy", WATER) == pytest.approx(ours.get_property("energy", WATER), abs=1e-9)
    np.testing.assert_allclose(calculator.get_property("forces", WATER), ours.get_property("forces", WATER), atol=1e-9)
    with pytest.raises(UnsupportedElementError, match="knows H C O"):
        calculator.get_property("energy", molecule("NH3"))


@pytest.mark.parametrize(("file", "package"), [("uma.py", "fairchem"), ("orb.py", "orb_models")])
def test_an_example_whose_package_is_not_installed_says_so(file, package):
    from importlib.util import find_spec

    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed here, and its weights are needed to say more")
    with pytest.raises(UserError, match=f"ModuleNotFoundError: No module named '{package}"):
        load_calculator(f"{EXAMPLES / file}:calculator", arguments={"weights": "w.pt"})
