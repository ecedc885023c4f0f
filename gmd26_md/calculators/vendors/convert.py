"""A model file of another package as a checkpoint of ours, which says what the original says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmd26_md.calculators import checkpoint_file
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.errors import UserError


def converted(
    path: Path,
    *,
    trust_pickle: bool = False,
    arguments: Mapping[str, Any] | None = None,
    level_of_theory: str = "",
    task: str = "",
) -> Checkpoint:
    """Return a trusted model file of another package as a checkpoint, which was held against the original.

    Parameters
    ----------
    trust_pickle, arguments
        See `open_model_file`.
    level_of_theory, task
        What it was trained on, as far as is known.

    Raises
    ------
    UserError
        For what `open_model_file` refuses; if it is a checkpoint already; or if it cannot be said as one of ours.
    """
    opened = open_model_file(path, trust_pickle=trust_pickle, arguments=arguments)
    if isinstance(opened, Checkpoint):
        raise UserError(f"{path} is a checkpoint of ours already; nothing is to be converted.")
    if opened.checkpoint is None:
        raise UserError(
            f"{path} cannot be converted: {opened.why_whole}. It runs as a whole, with --trust-pickle in place of a "
            "conversion."
        )
    origin = {
        "file": path.name,
        "kind": opened.kind,
        "sha256": hashlib.sha256(checkpoint_file.bytes_of(path)).hexdigest(),
        "arguments": dict(arguments or {}),
    }
    return replace(
        opened.checkpoint,
        level_of_theory=level_of_theory,
        task=task,
        training={**opened.checkpoint.training, "converted_from": origin},
    )
