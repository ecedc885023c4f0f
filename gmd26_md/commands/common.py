"""What the commands that test a model share: their options, the molecules they name, and the way they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gmd26_md.evaluate import Question
    from gmd26_md.run_folder import RunFolder

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--model", required=True, help="A checkpoint file, or a calculator's name (gfn2-xtb)."),
    click.option("--task", default=None, help="Task whose molecules to run; by default the one it was trained on."),
    click.option("--molecules", type=click.Path(path_type=Path), default=None, help="Your own structures instead."),
    click.option("--only", multiple=True, metavar="NAME", help="Only this molecule of the task; may be repeated."),
    click.option("--frames", type=click.Path(path_type=Path), default=None, help="Folder with reference frames."),
    click.option("--out", type=click.Path(path_type=Path), default=None, help="Run folder; by default under runs/."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
    click.option("--dtype", default="float64", show_default=True, help="float64 or float32."),
    click.option("--engine", default="auto", show_default=True, help="auto, batched or ase."),
    click.option("--skip-unsupported", is_flag=True, help="Record molecules with unknown elements as unsupported."),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    click.option("--quiet", is_flag=True, help="Print nothing but errors."),
)


def model_options(function: F) -> F:
    """Add the options that every command on a model has."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def ask(
    protocol: str,
    *,
    model: str,
    task: str | None,
    molecules: Path | None,
    only: tuple[str, ...],
    frames: Path | None,
    device: str,
    dtype: str,
    engine: str,
    skip_unsupported: bool,
    n_frames: int | None,
    show: Callable[[float, str], None],
) -> Question:
    """Open the model and its molecules."""
    from gmd26_md.errors import UserError
    from gmd26_md.evaluate import Question
    from gmd26_md.protocols.cases import cases_of_file, cases_of_task, refuse_unknown_elements
    from gmd26_md.protocols.subject import open_subject

    subject = open_subject(model, device=device, dtype=dtype, engine=engine)

    def preparing(fraction: float) -> None:
        show(0.0, f"reference minima: {100 * fraction:.0f} %")

    if molecules is not None:
        if task is not None or only:
            raise UserError("--molecules stands alone; leave out --task and --only.")
        cases = cases_of_file(molecules, subject.level_of_theory, on_progress=preparing)
        name = "user"
    else:
        found = _task_of(task, subject.task, model)
        data = _frames_folder(frames, subject.folder, subject.level_of_theory)
        cases = cases_of_task(found, data, subject.level_of_theory, n_frames=n_frames, only=only, on_progress=preparing)
        name = found.name
    if not skip_unsupported:
        refuse_unknown_elements(cases, subject.elements, Path(model).name)
    return Question(subject, name, cases)


def _task_of(asked: str | None, trained: str | None, model: str) -> Any:
    from gmd26_md import tasks
    from gmd26_md.errors import UserError

    name = asked or trained
    if name is None:
        raise UserError(
            f"{model} does not say on which task it was trained; name one with --task, or give --molecules."
        )
    return tasks.get(name)


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


def open_folder(out: Path | None, question: Question, protocol: str, settings: dict[str, Any]) -> RunFolder:
    """Open the run folder of a question; by default runs/<protocol>-<model>-<task>."""
    from gmd26_md.run_folder import open_run_folder

    path = out or Path("runs") / f"{protocol}-{question.subject.name}-{question.task}"
    return open_run_folder(path, question.content(protocol, settings))


def finish(folder: RunFolder, *, as_json: bool, quiet: bool) -> dict[str, Any]:
    """Write summary and table, print one of them, and return the summary."""
    from rich.console import Console

    from gmd26_md import strict_json
    from gmd26_md.report.summary import summarise
    from gmd26_md.report.tables import render

    summary = summarise(folder.records(), folder.static_tables())
    folder.write_summary(summary, render(summary))
    if as_json:
        click.echo(strict_json.dumps(summary))
    elif not quiet:
        console = Console()
        click.echo(render(summary, width=max(console.width, 80), colour=console.is_terminal))
        click.echo(f"everything is in {folder.path}")
    return summary
