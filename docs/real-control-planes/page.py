"""What a platform serves on a node: its page on 80, 443 and 11443. PAGE.PY CERTIFICATE KEY NAME"""

import http.server
import ssl
import sys
import threading

certificate, key, name = sys.argv[1:]


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"the platform, served by {name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # Whoever only looks whether the port is open hangs up.


def serve(port, with_tls):
    server = Server(("0.0.0.0", port), Page)
    if with_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.serve_forever()


for port, with_tls in [(80, False), (443, True), (11443, True)]:
    threading.Thread(target=serve, args=(port, with_tls)).start()
