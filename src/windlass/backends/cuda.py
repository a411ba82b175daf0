"""How many CUDA devices there are, without any framework: the driver is asked through its own library."""

import ctypes


def device_count() -> int:
    """Return the number of CUDA devices; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def device_name(device: int) -> str:
    """Return the kind of a CUDA device, of which machine code is made; nothing where there is none."""
    if device >= device_count():
        return ""
    driver, found, name = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.create_string_buffer(100)
    driver.cuDeviceGet(ctypes.byref(found), device)
    driver.cuDeviceGetName(name, 100, found)
    return name.value.decode()
