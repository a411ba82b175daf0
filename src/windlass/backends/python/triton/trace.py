"""The trace that a request belongs to, and where the answers of another model should be kept."""

CPU, CPU_PINNED, GPU = 0, 1, 2


class InferenceTrace:
    """The trace of a request; given to a request to another model, that becomes a part of it."""

    __slots__ = ("_context",)

    def __init__(self, context: str | None = None) -> None:
        self._context = context

    def get_context(self) -> str | None:
        """Return the W3C context as JSON; ``None`` for a request that is not traced."""
        return self._context


class PreferredMemory:
    """Where a model wants answers of another one. All of them are in main memory here, as the wish allows."""

    __slots__ = ("device_id", "memory_type")

    def __init__(self, preferred_memory_type: int = CPU, preferred_device_id: int = 0) -> None:
        self.memory_type = preferred_memory_type
        self.device_id = preferred_device_id
