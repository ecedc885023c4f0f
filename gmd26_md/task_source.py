"""The two files that a task of one's own may be: what they hold, not yet understood."""

from __future__ import annotations

import runpy
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmd26_md.errors import UserError

if TYPE_CHECKING:
    import yaml


def from_yaml(path: Path) -> Any:
    """Return what a YAML file holds; nothing of it is executed.

    Read by PyYAML's safe loader, the common reader of the format. It lets a key that stands twice pass, and the last
    one win, which is refused here; so are keys that are no plain words.

    Raises
    ------
    UserError
        If it does not parse, with the line, or is nested deeper than can be read.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_double_keys(root, path)
        return yaml.load(text, Loader=_loader())
    except UnicodeDecodeError as problem:
        raise UserError(
            f"{path} is not text in UTF-8 ({problem.reason} at byte {problem.start}); save it so."
        ) from problem
    except yaml.YAMLError as problem:
        raise UserError(f"{path} does not parse as YAML ({_told(problem)}){_cure(problem, text)}.") from problem
    except RecursionError as problem:
        raise UserError(f"{path} is nested too deeply to be read; a task needs lists of molecules only.") from problem


def _loader() -> type[yaml.SafeLoader]:
    """Return the safe loader, which says of a value that it cannot make where it stands, as of any other fault."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as problem:
                # of 2024-13-45 the day, of !!int abc the number: the loader lets through what Python says
                words = f"{str(node.value)[:40]!r} cannot be read as {node.tag.rsplit(':', 1)[-1]}: {_told(problem)}"
                raise yaml.constructor.ConstructorError(problem=words, problem_mark=node.start_mark) from problem

    return Loader


def _cure(problem: yaml.YAMLError, text: str) -> str:
    """Return advice: on values, and where the line of the fault or the one before may hold a SMILES with brackets."""
    import yaml

    if isinstance(problem, yaml.constructor.ConstructorError):
        return "; put what is text in quotes"
    mark = getattr(problem, "problem_mark", None)
    near = text.splitlines()[max(0, mark.line - 1) : mark.line + 1] if mark is not None else []
    return "; SMILES with brackets need quotes" if any("[" in line and "smiles" in line for line in near) else ""


def _refuse_double_keys(root: Any, path: Path) -> None:
    import yaml

    waiting, met = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in met:  # an alias may lead back to where it stands
            continue
        met.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{path}, line {line}: a key that is a list or a mapping; write a word before the ':'.")
            if key.value in seen:
                raise UserError(f"{path}, line {line}: the key {key.value!r} stands there twice; keep one.")
            seen.add(str(key.value))
            waiting.append(value)


def from_python(path: Path) -> Any:
    """Run a Python file and return what its function `task` returns; it may import what lies beside it.

    Raises
    ------
    UserError
        If it has no such function, or raises.
    """
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with redirect_stdout(sys.stderr):  # ours may be JSON
            function = runpy.run_path(str(path), run_name="gmd26_md_task").get("task")
            if not callable(function):
                raise UserError(f"{path} has no function 'task'; define one that returns a task or a dict.")
            return function()
    except UserError:
        raise
    except (Exception, SystemExit) as problem:  # anybody's code may raise anything
        raise UserError(f"{path} raises {type(problem).__name__}: {_told(problem)}; correct it.") from problem
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def _told(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200]
