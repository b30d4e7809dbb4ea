"""Stands in for the edge on 127.0.0.1:8080: prints every request it gets; stop it with its pid.

With a text as argument, it asks the origin for the same URL the moment a PURGE arrives and
says whether the answer already has that text.
"""
import http.server
import sys
import urllib.error
import urllib.request

TEXT = sys.argv[1] if len(sys.argv) > 1 else ""


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PURGE(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        note = f"  origin {self.origin()}" if TEXT else ""
        print(self.command, self.path, self.request_version + note, flush=True)
        if "-v" in sys.argv:
            print(self.headers, len(body), "body bytes", flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def origin(self):
        try:
            with urllib.request.urlopen("http://127.0.0.1:8000" + self.path, timeout=5) as answer:
                return f"{answer.status} {'new' if TEXT in answer.read().decode() else 'OLD or other'}"
        except urllib.error.HTTPError as error:
            return str(error.code)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Recorder).serve_forever()
