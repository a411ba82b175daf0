"""A program: asks a framework, or the CUDA driver, what it is and what it finds, and writes that as one line of JSON.

It runs in a process of its own (``python probe.py torch``), which a broken driver may hang or kill; so it needs
nothing of windlass, and judges nothing.
"""

import ctypes
import json
import os
import sys
import warnings
from importlib import metadata
from pathlib import Path


def cuda() -> dict[str, object]:
    """Ask the driver's library. All devices: which of them a process may see is another question."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return {"library": False, "said": str(error)}
    status, version = driver.cuInit(0), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    found: dict[str, object] = {"library": True, "status": status, "version": version.value, "devices": []}
    if status == 0:
        count = ctypes.c_int()
        driver.cuDeviceGetCount(ctypes.byref(count))
        found["devices"] = [_device(driver, number) for number in range(count.value)]
    return found


def _device(driver: ctypes.CDLL, number: int) -> dict[str, object]:
    device, name, identity = ctypes.c_int(), ctypes.create_string_buffer(100), (ctypes.c_ubyte * 16)()
    driver.cuDeviceGet(ctypes.byref(device), number)
    driver.cuDeviceGetName(name, 100, device)
    driver.cuDeviceGetUuid(identity, device)
    capability = []
    # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    for attribute in (75, 76):
        value = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    text = bytes(identity).hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return {"name": name.value.decode(), "capability": capability, "uuid": f"GPU-{'-'.join(parts)}"}


def torch() -> dict[str, object]:
    """Ask PyTorch, and keep what it says when it finds no GPU."""
    import torch as framework

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = framework.cuda.is_available()
    found: dict[str, object] = {
        "version": framework.__version__,
        "cuda": framework.version.cuda,
        "rocm": framework.version.hip,
        "available": available,
        "said": " ".join(str(warning.message) for warning in said),
        "architectures": framework.cuda.get_arch_list() if available else [],
        "devices": [],
    }
    if available:
        numbers = range(framework.cuda.device_count())
        found["devices"] = [
            {
                "name": framework.cuda.get_device_name(number),
                "capability": list(framework.cuda.get_device_capability(number)),
            }
            for number in numbers
        ]
    return found


def onnxruntime() -> dict[str, object]:
    """Ask ONNX Runtime, and whether the library of its CUDA provider finds what it needs."""
    import onnxruntime as framework

    folder = Path(framework.__file__).parent / "capi"
    said = ""
    if (folder / "libonnxruntime_providers_cuda.so").exists():
        try:
            ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
            ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
        except OSError as error:
            said = str(error)
    names = {str(found.metadata["Name"]).lower() for found in metadata.distributions()}
    return {
        "version": framework.__version__,
        "cuda": str(getattr(framework, "cuda_version", "") or ""),
        "providers": framework.get_available_providers(),
        "packages": sorted(name for name in names if name.startswith("onnxruntime")),
        "said": said,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"cuda": cuda, "torch": torch, "onnxruntime": onnxruntime}[sys.argv[1]]()) + "\n")
