"""``basicsr prepare weights``: files fetched whole, whatever servers and proxies answer, and nothing else touched."""

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import odd_server
import pytest
from odd_server import CONTENT, Answer, Handler

from converse_basicsr import cli
from converse_basicsr.checkpoints.released import WEIGHTS, Weights
from converse_basicsr.errors import UserError
from converse_basicsr.prepare import download
from converse_basicsr.prepare import weights as engine

NAME = 'net.pth'
FILE = Path('model_zoo', NAME)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    """Offer one file on the loopback interface."""
    handler = type('OwnHandler', (Handler,), {'script': [], 'ranges': []})
    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=httpd.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()
    digest = hashlib.sha256(CONTENT).hexdigest()
    weights = Weights(NAME, f'http://127.0.0.1:{httpd.server_port}/{NAME}', digest)
    for module in ('commands.prepare.weights', 'prepare.weights'):
        monkeypatch.setattr(f'converse_basicsr.{module}.WEIGHTS', {NAME: weights})
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield handler
    httpd.shutdown()
    httpd.server_close()


def names(folder: str = 'model_zoo') -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def partial() -> Path:
    return engine.partial_of(FILE, engine.WEIGHTS[NAME])


def plant(content: bytes) -> Path:
    """Leave what a download that broke off would have left."""
    FILE.parent.mkdir(exist_ok=True)
    partial().write_bytes(content)
    return partial()


def test_download_and_repeat(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['prepare', 'weights']) == 0
    assert FILE.read_bytes() == CONTENT
    assert names() == {NAME}
    assert cli.main(['prepare', 'weights']) == 0
    assert 'there already, checked' in capsys.readouterr().out
    assert server.ranges == [None]


@pytest.mark.promise('a download that breaks off (`prepare weights`)')
@pytest.mark.parametrize(
    ('answer', 'kept'),
    [
        (odd_server.break_off, 5000),
        (odd_server.break_off_chunked, 5000),
        (odd_server.give_no_length_and_break_off, 7000),
        (odd_server.compress_and_break_off, 9000),
    ],
)
def test_a_download_that_breaks_off_is_kept_and_goes_on(
    server: type[Handler], capsys: pytest.CaptureFixture[str], answer: Answer, kept: int
) -> None:
    server.script.append(answer)
    assert cli.main(['prepare', 'weights']) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f'basicsr: error: {engine.WEIGHTS[NAME].url} cannot be downloaded')
    assert 'repeat the command to go on' in error
    have = partial().read_bytes()
    assert 0 < len(have) <= kept
    assert CONTENT.startswith(have)
    if answer is not odd_server.compress_and_break_off:
        assert len(have) == kept
    assert cli.main(['prepare', 'weights']) == 0
    assert server.ranges == [None, f'bytes={len(have)}-']
    assert FILE.read_bytes() == CONTENT
    assert names() == {NAME}


def test_it_goes_on_as_often_as_it_breaks_off(server: type[Handler]) -> None:
    server.script += [odd_server.break_off] * 3
    assert [cli.main(['prepare', 'weights']) for _ in range(4)] == [2, 2, 2, 0]
    assert server.ranges == [None, 'bytes=5000-', 'bytes=10000-', 'bytes=15000-']


@pytest.mark.promise('a partial download that is complete, too long or of another file')
@pytest.mark.parametrize(
    ('content', 'requests'),
    [
        (CONTENT, []),
        (CONTENT + b'more', ['bytes=256004-', None]),
        (b'x' * len(CONTENT), ['bytes=256000-', None]),
        (b'x' * 1000, ['bytes=1000-', None]),
        (b'', [None]),
    ],
    ids=['complete', 'too long', 'as long', 'another', 'empty'],
)
def test_no_partial_file_is_a_dead_end(server: type[Handler], content: bytes, requests: list[str | None]) -> None:
    plant(content)
    assert cli.main(['prepare', 'weights']) == 0
    assert server.ranges == requests
    assert FILE.read_bytes() == CONTENT
    assert names() == {NAME}


WHOLE = [odd_server.ignore_range, odd_server.give_no_length, odd_server.give_a_bad_length, odd_server.compress]
PARTS = [odd_server.begin_elsewhere, odd_server.give_no_content_range]


@pytest.mark.parametrize(
    ('answer', 'have'),
    [*((answer, 0) for answer in WHOLE), *((answer, 1000) for answer in [*WHOLE, *PARTS])],
)
def test_odd_servers_serve_too(server: type[Handler], answer: Answer, have: int) -> None:
    if have:
        plant(CONTENT[:have])
    server.script.append(answer)
    assert cli.main(['prepare', 'weights']) == 0
    assert FILE.read_bytes() == CONTENT
    assert names() == {NAME}


@pytest.mark.promise('a proxy or login page in the place of the weights')
@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        (odd_server.show_a_page, 'a web page'),
        (odd_server.show_a_page_as_data, 'a web page'),
        (odd_server.lead_to_a_page, '/login'),
        (odd_server.lead_in_circles, 'HTTP 302'),
        (odd_server.lead_to_a_file, 'HTTP 302'),
        (odd_server.refuse(403), 'HTTP 403 Forbidden'),
        (odd_server.refuse(404), 'HTTP 404 Not Found'),
        (odd_server.refuse(407), 'HTTP 407 Proxy Authentication Required'),
        (odd_server.refuse(503), 'HTTP 503'),
        (odd_server.promise_too_much, 'more than'),
        (odd_server.close_at_once, 'cannot be downloaded'),
    ],
)
@pytest.mark.parametrize('have', [0, 1000])
def test_answers_that_are_not_the_file_lose_nothing(
    server: type[Handler], capsys: pytest.CaptureFixture[str], answer: Answer, message: str, have: int
) -> None:
    if have:
        plant(CONTENT[:have])
    server.script.append(answer)
    assert cli.main(['prepare', 'weights']) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('basicsr: error: http://127.0.0.1')
    assert message in error
    assert '--input' in error
    assert names() == ({partial().name} if have else set())
    server.script.clear()
    assert cli.main(['prepare', 'weights']) == 0
    assert server.ranges[-1] == ('bytes=1000-' if have else None)
    assert FILE.read_bytes() == CONTENT


def test_another_file_is_refused(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    server.script.append(odd_server.serve_another_file)
    assert cli.main(['prepare', 'weights']) == 2
    assert 'is not the released net.pth' in capsys.readouterr().err
    assert names() == set()


def test_another_file_after_a_part_is_refused_and_the_part_kept(server: type[Handler]) -> None:
    plant(CONTENT[:1000])
    server.script.append(odd_server.serve_another_file)
    assert cli.main(['prepare', 'weights']) == 2
    assert partial().read_bytes() == CONTENT[:1000]


@pytest.mark.promise("a user's own `NAME.part`, and what earlier versions left under that name")
@pytest.mark.parametrize('is_ours', [True, False])
def test_a_part_of_an_earlier_version_is_used_and_any_other_kept(server: type[Handler], is_ours: bool) -> None:
    FILE.parent.mkdir()
    own = Path('model_zoo', f'{NAME}.part')
    own.write_bytes(CONTENT[:1000] if is_ours else b'thesis, part one ' * 100)
    before = own.read_bytes()
    assert cli.main(['prepare', 'weights']) == 0
    assert FILE.read_bytes() == CONTENT
    assert names() == ({NAME} if is_ours else {NAME, own.name})
    assert server.ranges == (['bytes=1000-'] if is_ours else [f'bytes={len(before)}-', None])
    if not is_ours:
        assert own.read_bytes() == before


def test_a_part_that_another_program_still_writes_is_kept(server: type[Handler]) -> None:
    FILE.parent.mkdir()
    own = Path('model_zoo', f'{NAME}.part')
    own.write_bytes(CONTENT[:1000])

    def serve_while_it_grows(handler: Handler, start: int) -> None:
        own.write_bytes(CONTENT[:2000])
        odd_server.serve(handler, start)

    server.script.append(serve_while_it_grows)
    assert cli.main(['prepare', 'weights']) == 0
    assert own.read_bytes() == CONTENT[:2000]


@pytest.mark.parametrize('kind', ['folder', 'link', 'pipe'])
def test_what_stands_in_the_way_is_kept_and_named(
    server: type[Handler], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    FILE.parent.mkdir()
    victim = Path('mine.txt')
    victim.write_text('mine')
    for path in (partial(), Path('model_zoo', f'{NAME}.part')):
        if kind == 'folder':
            path.mkdir()
        elif kind == 'link':
            path.symlink_to(victim.resolve())
        else:
            os.mkfifo(path)
    status = cli.main(['prepare', 'weights'])
    assert victim.read_text() == 'mine'
    assert names() >= {partial().name, f'{NAME}.part'}
    assert status == 2
    assert 'is in the way' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['folder', 'pipe', 'other'])
def test_a_target_that_is_something_else_is_kept(
    server: type[Handler], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    FILE.parent.mkdir()
    {'folder': FILE.mkdir, 'pipe': lambda: os.mkfifo(FILE), 'other': lambda: FILE.write_text('mine')}[kind]()
    assert cli.main(['prepare', 'weights']) == 2
    assert str(FILE) in capsys.readouterr().err
    assert names() == {NAME}
    assert server.ranges == []


def test_a_target_that_appears_meanwhile_is_kept(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    def serve_late(handler: Handler, start: int) -> None:
        FILE.write_text('mine')
        odd_server.serve(handler, start)

    server.script.append(serve_late)
    assert cli.main(['prepare', 'weights']) == 2
    assert str(FILE) in capsys.readouterr().err
    assert FILE.read_text() == 'mine'


def test_two_commands_do_not_write_one_file(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    server.script.append(
        lambda handler, start: (codes.append(cli.main(['prepare', 'weights'])), odd_server.serve(handler, start))
    )
    assert cli.main(['prepare', 'weights']) == 0
    assert codes == [2]
    assert 'is in use by process' in capsys.readouterr().err
    assert names() == {NAME}


@pytest.mark.promise('a full disk or a read-only folder while weights are fetched')
@pytest.mark.parametrize('copied', [False, True])
def test_a_full_disk_is_one_line(
    server: type[Handler], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    import resource
    import signal

    Path('mine').mkdir()
    Path('mine', NAME).write_bytes(CONTENT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        assert cli.main(['prepare', 'weights', *(['--input', 'mine'] if copied else [])]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('basicsr: error: ')
    assert 'File too large' in error
    assert 'model_zoo' in error
    assert not FILE.exists()
    assert cli.main(['prepare', 'weights']) == 0
    assert names() == {NAME}


def test_an_output_that_is_a_file_is_one_line(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    Path('model_zoo').write_text('mine')
    assert cli.main(['prepare', 'weights']) == 2
    assert 'model_zoo' in capsys.readouterr().err
    assert Path('model_zoo').read_text() == 'mine'


def test_a_local_folder_serves_instead(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    Path('mine').mkdir()
    assert cli.main(['prepare', 'weights', '--input', 'mine']) == 2
    assert 'mine/net.pth does not exist; it is offered at http' in capsys.readouterr().err
    Path('mine', NAME).write_bytes(CONTENT)
    assert cli.main(['prepare', 'weights', '--input', 'mine', '--output', 'zoo']) == 0
    assert Path('zoo', NAME).read_bytes() == CONTENT
    assert server.ranges == []


def test_a_wrong_file_of_a_local_folder_is_refused(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    Path('mine').mkdir()
    Path('mine', NAME).write_bytes(CONTENT[:-1])
    assert cli.main(['prepare', 'weights', '--input', 'mine', '--output', 'zoo']) == 2
    assert 'mine/net.pth is not the released net.pth' in capsys.readouterr().err
    assert names('zoo') == set()
    assert Path('mine', NAME).read_bytes() == CONTENT[:-1]


@pytest.mark.parametrize('proxy', ['', 'http://127.0.0.1:9', 'http://127.0.0.1:many', 'nonsense://x', 'http://['])
def test_no_network_is_one_line(
    server: type[Handler], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proxy: str
) -> None:
    dead = Weights(NAME, 'http://127.0.0.1:9/net.pth', '0')
    monkeypatch.setattr('converse_basicsr.prepare.weights.WEIGHTS', {NAME: dead})
    monkeypatch.setenv('http_proxy', proxy)
    monkeypatch.setenv('no_proxy', '')
    assert cli.main(['prepare', 'weights']) == 2
    assert 'http://127.0.0.1:9/net.pth cannot be downloaded' in capsys.readouterr().err


def test_a_server_that_falls_silent_is_left(
    server: type[Handler], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = threading.Event()

    def fall_silent(handler: Handler, start: int) -> None:
        handler.answer(200, CONTENT[:5000], Content_Length=str(len(CONTENT)))
        silence.wait(60)

    monkeypatch.setattr(download, 'TIMEOUT', 0.2)
    server.script.append(fall_silent)
    assert cli.main(['prepare', 'weights']) == 2
    silence.set()
    assert 'cannot be downloaded (timed out' in capsys.readouterr().err
    assert partial().read_bytes() == CONTENT[:5000]


def test_an_interrupted_download_goes_on(server: type[Handler], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle."""
    chunks = download._chunks

    def interrupt(*arguments: object) -> Iterator[bytes]:
        yield from (next(iter(chunks(*arguments))),)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, '_chunks', interrupt)
        assert cli.main(['prepare', 'weights']) == 130
    have = len(partial().read_bytes())
    assert have > 0
    assert cli.main(['prepare', 'weights']) == 0
    assert server.ranges == [None, f'bytes={have}-']


def test_python_callers_get_the_reason(server: type[Handler]) -> None:
    server.script.append(odd_server.break_off)
    with pytest.raises(UserError, match='5000 of 256000 bytes'):
        engine.prepare_weights()


def test_unknown_names_are_refused(server: type[Handler], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['prepare', 'weights', 'other.pth']) == 2
    assert 'no such released weights' in capsys.readouterr().err


def test_the_table_of_weights_names_each_file_as_its_address_does() -> None:
    for name, weights in WEIGHTS.items():
        assert name == weights.file == weights.url.rsplit('/', 1)[1]
        assert len(weights.sha256) == 64
