"""An HTTP server of Python's for tests that cannot be held up by its clients."""

import http.server
import sys


class WebServer(http.server.ThreadingHTTPServer):
    """A client that is gone again when it is accepted (a health check) is not waited for.

    What poll() has told of may be gone: accept() would then wait for the next client, and so would
    `shutdown`.
    """

    daemon_threads = True

    def server_activate(self) -> None:
        super().server_activate()
        self.socket.settimeout(1.0)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), OSError):  # a client's business
            super().handle_error(request, client_address)
