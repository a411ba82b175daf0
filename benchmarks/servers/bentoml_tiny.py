"""The tiny model on BentoML, with its adaptive batching: batches of up to 64."""

import bentoml


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Tiny:
    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=60000)
    def predict(self, inputs: list[dict]) -> list[dict]:
        return [{"name": "OUTPUT0", "data": one["data"]} for one in inputs]
