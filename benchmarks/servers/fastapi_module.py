"""A PyTorch module as a FastAPI tutorial would serve it: eager, a request at a time; raw bytes in and out are kind.

``MODULE`` names one of ``benchmarks.modules``, ``THREADS`` says how many compute in each worker.
"""

import os

import numpy as np
import torch
from benchmarks.modules import MODULES
from fastapi import FastAPI, Request, Response

torch.set_num_threads(int(os.environ["THREADS"]))
app = FastAPI()
chosen = MODULES[os.environ["MODULE"]]
module = chosen.build()


@app.get("/v2/health/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/predict")
async def predict(request: Request) -> Response:
    array = np.frombuffer(await request.body(), dtype=chosen.data_type).reshape(-1, *chosen.shape)
    with torch.inference_mode():
        outputs = module(torch.from_numpy(array.copy()))
    return Response(outputs.numpy().tobytes(), media_type="application/octet-stream")
