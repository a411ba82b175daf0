"""The machine that this test runs on."""

import os
import platform

from windlass.report import Machine


def test_the_machine_is_described():
    here = Machine.here()

    assert here.cpu and 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.memory_bytes > 256 << 20 and here.load >= 0
    assert here.kernel == platform.release() and here.python == platform.python_version()
