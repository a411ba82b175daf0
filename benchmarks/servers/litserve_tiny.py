"""The tiny model on LitServe, batches of up to 64."""

import sys

import litserve as ls


class Tiny(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["inputs"][0]["data"]

    def batch(self, inputs):
        return inputs

    def predict(self, batch):
        return batch

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"outputs": [{"name": "OUTPUT0", "data": output}]}


if __name__ == "__main__":
    ls.LitServer(Tiny(max_batch_size=64, batch_timeout=0.001), accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
