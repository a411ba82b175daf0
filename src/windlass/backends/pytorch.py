"""PyTorch: TorchScript (``model.pt``) and exported programs (``model.pt2``).

An exported program tells its inputs and outputs, and so needs no configuration; outputs that it does not name are
called ``output__<index>``. A TorchScript file does not.

Instances on one device share the module, since inference changes nothing; a model whose ``forward()`` writes to its
own buffers asks for one each with ``ENABLE_WEIGHT_SHARING: false``.

Threads. PyTorch starts a team of threads for every thread that computes, and each of these has a number of its own: so
many as are an instance's share of the cores, or ``INTRA_OP_THREAD_COUNT``.
"""

import contextlib
import inspect
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from windlass.backends.backend import LoadContext, missing
from windlass.backends.binding import Binding, Forward
from windlass.backends.cores import core_count
from windlass.backends.placement import Placement, placements
from windlass.backends.signature import Scalars, Signature, TensorSignature
from windlass.backends.threads import Threads, fitting, set_for, set_outside, share
from windlass.config import ModelConfig, normalise
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Arrays = dict[str, Array]

_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "bfloat16": "TYPE_BF16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}


def open(context: LoadContext) -> "TorchModel":
    """Read a model's file and complete its configuration, as far as the file tells."""
    return TorchModel(context)


class TorchModel:
    """A model's file. It is read once for each device."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._torch = _torch()
        self.threads: Threads | None = None
        self._set_interop_threads()
        self._file = context.model_file("model.pt", "model.pt2")
        self._exported = self._file.suffix == ".pt2"
        self._signature = Signature((), ())
        self._forward = Forward(())
        self._modules: dict[str, Any] = {}
        self.config = self._completed(context.config)

    def _set_interop_threads(self) -> None:
        torch, context = self._torch, self._context
        other = context.whole_number("NUM_INTEROP_THREADS", 0)
        if threads := context.whole_number("INTER_OP_THREAD_COUNT", other):
            # PyTorch allows this once, and asking for what is set already would be an error too.
            with contextlib.suppress(RuntimeError):
                torch.set_num_interop_threads(threads)

    def _fitting(self, instances: int) -> Threads:
        cores = core_count()
        asked = set_for(self._context, "pytorch")
        if asked is None and (variable := set_outside(os.environ)):
            asked = variable, _usual_threads()
        return fitting(min(_usual_threads(), share(cores, instances)), asked, instances, cores)

    def _completed(self, config: ModelConfig) -> ModelConfig:
        if self._exported:
            first = placements(normalise(config, self._context.model_name), self._count_gpus)[0]
            self._module(_device(first))
            return self._signature.complete(config, self._context.whole_number("default-max-batch-size", 4))
        if not (config.input and config.output):
            raise self._context.failure(
                "its config.pbtxt must specify inputs and outputs, which a TorchScript file does not tell",
                hint="add `input { name: ... data_type: ... dims: ... }` and `output { ... }`",
            )
        return config

    def instances(self, config: ModelConfig) -> list["TorchInstance"]:
        """Make the instances."""
        shared = self._context.switch("ENABLE_WEIGHT_SHARING", default=True)
        scalars = self._signature.scalars(config) if self._exported else Scalars.of_outputs(config)
        places = placements(config, self._count_gpus)
        if on_processor := sum(_device(place) == "cpu" for place in places):
            self.threads = self._fitting(on_processor)
        made = []
        for place in places:
            device = _device(place)
            module = self._module(device)
            if not shared:
                del self._modules[device]
            mode = _Mode(self._context, device, self.threads.each if self.threads and device == "cpu" else 0)
            made.append(TorchInstance(place, module, Binding(config, self._forward), mode, scalars))
        return made

    def _count_gpus(self) -> int:
        cuda = self._torch.cuda
        return int(cuda.device_count()) if cuda.is_available() else 0

    def _module(self, device: str) -> Any:
        if device not in self._modules:
            try:
                with _quiet():
                    read = self._read_exported if self._exported else self._read_script
                    self._modules[device] = read(device)
            except BackendError:
                raise
            except Exception as error:  # anything may be in the file
                raise self._context.failure(f"failed to load `{self._file}`: {error}") from error
        return self._modules[device]

    def _read_script(self, device: str) -> Any:
        module = self._torch.jit.load(str(self._file), map_location=device).eval()
        # The first is the module itself, whatever its code calls it.
        arguments = module.forward.schema.arguments[1:]
        names = tuple(argument.name for argument in arguments)
        single = len(arguments) == 1 and arguments[0].type.kind() == "DictType"
        self._forward = Forward(names, takes_dictionary=single)
        return module

    def _read_exported(self, device: str) -> Any:
        program = self._torch.export.load(str(self._file))
        module = program.module().to(device)
        positional, by_name = program.call_spec.in_spec.children_specs
        names = tuple(inspect.signature(module.forward).parameters)
        self._forward = Forward(names[: positional.num_children], tuple(by_name.context or ()))
        self._signature = self._read_signature(program)
        return module

    def _read_signature(self, program: Any) -> Signature:
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        inputs = program.graph_signature.user_inputs
        names = (*self._forward.arguments, *self._forward.by_name_only)
        if len(names) != len(inputs):
            raise self._context.failure(
                f"forward({', '.join(names)}) takes {len(inputs)} tensors in these arguments",
                hint="export it with one tensor for each argument",
            )
        outputs = program.graph_signature.user_outputs
        spec = program.call_spec.out_spec
        keys = spec.context if spec.type is dict else [f"output__{index}" for index in range(len(outputs))]
        return Signature(
            tuple(self._tensor(name, values.get(node)) for name, node in zip(names, inputs, strict=True)),
            tuple(self._tensor(str(name), values.get(node)) for name, node in zip(keys, outputs, strict=True)),
        )

    def _tensor(self, name: str, value: Any) -> TensorSignature:
        element = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
        if element not in _TYPES:
            raise self._context.failure(f"tensor '{name}' has type {element}, which is not served")
        shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
        return TensorSignature(name, _TYPES[element], shape)


def _device(place: Placement) -> str:
    return f"cuda:{place.device}" if place.kind == "GPU" else "cpu"


class _Mode:
    """What every call happens under: its threads, no gradients, and what else the configuration asks for."""

    def __init__(self, context: LoadContext, device: str, threads: int) -> None:
        torch = self._torch = _torch()
        self.device = device
        self._threads = threads
        self._without_gradients = (
            torch.inference_mode if context.switch("INFERENCE_MODE", default=True) else torch.no_grad
        )
        self._more: list[Callable[[], contextlib.AbstractContextManager[Any]]] = []
        if context.switch("DISABLE_OPTIMIZED_EXECUTION", default=False):
            self._more.append(lambda: torch.jit.optimized_execution(False))
        if context.switch("DISABLE_CUDNN", default=False) and device != "cpu":
            self._more.append(lambda: torch.backends.cudnn.flags(enabled=False))
        self._cleaning = context.switch("ENABLE_CACHE_CLEANING", default=False) and device != "cpu"

    def run(self, function: "Callable[[Arrays], Arrays]", inputs: "Arrays") -> "Arrays":
        """Call ``function`` with the inputs."""
        # The number belongs to the thread that computes, and different models may compute on one.
        if self._threads and self._torch.get_num_threads() != self._threads:
            self._torch.set_num_threads(self._threads)
        with self._without_gradients(), contextlib.ExitStack() if self._more else _NOTHING as stack:
            for context in self._more:
                stack.enter_context(context())
            outputs = function(inputs)
        if self._cleaning:
            self._torch.cuda.empty_cache()
        return outputs


_NOTHING: contextlib.nullcontext[Any] = contextlib.nullcontext()


class TorchInstance:
    """One instance: a module on a device."""

    per_request = False

    def __init__(self, place: Placement, module: Any, binding: Binding, mode: _Mode, scalars: Scalars) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._module = module
        self._binding = binding
        self._mode = mode
        self._scalars = scalars

    def execute(self, inputs: "Arrays") -> "Arrays":
        """Call ``forward()``; other Python threads go on while operators compute."""
        self._scalars.enter(inputs)
        try:
            outputs = self._mode.run(self._forward, inputs)
        except BackendError:
            raise
        except Exception as error:  # operators raise what they like
            raise BackendError(f"PyTorch execute failure: {error}") from error
        return self._scalars.leave(outputs)

    def _forward(self, inputs: "Arrays") -> "Arrays":
        tensors = {name: _to_tensor(array, self._mode.device) for name, array in inputs.items()}
        found = self._binding.outputs(self._binding.call(self._module, tensors))
        return {name: _to_array(value) for name, value in found.items()}

    def close(self) -> None:
        """Let go of the module."""
        self._module = None


def _to_tensor(array: "Array", device: str) -> Any:
    torch = _torch()
    kind = array.dtype.kind
    if kind == "O":
        return [element.decode() for element in array.ravel()]
    # Of bfloat16, the only type of the protocol that numpy does not know, the bits are handed over.
    tensor = torch.from_numpy(array.view("int16")).view(torch.bfloat16) if kind == "V" else torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.to(device)


def _to_array(value: Any) -> "Array":
    import numpy as np

    torch = _torch()
    if not isinstance(value, torch.Tensor):
        return np.array(value, dtype=object)
    tensor = value.detach() if value.requires_grad else value
    if not tensor.is_cpu:
        tensor = tensor.cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        bits: Array = tensor.contiguous().view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Array = tensor.numpy()
    return array


_READING = threading.Lock()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch from announcing the end of TorchScript at every load: the file is what it is.

    One load at a time: what Python knows of warnings is one list for all threads.
    """
    with _READING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise missing("torch", "torch") from None
    _usual_threads()
    # PyTorch counts the machine's cores, not those that a container may use.
    if core_count() < torch.get_num_threads():
        torch.set_num_threads(core_count())
    return torch


@cache
def _usual_threads() -> int:
    """Return what PyTorch chose when it was imported, before anybody told it a number."""
    import torch

    return int(torch.get_num_threads())
