import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from converse_basicsr import cli
from converse_basicsr.checkpoints.released import WEIGHTS, Weights

CONTENT = bytes(range(256)) * 1000
NAME = 'net.pth'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str | None]]:
    """Offer one file on the loopback interface; yields the Range headers of the requests so far."""
    ranges: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get('Range')
            ranges.append(asked)
            start = int(asked.removeprefix('bytes=').removesuffix('-')) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header('Content-Length', str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start:])

        def log_message(self, *_: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    digest = hashlib.sha256(CONTENT).hexdigest()
    weights = Weights(NAME, f'http://127.0.0.1:{httpd.server_port}/{NAME}', digest)
    for module in ('commands.prepare.weights', 'prepare.weights'):
        monkeypatch.setattr(f'converse_basicsr.{module}.WEIGHTS', {NAME: weights})
    monkeypatch.chdir(tmp_path)
    yield ranges
    httpd.shutdown()
    httpd.server_close()


def test_download_and_repeat(server: list[str | None], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['prepare', 'weights']) == 0
    assert Path('model_zoo', NAME).read_bytes() == CONTENT
    assert cli.main(['prepare', 'weights']) == 0
    assert 'there already, checked' in capsys.readouterr().out
    assert server == [None]


def test_a_broken_download_goes_on(server: list[str | None]) -> None:
    Path('model_zoo').mkdir()
    Path('model_zoo', f'{NAME}.part').write_bytes(CONTENT[:1000])
    assert cli.main(['prepare', 'weights', NAME]) == 0
    assert server == ['bytes=1000-']
    assert Path('model_zoo', NAME).read_bytes() == CONTENT
    assert [path.name for path in Path('model_zoo').iterdir()] == [NAME]


def test_a_wrong_file_is_refused(server: list[str | None], capsys: pytest.CaptureFixture[str]) -> None:
    Path('model_zoo').mkdir()
    Path('model_zoo', f'{NAME}.part').write_bytes(b'x' * 1000)
    assert cli.main(['prepare', 'weights']) == 2
    assert 'is not the released net.pth' in capsys.readouterr().err
    assert not list(Path('model_zoo').iterdir())


def test_a_local_folder_serves_instead(server: list[str | None], capsys: pytest.CaptureFixture[str]) -> None:
    Path('mine').mkdir()
    assert cli.main(['prepare', 'weights', '--input', 'mine']) == 2
    assert 'mine/net.pth does not exist; it is offered at http' in capsys.readouterr().err
    Path('mine', NAME).write_bytes(CONTENT)
    assert cli.main(['prepare', 'weights', '--input', 'mine', '--output', 'zoo']) == 0
    assert Path('zoo', NAME).read_bytes() == CONTENT
    assert server == []


def test_no_network_is_one_line(
    server: list[str | None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Weights(NAME, 'http://127.0.0.1:9/net.pth', '0')
    monkeypatch.setattr('converse_basicsr.prepare.weights.WEIGHTS', {NAME: dead})
    assert cli.main(['prepare', 'weights']) == 2
    assert 'http://127.0.0.1:9/net.pth cannot be downloaded' in capsys.readouterr().err


def test_unknown_names_are_refused(server: list[str | None], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['prepare', 'weights', 'other.pth']) == 2
    assert 'no such released weights' in capsys.readouterr().err


def test_the_table_of_weights_names_each_file_as_its_address_does() -> None:
    for name, weights in WEIGHTS.items():
        assert name == weights.file == weights.url.rsplit('/', 1)[1]
        assert len(weights.sha256) == 64
