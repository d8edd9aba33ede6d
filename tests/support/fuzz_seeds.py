"""Write the first inputs of the fuzz targets: small files of each kind, all our own.

python tests/support/fuzz_seeds.py tests/fuzz/corpus
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from prepare_commands import photograph

from converse_basicsr import archs
from converse_basicsr.checkpoints import files
from converse_basicsr.files.images import encode_png
from converse_basicsr.files.lmdb_folder import LmdbWriter


def write(folder: Path) -> None:
    """Write all seeds."""
    for target, seeds in {
        'options': options(),
        'lmdb': lmdb(),
        'records': records(),
        'checkpoints': checkpoints(),
        'pictures': pictures(),
    }.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / target / f'seed_{name}').write_bytes(data)


def options() -> dict[str, bytes]:
    """Two option files that come with the package, and what YAML can do besides."""
    folder = Path(__file__).parents[2] / 'options'
    odd = b'a: &a {b: [1, 2e-4, ~, "\\x07"]}\n<<: *a\nc: *a\n? d\n: |\n  text\n...\n'
    names = ('converse_srresnet_x4', 'conversenet')
    return {'odd': odd, **{name: (folder / f'{name}.yml').read_bytes() for name in names}}


def lmdb() -> dict[str, bytes]:
    """An LMDB with small and large values, and one of one image."""
    seeds = {}
    for name, count in (('full', 3), ('small', 1)):
        with tempfile.TemporaryDirectory() as temporary:
            writer = LmdbWriter(Path(temporary, 'gt.lmdb'))
            for number in range(count):
                width = 4 + 30 * number
                writer.put(f'{number:04d}', encode_png(photograph(24, width)), (24, width, 3))
            writer.finish()
            text, data = (Path(temporary, 'gt.lmdb', part).read_bytes() for part in ('meta_info.txt', 'data.mdb'))
        seeds[name] = len(text).to_bytes(2, 'little') + text + data
    return seeds


def records() -> dict[str, bytes]:
    """One of each kind."""
    return {
        'record': b'r{"parameters": {"scale": [4]}, "members": {"gt.lmdb": 2}, "files": [], "sources": {"a.png": "1"}}',
        'journal': b'j{"name": "a.png", "fingerprint": "1-2", "entries": {"gt.lmdb": [["a", 2, 3, 3]]}, "notes": []}\n',
        'measured': b'mrow,weights,dataset,image,psnr,baseline\nx,"y, z",Set5,baby,31.5,28.25\nx,y,Set5,bi',
        'list': b'i0001.png (480,320,3) 1\n0002.png (480,320,3) 1\n',
        'lock': b'l{"host": "a", "boot": "b", "pid": 1, "started": "2", "since": 1e9, "token": "c"}',
        'name': b'nx4/gt.lmdb',
    }


def checkpoints() -> dict[str, bytes]:
    """A network's file in both formats, and the pickle and the header inside of them."""
    arguments = {'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 2, 'num_block': 1, 'kernel_size': 3}
    content = {
        'params': archs.ConverseDnCNN(**arguments).state_dict(),
        'network_g': {'type': 'ConverseDnCNN', **arguments},
        files.VERSION_KEY: '0.2.0',
    }
    with tempfile.TemporaryDirectory() as temporary:
        pth, safe = Path(temporary, 'a.pth'), Path(temporary, 'a.safetensors')
        files.write(content, pth)
        files.write(content, safe)
        with zipfile.ZipFile(pth) as archive:
            inner = archive.read(next(name for name in archive.namelist() if name.endswith('data.pkl')))
        header = safe.read_bytes()[8 : 8 + int.from_bytes(safe.read_bytes()[:8], 'little')]
        seeds = {'pth': b'z' + pth.read_bytes(), 'safetensors': b's' + safe.read_bytes()}
    buffer = io.BytesIO()
    torch.save({'params': {'m.weight': torch.zeros(1)}}, buffer, _use_new_zipfile_serialization=False)
    return {**seeds, 'pickle': b'p' + inner, 'header': b'h' + header, 'old': b'z' + buffer.getvalue()}


def pictures() -> dict[str, bytes]:
    """Small images in each format and depth that are read."""
    grey, colour = photograph(9, 7, 0, channels=1), photograph(9, 7)
    seeds = {}
    for suffix in ('png', 'jpg', 'tiff', 'bmp', 'webp', 'ppm'):
        seeds[suffix] = cv2.imencode(f'.{suffix}', colour)[1].tobytes()
    seeds['png16'] = cv2.imencode('.png', grey.astype(np.uint16) * 257)[1].tobytes()
    seeds['pgm'] = b'P5 2 2 1023\n' + bytes(8)
    seeds['pgm_text'] = b'P2 # a comment\n2 2\n100\n0 50 100 7\n'
    indexed = Image.fromarray(grey).convert('P')
    for name, image, options in (
        ('gif', indexed, {'format': 'GIF', 'transparency': 3}),
        ('palette', indexed, {'format': 'PNG', 'transparency': 3}),
        ('tiff_lzw', Image.fromarray(colour), {'format': 'TIFF', 'compression': 'tiff_lzw'}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, **options)
        seeds[name] = buffer.getvalue()
    return seeds


if __name__ == '__main__':
    write(Path(sys.argv[1]))
