"""How to train: one frozen record, read from a small TOML file, one file a family."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from gmd26_md.errors import UserError, unknown_name

LOSSES = ("l1", "l2", "huber", "norm")
ELEMENT_ENERGIES = ("least-squares", "isolated-atoms", "zero")
DTYPES = ("float32", "float64")
PAPER = "paper"
"""What recipes of published hyperparameters are called, and the folder that they lie in."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run computes, apart from the data and the time allowed.

    Attributes
    ----------
    family
        Name of the architecture, "deepset-moe".
    hyperparameters
        What differs from the family's `DEFAULTS`.
    n_train_frames_per_molecule
        Frames of each primary trajectory, evenly spaced over it; None (or leaving the key out) takes all.
    batch_atoms
        Atoms in a batch, about: frames of any size are packed together until it is reached.
    learning_rate, warmup_steps, final_learning_rate_fraction
        Peak rate of Adam; linear rise to it; the cosine falls to this fraction of it.
    n_steps
        Length of the run, unless a time budget ends it first.
    amsgrad, weight_decay, gradient_clip_norm
        Optimiser: AMSGrad or not; decoupled decay of the weights; largest norm of the gradient (0: no limit).
    ema_decay
        Decay of the running average of the weights; the average is what is validated and saved.
    loss
        "l1", "l2" (squared), "huber", or "norm": the length of each atom's force error, with l1 on energies.
    huber_delta
        Where Huber turns linear, eV/Å for forces and eV/atom for energies.
    energy_weight, force_weight
        Weights of the energy loss (per atom, eV) and the force loss (eV/Å).
    validate_every_steps, n_validation_frames_per_molecule
        How often, and on how many frames evenly spaced over the first 100 secondary ones. At the end the best
        weights are measured on all 100, whatever is said here.
    patience_validations
        Stop after this many validations without a better force error; 0 never stops early.
    seed
        Of the initial weights and of the order of the data.
    dtype
        Precision of weights and positions: float32 or float64.
    element_energies
        Where per-element energies come from: "least-squares", "isolated-atoms" or "zero"; see
        `training.element_energies` for what follows from the choice.
    """

    family: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    n_train_frames_per_molecule: int | None = None
    batch_atoms: int = 256
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    final_learning_rate_fraction: float = 0.01
    n_steps: int = 20000
    amsgrad: bool = False
    weight_decay: float = 0.0
    gradient_clip_norm: float = 10.0
    ema_decay: float = 0.999
    loss: str = "norm"
    huber_delta: float = 0.01
    energy_weight: float = 1.0
    force_weight: float = 1.0
    validate_every_steps: int = 1000
    n_validation_frames_per_molecule: int = 100
    patience_validations: int = 0
    seed: int = 0
    dtype: str = "float32"
    element_energies: str = "least-squares"

    def __post_init__(self) -> None:
        """Refuse values of a wrong kind or out of range."""
        for entry in dataclasses.fields(self):
            _check_kind(entry.name, getattr(self, entry.name), str(entry.type))
        _check_choice("loss", self.loss, LOSSES)
        _check_choice("element_energies", self.element_energies, ELEMENT_ENERGIES)
        _check_choice("dtype", self.dtype, DTYPES)
        for name in ("batch_atoms", "n_steps", "validate_every_steps", "n_validation_frames_per_molecule"):
            _check_range(name, getattr(self, name), at_least=1)
        for name in ("learning_rate", "huber_delta"):
            _check_range(name, getattr(self, name), above=0.0)
        for name in ("warmup_steps", "weight_decay", "gradient_clip_norm", "energy_weight", "force_weight"):
            _check_range(name, getattr(self, name), at_least=0)
        _check_range("patience_validations", self.patience_validations, at_least=0)
        _check_range("ema_decay", self.ema_decay, at_least=0, below=1.0)
        _check_range("final_learning_rate_fraction", self.final_learning_rate_fraction, at_least=0, at_most=1.0)
        if self.n_train_frames_per_molecule is not None:
            _check_range("n_train_frames_per_molecule", self.n_train_frames_per_molecule, at_least=1)

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as a JSON-safe dict."""
        return dataclasses.asdict(self)


def families() -> tuple[str, ...]:
    """Return the families with a recipe in the package, sorted."""
    folder = resources.files("gmd26_md.training") / "recipes"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def paper_families() -> tuple[str, ...]:
    """Return the families with a recipe of published hyperparameters, sorted."""
    folder = resources.files("gmd26_md.training") / "recipes" / PAPER
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def named_recipe(family: str, recipe: str | Path | None) -> str | Path:
    """Return what `load_recipe` takes for a family and what its user called the recipe: nothing, "paper", or a file.

    Raises
    ------
    UserError
        If "paper" is asked for a family of which no hyperparameters are published.
    """
    if recipe is None:
        return family
    if str(recipe) != PAPER:
        return recipe
    if family not in families():
        raise unknown_name("family", family, families())
    if family not in paper_families():
        raise UserError(
            f"no hyperparameters of {family} are published; leave --recipe out for the packaged recipe, or give a "
            f"file. Published are those of {', '.join(paper_families())}."
        )
    return f"{PAPER}/{family}"


def load_recipe(name_or_path: str | Path, **overrides: Any) -> Recipe:
    """Return a family's packaged recipe, or the one in a TOML file, with some settings overridden.

    Parameters
    ----------
    name_or_path
        A family ("mace"), "paper/" and a family for the hyperparameters that its authors published, or the path of a
        TOML file (its name ends in .toml).
    overrides
        Fields of `Recipe`; `hyperparameters` is merged over the recipe's own, key by key.

    Raises
    ------
    UserError
        For an unknown family, a file that cannot be read, an unknown key or a value of the wrong kind.
    """
    values = _read_toml(name_or_path)
    _check_kind("hyperparameters", values.get("hyperparameters", {}), "dict")
    merged = {**values.get("hyperparameters", {}), **overrides.pop("hyperparameters", {})}
    return recipe_from_dict({**values, **overrides, "hyperparameters": merged})


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """Return the recipe with these settings; UserError for an unknown key or a family left out."""
    known = [entry.name for entry in dataclasses.fields(Recipe)]
    for key in values:
        if key not in known:
            raise unknown_name("recipe setting", key, known)
    if "family" not in values:
        raise UserError(f'the recipe names no family; add one of {", ".join(families())} as: family = "painn".')
    return Recipe(**values)


def _read_toml(name_or_path: str | Path) -> dict[str, Any]:
    if str(name_or_path).endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise UserError(
                f"no recipe file at {path}; give an existing TOML file or a family: {', '.join(families())}."
            )
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"recipe {path} is not TOML: it is no UTF-8 text; give a recipe file.") from error
    else:
        known = (*families(), *(f"{PAPER}/{family}" for family in paper_families()))
        if str(name_or_path) not in known:
            raise unknown_name("family", str(name_or_path), known)
        source = resources.files("gmd26_md.training") / "recipes" / f"{name_or_path}.toml"
        text = source.read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"recipe {name_or_path} is not TOML: {error}; mend that line.") from error


def _check_kind(name: str, value: Any, kind: str) -> None:
    wanted: dict[str, tuple[type, ...]] = {
        "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "int | None": (int, type(None)),
    }  # fmt: skip
    allowed = wanted.get(kind, (dict,))
    is_bool_by_mistake = isinstance(value, bool) and bool not in allowed
    if not isinstance(value, allowed) or is_bool_by_mistake:
        raise UserError(f"recipe setting {name} is {value!r}, a {type(value).__name__}; it must be {kind}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"recipe setting {name} is {value}; give a finite number.")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise unknown_name(f"value of recipe setting {name}", value, allowed)


def _check_range(
    name: str,
    value: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    limits = {"at least": at_least, "at most": at_most, "above": above, "below": below}
    fine = (
        (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not fine:
        words = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
        raise UserError(f"recipe setting {name} is {value}; it must be {words}.")
