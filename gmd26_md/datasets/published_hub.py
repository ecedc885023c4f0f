"""The published set through the hub's own client, where that is installed and the user asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gmd26_md.errors import UserError

PREFIX = "hub:"
_DATA = "data/"  # the hub's listing of AmirMasoud/GMD has data, trained_models and a README


@dataclass(frozen=True)
class Listing:
    """What a repository holds under data/: files, their size, and how many of each ending."""

    n_files: int
    n_bytes: int
    endings: dict[str, int]
    revision: str


def repository_of(source: str) -> str | None:
    """Return "OWNER/NAME" of "hub:OWNER/NAME", or None for a folder.

    Raises
    ------
    UserError
        If the name is not of that form.
    """
    if not source.startswith(PREFIX):
        return None
    name = source.removeprefix(PREFIX)
    if name.count("/") != 1 or not all(part and part.strip(".") == part for part in name.split("/")):
        raise UserError(f"{source!r} names no repository; write hub:OWNER/NAME, as hub:AmirMasoud/GMD.")
    return name


def listing(repository: str, revision: str | None = None) -> Listing:
    """Return what the repository has under data/, without fetching it."""
    client = _client()
    try:
        about = client.HfApi().dataset_info(repository, revision=revision, files_metadata=True)
    except Exception as problem:  # its transport's own errors too, and those differ from version to version
        raise _unreachable(repository, problem) from problem
    files = [entry for entry in about.siblings or [] if entry.rfilename.startswith(_DATA)]
    endings = Counter(PurePosixPath(entry.rfilename).suffix or "(none)" for entry in files)
    size = sum(entry.size or 0 for entry in files)
    return Listing(len(files), size, dict(endings.most_common()), str(about.sha))


def fetch(repository: str, revision: str, folder: Path | None = None) -> Path:
    """Fetch the data files of a revision, without the trained models, and return the folder they are in.

    What was fetched before is not fetched again: that is the client's own doing, and so is its cache where `folder`
    is None.
    """
    client = _client()
    where = {} if folder is None else {"local_dir": str(folder)}
    try:
        found = client.snapshot_download(
            repository, repo_type="dataset", revision=revision, allow_patterns=[f"{_DATA}*"], **where
        )
    except Exception as problem:  # its transport's own errors too, and those differ from version to version
        raise _unreachable(repository, problem) from problem
    return Path(found)


def _client() -> Any:
    try:
        import huggingface_hub  # type: ignore[import-not-found, unused-ignore]
    except ImportError as problem:
        raise UserError(
            "hub: needs the package huggingface_hub, which is not here: `pip install huggingface_hub`; or fetch the "
            "data in another way, and give the folder."
        ) from problem
    return huggingface_hub


def _unreachable(repository: str, problem: Exception) -> UserError:
    why = (f"{problem}".strip().splitlines() or [type(problem).__name__])[0]
    return UserError(f"cannot get {repository} from the hub ({why}); check name and network, or give a folder.")
