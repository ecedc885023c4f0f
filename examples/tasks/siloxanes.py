"""Chain extension in another chemistry: siloxanes of one to three Si-O links train, longer chains are unseen.

gmd26-md tasks examples/tasks/siloxanes.py
"""


def siloxane(n_links: int) -> dict[str, str]:
    """Return the entry of Me3Si-O-(SiMe2-O)n-1-SiMe3."""
    smiles = "C[Si](C)(C)O" + "[Si](C)(C)O" * (n_links - 1) + "[Si](C)(C)C"
    return {"smiles": smiles, "name": f"siloxane-{n_links}", "family": "siloxanes"}


def task() -> dict[str, object]:
    """Return the task, in the shape of a YAML file."""
    return {
        "name": "siloxanes",
        "note": "longer chains of known -Si-O- links",
        "train": [siloxane(n) for n in (1, 2, 3)],
        "ood": [siloxane(n) for n in (4, 5)],
    }
