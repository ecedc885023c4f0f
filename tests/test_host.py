"""The kind of a host, and the memory of a process."""

from __future__ import annotations

import platform
import socket

import numpy as np

from gmd26_md.host import host_kind, max_rss_MB


def test_the_kind_says_system_and_cores_and_not_the_name() -> None:
    assert host_kind().startswith(f"{platform.system()} {platform.machine()}")
    assert host_kind().endswith("cores")
    assert f"{socket.gethostname()}," not in host_kind()


def test_memory_grows_with_what_is_held() -> None:
    before = max_rss_MB()
    held = np.ones(30_000_000)  # 240 MB
    after = max_rss_MB()
    assert before is not None
    assert after is not None
    assert after >= before
    assert after > held.nbytes / 1e6
