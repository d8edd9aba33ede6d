"""Measure how far restoring in tiles differs from restoring the whole, by overlap: docs/seams.json and docs/seams.svg.

python scripts/plot_seams.py --model_zoo model_zoo

Takes photographs in scikit-image: 320 x 240 of a cat, degraded as in the networks' tables (noise of 25, or blur by a
Gaussian and noise of 2.55), and for the enlarger a quarter of the Hubble deep field, the largest there is, continued by
reflection to 1280 x 960.
Figures that are in the JSON file already are not measured again, so a stopped run can be repeated to go on.
"""

import argparse
import json
import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from scipy.ndimage import convolve

from converse_basicsr.checkpoints.released import RELEASED
from converse_basicsr.register import register
from converse_basicsr.restore import Restorer
from converse_basicsr.restore.checkpoint import load
from converse_basicsr.restore.tiling import tiles

ROOT = Path(__file__).resolve().parents[1]
PEAK = 65535  # 16 bits, so that rounding hides nothing
WINDOW = (slice(30, 270), slice(60, 380))  # 320 x 240
ENLARGED = (960, 1280)  # four times 320 x 240
TILE = 160
OVERLAPS = (0, 8, 16, 32, 48, 64, 96)
BORDERS = (0, 16, 32)
INNER = slice(32, -32)
NETWORKS = ('dncnn_gray25', 'converse_dncnn_gray25', 'converse_srresnet_x4', 'conversenet', 'converse_usrnet')


def gaussian() -> np.ndarray:
    """Return a blur kernel of 7 x 7."""
    taps = cv2.getGaussianKernel(7, 1.2)
    return taps @ taps.T


def degrade(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the input of a network and its ground truth, RGB or grey, (H, W, C) in [0, 1]."""
    rng = np.random.RandomState(0)
    if name == 'converse_srresnet_x4':
        from basicsr.utils.matlab_functions import imresize

        truth = skimage.data.hubble_deep_field() / 255
        missing = [(0, wanted - side) for wanted, side in zip(ENLARGED, truth.shape)]
        truth = np.pad(truth, [*missing, (0, 0)], mode='reflect')
        return imresize(truth, 1 / 4), truth
    photograph = skimage.data.chelsea()
    if 'dncnn' in name:
        blurred, sigma = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)[..., None] / 255, 25
        truth = blurred[WINDOW]
    else:
        blurred, sigma = convolve(photograph / 255, gaussian()[..., None], mode='reflect'), 2.55
        truth = photograph[WINDOW] / 255
    return blurred[WINDOW] + rng.normal(0, sigma / 255, truth.shape), truth


def build(name: str, folder: Path, tile: int | None, overlap: int | None, border: int | None = None) -> Restorer:
    """Return a released network as ``basicsr restore`` runs it; None stands for its default."""
    loaded = load(folder / RELEASED[name])
    kernel = gaussian() if 'kernel' in loaded.conditions else None
    return Restorer.from_loaded(loaded, kernel=kernel, tile=tile, overlap=overlap, border=border, device='cpu')


def measure(name: str, folder: Path, known: dict[str, dict[str, float]]) -> Iterator[None]:
    """Measure the missing figures of a network, overlap -> error and PSNR; yields after every figure."""
    image, truth = degrade(name)
    image = (image.clip(0, 1) * PEAK).round().astype(np.uint16)
    wanted = {'default': (None, None)} | {str(overlap): (TILE, overlap) for overlap in OVERLAPS}
    if wanted.keys() <= known.keys():
        return
    whole = build(name, folder, max(image.shape), 0)(image) / PEAK
    for key, (tile, overlap) in wanted.items():
        if key in known:
            continue
        restorer = build(name, folder, tile, overlap)
        tiled = restorer(image) / PEAK
        known[key] = {
            'tile': restorer.tile,
            'overlap': restorer.overlap,
            'tiles': sum(1 for _ in tiles(*image.shape[:2], restorer.tile, restorer.overlap)),
            'rms': float(np.sqrt(np.mean((tiled - whole) ** 2))) * 255,
            'largest': float(np.abs(tiled - whole).max()) * 255,
            'psnr_whole': psnr(whole, truth),
            'psnr_change': psnr(tiled, truth) - psnr(whole, truth),
        }
        print(name, key, known[key], flush=True)
        yield


def measure_borders(name: str, folder: Path, known: dict[str, dict[str, float]]) -> Iterator[None]:
    """Measure the missing PSNRs of a whole image by width of the border; yields after every figure."""
    image, truth = degrade(name)
    image = (image.clip(0, 1) * PEAK).round().astype(np.uint16)
    for border in BORDERS:
        key = f'border {border}'
        if key not in known:
            whole = build(name, folder, max(image.shape), 0, border)(image) / PEAK
            known[key] = {'psnr': psnr(whole, truth), 'psnr_inner': psnr(whole[INNER, INNER], truth[INNER, INNER])}
            print(name, key, known[key], flush=True)
            yield


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB."""
    truth = truth[: image.shape[0], : image.shape[1]]
    return -10 * math.log10(float(np.mean((image - truth) ** 2)))


def plot(results: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Draw error and change of PSNR over the overlap."""
    import matplotlib

    matplotlib.use('Agg')
    matplotlib.rcParams['svg.hashsalt'] = 'seams'
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout='constrained')
    for name, figures in results.items():
        points = [figures[str(overlap)] for overlap in OVERLAPS if str(overlap) in figures]
        overlaps = [point['overlap'] for point in points]
        # An error of 0 has no place on a logarithmic axis: it is drawn at half a step of the 16 bits.
        left.semilogy(overlaps, [max(point['rms'], 0.5 * 255 / PEAK) for point in points], marker='o', label=name)
        right.plot(overlaps, [point['psnr_change'] for point in points], marker='o', label=name)
    left.set(xlabel='overlap, input pixels', ylabel='RMS of tiled - whole, of 255', title='seam error')
    right.set(xlabel='overlap, input pixels', ylabel='change, dB', title='PSNR of tiled against that of whole')
    right.axhspan(-0.02, 0.02, color='0.9')
    figure.legend(*left.get_legend_handles_labels(), loc='outside lower center', ncols=3)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={'Date': None})


def tables(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, str]:
    """Return the sections of docs/restore.md that hold figures: name -> Markdown."""
    seams = [
        '![Seam error and change of PSNR over the overlap](seams.svg)\n',
        '| network | tile, overlap | tiles | RMS, of 255 | largest, of 255 | PSNR of whole, dB | change, dB |',
        '|---|---|---:|---:|---:|---:|---:|',
    ]
    borders = ['| network | `--border` | PSNR, dB | without the outer 32 pixels, dB |', '|---|---:|---:|---:|']
    for name in NETWORKS:
        figures = results.get(name, {})
        if 'default' in figures:
            f = figures['default']
            seams.append(
                f'| `{name}` | {f["tile"]}, {f["overlap"]} | {f["tiles"]} | {f["rms"]:.3f} | {f["largest"]:.2f} '
                f'| {f["psnr_whole"]:.2f} | {f["psnr_change"]:+.4f} |'
            )
        borders += [
            f'| `{name}` | {border} | {f["psnr"]:.2f} | {f["psnr_inner"]:.2f} |'
            for border in BORDERS
            if (f := figures.get(f'border {border}'))
        ]
    return {'seams': '\n'.join(seams), 'borders': '\n'.join(borders)}


def main() -> None:
    """Measure, draw, and put the tables between their markers in docs/restore.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model_zoo', type=Path, default=Path('model_zoo'), help='folder of the released weights')
    parser.add_argument('--only', nargs='+', choices=NETWORKS, default=NETWORKS, help='measure these networks only')
    args = parser.parse_args()
    path, page = ROOT / 'docs/seams.json', ROOT / 'docs/restore.md'
    results = json.loads(path.read_text()) if path.exists() else {}
    register()
    for name in args.only:
        known = results.setdefault(name, {})
        borders = measure_borders(name, args.model_zoo, known) if name in ('conversenet', 'converse_usrnet') else ()
        for _ in chain(measure(name, args.model_zoo, known), borders):
            path.write_text(json.dumps(results, indent=1) + '\n')
    plot({name: results[name] for name in NETWORKS if results.get(name)}, ROOT / 'docs/seams.svg')
    text = page.read_text(encoding='utf-8')
    for name, table in tables(results).items():
        before, _, rest = text.partition(f'<!-- {name} -->\n')
        text = f'{before}<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->{rest.partition(f"<!-- /{name} -->")[2]}'
    page.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
