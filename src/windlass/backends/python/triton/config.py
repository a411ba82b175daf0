"""``pb_utils.ModelConfig``: what a model's ``auto_complete_config`` is given, adds to and returns."""

from typing import Any


class ModelConfig:
    """The configuration that ``auto_complete_config`` completes."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration in its JSON form."""
        return self._members

    def set_max_batch_size(self, size: int) -> None:
        """Set the largest batch; raises ``ValueError`` where the configuration has a larger one."""
        given = self._members.get("max_batch_size", 0)
        if given > size:
            name = self._members.get("name", "")
            raise ValueError(
                f"configuration specified max-batch-size {given}, but in auto_complete_config function for model "
                f"'{name}' specified max-batch-size {size}"
            )
        self._members["max_batch_size"] = size

    def set_dynamic_batching(self) -> None:
        """Turn dynamic batching on, unless another way of scheduling is configured."""
        if not {"sequence_batching", "ensemble_scheduling"} & self._members.keys():
            self._members.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, policy: dict[str, bool]) -> None:
        """Say whether requests have any number of answers."""
        unknown = policy.keys() - {"decoupled"}
        if unknown:
            raise ValueError(
                f"model transaction policy has unknown properties {sorted(unknown)}: only `decoupled` is known"
            )
        self._members["model_transaction_policy"] = {"decoupled": policy.get("decoupled", False)}

    def add_input(self, tensor: dict[str, Any]) -> None:
        """Add an input; raises ``ValueError`` where the configuration says otherwise."""
        self._add("input", tensor, {"name", "data_type", "dims", "optional"})

    def add_output(self, tensor: dict[str, Any]) -> None:
        """Add an output; raises ``ValueError`` where the configuration says otherwise."""
        self._add("output", tensor, {"name", "data_type", "dims"})

    def _add(self, kind: str, tensor: dict[str, Any], allowed: set[str]) -> None:
        model = self._members.get("name", "")
        called = f" '{tensor['name']}'" if "name" in tensor else ""
        if unknown := tensor.keys() - allowed:
            raise ValueError(f"{kind}{called} in model '{model}' has unknown properties {sorted(unknown)}")
        for needed in ("name", "data_type", "dims"):
            if needed not in tensor:
                raise ValueError(f"{kind}{called} in model '{model}' is missing '{needed}' property.")
        given = self._members.setdefault(kind, [])
        for other in given:
            if other["name"] == tensor["name"]:
                return _agree(model, kind, other, tensor)
        given.append({**tensor, "dims": [int(size) for size in tensor["dims"]]})
        return None


def _agree(model: str, kind: str, given: dict[str, Any], tensor: dict[str, Any]) -> None:
    name = tensor["name"]
    if given.get("data_type", "TYPE_INVALID") not in ("TYPE_INVALID", tensor["data_type"]):
        raise ValueError(
            f"unable to load model '{model}', configuration expects datatype {given['data_type']} for {kind} "
            f"'{name}', model provides {tensor['data_type']}"
        )
    dims = [int(size) for size in tensor["dims"]]
    if given.get("dims") and list(given["dims"]) != dims:
        raise ValueError(
            f"model '{model}', tensor '{name}': the model expects dims {dims} but the model configuration specifies "
            f"dims {list(given['dims'])}"
        )
    given.update(data_type=tensor["data_type"], dims=dims)
