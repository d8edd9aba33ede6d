"""What :mod:`fault_scenarios` runs: small commands, and what is there before them.

Each function gets the folder below which calls fail. They run in processes that are forked for them.
"""

import contextlib
import hashlib
import http.server
import io
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import torch
import yaml
from prepare_commands import photograph
from tiny_run import tiny_options

from converse_basicsr import cli
from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.measurements import Record
from converse_basicsr.files import atomic, picture
from converse_basicsr.files.images import encode_png
from converse_basicsr.files.lmdb_folder import LmdbWriter
from converse_basicsr.files.lock import locked

Act = Callable[[Path], Any]

ROOT = Path(__file__).parents[2]


def basicsr(*argv: object) -> None:
    """Run the command line; a refusal must be one line on standard error, which becomes the error's text."""
    output = io.StringIO()
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main([str(word) for word in argv])
    if status:
        lines = [line for line in output.getvalue().splitlines() if line.startswith('basicsr: error: ')]
        if status != 2 or len(lines) != 1:
            raise AssertionError(f'status {status}, and not one line of error: {output.getvalue()}')
        raise UserError(lines[0])


def weights(seed: int) -> dict[str, Any]:
    """What a checkpoint of a network holds."""
    generator = torch.Generator().manual_seed(seed)
    return {'params': {name: torch.randn(40, 40, generator=generator) for name in ('weight', 'bias')}}


def build_checkpoints(root: Path) -> None:
    for suffix in ('pth', 'safetensors', 'state'):
        files.write(weights(0), root / f'net_g_1.{suffix}')


def build_images(root: Path, count: int = 2) -> None:
    (root / 'in').mkdir()
    for number in range(count):
        cv2.imwrite(str(root / f'in/{number}.png'), photograph(24 + 8 * number, 32, number))


def write_lmdb_again(root: Path) -> None:
    """Write an LMDB as the preparation of data does: what was committed before a kill may be dropped and come again."""
    writer = LmdbWriter(root / 'gt.lmdb')
    try:
        for number in range(6):
            writer.put(f'{number:04d}', encode_png(photograph(24, 8 * number + 4)), (24, 8 * number + 4, 3))
            if number % 2:
                writer.commit()
        writer.finish()
    finally:
        writer.close()


def prepare(kind: str, *argv: object) -> Act:
    """Run ``basicsr prepare KIND --input in --output out``, in this process."""

    def run(root: Path) -> None:
        os.chdir(root)
        basicsr('prepare', kind, '--input', 'in', '--output', 'out', '--workers', 1, *argv)

    return run


SMALL, LARGE = ('--crop', 16, '--step', 8), ('--crop', 24, '--step', 24)


def build_older_set(kind: str, *argv: object) -> Act:
    """Build a finished data set of images that have changed since."""

    def build(root: Path) -> None:
        build_images(root)
        prepare(kind, *argv)(root)
        cv2.imwrite(str(root / 'in/2.png'), photograph(32, 32, 9))

    return build


def build_unfinished_set(root: Path) -> None:
    """Build the work that a killed command left."""
    build_images(root)
    import converse_basicsr.prepare.runner as runner

    with mock.patch.object(runner, 'publish', side_effect=KeyboardInterrupt), contextlib.suppress(AssertionError):
        prepare('sr', *SMALL)(root)
    for record in (root / 'out').glob('**/prepare.json'):
        record.unlink()


def build_restoring(root: Path) -> None:
    """Build images, a checkpoint and older results."""
    build_images(root)
    from converse_basicsr.archs import ConverseDnCNN

    torch.manual_seed(0)
    arguments = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1}
    state = ConverseDnCNN(**arguments).state_dict()
    files.write({'params': state, 'network_g': {'type': 'ConverseDnCNN', **arguments}}, root / 'net.pth')
    (root / 'out').mkdir()
    picture.write(picture.Picture(photograph(24, 32, 7)), root / 'out/0.png')


def restore(root: Path) -> None:
    os.chdir(root)
    basicsr(
        'restore', 'in', '--checkpoint', 'net.pth', '--output', 'out', '--overwrite', '--compare', '--device', 'cpu'
    )


def export(root: Path) -> None:
    os.chdir(root)
    output = ('--size', 8, 8, '--output', 'net.pt', '--overwrite')
    basicsr('export', '--checkpoint', 'net.pth', '--format', 'torchscript', *output)


def build_exported(root: Path) -> None:
    build_restoring(root)
    (root / 'net.pt').write_text('old')


def inspect(root: Path) -> None:
    """Inspect a network; its plots, which take matplotlib seconds, are a few words here."""
    from converse_basicsr.inspection import plots

    def draw(networks: Any, path: Path, quantities: Any) -> None:
        atomic.write_text(path, ' '.join(quantities))

    os.chdir(root)
    with mock.patch.object(plots, '_save', draw):
        basicsr('inspect', '--checkpoint', 'net.pth', '--output', 'out', '--grid', 4, '--channels', 1)


def build_inspected(root: Path) -> None:
    """Build a checkpoint, and results of an older one."""
    build_restoring(root)
    inspect(root)
    for path in (root / 'out').iterdir():
        if path.name not in ('inspect.csv', 'inspect.md'):
            path.write_bytes(b'old')


def build_page(root: Path) -> None:
    """Build the figures of a comparison, and an older page."""
    shutil.copy(ROOT / 'options/small/denoise.yml', root)
    for name in ('small_denoise_curves.csv', 'small_denoise_runs.csv'):
        shutil.copy(ROOT / 'docs/comparison' / name, root)
    (root / 'small_denoise.md').write_text('old')


def write_page(root: Path) -> None:
    from converse_basicsr.compare import comparison, page

    os.chdir(root)
    page.write_page(comparison.read_comparison('denoise.yml'), root)


def take_and_write(root: Path) -> None:
    with locked(root / '.run.lock', 'the run'):
        atomic.write_text(root / 'result', 'new')


def build_training(root: Path) -> None:
    """Build a run of one iteration, which is to go on for a second one and to keep the newest state alone."""
    for name, height, width in (('gt', 32, 32), ('lq', 8, 8)):
        (root / name).mkdir()
        for number in range(4):
            cv2.imwrite(str(root / name / f'{number}.png'), photograph(height, width, number))
    options = tiny_options(root, 0)
    data = options['datasets']['train']
    data.update(dataroot_gt='gt', dataroot_lq='lq', io_backend={'type': 'disk'})
    options['datasets'] = {'train': data}
    del options['val']
    options['logger'].update(save_checkpoint_freq=1, keep_last=1)
    for total in (1, 2):
        options['train']['total_iter'] = total
        (root / 'run.yml').write_text(yaml.safe_dump(options))
        if total == 1:
            train(root)


def train(root: Path) -> None:
    os.chdir(root)
    basicsr('train', '-opt', 'run.yml', '--auto_resume')


def report(root: Path) -> None:
    """Write what ``basicsr report`` does of two images."""
    from converse_basicsr.evaluation.evaluate import Score
    from converse_basicsr.evaluation.report import write_csv, write_picture

    scores = []
    for number in range(2):
        image = photograph(24, 32, number)
        scores.append(Score('Set5', str(number), 'ConverseNet', {'psnr': (28.5, 30.25)}, image, image, image, image))
        write_picture(scores[-1], 'ConverseNet', root / 'report')
    write_csv(scores, root / 'report/report.csv')


def build_report(root: Path) -> None:
    (root / 'report').mkdir()
    (root / 'report/report.csv').write_text('dataset,image,metric,baseline,network\nSet5,0,psnr,1.0,2.0\n')


def measure(image: str) -> Act:
    """Add the score of an image to the record of measurements, as ``basicsr reproduce`` does, unless it has it."""

    def run(root: Path) -> None:
        record = Record(root / 'measured.csv')
        if image not in {line['image'] for line in record.lines}:
            scores = {'psnr': '30.25', 'baseline': '28.5'}
            record.add({'row': 'x4', 'weights': 'ab', 'dataset': 'Set5', 'image': image, **scores})

    return run


RELEASED = b'weights ' * 20_000
FILE = 'converse_dncnn.pth'


class Handler(http.server.BaseHTTPRequestHandler):
    """Send the released file, or the rest of it."""

    def do_GET(self) -> None:
        start = int((self.headers['Range'] or 'bytes=0-')[6:-1])
        self.send_response(206 if 'Range' in self.headers else 200)
        self.send_header('Content-Length', str(len(RELEASED) - start))
        self.send_header('Content-Range', f'bytes {start}-{len(RELEASED) - 1}/{len(RELEASED)}')
        self.end_headers()
        self.wfile.write(RELEASED[start:])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def fetch(root: Path, source: Path | None = None) -> None:
    """Fetch released weights, from a server in this process or from a folder."""
    from converse_basicsr.prepare import weights

    server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/{FILE}'
    released = weights.Weights(FILE, url, hashlib.sha256(RELEASED).hexdigest())
    with mock.patch.dict(weights.WEIGHTS, {FILE: released}), mock.patch.dict(os.environ, {'no_proxy': '*'}):
        weights.prepare_weights([FILE], root / 'zoo', input=source)


def build_weights(root: Path) -> None:
    (root / 'elsewhere').mkdir()
    (root / 'elsewhere' / FILE).write_bytes(RELEASED)


def make_kernels(root: Path) -> None:
    os.chdir(root)
    basicsr('prepare', 'kernels', '--output', 'out', '--number', 2, '--size', 5, '--overwrite')


def build_kernels(root: Path) -> None:
    os.chdir(root)
    basicsr('prepare', 'kernels', '--output', 'out', '--number', 3, '--size', 7)


def copy_options(root: Path) -> None:
    from converse_basicsr.options import library

    with mock.patch.object(library, 'folder', return_value=root / 'in'):
        library.copy_to(root / 'out')


def build_options(root: Path) -> None:
    (root / 'in/more').mkdir(parents=True)
    (root / 'in/a.yml').write_text('# a\n' * 50)
    (root / 'in/more/b.yml').write_text('# b\n')


def write_only_new(root: Path) -> None:
    atomic.write_text(root / 'new.txt', 'new' * 9000, replace=False)


def write_only_new_again(root: Path) -> None:
    with contextlib.suppress(FileExistsError):
        write_only_new(root)
