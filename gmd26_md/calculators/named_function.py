"""Any ASE calculator, by the name of a function that returns one: `package.module:function` or `path/file.py:function`.

To name a function is to ask for its code to be run. What it does to the process on import and construction is taken
back, but for torch's default precision, which some calculators set once and rely on: theirs is set while they compute.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, CalculationFailed, PropertyNotImplementedError
from ase.data import atomic_numbers

from gmd26_md import strict_json
from gmd26_md.calculators.device import choose_device, choose_dtype
from gmd26_md.calculators.side_effects import contained
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import sha256_of

_NAME = re.compile(r"(?P<home>.{2,}):(?P<function>[A-Za-z_]\w*)", re.DOTALL)  # one letter is a drive
_EVERY = range(1, 119)


def is_function(model: str) -> bool:
    """Tell whether this names a function, and not a file or an engine; whether there is such a function or not."""
    return _NAME.fullmatch(model) is not None and not Path(model).exists()


def full_function(model: str) -> str:
    """Return the name with the absolute path of its file, so that it means the same in another folder."""
    home, function = _parts(model)
    return f"{Path(home).resolve()}:{function}" if _is_file(home) else model


@dataclass(frozen=True)
class Source:
    """Which code and which arguments make a calculator: what its hash is made of.

    Attributes
    ----------
    name
        The function without the folder of its file: "mace_off.py:calculator", "package.module:function".
    arguments
        Keyword arguments, JSON-safe.
    content
        Hash of the file, or "package version" of a module that an installed package holds.
    files
        Hash of each argument that is the path of a file.
    """

    name: str
    arguments: Mapping[str, Any]
    content: str
    files: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """The identity of the model; it does not see what the code imports, nor weights that it finds by itself."""
        return hashlib.sha256(strict_json.canonical(self.as_dict()).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-safe."""
        return {
            "function": self.name,
            "arguments": dict(self.arguments),
            "content": self.content,
            "argument_files": dict(self.files),
        }


class FunctionEngine:
    """Energy and forces of one molecule from any ASE calculator. It is made once and asked for all molecules in turn.

    The energy is the calculator's `free_energy` where it has one, which in ASE is what the forces are of.

    Parameters
    ----------
    model
        Name of the function.
    arguments
        Its keyword arguments. Where it has a parameter `device` or `dtype` and none is given, it gets these.
    device, dtype
        As `load_calculator` takes them.

    Attributes
    ----------
    elements
        Those in the calculator's `elements` (numbers or symbols) or its mace-like `z_table`; else all.
    takes_charge
        Whether the calculator says so in an attribute of this name; then it gets `info["charge"]` and `info["spin"]`
        (2 S + 1); where no spin is stated, that of one unpaired electron or none. Others get 0 and 1, and a molecule
        that states anything else is refused.

    Raises
    ------
    UserError
        If there is no such file, module or function, it raises, or what it returns is no calculator of forces; in a
        copy or pickle also if code or files are no longer those that it was made of.
    """

    source: Source

    def __init__(self, model: str, arguments: Mapping[str, Any], device: str, dtype: str) -> None:
        self._model, self._arguments = model, dict(arguments)
        self._wanted, self.dtype = device, dtype
        choose_dtype(dtype)
        self.device = str(choose_device(device, dtype))
        self._calculator: BaseCalculator | None = None
        self._state: tuple[int, int] | None = None  # charge and multiplicity of the last molecule
        self._build()

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """See `ase_face.Engine`."""
        calculator = self._calculator if self._calculator is not None else self._build()
        lowest = 1 + (int(numbers.sum()) - charge) % 2 if self.takes_charge else 1
        state = (charge, multiplicity or lowest)
        if state != self._state and hasattr(calculator, "reset"):
            calculator.reset()  # ASE does not notice a new charge
        self._state = state
        atoms = Atoms(numbers=numbers, positions=positions, info={"charge": state[0], "spin": state[1]})
        try:
            with self._at_work():
                energy = _energy(calculator, atoms)
                forces = calculator.get_property("forces", atoms)
            energy, forces = float(_numbers(energy, "energy").item()), _numbers(forces, "forces")
        except (Exception, SystemExit) as error:  # anybody's code may raise anything
            raise CalculationFailed(f"{self.label}: {type(error).__name__}: {_first_line(error)}") from error
        if forces.shape != positions.shape:
            raise CalculationFailed(f"{self.label} gave forces of shape {forces.shape} for {len(numbers)} atoms")
        return energy, forces

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the calculator: it is made again where it is needed."""
        return {**self.__dict__, "_calculator": None}

    def _build(self) -> BaseCalculator:
        self.device = str(choose_device(self._wanted, self.dtype))
        home, function = _parts(self._model)
        self.label = _short(self._model)
        with contained(), redirect_stdout(sys.stderr):
            _as_mace_left_it()
            found, source = _loaded(home, function, self._arguments)
            if hasattr(self, "source") and self.source.sha256 != source.sha256:
                raise UserError(f"{self.label} has changed since this calculator was made; load it again.")
            self.source = source
            calculator = _called(found, self._given(found), self.label)
            self._default_dtype = torch.get_default_dtype()
        _check_calculator(calculator, self.label)
        self.elements = _elements_of(calculator)
        self.takes_charge = bool(getattr(calculator, "takes_charge", False))
        self._state = None
        self._calculator = calculator
        return calculator

    def _given(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the arguments, with device and precision where the function names a parameter for them."""
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):  # written in C
            parameters = {}  # type: ignore[assignment]
        offered = {"device": self.device, "dtype": self.dtype}
        return {name: value for name, value in offered.items() if name in parameters} | self._arguments

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Compute in the calculator's own default precision, and leave standard output to us."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self._default_dtype)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            torch.set_default_dtype(before)


def _parts(model: str) -> tuple[str, str]:
    found = _NAME.fullmatch(model)
    if found is None:
        raise UserError(f"{model!r} names no function; write package.module:function or path/file.py:function.")
    return found["home"], found["function"]


def _is_file(home: str) -> bool:
    return home.endswith(".py") or len(Path(home).parts) > 1


def _short(model: str) -> str:
    home, function = _parts(model)
    return f"{Path(home).name if _is_file(home) else home}:{function}"


def _loaded(home: str, function: str, arguments: Mapping[str, Any]) -> tuple[Callable[..., Any], Source]:
    """Return the function, and what it is."""
    module = _module_of_file(Path(home)) if _is_file(home) else _module_of_name(home)
    found = getattr(module, function, None)
    if not callable(found):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise unknown_name(f"function of {home}:", function, names)
    files = {name: sha256_of(Path(value)) for name, value in arguments.items() if _names_a_file(value)}
    content = sha256_of(Path(home)) if _is_file(home) else _version_of(module)
    return found, Source(_short(f"{home}:{function}"), dict(arguments), content, files)


def _module_of_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own; it may import what lies beside it."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; a calculator of your own is named as path/file.py:function.")
    name = "gmd26_md_calculator_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file; a calculator of your own is named as path/file.py:function.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look there
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"{path} raises when it is imported ({_told(error)}); correct it.") from error
    finally:
        sys.path.remove(folder)
    return module


def _module_of_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if name == missing or name.startswith(f"{missing}."):
            cure = (
                f"install it, or name a file of your own as path/file.py:function; is {missing!r} spelt as in Python?"
            )
        else:
            cure = f"it needs {missing}, which is not installed; install it."
        raise UserError(f"no module {name!r} can be imported: {cure}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"module {name!r} raises when it is imported ({_told(error)}).") from error


def _as_mace_left_it() -> None:
    """Set in the environment what importing mace sets, and what we took back if we were the first to import it.

    mace's own loading of files relies on it.
    """
    if "mace" in sys.modules:
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"


def _called(function: Callable[..., Any], arguments: dict[str, Any], label: str) -> Any:
    try:
        return function(**arguments)
    except (Exception, SystemExit) as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise UserError(
            f"{label}({shown}) raises {_told(error)}; correct the function, or give --model-arg."
        ) from error


def _check_calculator(calculator: Any, label: str) -> None:
    if not isinstance(calculator, BaseCalculator):
        raise UserError(f"{label} returns {type(calculator).__name__}, not an ase.calculators Calculator; correct it.")
    missing = {"energy", "forces"}.difference(calculator.implemented_properties)
    if missing:
        raise UserError(
            f"{label} returns a calculator that does not implement {' and '.join(sorted(missing))}; "
            "both energy and forces are needed."
        )


def _energy(calculator: BaseCalculator, atoms: Atoms) -> Any:
    """Return the energy that the forces are of, eV: ASE's free energy, also where entropy of electrons is in it."""
    if "free_energy" in calculator.implemented_properties:
        with suppress(PropertyNotImplementedError):  # some promise it and do not give it
            return calculator.get_property("free_energy", atoms)
    return calculator.get_property("energy", atoms)


def _numbers(values: Any, what: str) -> np.ndarray:
    """Return real numbers as a new array, float64; masked ones are missing.

    Raises
    ------
    TypeError
        For complex numbers, texts, truth values, or nothing: numpy would make numbers of them without a word.
    """
    found = np.ma.asarray(values)
    if found.dtype.kind not in "fiu":
        raise TypeError(f"{what} of kind {found.dtype}, not real numbers")
    if np.ma.is_masked(found):
        raise TypeError(f"{what} of which {np.ma.count_masked(found)} numbers are masked")
    return np.array(found.data, dtype=np.float64)


def _elements_of(calculator: BaseCalculator) -> frozenset[int]:
    """Return the elements that a calculator says it knows, or all."""
    listed = getattr(calculator, "elements", None)
    if listed is None:
        listed = getattr(getattr(calculator, "z_table", None), "zs", None)
    if not isinstance(listed, (list, tuple, set, frozenset, np.ndarray)):
        return frozenset(_EVERY)
    numbers = {atomic_numbers.get(z) if isinstance(z, str) else z for z in listed}
    try:
        known = frozenset(int(z) for z in numbers if z is not None)
    except (TypeError, ValueError):
        known = frozenset()
    return known & frozenset(_EVERY) or frozenset(_EVERY)


def _version_of(module: ModuleType) -> str:
    """Return package and version of a module, or the hash of its file where no installed package holds it."""
    top = module.__name__.partition(".")[0]
    for package in packages_distributions().get(top, ()):
        with suppress(PackageNotFoundError):
            return f"{package} {version(package)}"
    file = getattr(module, "__file__", None)
    return sha256_of(Path(file)) if file else "built in"


def _names_a_file(value: Any) -> bool:
    try:
        return isinstance(value, str) and Path(value).is_file()
    except OSError:  # too long a name
        return False


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
