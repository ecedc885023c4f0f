"""What the commands that test a model share: their options, the molecules they name, and the way they end."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.forms import colour, format_option, width

if TYPE_CHECKING:
    from ase import Atoms

    from gmd26_md.evaluate import Question
    from gmd26_md.protocols.cases import Case
    from gmd26_md.protocols.subject import Subject
    from gmd26_md.run_folder import RunFolder
    from gmd26_md.tasks import Task

_OPTIONS = (
    click.option(
        "--model",
        required=True,
        multiple=True,
        help="A checkpoint file, or a calculator's name (gfn2-xtb). Several checkpoints are a committee: their mean. "
        "Another package's file, with --trust-pickle. Any ASE calculator, as FILE.py:FUNCTION or MODULE:FUNCTION.",
    ),
    click.option("--model-arg", "model_args", multiple=True, metavar="NAME=VALUE", help="Argument of the model; JSON."),
    click.option("--trust-pickle", is_flag=True, help="Let another package's model file run code from itself."),
    click.option("--level-of-theory", default=None, help="Of the model's training labels, where it does not say."),
    click.option("--task", default=None, help="Task to run, or its file; by default the one it was trained on."),
    click.option("--molecules", type=click.Path(path_type=Path), default=None, help="Your own structures instead."),
    click.option("--only", multiple=True, metavar="NAME", help="Only this molecule of the task; may be repeated."),
    click.option("--frames", type=click.Path(path_type=Path), default=None, help="Folder with reference frames."),
    click.option("--out", type=click.Path(path_type=Path), default=None, help="Run folder; by default under runs/."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
    click.option("--dtype", default="float64", show_default=True, help="float64 or float32."),
    click.option("--engine", default="auto", show_default=True, help="auto, batched or ase."),
    click.option("--skip-unsupported", is_flag=True, help="Record molecules with unknown elements as unsupported."),
    format_option("csv has every number"),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    click.option("--quiet", is_flag=True, help="Print nothing but errors."),
)


@dataclass(frozen=True)
class Asked:
    """The options that every command on a model has, as given; more than one `model` is a committee."""

    model: tuple[str, ...]
    task: str | None
    molecules: Path | None
    only: tuple[str, ...]
    frames: Path | None
    out: Path | None
    device: str
    dtype: str
    engine: str
    skip_unsupported: bool
    as_json: bool
    quiet: bool
    model_args: tuple[str, ...] = ()
    trust_pickle: bool = False
    level_of_theory: str | None = None
    form: str = "text"

    @property
    def called(self) -> str:
        """What to call the model in a message."""
        return self.model[0] if len(self.model) == 1 else f"a committee of {len(self.model)}"

    @property
    def short(self) -> str:
        """The same without its folder and ending, beside a bar."""
        return Path(self.called).name.removesuffix(".pt")


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command on a model has; the function gets them as one `Asked`, first."""

    @functools.wraps(function)
    def with_asked(**given: Any) -> Any:
        asked = Asked(**{entry.name: given.pop(entry.name) for entry in fields(Asked)})
        return function(asked, **given)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked


def ask(
    asked: Asked,
    *,
    n_frames: int | None,
    show: Callable[[float, str], None],
    reference: str | None = None,
    n_labels: int | Callable[[Atoms], int] = 0,
    n_rests: int = 0,
    compute_minima: bool = True,
) -> Question:
    """Open the model and its molecules.

    Parameters
    ----------
    n_frames
        At most so many reference frames a molecule; all if None.
    show
        Told how far the reference minima are.
    reference
        What gives the minima to start from; by default the level of theory of the model's own training.
    n_labels
        How many labels a molecule, or of this molecule, the command will ask of the reference: what they will cost is
        said before the first minimum is computed, where it is more than a minute.
    n_rests
        How often the reference will relax each molecule, beside the minimum to start from.
    compute_minima
        Whether the minimum of a task's molecule is computed where there is none, as in the published set.
    """
    from gmd26_md.calculators.device import choose_device
    from gmd26_md.evaluate import Question
    from gmd26_md.protocols.subject import open_subject
    from gmd26_md.question import reference_of

    choose_device(asked.device, asked.dtype)  # complain before anything is computed, whatever the model
    subject = _with_level(
        open_subject(
            asked.model,
            device=asked.device,
            dtype=asked.dtype,
            engine=asked.engine,
            trust_pickle=asked.trust_pickle,
            arguments=model_arguments(asked.model_args),
        ),
        asked.level_of_theory,
        reference,
    )
    if subject.note and not asked.quiet:
        click.echo(subject.note, err=True)
    if reference is not None:
        reference = reference_of(subject, reference)  # complain before it is asked for minima

    def preparing(fraction: float) -> None:
        show(0.0, f"reference minima: {100 * fraction:.0f} %")

    def warn(structures: Sequence[Atoms], n_minima: Sequence[int]) -> None:
        show(0.0, "what the reference will cost")
        labels = [n_labels if isinstance(n_labels, int) else n_labels(atoms) for atoms in structures]
        rests = [n + n_rests for n in n_minima]
        _say_cost(asked, reference or subject.level_of_theory, structures, labels, rests)

    if asked.molecules is not None:
        cases = _user_cases(asked, asked.molecules, subject, reference, preparing, warn)
        name, task = "user", None
    else:
        task = _task_of(asked.task, subject, asked.called)
        folder = _frames_folder(asked.frames, subject.folder, subject.level_of_theory)
        cases = _task_cases(asked, task, folder, subject, n_frames, reference, preparing, warn, compute_minima)
        name = task.name
    return Question(subject, name, cases, definition=task)


def model_arguments(given: Sequence[str]) -> dict[str, Any]:
    """Return the values of NAME=VALUE by name: read as JSON, as text where they are none.

    Raises
    ------
    UserError
        For one without a name, or a name given twice.
    """
    from gmd26_md.errors import UserError

    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(
                f"--model-arg {text!r} is not of the form NAME=VALUE; write --model-arg size=3, for example."
            )
        if name in found:
            raise UserError(f"--model-arg {name} is given twice; give it once.")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _with_level(subject: Subject, stated: str | None, reference: str | None) -> Subject:
    """Return the subject with the level of theory of its training: its own, else as stated, else the reference's."""
    from gmd26_md.errors import UserError
    from gmd26_md.question import reference_of

    own = subject.level_of_theory
    if own and stated and stated != own:
        raise UserError(
            f"{subject.name} says that it was trained on {own}, not on {stated}; leave out --level-of-theory."
        )
    if own:
        return subject
    return replace(subject, level_of_theory=stated or reference_of(subject, reference))


def _say_cost(
    asked: Asked, reference: str, structures: Sequence[Atoms], n_labels: Sequence[int], n_minima: Sequence[int]
) -> None:
    """Say on the standard error what an expensive reference will cost."""
    from gmd26_md.reference.cost import estimate

    words = estimate(reference, structures, n_labels, n_minima=n_minima).words
    if words and not asked.quiet:
        click.echo(words, err=True)


def _user_cases(
    asked: Asked,
    path: Path,
    subject: Subject,
    reference: str | None,
    preparing: Callable[[float], None],
    warn: Callable[[Sequence[Atoms], Sequence[int]], None],
) -> list[Case]:
    from gmd26_md.errors import UserError
    from gmd26_md.protocols.cases import cases_of_file
    from gmd26_md.structure_files import read_structures

    if asked.task is not None or asked.only or asked.frames is not None:
        raise UserError("--molecules stands alone; leave out --task, --only and --frames, which choose from a task.")
    structures = read_structures(path)
    _refuse_foreign(asked, subject, [(str(atoms.info["name"]), atoms) for atoms in structures])
    warn(structures, [1] * len(structures))
    return cases_of_file(path, reference or subject.level_of_theory, on_progress=preparing)


def _task_cases(
    asked: Asked,
    task: Task,
    folder: Path | None,
    subject: Subject,
    n_frames: int | None,
    reference: str | None,
    preparing: Callable[[float], None],
    warn: Callable[[Sequence[Atoms], Sequence[int]], None],
    compute_minima: bool,
) -> list[Case]:
    from gmd26_md.protocols.cases import cases_of_task, has_minimum

    only = {found.name: found for found in map(task.find, asked.only)}  # "acetic acid" twice is once
    chosen = list(only.values()) or list(task.tested)
    structures = [m.atoms() for m in chosen]
    _refuse_foreign(asked, subject, [(m.name, atoms) for m, atoms in zip(chosen, structures, strict=True)])
    level = subject.level_of_theory
    warn(structures, [int(compute_minima and not has_minimum(folder, reference or level, m)) for m in chosen])
    return cases_of_task(
        task,
        folder,
        level,
        reference=reference or level,
        n_frames=n_frames,
        only=tuple(only),
        compute_minima=compute_minima,
        on_progress=preparing,
    )


def _refuse_foreign(asked: Asked, subject: Subject, named: Sequence[tuple[str, Atoms]]) -> None:
    """Raise for an element that the model does not know, before the reference spends time on the molecule."""
    from gmd26_md.protocols.cases import Case, refuse_unknown_elements

    if not asked.skip_unsupported:
        bare = [Case(name, "", "", "user", structure=atoms, minimum=None, frames=None) for name, atoms in named]
        refuse_unknown_elements(bare, subject.elements, Path(asked.called).name)


def _task_of(asked: str | None, subject: Subject, model: str) -> Task:
    """Return the task that was asked for, or the one that the model was trained on.

    Only what the user said may be a file: a name in a checkpoint opens none.
    """
    from gmd26_md import tasks
    from gmd26_md.errors import UserError
    from gmd26_md.leakage import refuse_trained_on

    name = asked or subject.task
    if name is None:
        raise UserError(
            f"{model} does not say on which task it was trained; name one with --task, or give --molecules."
        )
    if asked is None and name not in tasks.TASKS:
        raise UserError(
            f"{model} was trained on {name}, which is no task of the benchmark; name its file with --task, or give "
            "--molecules."
        )
    task = tasks.get(name) if asked else tasks.named(name)
    refuse_trained_on(task, subject.trained_on, model)
    return task


def say_warnings(task: Task) -> None:
    """Say on the standard error what is allowed in a task of one's own and may surprise."""
    for words in task.warnings:
        click.echo(f"{task.name}: {words}", err=True)


def _frames_folder(asked: Path | None, beside: Path | None, level: str) -> Path | None:
    """Return the folder with reference frames: as asked, beside the checkpoint, or ./data."""
    from gmd26_md.errors import UserError

    if asked is not None:
        if not (asked / level).is_dir():
            raise UserError(
                f"{asked} has no folder {level} with reference frames; make it with 'gmd26-md data generate'."
            )
        return asked
    candidates = [beside / "frames"] if beside is not None else []
    candidates.append(Path("data"))
    return next((c for c in candidates if (c / level).is_dir()), None)


def open_folder(
    asked: Asked, question: Question, protocol: str, settings: dict[str, Any], beside: Mapping[str, Any] | None = None
) -> RunFolder:
    """Open the run folder of a question; by default runs/<protocol>-<model>-<task>. No other process writes there.

    `beside` is what else was asked for and may differ when the folder is gone on with; JSON-safe.
    """
    from gmd26_md.commands.asked_again import words_of
    from gmd26_md.run_folder import open_run_folder

    path = asked.out or Path("runs") / f"{protocol}-{question.subject.name}-{question.task}"
    return open_run_folder(path, question.content(protocol, settings), words_of(asked) | dict(beside or {}))


def finish(asked: Asked, question: Question, folder: RunFolder) -> dict[str, Any]:
    """Write summary and table, print one of them, and return the summary."""
    from gmd26_md import strict_json
    from gmd26_md.report.summary import summarise
    from gmd26_md.report.summary_forms import summaries_written
    from gmd26_md.report.tables import render

    about = {"level_of_theory": question.subject.level_of_theory, "training": dict(question.subject.training)}
    summary = summarise(folder.records(), folder.static_tables(), _composition(question)) | about
    folder.write_summary(summary, render(summary))
    if asked.as_json:
        click.echo(strict_json.dumps(summary))
    elif not asked.quiet:
        click.echo(summaries_written([summary], asked.form, width=width(), colour=colour()))
        if asked.form == "text":
            click.echo(f"everything is in {folder.path}")
    return summary


def _composition(question: Question) -> dict[str, Any] | None:
    """Say whether the task's training compositions pin the energies of its unseen molecules, where that matters."""
    if question.task == "user" or all(case.frames is None for case in question.cases):
        return None
    from gmd26_md import tasks
    from gmd26_md.datasets.composition import composition_report

    return composition_report(question.definition or tasks.named(question.task))
