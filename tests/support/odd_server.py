"""A server of one file on the loopback interface that answers as servers and proxies do, good and bad ones."""

import gzip
import http.server
from collections.abc import Callable

CONTENT = bytes(range(256)) * 1000
PAGE = b'<!DOCTYPE html>\n<html><title>Please log in</title></html>'

Answer = Callable[['Handler', int], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the answers of the list ``script``, one per request, then serves the file with ranges."""

    script: list[Answer]
    ranges: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers.get('Range')
        self.ranges.append(asked)
        start = int(asked.removeprefix('bytes=').removesuffix('-')) if asked else 0
        (self.script.pop(0) if self.script else serve)(self, start)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(handler: Handler, start: int) -> None:
    """A good server."""
    if start >= len(CONTENT):
        handler.answer(416, b'', Content_Range=f'bytes */{len(CONTENT)}')
    elif start:
        span = f'bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}'
        handler.answer(206, CONTENT[start:], Content_Length=str(len(CONTENT) - start), Content_Range=span)
    else:
        handler.answer(200, CONTENT, Content_Length=str(len(CONTENT)))


def break_off(handler: Handler, start: int) -> None:
    """Close the connection after 5000 bytes."""
    rest = CONTENT[start:]
    span = f'bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}'
    handler.answer(206 if start else 200, rest[:5000], Content_Length=str(len(rest)), Content_Range=span)


def break_off_chunked(handler: Handler, start: int) -> None:
    handler.protocol_version = 'HTTP/1.1'
    handler.answer(200, b'1388\r\n' + CONTENT[:5000] + b'\r\nff', Transfer_Encoding='chunked', Connection='close')


def ignore_range(handler: Handler, start: int) -> None:
    handler.answer(200, CONTENT, Content_Length=str(len(CONTENT)))


def give_no_length(handler: Handler, start: int) -> None:
    handler.answer(200, CONTENT)


def give_no_length_and_break_off(handler: Handler, start: int) -> None:
    handler.answer(200, CONTENT[:7000])


def give_a_bad_length(handler: Handler, start: int) -> None:
    handler.answer(200, CONTENT, Content_Length='many')


def begin_elsewhere(handler: Handler, start: int) -> None:
    """A 206 whose part is another one than was asked for."""
    handler.answer(206, CONTENT[7:], Content_Range=f'bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}')


def give_no_content_range(handler: Handler, start: int) -> None:
    handler.answer(206, CONTENT[start + 7 :], Content_Length=str(len(CONTENT) - start - 7))


def compress(handler: Handler, start: int) -> None:
    body = gzip.compress(CONTENT)
    handler.answer(200, body, Content_Encoding='gzip', Content_Length=str(len(body)))


def compress_and_break_off(handler: Handler, start: int) -> None:
    body = gzip.compress(CONTENT, compresslevel=0)
    handler.answer(200, body[:9000], Content_Encoding='gzip', Content_Length=str(len(body)))


def show_a_page(handler: Handler, start: int) -> None:
    handler.answer(200, PAGE, Content_Type='text/html; charset=utf-8', Content_Length=str(len(PAGE)))


def show_a_page_as_data(handler: Handler, start: int) -> None:
    handler.answer(200, PAGE, Content_Type='application/octet-stream', Content_Length=str(len(PAGE)))


def lead_to_a_page(handler: Handler, start: int) -> None:
    handler.script.insert(0, show_a_page)
    handler.answer(302, b'', Location='/login')


def lead_in_circles(handler: Handler, start: int) -> None:
    handler.script.insert(0, lead_in_circles)
    handler.answer(302, b'', Location=handler.path)


def lead_to_a_file(handler: Handler, start: int) -> None:
    handler.answer(302, b'', Location='file:///etc/passwd')


def refuse(status: int) -> Answer:
    return lambda handler, start: handler.answer(status, PAGE, Content_Type='text/html')


def serve_another_file(handler: Handler, start: int) -> None:
    handler.answer(200, CONTENT[::-1], Content_Length=str(len(CONTENT)))


def promise_too_much(handler: Handler, start: int) -> None:
    handler.answer(200, b'x' * 1000, Content_Length=str(10**15))


def close_at_once(handler: Handler, start: int) -> None:
    handler.close_connection = True
