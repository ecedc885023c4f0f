"""The bytes of a checkpoint file: written whole, and read without executing anything that is in them.

The file is `torch.save` of {"format", "version", "card" (JSON text), "state_dict" (name to tensor)}. Before torch
unpickles it, the pickle inside is scanned for every name it would import, and refused unless all of them belong to
plain tensors. `weights_only=True` is passed explicitly as well. Neither depends on the environment: importing mace
sets `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`, which turns safe loading off wherever `weights_only` is left out.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gmd26_md.calculators.pickle_scan import imports_of
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import written_whole

FORMAT = "gmd26-md-checkpoint"
VERSION = 1

_CURE = "give a file written by `gmd26-md train`"
_BARE = "a pickle (nothing in it was run)"
PLAIN = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"} | {
    f"torch {kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}
_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x80", _BARE),
)


@dataclass(frozen=True)
class Contents:
    """What a checkpoint file holds: the card as JSON text, the weights on the CPU, the file's SHA-256."""

    card: str
    state_dict: dict[str, Tensor]
    sha256: str


def write(path: Path, card: str, state_dict: dict[str, Tensor]) -> str:
    """Write a checkpoint file, whole or not at all, and return its SHA-256: equal content gives equal bytes."""
    plain = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in state_dict.items()}
    buffer = io.BytesIO()  # saved to a named file, the temporary name would be among the bytes
    torch.save({"format": FORMAT, "version": VERSION, "card": card, "state_dict": plain}, buffer)
    with written_whole(path) as aside:
        aside.write_bytes(buffer.getbuffer())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def read(path: Path) -> Contents:
    """Read a checkpoint file without executing anything in it.

    Raises
    ------
    UserError
        If the path is no file, or the file is no checkpoint, is damaged, or is of a newer format.
    """
    content = bytes_of(path)
    sound = checked_archive(path, content)
    try:
        payload = torch.load(sound, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged and cannot be read ({reason}); copy or train it again.") from error
    _check_payload(path, payload)
    return Contents(payload["card"], payload["state_dict"], hashlib.sha256(content).hexdigest())


def bytes_of(path: Path) -> bytes:
    """Return a model file's bytes.

    Raises
    ------
    UserError
        If the path is no file, or cannot be read.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a checkpoint; {_CURE}.")
    if not path.exists():
        raise no_such_file(path)
    if not path.is_file():
        raise UserError(f"{path} is a device or a pipe, not a checkpoint; {_CURE}.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def no_such_file(path: Path) -> UserError:
    """Return the error for a missing file, with the closest name in its folder."""
    if not path.parent.is_dir():
        return UserError(f"{path} does not exist, nor does its folder; {_CURE}.")
    siblings = [p.name for p in path.parent.iterdir() if p.is_file() and p.suffix in {".pt", path.suffix}]
    if not siblings:
        return UserError(f"{path} does not exist, and {path.parent} has no checkpoints; {_CURE}.")
    close = unknown_name(f"checkpoint in {path.parent}:", path.name, siblings)
    return UserError(f"{path} does not exist; {close}")


def checked_archive(path: Path, content: bytes) -> io.BytesIO:
    """Return a fresh archive of the same records, or raise unless they are undamaged and nothing but plain tensors.

    torch's own reader compares no checksums, and where an archive contradicts itself it may see other records than
    were checked here (or memory that nobody wrote). So it is given a new archive, of the very bytes that were checked.
    """
    if not content.startswith(b"PK"):
        kind = _kind_of(content)
        of_old = "; if torch.save of old wrote it, load it where it was made and save it anew" if kind == _BARE else ""
        raise UserError(f"{path} is not a gmd26-md checkpoint: it is {kind}; {_CURE}{of_old}.")
    sound = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(sound, "w") as fresh:
            _check_pickle(path, archive)
            for name in archive.namelist():
                fresh.writestr(name, archive.read(name))  # read compares the record with its checksum
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, IndexError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}); copy or train it again.") from error
    sound.seek(0)
    return sound


def _check_pickle(path: Path, archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    folded = [name.lower() for name in names]  # as torch's reader finds records
    pickles = [name for name in names if name.lower().endswith("/data.pkl")]
    packed = any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist())  # torch never does
    script = any(name.endswith("/constants.pkl") for name in folded)
    if len(pickles) != 1 or len(set(folded)) != len(folded) or packed or script:
        raise UserError(f"{path} is not a gmd26-md checkpoint: it is another kind of archive; {_CURE}.")
    imports = dict.fromkeys(imports_of(archive.read(pickles[0])))  # in order: a whole model's own class is first
    foreign = [name for name in imports if name not in PLAIN]
    if foreign:
        shown = ", ".join(name.replace(" ", ".") for name in foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UserError(
            f"{path} is not a gmd26-md checkpoint: it is a pickle that would import and run {shown}; "
            f"nothing in it was run. {_CURE[0].upper()}{_CURE[1:]}; of a model of another package, "
            "its ASE calculator as --model FILE.py:FUNCTION (docs/your-own-model.md)."
        )


def _check_payload(path: Path, payload: Any) -> None:
    """Raise unless the unpickled object is a checkpoint of a format that is known here."""
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise UserError(f"{path} is not a gmd26-md checkpoint: it holds tensors without our card; {_CURE}.")
    version = payload.get("version")
    if not isinstance(version, int) or version < 1:
        raise UserError(f"{path} is damaged: its format version is {version!r}, not a number from 1; train it again.")
    if version > VERSION:
        raise UserError(
            f"{path} has checkpoint format {version}, this gmd26-md reads up to {VERSION}; "
            "upgrade it with `pip install --upgrade gmd26-md`."
        )
    weights = payload.get("state_dict")
    if not isinstance(payload.get("card"), str) or not isinstance(weights, dict):
        raise UserError(f"{path} is damaged: its card or its weights are missing; copy or train it again.")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items()):
        raise UserError(f"{path} is damaged: its weights are not named tensors; copy or train it again.")


def _kind_of(content: bytes) -> str:
    """Say in words what a file is that is no archive."""
    if not content:
        return "empty"
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    head = content[:4096]
    if b"\0" not in head and head.decode("utf-8", errors="ignore").strip():
        return f"a text file that begins with {head.decode('utf-8', errors='replace').splitlines()[0][:40]!r}"
    return "a file of unknown kind"
