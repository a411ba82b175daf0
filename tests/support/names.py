"""A name server for one name space: it answers from a table that tests change while it runs."""

import ipaddress
import socket
import struct
import threading


class Names:
    """Answers on loopback; ``table`` leads names to addresses. A name that is not in it does not exist."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                return
            self._socket.sendto(self._answer(question), client)

    def _answer(self, message: bytes) -> bytes:
        labels, at = [], 12
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode())
            at += 1 + length
        asked = message[12 : at + 5]
        (kind,) = struct.unpack("!H", asked[-4:-2])
        known = self.table.get(".".join(labels).lower())
        addresses = (known or []) if kind == 1 else []
        flags = 0x8180 | (3 if known is None else 0)
        head = message[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
        # Each answer points back at the name that was asked for, and may be kept for a second.
        answers = [struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + ipaddress.ip_address(one).packed for one in addresses]
        return head + asked + b"".join(answers)
