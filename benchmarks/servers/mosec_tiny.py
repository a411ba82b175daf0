"""The tiny model on mosec: JSON in, JSON out, batches of up to 64."""

from mosec import Server, Worker


class Tiny(Worker):
    def forward(self, data):
        return [{"outputs": [{"name": "OUTPUT0", "data": item["inputs"][0]["data"]}]} for item in data]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Tiny, num=1, max_batch_size=64, max_wait_time=1)
    server.run()
