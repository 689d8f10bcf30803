"""A model hub on this machine: speaks the paths of Hugging Face's, large files on a second host, and
misbehaves where a test asks for it. Only Python's own library."""
import gzip
import hashlib
import http.server
import json
import os
import ssl
import threading
import time
import urllib.parse

LARGE = (".safetensors", ".bin", ".model")  # kept by LFS, and served by the second host


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def files_of(directory, but=("images.npy", "texts.npy")):
    """{name: bytes} of a model directory."""
    found = {}
    for name in sorted(os.listdir(directory)):
        if name not in but:
            with open(os.path.join(directory, name), "rb") as f:
                found[name] = f.read()
    return found


class Fault:
    """What happens to the next `times` answers for a path that ends in `path`, instead of the right one.

    status: an error's number, with `headers`; bytes: other bytes than the file's; announced: a wrong
    Content-Length; cut: so many bytes and then no connection; rate: bytes a second; no_range: the whole
    file though a part was asked for; location: a redirect; gzip: compressed, which nobody has asked for.
    """

    def __init__(self, path, times=1, on=None, **how):
        self.path, self.left, self.on, self.how = path, times, on, how

    def takes(self, host, path):
        if self.left <= 0 or not path.endswith(self.path) or self.on not in (None, host):
            return False
        self.left -= 1
        return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        hub, host = self.server.hub, self.server.host_name
        path = self.path.split("?")[0]
        with hub.lock:
            hub.log.append((host, self.path, dict(self.headers)))
            fault = next((f for f in hub.faults if f.takes(host, path)), None)
        how = fault.how if fault else {}
        try:
            if "location" in how:
                self.answer(302, headers={"Location": how["location"]})
            elif "status" in how:
                self.answer(how["status"], how.get("body", b"no"), how.get("headers", {}))
            elif host == "hub":
                self.serve_hub(urllib.parse.unquote(path), how)
            else:
                self.serve_blob(path, how)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def serve_hub(self, path, how):
        hub = self.server.hub
        if path.startswith("/api/models/"):
            name, _, revision = path[len("/api/models/"):].partition("/revision/")
            repo = hub.repos.get(name)
            if self.refused(repo) or self.missing(repo, revision):
                return
            body, headers = json.dumps(repo.listing()).encode(), {"Content-Type": "application/json"}
            if how.get("gzip"):
                body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
            self.answer(200, body, headers)
            return
        name, _, rest = path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        repo = hub.repos.get(name)
        if self.refused(repo) or self.missing(repo, revision):
            return
        if file not in repo.files:
            self.answer(404, headers={"X-Error-Code": "EntryNotFound"})
            return
        data = repo.files[file]
        if file.endswith(LARGE):
            self.answer(302, headers={
                "Location": f"{hub.cdn_url}/blob/{sha256(data)}/{file}?signed=yes", "X-Repo-Commit": repo.commit,
                "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256(data)}"'})
        else:
            self.send_bytes(data, how, {"ETag": f'"{git_sha1(data)}"'})

    def serve_blob(self, path, how):
        self.send_bytes(self.server.hub.blob(path.split("/")[2]), how, {})

    def refused(self, repo):
        """Answers for what a token is needed for."""
        if repo is None or not repo.token:
            return False
        given = self.headers.get("Authorization")
        if given == f"Bearer {repo.token}":
            return False
        if repo.gated:
            self.answer(403 if given else 401, headers={"X-Error-Code": "GatedRepo"})
        else:
            self.answer(401, b"Invalid username or password.")
        return True

    def missing(self, repo, revision):
        """Answers for what is not there."""
        if repo is None:
            self.answer(404, headers={"X-Error-Code": "RepoNotFound"})
        elif revision not in (repo.commit, *repo.revisions):
            self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def send_bytes(self, data, how, headers):
        data = how.get("bytes", data)
        begin = 0
        asked = self.headers.get("Range")
        if asked and not how.get("no_range"):
            begin = int(asked[len("bytes="):-1])
            if begin >= len(data):
                self.answer(416, headers={"Content-Range": f"bytes */{len(data)}"})
                return
        if how.get("gzip"):
            data, headers = gzip.compress(data), {**headers, "Content-Encoding": "gzip"}
        self.send_response(206 if begin else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        if begin:
            self.send_header("Content-Range",
                             how.get("content_range", f"bytes {begin}-{len(data) - 1}/{len(data)}"))
        if how.get("no_length"):
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(how.get("announced", len(data) - begin)))
        self.end_headers()
        part = data[begin:]
        if "cut" in how:
            part = part[:how["cut"]]
        rate = how.get("rate")
        step = max(1, rate // 20) if rate else len(part) or 1
        for i in range(0, len(part), step):
            self.wfile.write(part[i:i + step])
            self.wfile.flush()
            if rate:
                time.sleep(step / rate)
        if how.get("stall"):
            time.sleep(how["stall"])
        if "cut" in how:
            self.close_connection = True
            self.connection.close()


class Repo:
    def __init__(self, files, commit="c" * 40, token="", gated=False):
        self.files, self.commit, self.token, self.gated = dict(files), commit, token, gated
        self.revisions = ["main"]
        self.changes = {}  # of the listing: {name: {"size": 7}}
        self.more = []     # names in the listing that no file has

    def listing(self):
        siblings = []
        for name, data in self.files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
            if name.endswith(LARGE):
                entry["blobId"] = git_sha1(b"version https://git-lfs.github.com/spec/v1\n")
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            entry.update(self.changes.get(name, {}))
            siblings.append(entry)
        siblings += [{"rfilename": name, "size": 1, "blobId": "0" * 40} for name in self.more]
        return {"id": "x", "sha": self.commit, "siblings": siblings}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub, host_name, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.host_name = hub, host_name
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that went away or did not trust us


class Hub:
    def __init__(self, certificate=None):
        self.repos, self.faults, self.log = {}, [], []
        self.lock = threading.Lock()
        self.servers = [Server(self, "hub", certificate), Server(self, "cdn")]
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.servers[0].server_port}"
        self.cdn_url = f"http://localhost:{self.servers[1].server_port}"

    def blob(self, digest):
        return next(data for repo in self.repos.values() for data in repo.files.values()
                    if sha256(data) == digest)

    def asked(self, end, host=None):
        """The headers of every request for a path that ends so."""
        return [headers for h, path, headers in self.log
                if path.split("?")[0].endswith(end) and host in (None, h)]

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
