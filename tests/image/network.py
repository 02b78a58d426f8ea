"""What the images reach by name: a name server, a Redis, a collector and a Zentra behind TLS, in this network."""

import concurrent.futures
import fcntl
import http.server
import pathlib
import socket
import struct
import subprocess
import threading

import grpc
from dnslib import RR
from dnslib.server import BaseResolver, DNSServer
from tls_listener import TlsListener

NAMES = {"zentra.test.": "127.0.0.2", "redis.test.": "127.0.0.3", "collector.test.": "127.0.0.4"}


def bring_up_loopback() -> None:
    """A new network has a loopback device, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        name, up_and_running = b"lo", 0x1 | 0x40
        fcntl.ioctl(it, 0x8914, struct.pack("16sh", name, up_and_running))


class Names(BaseResolver):
    """Knows the names above, and counts who asked for which."""

    def __init__(self):
        self.asked: list[str] = []

    def resolve(self, request, handler):
        name = str(request.q.qname)
        self.asked.append(name)
        reply = request.reply()
        if name in NAMES and request.q.qtype == 1:
            reply.add_answer(*RR.fromZone(f"{name} 60 A {NAMES[name]}"))
        return reply

    def serve(self) -> "Names":
        self._server = DNSServer(self, address="127.0.0.1", port=53)
        self._server.start_thread()
        return self

    def stop(self) -> None:
        self._server.stop()
        self._server.server.server_close()


def redis(folder: pathlib.Path) -> subprocess.Popen:
    flags = ["--port", "6379", "--bind", NAMES["redis.test."], "--save", "", "--appendonly", "no"]
    return subprocess.Popen(["redis-server", *flags, "--dir", str(folder)], stdout=subprocess.DEVNULL)


class Collector(grpc.GenericRpcHandler):
    """Takes whatever OTLP exporters send, by gRPC and by HTTP, and notes the methods."""

    def __init__(self):
        self.called: list[str] = []
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[self])
        self._server.add_insecure_port(f"{NAMES['collector.test.']}:4317")
        self._server.start()
        self._http = http.server.ThreadingHTTPServer((NAMES["collector.test."], 4318), self._answer)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def _answer(self, *given):
        called = self.called

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                called.append(self.path)
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Answer(*given)

    def service(self, handler_call_details):
        self.called.append(handler_call_details.method)
        # An answer without fields says that all was taken.
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")

    def stop(self) -> None:
        self._server.stop(0).wait()
        self._http.shutdown()
        self._http.server_close()


class TlsFront(TlsListener):
    """Ends TLS for zentra.test and hands the bytes to the simulator."""

    def __init__(self, behind: tuple[str, int]):
        self._behind = behind
        super().__init__((NAMES["zentra.test."], 443), "zentra.test")

    def serve(self, near):
        try:
            far = socket.create_connection(self._behind)
        except OSError:
            near.close()
            return
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)


def pump(source, sink) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()
