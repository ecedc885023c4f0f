"""The campaign file: which models, on what, by which protocols, how often, and where.

```yaml
name: audit                       # everything goes into campaigns/audit, unless `out` says otherwise
models:
  - checkpoints/mace-duplication.pt
  - model: checkpoints/nequip-duplication.pt
    environment: nequip           # runs by that Python
    tasks: [duplication]          # of this model only
    options: {dtype: float32}     # any option that a command on a model has
tasks: [duplication, examples/tasks/polymer.yaml]
molecules: [mine.xyz]
protocols:
  - static-errors
  - stability: {preset: quick, temperature-K: [300, 500], n-seeds: 3}
environments: {nequip: /envs/all/bin/python}
```
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gmd26_md.errors import UserError, unknown_name

PROTOCOLS = ("static-errors", "stability", "relaxation", "scan", "conservation", "distributions")
KEPT = ("all", "failures", "none")
_OWN = ("model", "task", "molecules", "only", "out", "quiet", "json", "help")  # options of a command


@dataclass(frozen=True)
class ModelEntry:
    """A model of the campaign.

    Attributes
    ----------
    model
        As `--model` takes it.
    name
        What to call it in this campaign; by default the file's stem.
    environment
        Name of the environment whose Python runs it; empty for this one.
    tasks
        The tasks that it is tried on; those of the campaign if empty.
    options
        Options of every command on it.
    resources
        What a Dask worker must offer to run it, as {"GPU": 1}.
    """

    model: str
    name: str = ""
    environment: str = ""
    tasks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ProtocolEntry:
    """A protocol with its options, as on the command line without the dashes."""

    protocol: str
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Campaign:
    """What is to be run.

    Attributes
    ----------
    name, out
        What it is called, and the folder of everything that it makes.
    models, protocols
        Each model is tried by each protocol.
    tasks, molecules
        Tasks by name or file, and files of structures.
    environments
        Python executables by name.
    molecules_per_unit
        Molecules of a task that are run together; a file of structures is one unit.
    unit_minutes
        A unit that takes longer hangs: it is killed, and tried again.
    n_retries
        How often a unit that failed is tried again.
    keep_trajectories
        "all", "failures", "none", or a fraction of those that are as they should be.
    """

    name: str
    out: Path
    models: tuple[ModelEntry, ...]
    protocols: tuple[ProtocolEntry, ...]
    tasks: tuple[str, ...] = ()
    molecules: tuple[str, ...] = ()
    environments: Mapping[str, str] = field(default_factory=dict)
    molecules_per_unit: int = 8
    unit_minutes: float = 60.0
    n_retries: int = 2
    keep_trajectories: str | float = "all"

    def python_of(self, model: ModelEntry) -> str:
        """Return the executable that runs a model."""
        return str(Path(self.environments[model.environment]).absolute()) if model.environment else sys.executable


def read_campaign(path: Path) -> Campaign:
    """Return the campaign of a YAML file; relative paths in it are from where the command is given.

    Raises
    ------
    UserError
        If the file is missing, is no YAML, or says what no campaign has: which key, what is allowed.
    """
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"cannot read campaign {path}: {problem.strerror or problem}.") from problem
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:  # what PyYAML lets through, too
        raise UserError(f"{path} is no YAML: {' '.join(str(problem).split())}.") from problem
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no campaign; it begins with lines such as 'name: audit' and 'models:'.")
    try:
        return _campaign(found)
    except UserError as problem:
        raise UserError(f"{path}: {problem}") from problem


def _campaign(found: dict[str, Any]) -> Campaign:
    known = {entry.name for entry in fields(Campaign)}
    _refuse_unknown("key", found, known)
    for key in ("name", "models", "protocols"):
        if not found.get(key):
            raise UserError(f"{key} is missing; a campaign has name, models, protocols, and tasks or molecules.")
    name = str(found["name"])
    if not (all(c.isalnum() or c in "._-" for c in name) and name.strip(".")):
        raise UserError(f"name is {name!r}; it is a folder's name too, so write letters, digits, '.', '_' and '-'.")
    if not isinstance(found.get("out", ""), str):
        raise UserError(f"out is {found['out']!r}; it must be a folder's name.")
    environments = {str(k): str(v) for k, v in _mapping(found, "environments").items()}
    for environment, python in environments.items():
        if not Path(python).is_file():
            raise UserError(f"environments: {environment} is {python}, which does not exist; give its python.")
    models = tuple(_model(entry, environments) for entry in _list(found, "models"))
    _refuse_twice("models", [m.name for m in models])
    if not (found.get("tasks") or found.get("molecules") or any(m.tasks for m in models)):
        raise UserError("neither tasks nor molecules; name what the models are tried on.")
    protocols = tuple(_protocol(entry) for entry in _list(found, "protocols"))
    _refuse_twice("protocols", [p.name for p in protocols])
    kept = found.get("keep_trajectories", "all")
    if kept not in KEPT and (isinstance(kept, bool) or not (isinstance(kept, int | float) and 0 <= kept <= 1)):
        raise UserError(f"keep_trajectories is {kept!r}; allowed: {', '.join(KEPT)}, or a fraction from 0 to 1.")
    return Campaign(
        name=name,
        out=Path(str(found.get("out") or Path("campaigns") / name)),
        models=models,
        protocols=protocols,
        tasks=tuple(map(str, _list(found, "tasks"))),
        molecules=tuple(map(str, _list(found, "molecules"))),
        environments=environments,
        molecules_per_unit=_count(found, "molecules_per_unit", 8, at_least=1),
        unit_minutes=_number(found, "unit_minutes", 60.0, at_least=0.01),
        n_retries=_count(found, "n_retries", 2, at_least=0),
        keep_trajectories=kept,
    )


def _model(entry: Any, environments: Mapping[str, str]) -> ModelEntry:
    given = {"model": entry} if isinstance(entry, str) else entry
    if not isinstance(given, dict) or not isinstance(given.get("model"), str):
        raise UserError(f"models: {entry!r} is neither a file nor 'model: FILE' with its options.")
    _refuse_unknown(f"key of {given['model']}", given, {f.name for f in fields(ModelEntry)})
    environment = str(given.get("environment", ""))
    if environment and environment not in environments:
        raise unknown_name(f"environment of {given['model']}", environment, list(environments) or ["none is named"])
    resources = _mapping(given, "resources")
    options = _mapping(given, "options")
    _refuse_own(f"options of {given['model']}", options)
    return ModelEntry(
        model=given["model"],
        name=str(given.get("name") or Path(given["model"]).name.removesuffix(".pt")).replace("/", "-"),
        environment=environment,
        tasks=tuple(map(str, _list(given, "tasks"))),
        options=options,
        resources={str(k): _number(resources, k, 0.0, at_least=0) for k in resources},
    )


def _protocol(entry: Any) -> ProtocolEntry:
    given = {entry: {}} if isinstance(entry, str) else entry
    if not isinstance(given, dict) or len(given) != 1:
        raise UserError(f"protocols: {entry!r} is neither a name nor 'name: {{option: value}}'.")
    ((protocol, options),) = given.items()
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", str(protocol), PROTOCOLS)
    if not isinstance(options or {}, dict):
        raise UserError(f"protocols: the options of {protocol} are {options!r}; write option: value.")
    chosen = dict(options or {})
    _refuse_own(f"options of {protocol}", chosen)
    return ProtocolEntry(str(protocol), chosen, name=str(chosen.pop("name", protocol)))


def _refuse_own(kind: str, options: Mapping[str, Any]) -> None:
    for name in options:
        if str(name).lstrip("-") in _OWN:
            raise UserError(f"{kind}: {name} is not for a file to say; the campaign itself sets {', '.join(_OWN)}.")


def _refuse_unknown(kind: str, given: Mapping[str, Any], allowed: set[str]) -> None:
    for key in given:
        if key not in allowed:
            raise unknown_name(kind, str(key), sorted(allowed))


def _refuse_twice(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{kind}: {name} stands there twice; give one of them another 'name'.")


def _mapping(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = found.get(key) or {}
    if not isinstance(value, dict):
        raise UserError(f"{key} is {value!r}; write it as {key}: {{name: value}}.")
    return value


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key) or []
    if not isinstance(value, list):
        raise UserError(f"{key} is {value!r}; write it as a list.")
    return value


def _number(found: Mapping[str, Any], key: str, default: float, *, at_least: float) -> float:
    value = found.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not at_least <= value < float("inf"):
        raise UserError(f"{key} is {value!r}; it must be a number of {at_least:g} or more.")
    return float(value)


def _count(found: Mapping[str, Any], key: str, default: int, *, at_least: int) -> int:
    value = _number(found, key, default, at_least=at_least)
    if value != int(value):
        raise UserError(f"{key} is {value!r}; it must be a whole number.")
    return int(value)
