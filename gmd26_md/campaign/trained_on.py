"""What trained a checkpoint of ours, read from its card alone: plans ask this of all models, and torch takes seconds.

The card is a text in the pickle of the archive; texts are read, nothing is unpickled. What a unit itself refuses by,
`protocols.subject`, opens the file as a whole and has the last word.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from gmd26_md import strict_json
from gmd26_md.calculators import provenance
from gmd26_md.calculators.pickle_scan import words_of

_FORMAT = "gmd26-md-checkpoint"  # `checkpoint_file.FORMAT`, which imports torch


def trained_on(model: str | Path) -> tuple[tuple[str, str], ...]:
    """Return the names of the molecules that trained a checkpoint of ours, each with its constitution or "".

    As `protocols.subject.trained_on`: empty for any other model, and for a file that is damaged or not there.
    """
    texts = _texts(Path(model))
    if _FORMAT not in texts:
        return ()
    training = _training(texts)
    if training is None:  # ours, and written in a way that is not known here: not to be guessed at
        from gmd26_md.protocols import subject

        return subject.trained_on(model)
    return provenance.trained_on(training)


def _texts(path: Path) -> list[str]:
    """Return the texts in the one pickle of an archive, in order; none of any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = [record for record in archive.infolist() if record.filename.lower().endswith("/data.pkl")]
            if len(records) != 1 or records[0].compress_type != zipfile.ZIP_STORED:  # torch packs none
                return []
            return words_of(archive.read(records[0]))[1]
    except Exception:  # a damaged archive or pickle may raise anything
        return []


def _training(texts: list[str]) -> dict[str, Any] | None:
    """Return what the card says of the training: the text that follows the one "card"; None where that is no card."""
    if texts.count("card") != 1 or texts[-1] == "card":
        return None
    try:
        found = strict_json.decoded(json.loads(texts[texts.index("card") + 1])["training"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, dict) else None
