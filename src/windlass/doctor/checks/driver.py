"""The NVIDIA driver: loaded, of one version, reachable from here, and answering."""

from collections.abc import Callable

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine
from windlass.doctor.nvidia import Nvidia, look, shown

NAME = "driver"
LOOKS_AT = "the NVIDIA driver: loaded, of one version, its devices there and permitted, its library answering"

_INSTALL = "sudo apt install nvidia-driver-580-server && sudo reboot   # or your distribution's driver, 580 or newer"
_KERNEL = "sudo dmesg | grep -iE 'nvrm|xid'   # says why"
_NODES = "sudo nvidia-modprobe -u -c=0"
_WITH_GPUS = "docker run --gpus all ...   # Compose and Kubernetes: `gpus: 1` of the service in windlass.yaml"

# What the driver's library answers with, and what it means: the sentence, and what to type.
_STATUS = {
    2: ("the GPU's memory is full", "nvidia-smi   # shows who has it"),
    34: ("a stub of the driver's library is found before the real one", "unset LD_LIBRARY_PATH   # or take stubs out"),
    46: (
        "the GPU is taken: in exclusive mode, or by another's MPS",
        "sudo nvidia-smi --compute-mode=DEFAULT   # nvidia-smi shows who has it",
    ),
    100: ("the driver finds no GPU", "nvidia-smi   # and `dmesg | grep -i nvrm`, which says what a GPU fell over"),
    802: (
        "the GPUs' switches are not set up",
        "sudo systemctl enable --now nvidia-fabricmanager   # of the driver's very version",
    ),
    803: (
        "the driver and its library are of different versions",
        "unset LD_LIBRARY_PATH   # or install the library of the driver's version; after an update: sudo reboot",
    ),
    804: (
        "libraries for newer CUDA on an older driver work on data centre GPUs only",
        "rm -r /usr/local/cuda/compat   # in the image; or update the driver",
    ),
    999: (
        "the driver's part for computing has failed, as it does after a suspend",
        "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm   # else a restart",
    ),
}


def gather(machine: Machine) -> Nvidia:
    """Look at everything of NVIDIA."""
    return look(machine)


def judge(facts: Nvidia) -> list[Diagnosis]:
    """Tell the first reason why no GPU can be used; what comes after follows from it."""
    if not facts.present:
        return [Diagnosis(NAME, "ok", "no NVIDIA GPU is here: models run on the processor")]
    if facts.devices:
        return [_fine(facts)]
    return [next(found for rule in _RULES if (found := rule(facts)))]


def _fine(facts: Nvidia) -> Diagnosis:
    names = [f"{one['name']} ({shown(tuple(one['capability']))})" for one in facts.devices]
    what = f"driver {facts.driver or 'unknown'} knows CUDA {shown(facts.speaks)}"
    return Diagnosis(NAME, "ok", what, ", ".join(names))


def _hung(facts: Nvidia) -> Diagnosis | None:
    if facts.cuda_state == "found":
        return None
    found = f"asking it: {facts.cuda_state}; {_smi(facts)}"
    return _error("the driver does not answer", found, f"{_KERNEL}; then sudo reboot")


def _mismatch(facts: Nvidia) -> Diagnosis | None:
    if "version mismatch" not in _smi(facts).lower():
        return None
    return _error("the driver was updated, and its old module is still loaded", _smi(facts), "sudo reboot")


def _not_loaded(facts: Nvidia) -> Diagnosis | None:
    if facts.module or not facts.cards or facts.nodes:
        return None
    if facts.nouveau:
        forbid = "echo 'blacklist nouveau' | sudo tee /etc/modprobe.d/no-nouveau.conf && sudo update-initramfs -u"
        found = f"{facts.cards} GPU(s) on the bus"
        return _error("`nouveau` has the GPU, and cannot compute with it", found, f"{forbid} && {_INSTALL}")
    return _error("no NVIDIA driver is loaded", f"{facts.cards} GPU(s) on the bus; {_smi(facts)}", _INSTALL)


def _no_nodes(facts: Nvidia) -> Diagnosis | None:
    if any(name.removeprefix("nvidia").isdigit() for name in facts.nodes):
        return None
    found = f"driver {facts.driver or 'unknown'} is loaded, and there is no /dev/nvidia0"
    if facts.contained:
        return _error("this container was started without GPUs", found, _WITH_GPUS)
    return _error("the driver's devices are missing", found, _NODES)


def _closed(facts: Nvidia) -> Diagnosis | None:
    if not facts.closed:
        return None
    found = ", ".join(f"/dev/{name}" for name in facts.closed)
    return _error("this user may not open the GPU", found, "sudo usermod -aG video,render $USER   # and log in again")


def _no_uvm(facts: Nvidia) -> Diagnosis | None:
    if "nvidia-uvm" in facts.nodes:
        return None
    remedy = _WITH_GPUS if facts.contained else _NODES
    return _error("the device for computing is missing", "no /dev/nvidia-uvm", remedy)


def _no_library(facts: Nvidia) -> Diagnosis | None:
    if facts.cuda.get("library"):
        return None
    remedy = (
        "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ..."
        if facts.contained
        else "sudo apt install libnvidia-compute-580-server   # of the driver's very version; then sudo ldconfig"
    )
    return _error("the driver's library cannot be loaded", str(facts.cuda.get("said", "no libcuda.so.1")), remedy)


def _status(facts: Nvidia) -> Diagnosis:
    status = int(facts.cuda.get("status", 100)) or 100
    what, remedy = _STATUS.get(status, ("the driver cannot be started", _KERNEL))
    return _error(what, f"cuInit answers {status}; {_smi(facts)}", remedy)


def _smi(facts: Nvidia) -> str:
    if facts.smi is None:
        return "no nvidia-smi"
    lines = facts.smi.text.strip().splitlines()
    return lines[0] if facts.smi.status and lines else "nvidia-smi answers"


def _error(what: str, found: str, remedy: str) -> Diagnosis:
    return Diagnosis(NAME, "error", what, found, remedy)


_RULES: tuple[Callable[[Nvidia], Diagnosis | None], ...] = (
    _mismatch,
    _not_loaded,
    _no_nodes,
    _closed,
    _no_uvm,
    _hung,
    _no_library,
    _status,
)
