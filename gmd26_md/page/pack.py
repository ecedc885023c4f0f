"""Data inside a page: JSON, compressed, in letters that no markup can break out of."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any


def packed(content: Any) -> str:
    """Return JSON-safe content, gzipped and in base64: `page.js` reads it. Equal content gives equal text."""
    return packed_text(json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")))


def packed_text(text: str) -> str:
    """Return a text, gzipped and in base64."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode("ascii")
