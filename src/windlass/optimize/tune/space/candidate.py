"""One way to serve a model: which files, on which engine, on how many threads, in what batches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """``windlass export --to`` or ``windlass quantize --to``."""

    verb: str
    to: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """Files of the model: the original's where there are no steps, else what the steps make of them, one by one."""

    steps: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """``original``, ``openvino``, ``openvino-int8``: also the name of its folder."""
        return "-".join(step.to for step in self.steps) or "original"

    @property
    def parent(self) -> "Artefact":
        """What the last step starts from."""
        return Artefact(self.steps[:-1])

    @property
    def quantized(self) -> str:
        """The precision that the last quantisation wrote; empty where there was none."""
        return next((step.to for step in reversed(self.steps) if step.verb == "quantize"), "")


ORIGINAL = Artefact()


@dataclass(frozen=True, slots=True)
class Variant:
    """An engine and a precision. ``compute`` is the precision in which it computes what the files leave open."""

    engine: str
    artefact: Artefact
    compute: str = ""
    device: str = "cpu"

    @property
    def precision(self) -> str:
        """How a person says it: ``as it is``, ``fp32``, ``bf16``, ``int8+bf16``."""
        stored = self.artefact.quantized or ("fp32" if self.artefact.steps else "as it is")
        if not self.compute:
            return stored
        return f"{stored}+{self.compute}" if self.artefact.quantized else self.compute

    @property
    def name(self) -> str:
        """What it is called in reports and in the journal."""
        device = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.engine} {self.precision}{device}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How many instances there are, and how many threads each has (0: not chosen, for it computes elsewhere)."""

    instances: int
    threads: int

    @property
    def name(self) -> str:
        """``2 x 4 threads``."""
        if not self.threads:
            return f"{self.instances} instance{'' if self.instances == 1 else 's'}"
        return f"{self.instances} x {self.threads} thread{'' if self.threads == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Batching:
    """Batches of ``size`` that wait ``delay_us`` for company; a size of 1 is no dynamic batching."""

    size: int
    delay_us: int = 0

    @property
    def name(self) -> str:
        """``batches of 8 within 2 ms``."""
        if self.size == 1:
            return "one by one"
        return f"batches of {self.size}" + (f" within {self.delay_us / 1000:g} ms" if self.delay_us else "")


OFF = Batching(1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """All that a configuration says. The original as its user configured it has neither layout nor batching."""

    variant: Variant
    layout: Layout | None = None
    batching: Batching | None = None

    @property
    def name(self) -> str:
        """A line for people, and the key of the journal."""
        if self.layout is None or self.batching is None:
            return f"{self.variant.name}, as configured"
        return f"{self.variant.name}, {self.layout.name}, {self.batching.name}"

    @property
    def complexity(self) -> tuple[int, ...]:
        """What there is to understand and to go wrong; of two that are as good, the simpler one is taken."""
        batching, made = self.batching or OFF, len(self.variant.artefact.steps)
        return (made, batching.size > 1, batching.delay_us > 0, self.layout.instances if self.layout else 0)
