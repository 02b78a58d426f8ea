"""A listener with TLS whose certificate comes from an authority of the test's own."""

import socket
import ssl
import threading

import trustme


class TlsListener:
    """Notes how each handshake ended: `trusted`, or the alert by which the client refused."""

    def __init__(self, address: tuple[str, int], name: str):
        self.authority = trustme.CA()
        self.handshakes: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(self._context)
        self._listener = socket.create_server(address)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._shake, args=(connection,), daemon=True).start()

    def _shake(self, connection):
        try:
            near = self._context.wrap_socket(connection, server_side=True)
        except ssl.SSLError as refused:
            self.handshakes.append(refused.reason)
            connection.close()
        except OSError as broken:
            self.handshakes.append(repr(broken))
            connection.close()
        else:
            self.handshakes.append("trusted")
            self.serve(near)

    def serve(self, near: ssl.SSLSocket) -> None:
        """What happens on a connection that was trusted: it is closed."""
        near.close()

    def stop(self) -> None:
        # Closing alone would leave the thread in its wait, and the port with it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
