"""The tiny model on MLServer, with its adaptive batching: batches of up to 64, a wait of 1 ms."""

import asyncio
import sys

from mlserver import MLModel, MLServer
from mlserver.settings import ModelParameters, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, ResponseOutput


class Tiny(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        tensor = payload.inputs[0]
        output = ResponseOutput(name="OUTPUT0", shape=tensor.shape, datatype="FP32", data=tensor.data)
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])


async def main(port: int) -> None:
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        parallel_workers=0,
        debug=False,
        use_structured_logging=False,
    )
    model = ModelSettings(
        name="tiny",
        implementation=Tiny,
        max_batch_size=64,
        max_batch_time=0.001,
        inputs=[MetadataTensor(name="INPUT0", datatype="FP32", shape=[-1, 16])],
        parameters=ModelParameters(),
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
