"""Labels on disk as they are made: one line each, appended and synced, so that a kill loses what was being computed.

A journal belongs to one stage of one molecule at one level, and is removed when that stage is written.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md import strict_json
from gmd26_md.errors import UserError


@dataclass(frozen=True, eq=False)
class Answer:
    """What the reference said of one geometry.

    Attributes
    ----------
    energy
        eV; NaN where the reference failed.
    forces
        (n_atoms, 3), eV/Å; NaN where the reference failed.
    problem
        Why it failed; empty where it did not.
    """

    energy: float
    forces: np.ndarray
    problem: str = ""


class Journal:
    """The answers to geometries of one molecule, by their positions, in a file that grows.

    Every number comes back exactly. A line that a kill cut short is dropped.

    Parameters
    ----------
    path
        The file; it need not be there yet.
    content
        What the answers depend on beside the positions: reference, options, versions. JSON-safe.

    Raises
    ------
    UserError
        If the file was begun with other content: labels of two kinds are not mixed.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = Path(path)
        self._content = strict_json.encoded(content)
        self._answers: dict[str, Answer] = {}
        lines = self._whole_lines()
        self._begun = bool(lines)
        if not lines:
            return
        begun_with = json.loads(lines[0])
        if begun_with != self._content:
            key = next((k for k in self._content if begun_with.get(k) != self._content[k]), "content")
            raise UserError(
                f"the labels in {self.path} were begun with {key}={begun_with.get(key)}, here is "
                f"{key}={self._content.get(key)}; go on as they were begun, or delete that file to make them again."
            )
        for line in lines[1:]:
            found = strict_json.decoded(json.loads(line))
            forces = np.array(found["forces"], dtype=np.float64)
            self._answers[found["geometry"]] = Answer(found["energy"], forces, found["problem"])

    def __len__(self) -> int:
        """How many geometries have an answer."""
        return len(self._answers)

    def get(self, positions: np.ndarray) -> Answer | None:
        """Return the answer to these very positions, (n_atoms, 3), Å; None if there is none yet."""
        return self._answers.get(_key(positions))

    def add(self, positions: np.ndarray, answer: Answer) -> None:
        """Keep an answer, on disk when this returns."""
        if not self._begun:
            self._append(self._content)
            self._begun = True
        entry = {"geometry": _key(positions), "energy": answer.energy, "forces": answer.forces}
        self._append(entry | {"problem": answer.problem})
        self._answers[_key(positions)] = answer

    def remove(self) -> None:
        """Delete the file: the answers are kept elsewhere."""
        self.path.unlink(missing_ok=True)

    def _whole_lines(self) -> list[str]:
        """Return the lines that are whole, and cut off what follows them: the next one would be glued to it."""
        if not self.path.is_file():
            return []
        written = self.path.read_bytes()
        whole = written.rfind(b"\n") + 1
        if whole < len(written):
            os.truncate(self.path, whole)
        return written[:whole].decode().splitlines()

    def _append(self, entry: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(strict_json.dumps(entry) + "\n")
            handle.flush()
            os.fsync(handle.fileno())


def _key(positions: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(positions, dtype=np.float64).tobytes()).hexdigest()[:32]
