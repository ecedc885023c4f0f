"""A campaign cut into units: a model, a few molecules, a protocol. A unit's key is what it computes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gmd26_md import strict_json, tasks
from gmd26_md.calculators.provenance import name_of_file
from gmd26_md.campaign.description import Campaign, ModelEntry, ProtocolEntry
from gmd26_md.campaign.trained_on import trained_on
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of
from gmd26_md.molecules import Molecule
from gmd26_md.tasks import Task

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Unit:
    """A piece of work that appears whole or not at all.

    Attributes
    ----------
    key
        Content hash of the question: model file, structures, protocol, options, code version.
    model, protocol, task
        Names in the campaign; the task is the file's stem for structures of the user's own.
    molecules
        Their names; empty for a file of structures.
    arguments
        Of the command line, but for `--out`.
    task_file
        The task as `--task` takes it; empty for structures of the user's own.
    python
        What runs it.
    model_file_sha256
        What the model's file must be; empty for a calculator without one.
    resources
        What a Dask worker must offer.
    files
        SHA-256 of the other files that it reads, by path: structures, a task's file, those that options name.
    code_version
        Of this package, where the campaign was planned.
    """

    key: str
    model: str
    protocol: str
    task: str
    molecules: tuple[str, ...]
    task_file: str
    arguments: tuple[str, ...]
    python: str
    model_file: str
    model_file_sha256: str
    resources: Mapping[str, float]
    files: Mapping[str, str] = field(default_factory=dict)
    code_version: str = ""

    @property
    def label(self) -> str:
        """For people: "mace on duplication, stability: oxalic acid and 7 more"."""
        first = f": {self.molecules[0]}" if self.molecules else ""
        more = f" and {len(self.molecules) - 1} more" if len(self.molecules) > 1 else ""
        return f"{self.model} on {self.task}, {self.protocol}{first}{more}"

    @property
    def group(self) -> tuple[str, str, str]:
        """Protocol, model and task: the units whose records make one table."""
        return self.protocol, self.model, self.task


def units_of(campaign: Campaign) -> list[Unit]:
    """Return the units of a campaign, in order; each option is tried on the command line's own parser.

    Raises
    ------
    UserError
        For an unknown task, a missing file, an option that the command does not take, a model that nothing is to be
        tried on or that was trained on what a task calls unseen, names that would be one folder, or one question that
        is asked twice.
    """
    found: list[Unit] = []
    for model in campaign.models:
        before = len(found)
        for protocol in campaign.protocols:
            for task in model.tasks or campaign.tasks:
                named = tasks.get(task)
                for molecules in _batches(named, campaign.molecules_per_unit):
                    found.append(_task_unit(campaign, model, protocol, task, named, molecules))
            # static errors need reference frames, which a file of structures has not
            for path in () if protocol.protocol == "static-errors" else campaign.molecules:
                found.append(_file_unit(campaign, model, protocol, path))
        if len(found) == before:
            raise UserError(f"{model.name} has nothing to be tried on; name tasks (static-errors needs them).")
    _check_folders(found)
    _refuse_same(found)
    _check_options(found)
    _refuse_trained_on(found)
    return found


def _batches(task: Task, size: int) -> list[tuple[Molecule, ...]]:
    molecules = task.tested
    return [molecules[i : i + size] for i in range(0, len(molecules), size)]


def _task_unit(
    campaign: Campaign,
    model: ModelEntry,
    protocol: ProtocolEntry,
    task: str,
    named: Task,
    molecules: Sequence[Molecule],
) -> Unit:
    options = _options(model, protocol)
    folders = _frames_folders(model, options)
    content = {
        "structures": {m.name: [m.smiles, _digest_of_frames(folders, m.slug)] for m in molecules},
        "task": [named.name, named.sha256],
    }
    chosen = [part for m in molecules for part in ("--only", m.name)]
    return _unit(campaign, model, protocol, named.name, molecules, ("--task", task, *chosen), options, content)


def _file_unit(campaign: Campaign, model: ModelEntry, protocol: ProtocolEntry, path: str) -> Unit:
    if not Path(path).is_file():
        raise UserError(f"molecules: {path} does not exist.")
    options = _options(model, protocol)
    content = {"structures": sha256_of(Path(path)), "file": Path(path).name}  # its stem names the molecules
    return _unit(campaign, model, protocol, Path(path).stem, (), ("--molecules", path), options, content)


def _options(model: ModelEntry, protocol: ProtocolEntry) -> dict[str, Any]:
    """Return the options of a unit in one spelling and order: of which the file has them, the key should not tell."""
    found: dict[str, Any] = {}
    for options in (model.options, protocol.options):  # the protocol's go before the model's
        found |= {str(name).lstrip("-").replace("_", "-"): value for name, value in options.items()}
    return dict(sorted(found.items()))


def _unit(
    campaign: Campaign,
    model: ModelEntry,
    protocol: ProtocolEntry,
    task: str,
    molecules: Sequence[Molecule],
    on: Sequence[str],
    options: Mapping[str, Any],
    content: Mapping[str, Any],
) -> Unit:
    file = model_file(model.model)
    sha256 = _sha256(str(file)) if file else ""
    given = as_arguments(options, protocol.protocol)
    question = {
        **content,
        "protocol": protocol.protocol,
        "options": given,
        "model": sha256 or model.model,
        "called": _called(model.model, file),
        "version": _version(),
        "environment": model.environment,
        "keep_trajectories": campaign.keep_trajectories,
    }
    files = _digests_of_files(given)
    if files:
        question["files"] = files
    read = {name: _sha256(name) for name in (on[1], *map(_file_in, files)) if Path(name).is_file()}
    return Unit(
        key=hashlib.sha256(strict_json.canonical(question).encode()).hexdigest()[:32],
        model=model.name,
        protocol=protocol.name,
        task=task,
        molecules=tuple(m.name for m in molecules),
        task_file=on[1] if on[0] == "--task" else "",
        arguments=(protocol.protocol, "--model", model.model, *on, *given, "--quiet"),
        python=campaign.python_of(model),
        model_file=str(file or ""),
        model_file_sha256=sha256,
        resources=model.resources,
        files=read,
        code_version=_version(),
    )


@cache
def _called(model: str, file: Path | None) -> str:
    """Return what the records call a model; of a function its name and where its file is: it may import from there."""
    if file is None:
        return model
    return name_of_file(file) if Path(model).is_file() else f"{file.resolve()}:{model.partition(':')[2]}"


def as_arguments(options: Mapping[str, Any], command: str) -> list[str]:
    """Return options as a command line has them: a list repeats the option, true is a flag, null is none.

    False is the other half of a switch such as --modes/--no-modes, and nothing for a flag that has none.

    Raises
    ------
    UserError
        For false where the command wants a value.
    """
    found: list[str] = []
    for name, value in options.items():
        option = "--" + str(name).replace("_", "-") if "-" not in str(name) else f"--{name}"
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                found.append(option)
            elif one is False:
                found += _off(command, option)
            elif one is not None:
                found += [option, str(one)]
    return found


def _off(command: str, option: str) -> list[str]:
    for known in _options_of(command):
        if option in known.opts:
            if not known.is_flag:
                raise UserError(f"{option.lstrip('-')} is false; {command} wants a value for it.")
            return known.secondary_opts[:1]
    return [option]  # the command line's own parser will say that there is none


@cache
def _options_of(command: str) -> tuple[Any, ...]:
    import click

    from gmd26_md.cli import gmd26_md

    found = gmd26_md.get_command(click.Context(gmd26_md), command)
    return () if found is None else tuple(p for p in found.params if isinstance(p, click.Option))


def model_file(model: str) -> Path | None:
    """Return the file that a model stands in, or the function's; None for a calculator that has none.

    Raises
    ------
    UserError
        If it is named as a file and is not there.
    """
    from gmd26_md.calculators import families

    path, _, function = model.partition(":")
    if Path(model).is_file():
        return Path(model)
    if function and Path(path).is_file():
        return Path(path)
    if families.is_engine(model) or (function and not path.endswith(".py")):
        return None
    raise UserError(f"model {model} does not exist; give a checkpoint, FILE.py:FUNCTION, or a calculator's name.")


@cache
def _sha256(path: str) -> str:
    return sha256_of(Path(path))


@cache
def _version() -> str:
    return version("gmd26-md")  # reads a file each time


def _digests_of_files(given: Sequence[str]) -> dict[str, str]:
    """Return hashes of the files that options name: FILE, FILE.py:FUNCTION or NAME=FILE."""
    return {text: _sha256(name) for text in given if (name := _file_in(text))}


def _file_in(text: str) -> str:
    """Return the file that an option's value names; empty where it names none."""
    found = ""
    for name in (text, text.partition(":")[0], text.partition("=")[2]):
        with contextlib.suppress(OSError, ValueError):  # longer than a file's name may be: it is none
            if name and Path(name).is_file():
                found = name
    return found


def _frames_folders(model: ModelEntry, options: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return where a command looks for reference frames, in its order."""
    if "frames" in options:
        return (Path(str(options["frames"])),)
    file = model_file(model.model)
    beside = (file.resolve().parent / "frames",) if file else ()
    return (*beside, Path("data"))


@cache
def _digest_of_frames(folders: tuple[Path, ...], slug: str) -> str | None:
    """Return a hash of what made a molecule's reference frames, so that other frames are another unit."""
    found = next((mine for folder in folders if (mine := _provenances(folder).get(slug))), None)
    return hashlib.sha256("".join(sha256_of(path) for path in found).encode()).hexdigest()[:16] if found else None


@cache
def _provenances(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Return the descriptions of reference frames below a folder, by molecule."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("**/provenance.json")):
        found.setdefault(path.parent.name, []).append(path)
    return found


def _check_folders(units: Sequence[Unit]) -> None:
    """Refuse two things of one name, whose records would be one table, and names that no folder can have."""
    sources: dict[str, tuple[str, ...]] = {}
    for unit in units:
        name = "-".join(unit.group)
        if len(name.encode()) > _LONGEST_NAME or "/" in name or "\0" in name:
            raise UserError(
                f"{name[:60]}... is no folder's name; give model or protocol a 'name' without '/', "
                f"{_LONGEST_NAME} letters with the task's at most."
            )
        source = (*unit.group, unit.task_file or unit.arguments[unit.arguments.index("--molecules") + 1])
        # no two that differ in case alone, either: some file systems do not tell them apart
        if sources.setdefault(name.casefold(), source) != source:
            raise UserError(
                f"{' of '.join(dict.fromkeys((sources[name.casefold()][3], source[3])))} would be the folder {name} "
                "twice; rename a file, or give model or protocol another 'name'."
            )


def _refuse_same(units: Sequence[Unit]) -> None:
    """Refuse two units that are one question: one folder would answer both, and its records be counted twice."""
    asked: dict[str, Unit] = {}
    for unit in units:
        other = asked.setdefault(unit.key, unit)
        if other is not unit:
            what = "stands there twice" if unit.label == other.label else f"and {other.label} are the same question"
            raise UserError(f"{unit.label} {what}; leave one out.")


def _refuse_trained_on(units: Sequence[Unit]) -> None:
    """Refuse to try models as on the unseen on what trained them, all such pairs in one message."""
    from gmd26_md.leakage import refuse_trained_on

    known: dict[str, tuple[tuple[str, str], ...]] = {}
    found = []
    for unit in {(u.model, u.task): u for u in units if u.task_file and u.model_file}.values():
        if unit.model_file not in known:
            known[unit.model_file] = trained_on(unit.model_file)
        try:
            refuse_trained_on(tasks.get(unit.task_file), known[unit.model_file], unit.model)
        except UserError as problem:
            found.append(str(problem).partition(";")[0])
    if found:
        raise UserError(f"{'. '.join(found)}. Give such a model 'tasks: [...]' of its own.")


def _check_options(units: Sequence[Unit]) -> None:
    """Let the command line parse each sort of unit once: a mistyped option is met before anything runs."""
    import click

    from gmd26_md.cli import gmd26_md

    seen = set()
    for unit in units:
        if (unit.model, unit.protocol) in seen:
            continue
        seen.add((unit.model, unit.protocol))
        command = gmd26_md.get_command(click.Context(gmd26_md), unit.arguments[0])
        if command is None:
            raise UserError(f"{unit.arguments[0]} is no command.")
        try:
            command.make_context(unit.arguments[0], list(unit.arguments[1:]))
        except click.ClickException as problem:
            raise UserError(f"{unit.protocol} of {unit.model}: {problem.format_message()}") from problem
