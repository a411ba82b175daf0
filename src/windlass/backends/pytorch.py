"""PyTorch: TorchScript (``model.pt``) and exported programs (``model.pt2``).

Inputs go to ``forward()`` by the names of its arguments, by ``<anything>__<index>``, or in the order of the
configuration; outputs by ``<anything>__<index>``, by key where the model returns a dictionary, or in order.
"""

import inspect
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.backends.backend import LoadContext, missing
from windlass.backends.placement import Placement, placements
from windlass.config import ModelConfig
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

_PLACE = re.compile(r".+__(\d+)$")


def open(context: LoadContext) -> "TorchModel":  # noqa: A001 - the verb of every backend
    """Read a model's file. Inputs and outputs have to be in the configuration: the file does not tell them."""
    return TorchModel(context)


class TorchModel:
    """A model's file, and how its inputs and outputs are found."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._torch = _torch()
        self._file = context.model_file("model.pt", "model.pt2")
        self.config = context.config
        if not (context.config.input and context.config.output):
            raise BackendError(
                f"unable to load model '{context.model_name}': its config.pbtxt must specify inputs and outputs, "
                "which a PyTorch file does not tell",
                hint="add `input { name: ... data_type: ... dims: ... }` and `output { ... }`",
            )
        if threads := context.whole_number("INTRA_OP_THREAD_COUNT", 0):
            self._torch.set_num_threads(threads)

    def instances(self, config: ModelConfig) -> list["TorchInstance"]:
        """Load the model once for each device; instances of one device share it, since inference changes nothing."""
        cuda = self._torch.cuda
        modules: dict[str, Any] = {}
        made = []
        for place in placements(config, cuda.device_count() if cuda.is_available() else 0):
            device = f"cuda:{place.device}" if place.kind == "GPU" else "cpu"
            if device not in modules:
                modules[device] = self._load(device)
            made.append(TorchInstance(place, modules[device], device, _Binding(config, modules[device])))
        return made

    def _load(self, device: str) -> Any:
        torch, name = self._torch, self._context.model_name
        try:
            with warnings.catch_warnings():
                # PyTorch announces the end of TorchScript at every load; the file is what it is.
                warnings.simplefilter("ignore")
                if _is_exported(self._file):
                    return torch.export.load(str(self._file)).module().to(device)
                return torch.jit.load(str(self._file), map_location=device).eval()
        except Exception as error:  # anything may be in the file
            raise BackendError(f"unable to load model '{name}': failed to load `{self._file}`: {error}") from error


def _is_exported(file: Path) -> bool:
    return file.suffix == ".pt2"


class _Binding:
    """Which input goes where, and which output is found where."""

    def __init__(self, config: ModelConfig, module: Any) -> None:
        names = [input_.name for input_ in config.input]
        arguments = _argument_names(module)
        places = [_PLACE.match(name) for name in names]
        self.keywords: list[str] = []
        if set(names) <= set(arguments):
            self.order = [name for name in arguments if name in names]
            # Arguments that stand at the front can be given in order, which TorchScript requires of some.
            if self.order != arguments[: len(self.order)]:
                self.keywords, self.order = self.order, []
        elif all(places):
            self.order = [name for _, name in sorted(zip((int(p[1]) for p in places if p), names, strict=True))]
        else:
            self.order = names
        outputs = [output.name for output in config.output]
        found = [_PLACE.match(name) for name in outputs]
        self.outputs = {
            name: int(match[1]) if match and all(found) else index
            for index, (name, match) in enumerate(zip(outputs, found, strict=True))
        }


def _argument_names(module: Any) -> list[str]:
    schema = getattr(module.forward, "schema", None)
    if schema is not None:
        return [argument.name for argument in schema.arguments if argument.name != "self"]
    return list(inspect.signature(module.forward).parameters)


class TorchInstance:
    """One instance: a module on a device."""

    per_request = False

    def __init__(self, place: Placement, module: Any, device: str, binding: _Binding) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._module = module
        self._target = device
        self._binding = binding
        self._torch = _torch()

    def execute(self, inputs: dict[str, "np.ndarray[Any, Any]"]) -> Mapping[str, "np.ndarray[Any, Any]"]:
        """Call ``forward()``; other Python threads go on while operators compute."""
        binding = self._binding
        tensors = {name: self._tensor(array) for name, array in inputs.items()}
        try:
            with self._torch.inference_mode():
                result = self._module(
                    *(tensors[name] for name in binding.order),
                    **{name: tensors[name] for name in binding.keywords},
                )
                return self._arrays(result)
        except Exception as error:  # operators raise what they like
            raise BackendError(f"PyTorch execute failure: {error}") from error

    def close(self) -> None:
        """Let go of the module."""
        self._module = None

    def _tensor(self, array: "np.ndarray[Any, Any]") -> Any:
        if array.dtype.kind == "O":
            return [element.decode() for element in array.ravel()]
        if array.dtype.name == "bfloat16":
            return self._torch.from_numpy(array.view("int16")).view(self._torch.bfloat16).to(self._target)
        return self._torch.from_numpy(array).to(self._target)

    def _arrays(self, result: Any) -> dict[str, "np.ndarray[Any, Any]"]:
        outputs = self._binding.outputs
        if isinstance(result, dict):
            return {name: self._array(result[name]) for name in outputs}
        if not isinstance(result, Sequence) or (result and isinstance(result[0], str)):
            result = (result,)
        if len(result) <= max(outputs.values()):
            raise BackendError(f"the model returned {len(result)} outputs, the configuration names {len(outputs)}")
        return {name: self._array(result[place]) for name, place in outputs.items()}

    def _array(self, value: Any) -> "np.ndarray[Any, Any]":
        import numpy as np

        if not isinstance(value, self._torch.Tensor):
            return np.array(value, dtype=object)
        tensor = value.detach().cpu().contiguous()
        if tensor.dtype == self._torch.bfloat16:
            import ml_dtypes

            array: np.ndarray[Any, Any] = tensor.view(self._torch.int16).numpy().view(ml_dtypes.bfloat16)
            return array
        return np.asarray(tensor.numpy())


@cache
def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise missing("torch", "torch") from None
    return torch
