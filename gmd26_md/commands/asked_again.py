"""How a command was told its model and molecules, kept in the run folder so that a run of it can be asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmd26_md.commands.common import Asked


def words_of(asked: Asked) -> dict[str, Any]:
    """Return the options that name model and molecules; JSON-safe.

    Returns
    -------
    words
        As on a command line, files by their absolute paths.
    files
        SHA-256 of each file among them, by path.
    folder
        Where the command was given, if that may matter: a function of the user's may look for files there.
    """
    from gmd26_md.calculators import families, named_function
    from gmd26_md.files import sha256_of
    from gmd26_md.tasks import TASKS

    words: list[str] = []
    paths: list[Path] = []
    functions = [model for model in asked.model if named_function.is_function(model)]
    for model in asked.model:
        name = model if families.is_engine(model) else str(Path(model).absolute())
        name = named_function.full_function(model) if model in functions else name
        words += ["--model", name]
        paths.append(Path(name.rpartition(":")[0] if model in functions else name))
    for argument in asked.model_args:
        words += ["--model-arg", argument]
        paths.append(Path(argument.partition("=")[2].strip('"')).absolute())
    words += ["--trust-pickle"] * asked.trust_pickle + ["--skip-unsupported"] * asked.skip_unsupported
    if asked.level_of_theory is not None:
        words += ["--level-of-theory", asked.level_of_theory]
    if asked.task is not None:
        of_a_file = asked.task not in TASKS and Path(asked.task).is_file()
        words += ["--task", str(Path(asked.task).absolute()) if of_a_file else asked.task]
    for option, path in (("--frames", asked.frames), ("--molecules", asked.molecules)):
        words += [] if path is None else [option, str(path.absolute())]
    paths += [Path(word) for word in words]
    return {
        "words": words,
        "files": {str(path): sha256_of(path) for path in paths if path.is_absolute() and path.is_file()},
        "folder": str(Path.cwd()) if functions else "",
    }
