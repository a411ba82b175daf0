"""The tiny model as a FastAPI tutorial would serve it."""

import numpy as np
from fastapi import FastAPI

app = FastAPI()


@app.get("/v2/health/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v2/models/tiny/infer")
async def infer(request: dict) -> dict:
    array = np.asarray(request["inputs"][0]["data"], dtype=np.float32)
    return {
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}]
    }
