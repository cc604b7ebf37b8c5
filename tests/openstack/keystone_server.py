"""A real Keystone on the loopback: its own WSGI application on the standard library's server.

Run by the Python that Keystone is installed for: ``keystone_server.py PORT``, with OS_KEYSTONE_CONFIG_DIR set.
"""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


port = int(sys.argv.pop())
from keystone.server.wsgi import initialize_public_application  # noqa: E402  (reads sys.argv)

make_server("127.0.0.1", port, initialize_public_application(), _Threads, _Quiet).serve_forever()
