"""Files of tensors, whole or absent, that a full disk answers with an OSError."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from gmd26_md.files import written_whole


def save_whole(content: Any, path: Path) -> None:
    """Write `content` as `torch.save` does, aside, synced and renamed.

    It is put together in memory first: writing to a path itself, torch turns a full disk into a RuntimeError.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with written_whole(path) as aside:
        aside.write_bytes(buffer.getbuffer())
