"""Write a network as TorchScript, ``torch.export`` program or ONNX model, and run what was written."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from converse_basicsr.errors import UserError
from converse_basicsr.export.lowering import Lowered

Run = Callable[..., torch.Tensor]

INPUT_NAMES = ('image', 'kernel')
"""Names of the inputs in ONNX models, in the order of the network's arguments."""

HEIGHT, WIDTH = 2, 3
"""Axes that a dynamic program leaves open, of (N, C, H, W)."""


def write(
    net: nn.Module, example: tuple[torch.Tensor, ...], file_format: str, path: Path, *, dynamic: bool, fold: bool
) -> None:
    """Write a network.

    Args:
        net: Takes an image and, where it needs one, a kernel; in eval mode, on the CPU.
        example: Inputs of the size to export for.
        file_format: ``onnx``, ``torch.export`` or ``torchscript``.
        path: File to write.
        dynamic: Leave height and width open.
        fold: Store filters instead of making them in every call; for fixed sizes.

    Raises:
        UserError: If the network cannot be exported in this form.
    """
    form = 'real' if file_format == 'onnx' else 'fft'
    with torch.no_grad():
        lowered = Lowered(_program(net, example, dynamic=dynamic), form, example=example if fold else None)
        if file_format == 'torchscript':
            _write_torchscript(lowered, example, path)
            return
        program = _program(lowered, example, dynamic=dynamic)
        if file_format == 'torch.export':
            torch.export.save(program, path)
        else:
            _write_onnx(program, path, num_inputs=len(example))


def _program(net: nn.Module, example: tuple[torch.Tensor, ...], *, dynamic: bool) -> torch.export.ExportedProgram:
    """Export by ``torch.export``, with the image's height and width open if ``dynamic``."""
    shapes: tuple[Any, ...] | None = None
    if dynamic and not hasattr(torch.export.Dim, 'DYNAMIC'):
        raise UserError(f'--dynamic needs torch 2.8 or newer, this is {torch.__version__}')
    if dynamic:
        open_axis = torch.export.Dim.DYNAMIC
        shapes = ({HEIGHT: open_axis, WIDTH: open_axis}, *(None for _ in example[1:]))
        if isinstance(net, Lowered):
            shapes = (shapes,)  # its forward takes *args
    try:
        return torch.export.export(net, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises most classes for what it cannot follow
        size = 'leave --dynamic out' if dynamic else 'another --size may help'
        raise UserError(f'torch.export cannot follow this network ({_first_line(error)}); {size}') from error


def _first_line(error: Exception) -> str:
    """Return the first line of an exporter's message, which may fill pages."""
    return next((line.strip(' -') for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _write_torchscript(net: nn.Module, example: tuple[torch.Tensor, ...], path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of tracing: sizes become constants; of torch.jit: it is deprecated
        torch.jit.trace(net, example, check_trace=False).save(str(path))


def _write_onnx(program: torch.export.ExportedProgram, path: Path, *, num_inputs: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the exporter's notes to its own developers
        try:
            torch.onnx.export(
                program,
                f=str(path),
                dynamo=True,
                external_data=False,
                input_names=list(INPUT_NAMES[:num_inputs]),
                output_names=['restored'],
                verbose=False,
            )
        except Exception as error:  # such as a file beyond the 2 GiB of the format, by --fold at a large size
            raise UserError(f'torch.onnx cannot write this network ({_first_line(error)})') from error


def read(file_format: str, path: Path) -> Run:
    """Load a written file as a function of tensors."""
    if file_format == 'torchscript':
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return torch.jit.load(path)
    if file_format == 'torch.export':
        return torch.export.load(path).module()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        feed = {name: value.numpy() for name, value in zip(names, inputs)}
        return torch.from_numpy(session.run(None, feed)[0])

    return run
