"""Write a network as TorchScript, ``torch.export`` program or ONNX model, and run what was written."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from converse_basicsr.errors import UserError
from converse_basicsr.export.lowering import Lowered

Run = Callable[..., torch.Tensor]

SUFFICIENT = '2.8'
"""The version of PyTorch from which every network can be exported."""

INPUT_NAMES = ('image', 'kernel')
"""Names of the inputs in ONNX models, in the order of the network's arguments."""

HEIGHT, WIDTH = 2, 3
"""Axes that a dynamic program leaves open, of (N, C, H, W)."""


def write(net: nn.Module, example: tuple[torch.Tensor, ...], file_format: str, *, dynamic: bool, fold: bool) -> bytes:
    """Write a network, in memory: where the disk is full, PyTorch's writers end the process.

    Args:
        net: Takes an image and, where it needs one, a kernel; in eval mode, on the device where the file is to run.
        example: Inputs of the size to export for, on that device.
        file_format: ``onnx``, ``torch.export`` or ``torchscript``.
        dynamic: Leave height and width open.
        fold: Store filters instead of making them in every call; for fixed sizes.

    Returns:
        What the file is to hold.

    Raises:
        UserError: If the network cannot be exported in this form.
    """
    form = 'real' if file_format == 'onnx' else 'fft'
    with torch.no_grad():
        lowered = Lowered(_program(net, example, dynamic=dynamic), form, example=example if fold else None)
        if file_format == 'torchscript':
            return _as_torchscript(lowered, example)
        program = _program(lowered, example, dynamic=dynamic)
        if file_format == 'onnx':
            return _as_onnx(program, num_inputs=len(example))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        return buffer.getvalue()


def _program(net: nn.Module, example: tuple[torch.Tensor, ...], *, dynamic: bool) -> torch.export.ExportedProgram:
    """Export by ``torch.export``, with the image's height and width open if ``dynamic``."""
    shapes: tuple[Any, ...] | None = None
    if dynamic and not hasattr(torch.export.Dim, 'DYNAMIC'):
        raise UserError(f'--dynamic needs torch {SUFFICIENT} or newer, this is {torch.__version__}')
    if dynamic:
        open_axis = torch.export.Dim.DYNAMIC
        shapes = ({HEIGHT: open_axis, WIDTH: open_axis}, *(None for _ in example[1:]))
        if isinstance(net, Lowered):
            shapes = (shapes,)  # its forward takes *args
    try:
        return torch.export.export(net, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises most classes for what it cannot follow
        remedy = 'leave --dynamic out' if dynamic else 'another --size may help'
        if torch.torch_version.TorchVersion(torch.__version__) < SUFFICIENT:
            remedy = f'torch {SUFFICIENT} or newer can, this is {torch.__version__}'
        raise UserError(f'torch.export cannot follow this network ({_first_line(error)}); {remedy}') from error


def _first_line(error: Exception) -> str:
    """Return the first line of an exporter's message, which may fill pages."""
    return next((line.strip(' -') for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _as_torchscript(net: nn.Module, example: tuple[torch.Tensor, ...]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of tracing: sizes become constants; of torch.jit: it is deprecated
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.trace(net, example, check_trace=False), buffer)
        return buffer.getvalue()


def _as_onnx(program: torch.export.ExportedProgram, *, num_inputs: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the exporter's notes to its own developers
        try:
            exported: Any = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(INPUT_NAMES[:num_inputs]),
                output_names=['restored'],
                verbose=False,
            )
            content: bytes = exported.model_proto.SerializeToString()
        except Exception as error:  # such as a file beyond the 2 GiB of the format, by --fold at a large size
            raise UserError(f'torch.onnx cannot write this network ({_first_line(error)})') from error
    return content


def read(file_format: str, content: bytes) -> Run:
    """Load what :func:`write` returned as a function of tensors."""
    if file_format == 'torchscript':
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return torch.jit.load(io.BytesIO(content))
    if file_format == 'torch.export':
        return torch.export.load(io.BytesIO(content)).module()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        feed = {name: value.numpy() for name, value in zip(names, inputs)}
        return torch.from_numpy(session.run(None, feed)[0])

    return run
