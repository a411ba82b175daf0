"""Small modules of PyTorch of every kind that exports differ by, written as files: seeded, nothing is trained."""

import warnings
from pathlib import Path


def write_program(
    path: Path, module: object, inputs: dict[str, object], *, open_axes: dict[str, tuple[int, ...]]
) -> None:
    """Export a module in its present mode; ``open_axes`` are those whose size requests choose."""
    import torch

    dynamic = {name: dict.fromkeys(open_axes.get(name, ()), torch.export.Dim.AUTO) for name in inputs}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=tuple(dynamic.values()))
        torch.export.save(program, path)


def write_script(path: Path, module: object, example: object = None) -> None:
    """Write TorchScript: traced with an example, or else scripted."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module) if example is None else torch.jit.trace(module, example, check_trace=False)
        torch.jit.save(made, str(path))


def make_classifier(path: Path) -> None:
    """``image`` FP32 [3,8,8] to five probabilities: convolution, batch normalisation, dropout."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(288, 5), nn.Softmax(-1)
    ).eval()
    write_program(path, layers, {"input": torch.randn(2, 3, 8, 8)}, open_axes={"input": (0,)})


def make_encoder(path: Path) -> None:
    """``ids`` and ``mask`` INT64 [-1] to ``tokens`` FP32 [-1,16], ``pooled`` FP32 [4] and ``lengths`` INT64 [1]."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(100, 16), nn.Embedding(64, 16)
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, ids, mask):
            x = self.words(ids) + self.places(torch.arange(ids.shape[1])).unsqueeze(0)
            x = self.layer(x, src_key_padding_mask=mask == 0)
            weights = mask.ne(0).unsqueeze(-1).to(x.dtype)
            pooled = (x * weights).sum(1) / weights.sum(1).clamp(min=1)
            return {"tokens": x, "pooled": self.head(pooled), "lengths": mask.ne(0).sum(1, keepdim=True)}

    torch.manual_seed(0)
    inputs = {"ids": torch.randint(0, 99, (2, 9)), "mask": torch.ones(2, 9, dtype=torch.long)}
    write_program(path, Encoder().eval(), inputs, open_axes={"ids": (0, 1), "mask": (0, 1)})


def make_attention_script(path: Path) -> None:
    """Traced: ``ids`` INT64 [-1] to FP32 [-1,16] and the doubled ``ids``, in this order and without names."""
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.mix, self.out = nn.Embedding(100, 16), nn.Linear(16, 48), nn.Linear(16, 16)

        def forward(self, ids):
            rows, count = ids.shape
            q, k, v = self.mix(self.words(ids)).view(rows, count, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            return self.out(mixed.transpose(1, 2).reshape(rows, count, 16)), ids * 2

    torch.manual_seed(0)
    write_script(path, Attention().eval(), torch.randint(0, 99, (2, 7)))


def make_deciding_script(path: Path) -> None:
    """Scripted: ``x`` FP32 [4] to ``y`` FP32 [4], by a branch and a loop that depend on the values."""
    import torch

    class Deciding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.linear(x) if float(x.sum()) > 0 else -x
            while float(y.abs().max()) > 1.0:
                y = y * 0.5
            return y

    torch.manual_seed(0)
    write_script(path, Deciding().eval())


def make_fixed_batch_script(path: Path) -> None:
    """Traced with a batch of two written into it: ``x`` FP32 [3,8,8] to ``y`` FP32 [192]."""
    import torch

    class Fixed(torch.nn.Module):
        def forward(self, x):
            return x.view(int(x.shape[0]), -1) * 2

    write_script(path, Fixed(), torch.randn(2, 3, 8, 8))


def make_two_outputs(path: Path, kind: str) -> None:
    """``x`` FP32 [4] to something ``constant``, with ``nan`` or that is ``random``, and to ``x`` doubled."""
    import torch

    class Two(torch.nn.Module):
        def forward(self, x):
            first = {"constant": x * 0 + 3, "nan": torch.log(x), "random": x + torch.rand_like(x)}[kind]
            return first, x * 2

    write_program(path, Two(), {"x": torch.rand(2, 4)}, open_axes={"x": (0,)})


def make_training(path: Path) -> None:
    """A batch normalisation that was exported while it was training."""
    import torch

    write_program(path, torch.nn.BatchNorm1d(4).train(), {"input": torch.randn(2, 4)}, open_axes={"input": (0,)})


def make_passing(path: Path, outputs: tuple[str, str, str]) -> None:
    """``x`` FP32 [4] as it is, doubled, and doubled once more under another name."""
    import torch

    class Passing(torch.nn.Module):
        def forward(self, x):
            double = x * 2
            return dict(zip(outputs, (x, double, double), strict=True))

    write_program(path, Passing(), {"x": torch.rand(2, 4)}, open_axes={"x": (0,)})


def make_shadowing(path: Path, outputs: tuple[str, str]) -> None:
    """``x`` FP32 [4] to two outputs whose names exporters may have given to inner values; a tuple in TorchScript."""
    import torch

    class Shadowing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x):
            first = torch.relu(self.linear(x)) * 2 + 1
            found = (first, first - 3)
            return found if path.suffix == ".pt" else dict(zip(outputs, found, strict=True))

    torch.manual_seed(0)
    if path.suffix == ".pt":
        write_script(path, Shadowing().eval(), torch.rand(2, 4))
    else:
        write_program(path, Shadowing().eval(), {"x": torch.rand(2, 4)}, open_axes={"x": (0,)})
