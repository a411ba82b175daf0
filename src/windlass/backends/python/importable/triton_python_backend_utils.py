"""The module of that name, where a model's code is imported without a server: by processes that a model starts."""

import sys

from windlass.backends.python import triton_python_backend_utils

sys.modules[__name__] = triton_python_backend_utils
