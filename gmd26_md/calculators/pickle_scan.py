"""What a pickle would import and which texts it holds, read without unpickling anything."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator

NAMELESS = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}


def imports_of(pickled: bytes) -> Iterator[str]:
    """Yield every "module name" that unpickling would import; an opcode that hides it is yielded by its own name.

    Raises
    ------
    ValueError
        If this is no whole pickle (as `pickletools.genops`; damaged ones may raise other errors too).
    """
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            yield str(argument)
        elif opcode.name in NAMELESS:
            yield opcode.name


def words_of(pickled: bytes) -> tuple[list[str], list[str]]:
    """Return the dotted names that unpickling would import, in order, and all texts in it: to tell what it is.

    Not for safety: of a name that newer protocols put together on the stack, this is a guess (the two texts before).

    Raises
    ------
    ValueError
        As `imports_of`.
    """
    imports: list[str] = []
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            imports.append(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
            imports.append(".".join(texts[-2:]))
        elif isinstance(argument, str):
            texts.append(argument)
    return imports, texts
