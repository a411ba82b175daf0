"""The tiny model on Ray Serve, batches of up to 64, a wait of 1 ms."""

import sys
import time

import ray
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Tiny:
    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def batch(self, rows):
        return rows

    async def __call__(self, request):
        body = await request.json()
        return {"outputs": [{"name": "OUTPUT0", "data": await self.batch(body["inputs"][0]["data"])}]}


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Tiny.bind(), route_prefix="/v2/models/tiny/infer")
    while True:
        time.sleep(3600)
