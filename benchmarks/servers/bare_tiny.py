"""The floor: a bare event loop that answers JSON, without validation, metrics or batching."""

import asyncio
import sys

import httptools
import orjson
import uvloop


class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.parts = []

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, body):
        self.parts.append(body)

    def on_message_complete(self):
        body = b"".join(self.parts)
        self.parts.clear()
        data = orjson.loads(body)["inputs"][0]["data"] if body else []
        answer = orjson.dumps({"outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1, 16], "data": data}]})
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
        self.transport.write(head + answer)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Protocol, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())
