"""What a model's file is called in reports, and which molecules its training names; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NAMED_BY_TRAINING = ("best.pt", "last.pt")


def name_of_file(path: Path) -> str:
    """Return what reports call a model's file: its stem, or the folder's name where training named it best or last."""
    if path.name not in _NAMED_BY_TRAINING:
        return path.stem
    folder = path.resolve().parent.name
    return folder if path.stem == "best" else f"{folder}-{path.stem}"


def trained_on(training: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the names of the molecules that a checkpoint's training names, each with its constitution or ""."""
    names, graphs = training.get("molecules", []), training.get("constitutions", [])
    if not (isinstance(names, list) and isinstance(graphs, list)):
        return ()
    told = graphs if len(graphs) == len(names) else [""] * len(names)
    return tuple((str(name), str(graph)) for name, graph in zip(names, told, strict=True))
