#!/usr/bin/env python3
"""A hostile web server on loopback for test_http.c: what it does depends on the path. It writes its ports to
stdout, remembers every request, tells them at /seen?path=PATH, and ends when stdin does.

    http_server.py FOLDER      cert.pem (self-signed, for 127.0.0.1 and localhost) appears in FOLDER
"""
import gzip
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

lock = threading.Lock()
seen = []  # (path without query, text)
connections = 0


class Gone(Exception):
    """The client is gone, or this end has had enough."""


class Connection:
    def __init__(self, sock, label):
        global connections
        self.sock, self.label, self.rest, self.dies = sock, label, b'', False
        with lock:
            connections += 1
            self.number = connections

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.rest += data

    def head(self):
        while b'\r\n\r\n' not in self.rest:
            if len(self.rest) > 1 << 20:
                raise Gone
            self.more()
        head, self.rest = self.rest.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        self.method, target, _ = lines[0].split(' ')
        self.target = target
        self.path, _, query = target.partition('?')
        self.query = dict(urllib.parse.parse_qsl(query))
        self.lines = lines[1:]
        self.fields = {k.lower(): v for k, v in (line.split(': ', 1) for line in self.lines)}

    def body(self):
        length = int(self.fields.get('content-length', 0))
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return body

    def remember(self, body):
        fields = ''.join('%s\n' % line for line in self.lines)
        text = '%s %s %s connection %d\n%s= %d bytes %08x\n' % (
            self.label, self.method, self.target, self.number, fields, len(body), zlib.crc32(body))
        with lock:
            seen.append((self.path, text))

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, status=200, body=b'hello', fields=()):
        head = 'HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n' % (status, len(body))
        head += ''.join('%s: %s\r\n' % f for f in fields) + '\r\n'
        self.send(head.encode('latin-1') + (b'' if self.method == 'HEAD' else body))

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raise Gone

    def wait_for_end(self):
        while self.sock.recv(65536):
            pass
        raise Gone


def ok(c, body):
    c.answer(fields=[('Content-Type', 'TEXT/Plain; charset=utf-8'), ('ETag', '"abc"'), ('Accept-Ranges', 'bytes'),
                     ('Last-Modified', 'Mon, 02 Jan 2006 15:04:05 GMT')])


def echo(c, body):
    c.answer(body=b'%s %d %08x' % (c.method.encode(), len(body), zlib.crc32(body)))


def drip(c, body):
    c.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
    while True:
        c.send(b'x')
        time.sleep(0.05)


def drip_head(c, body):
    c.send(b'HTTP/1.1 200 OK\r\nX-Slow: ')
    while True:
        c.send(b'x')
        time.sleep(0.05)


def stall(c, body):
    c.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789')
    c.wait_for_end()


def silent(c, body):
    c.wait_for_end()


def reset(c, body):
    c.reset()


def close(c, body):
    raise Gone


def raw(data):
    def play(c, body):
        c.send(data)
        raise Gone
    return play


def packed(c, body):
    c.answer(body=gzip.compress(b'A' * 1000), fields=[('Content-Encoding', 'gzip')])


def bomb(c, body):
    one = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b''.join(one.compress(bytes(1 << 20)) for _ in range(64)) + one.flush()
    c.answer(body=data, fields=[('Content-Encoding', 'gzip')])


def bad_gzip(c, body):
    c.answer(body=b'\x1f\x8b\x08' + b'\xff' * 100, fields=[('Content-Encoding', 'gzip')])


def many_headers(c, body):
    c.answer(fields=[('X-%d' % i, 'y') for i in range(10000)])


def endless_header(c, body):
    c.send(b'HTTP/1.1 200 OK\r\nX-Endless: ')
    while True:
        c.send(b'x' * 4096)


def endless_interim(c, body):
    while True:
        c.send(b'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' * 100)


def interim(c, body):
    c.send(b'HTTP/1.1 103 Early Hints\r\nETag: "early"\r\nContent-Type: text/early\r\n\r\n' * 3)
    c.answer()


def to(c, body):
    c.answer(int(c.query.get('code', 302)), b'see there', [('Location', c.query['url'])])


def endless_redirect(c, body):
    c.send(b'HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 1000000000\r\n\r\n')
    while True:
        c.send(b'x' * 65536)


def loop(c, body):
    c.answer(302, b'', [('Location', '/loop')])


def html(c, body):
    c.answer(502, b'<html>Bad gateway</html>', [('Content-Type', 'text/html')])


def status(c, body):
    c.answer(int(c.query['code']), b'' if c.query['code'] in ('204', '304') else b'status')


def resume(c, body):
    c.answer(308, b'', [('Range', 'bytes=0-99')])


def created(c, body):
    c.answer(201, b'', [('Location', 'session?id=7')])


def later(c, body):
    c.answer(503, b'later', [('Retry-After', c.query['after'])])


def big(c, body):
    size = int(c.query['size'])
    c.answer(int(c.query.get('code', 200)), (b'0123456789abcdef' * (size // 16 + 1))[:size])


def dies(c, body):
    c.dies = True
    c.answer()


def tell(c, body):
    with lock:
        found = [text for path, text in seen if path == c.query['path']]
    c.answer(body=('count %d\n' % len(found) + ''.join(found)).encode('latin-1'))


PLAYS = {
    '/ok': ok, '/echo': echo, '/drip': drip, '/drip-head': drip_head, '/stall': stall, '/silent': silent,
    '/reset': reset, '/close': close, '/gzip': packed, '/bomb': bomb, '/bad-gzip': bad_gzip,
    '/many-headers': many_headers, '/endless-header': endless_header, '/endless-interim': endless_interim,
    '/interim': interim, '/to': to, '/endless-redirect': endless_redirect, '/loop': loop, '/html': html,
    '/status': status, '/resume': resume, '/created': created, '/later': later, '/big': big, '/dies': dies,
    '/seen': tell,
    '/half-head': raw(b'HTTP/1.1 200 OK\r\nContent-Le'),
    '/no-end-of-head': raw(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'),
    '/short': raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789'),
    '/chunked': raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n'
                    b'ETag: "trailer"\r\n\r\n'),
    '/chunked-short': raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n wo'),
    '/chunked-bad': raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n'),
    '/lying': raw(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789'),
    '/bad-length': raw(b'HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n0123456789'),
    '/until-close': raw(b'HTTP/1.1 200 OK\r\n\r\n0123456789'),
    '/not-http': raw(b'SSH-2.0-OpenSSH_9.2\r\n'),
    '/switch': raw(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello'),
    '/nul': raw(b'HTTP/1.1 200 OK\r\nETag: "a\0b"\r\nContent-Length: 5\r\n\r\na\0b\0c'),
}


def serve(c):
    while True:
        c.head()
        if c.path == '/early':  # says no without reading what was to come
            c.remember(b'')
            c.answer(413, b'too large', [('Connection', 'close')])
            c.wait_for_end()
        if c.path == '/deaf':
            c.remember(b'')
            time.sleep(3600)
        body = c.body()
        c.remember(body)
        if c.dies:
            raise Gone
        if c.label == 'proxy':
            c.answer(403 if c.method == 'CONNECT' else 200, b'proxied')
        elif c.path in PLAYS:
            PLAYS[c.path](c, body)
        else:
            c.answer(404, b'nothing here')


def run(sock, label, context):
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        serve(Connection(sock, label))
    except (Gone, OSError, ValueError):
        pass
    finally:
        sock.close()


def accept(listener, label, context):
    while True:
        sock, _ = listener.accept()
        if label == 'rude':
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()
        elif label == 'mute':
            mute.append(sock)
        else:
            threading.Thread(target=run, args=(sock, label, context), daemon=True).start()


mute = []  # accepted and never spoken to


def certificate(folder):
    cert, key = os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')
    try:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                        '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def main():
    context = certificate(sys.argv[1])
    ports = []
    for label in ('first', 'second', 'tls', 'proxy', 'rude', 'mute'):
        listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        ports.append(listener.getsockname()[1] if label != 'tls' or context else 0)
        threading.Thread(target=accept, args=(listener, label, context if label == 'tls' else None), daemon=True).start()
    print(*ports, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


main()
