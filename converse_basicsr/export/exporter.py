"""Write a network into a file, read it back, compare it with torch, and time both.

``basicsr export --help`` reads this module, so it imports the heavy libraries inside its functions.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.inside import same_file

if TYPE_CHECKING:
    import numpy as np
    import torch

    from converse_basicsr.restore.checkpoint import Loaded

FORMATS = {'onnx': '.onnx', 'torch.export': '.pt2', 'torchscript': '.pt'}
"""Format -> suffix of its files."""
TOLERANCE = 1e-4
"""Largest difference to torch, for values in [0, 1], with which an exported file is kept."""
REPEATS = 3

Size = tuple[int, int]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        num_bytes: Its size.
        differences: Size of the image, (height, width) -> largest difference to torch.
        torch_seconds: Median time that torch takes for the size that was exported for.
        exported_seconds: Median time that the file takes.
    """

    path: Path
    num_bytes: int
    differences: dict[Size, float]
    torch_seconds: float
    exported_seconds: float


def export_network(
    checkpoint: 'str | os.PathLike[str] | Loaded',
    output: str | os.PathLike[str],
    *,
    file_format: str,
    size: Size = (128, 128),
    dynamic: bool = False,
    fold: bool = False,
    kernel: 'np.ndarray | None' = None,
    scale: int | None = None,
    sigma: float | None = None,
    device: str = 'cpu',
    overwrite: bool = False,
    opt: str | os.PathLike[str] | None = None,
    network_g: Mapping[str, Any] | None = None,
) -> Exported:
    """Export a network; docs/export.md describes its inputs and outputs.

    Args:
        checkpoint: File, name of released weights, or a network that was loaded from one; it is moved to the device.
        output: File to write; its folder is made.
        file_format: One of :data:`FORMATS`.
        size: Height and width of the image to export for.
        dynamic: Leave height and width open; not for TorchScript.
        fold: Store the filters of this size instead of making them from the kernels.
        kernel: A blur kernel (kh, kw) of the size to export for, for networks that take one.
        scale: Upscaling factor, for networks that accept any; 1 if None.
        sigma: Noise level of 0 to 255, for networks that take one; 0 if None.
        device: Where the file is to run, see :func:`converse_basicsr.devices.choose`. ONNX models run on any.
        overwrite: Replace the file if it exists.
        opt: Option file whose ``network_g`` the weights belong to; for a checkpoint that is not loaded.
        network_g: Arguments of the network, which override those found; for a checkpoint that is not loaded.

    Raises:
        UserError: If the network cannot be exported in this form, or the file differs from torch; it is not kept then.
        ArgumentError: If an argument is invalid; it is a ``ValueError`` too.
    """
    output = Path(output)
    from converse_basicsr.restore.checkpoint import Loaded, load

    source = checkpoint.path if isinstance(checkpoint, Loaded) else checkpoint
    require_possible(
        output,
        file_format=file_format,
        dynamic=dynamic,
        fold=fold,
        device=device,
        overwrite=overwrite,
        sources=[path for path in (source, opt) if path is not None],
    )

    import torch

    from converse_basicsr import devices
    from converse_basicsr.export import formats
    from converse_basicsr.export.image_network import image_network

    where = devices.choose(device)
    if not isinstance(checkpoint, Loaded):
        checkpoint = load(checkpoint, opt=opt, network_g=network_g)
    elif opt is not None or network_g is not None:
        raise ArgumentError('opt and network_g must be left out for a network that is loaded')
    net, example = image_network(checkpoint, size=size, kernel=kernel, scale=scale, sigma=sigma, device=where)
    sizes = [size]
    if dynamic:
        sizes.append((size[0] + 13, size[1] + 7))  # odd where the first is even
    differences = {}
    content = formats.write(net, example, file_format, dynamic=dynamic, fold=fold)
    exported = formats.read(file_format, content)
    for height, width in sizes:
        inputs = (torch.rand(1, checkpoint.channels, height, width).to(where), *example[1:])
        try:
            difference = compare(net, exported, inputs)
        except Exception as error:  # a size check that torch.export has added, or an error of the runtime
            reason = str(error).strip().splitlines()[0][:200]
            raise UserError(
                f'the exported network fails at {height} x {width} ({reason}): {output} was not written; '
                + ('leave --dynamic out' if dynamic else 'another --format may help')
            ) from error
        if not difference < TOLERANCE:
            raise UserError(
                f'the exported network differs from torch by {difference:.1e} at {height} x {width}, more than '
                f'{TOLERANCE:.0e}: {output} was not written'
            )
        differences[height, width] = difference
    torch_seconds, exported_seconds = median_seconds(net, example), median_seconds(exported, example)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(output, content, replace=overwrite)
    except OSError as error:
        raise UserError(f'{output} cannot be written: {error.strerror}') from error
    return Exported(output, len(content), differences, torch_seconds, exported_seconds)


def require_possible(
    output: Path,
    *,
    file_format: str,
    dynamic: bool,
    fold: bool,
    overwrite: bool,
    device: str = 'cpu',
    sources: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Refuse what cannot be exported, before anything is loaded or computed.

    Args:
        output: File to write.
        file_format: One of :data:`FORMATS`.
        dynamic: Whether height and width are left open.
        fold: Whether filters are stored.
        overwrite: Whether the file is replaced if it exists.
        device: Where the file is to run.
        sources: Files that are read, which are never replaced.

    Raises:
        ArgumentError: If arguments do not go together, or the format is unknown.
        UserError: If the file exists, cannot be written or is a source, or a format's packages are absent.
    """
    if file_format not in FORMATS:
        raise ArgumentError(f'file_format must be one of {sorted(FORMATS)}, got {file_format!r}')
    if output.suffix != FORMATS[file_format]:
        raise ArgumentError(f'output must end in {FORMATS[file_format]} for {file_format}, got {output}')
    if os.path.lexists(output) and not overwrite:
        raise UserError(f'{output} exists already: choose another --output or --overwrite')
    if any(same_file(output, Path(source)) for source in sources):
        raise UserError(f'{output} is what is exported from: choose another --output')
    there = next(folder for folder in output.absolute().parents if os.path.lexists(folder))
    if not os.access(there, os.W_OK | os.X_OK) or output.is_dir():
        raise UserError(f'{output} cannot be written: choose another --output')
    if dynamic and fold:
        raise ArgumentError('dynamic must be false with fold: filters are stored for one size')
    if dynamic and file_format == 'torchscript':
        raise ArgumentError('dynamic: tracing fixes the size; export to torch.export or onnx, or leave it out')
    if file_format == 'onnx' and device != 'cpu':
        raise ArgumentError(f'device must be cpu for onnx, whose models run on any, got {device}')
    absent = [name for name in ('onnx', 'onnxscript', 'onnxruntime') if importlib.util.find_spec(name) is None]
    if file_format == 'onnx' and absent:
        raise UserError(f"--format onnx needs {', '.join(absent)}: pip install 'converse-basicsr[export]'")


def compare(
    net: Callable[..., 'torch.Tensor'], exported: Callable[..., 'torch.Tensor'], inputs: tuple['torch.Tensor', ...]
) -> float:
    """Return the largest absolute difference between the outputs of two networks."""
    import torch

    with torch.no_grad():
        return float((exported(*inputs) - net(*inputs)).abs().max())


def median_seconds(net: Callable[..., 'torch.Tensor'], inputs: tuple['torch.Tensor', ...]) -> float:
    """Return the median seconds of a few calls, after one that is not counted."""
    import torch

    from converse_basicsr.devices import synchronize

    seconds = []
    with torch.no_grad():
        net(*inputs)
        for _ in range(REPEATS):
            synchronize(inputs[0].device)
            start = time.perf_counter()
            net(*inputs)
            synchronize(inputs[0].device)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
