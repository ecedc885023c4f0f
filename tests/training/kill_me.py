"""Run as a script: train the toy world, in a process that a test may kill."""

import json
import sys

import torch

from gmd26_md import tasks
from gmd26_md.tasks import Task
from gmd26_md.training.recipe import recipe_from_dict
from gmd26_md.training.train import train


def main(recipe: str, data: str, out: str) -> None:
    torch.set_num_threads(1)
    task = tasks.get("duplication")
    train(
        Task(task.name, task.note, task.train[:2], task.ood),
        recipe_from_dict(json.loads(recipe)),
        data,
        out,
        device="cpu",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
