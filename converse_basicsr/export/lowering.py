"""Exported programs without this package's own torch operators, so that they load where it is not installed."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx, nn

from converse_basicsr.export import real_dft
from converse_basicsr.ops import sampling, transfer
from converse_basicsr.ops.float64 import for_float64, moved
from converse_basicsr.ops.padding import pad2d
from converse_basicsr.ops.torch_library import complex_dtype

_OPS = torch.ops.converse_basicsr


def fft_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    """``ops.torch_library.inverse_filter`` in one piece, of torch's own operators."""
    made = transfer.inverse_filter(for_float64(kernel), for_float64(lam), scale, height, width, term)
    return moved(made.to(dtype), kernel.device)


def fft_spectral_filter(
    x: torch.Tensor, otf: torch.Tensor, rows: int, columns: int, mode: str, crop: bool
) -> torch.Tensor:
    """``ops.torch_library.spectral_filter`` in one piece, of torch's own operators."""
    height, width = x.shape[-2:]
    grid = (height + 2 * rows, width + 2 * columns)
    padded = pad2d(x, (columns, columns, rows, rows), mode)
    solved = torch.fft.irfft2(torch.fft.rfft2(padded) * otf, s=grid)
    return solved[..., rows : rows + height, columns : columns + width] if crop else solved


def real_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> real_dft.Pair:
    """Make the filter of :func:`fft_filter` as a pair of real tensors."""
    return real_dft.inverse_filter(kernel, lam, scale, height, width, term).to(dtype.to_real())


def solve(
    x: torch.Tensor,
    kernel: torch.Tensor,
    otf: torch.Tensor | real_dft.Pair,
    scale: int,
    rows: int,
    columns: int,
    mode: str,
    spectral_filter: Callable[..., torch.Tensor],
) -> torch.Tensor:
    """Do the same as ``ops.inference.solve_in_blocks``, with a given filter and a given function that applies it.

    Shape:
        x (N, C, H, W) -> (N, C, scale * H, scale * W)
    """
    if scale == 1:
        return spectral_filter(x, otf, rows, columns, mode, True)
    height, width = x.shape[-2:]
    solved = spectral_filter(x, otf, rows, columns, mode, False)
    start = sampling.nearest(pad2d(x, (columns, columns, rows, rows), mode), scale)
    out = start + sampling.blur_and_decimate_adjoint(solved, kernel.to(x.dtype), scale)
    top, left = scale * rows, scale * columns
    return out[..., top : top + scale * height, left : left + scale * width]


# Form -> (function that makes a filter, function that applies it), by torch's Fourier transforms or real matrices only.
FORMS: dict[str, tuple[Callable[..., Any], Callable[..., torch.Tensor]]] = {
    'fft': (fft_filter, fft_spectral_filter),
    'real': (real_filter, real_dft.spectral_filter),
}


class Lowered(nn.Module):
    """A network's exported graph whose nodes of this package run as ordinary torch operators.

    Export or trace it again to get a graph of these.

    Args:
        program: The network, exported by ``torch.export`` with gradients off.
        form: ``fft`` or ``real``, see ``FORMS``.
        example: Inputs with which the filters are made once, now, instead of in every call. The size of the maps has to
            be fixed; filters of kernels that are predicted from an input are still made in every call.
    """

    def __init__(
        self, program: torch.export.ExportedProgram, form: str, *, example: tuple[torch.Tensor, ...] | None = None
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f'form must be one of {sorted(FORMS)}, got {form!r}')
        self.graph_module = program.module()
        self.form = form
        self.filters = nn.ModuleDict()
        if example is not None:
            made: dict[fx.Node, Any] = {}
            with torch.no_grad():
                _Runner(self.graph_module, form, made=made).run(*example)
            constant = _constants(self.graph_module.graph)
            for node, otf in made.items():
                if all(source in constant for source in _sources(node)):
                    self.filters[node.name] = _Stored(otf)

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        """Run the graph."""
        return _Runner(self.graph_module, self.form, stored=self.filters).run(*args)


class _Stored(nn.Module):
    """A filter as buffers."""

    def __init__(self, otf: torch.Tensor | real_dft.Pair) -> None:
        super().__init__()
        for i, part in enumerate(otf if isinstance(otf, real_dft.Pair) else [otf]):
            self.register_buffer(f'part{i}', part)

    def forward(self) -> torch.Tensor | real_dft.Pair:
        """The filter."""
        parts = list(self.buffers())
        return real_dft.Pair(*parts) if len(parts) == 2 else parts[0]


class _Runner(fx.Interpreter):
    """Runs a graph with this package's nodes replaced, taking stored filters where there are any.

    Args:
        graph_module: The graph.
        form: ``fft`` or ``real``, see ``FORMS``.
        stored: Filters by the name of the node that would make them.
        made: Receives the filters that are made, by node; None to forget them.
    """

    def __init__(
        self,
        graph_module: fx.GraphModule,
        form: str,
        *,
        stored: nn.ModuleDict | None = None,
        made: dict[fx.Node, Any] | None = None,
    ) -> None:
        super().__init__(graph_module)
        self.form = form
        self.make_filter, self.spectral_filter = FORMS[form]
        self.stored = nn.ModuleDict() if stored is None else stored
        self.made = made

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; the fx name of the argument."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if n.target is _OPS.solve.default:
            x, kernel, lam, scale, rows, columns, mode = args
            grid = (x.shape[-2] + 2 * rows, x.shape[-1] + 2 * columns)
            otf = self._filter(n, kernel, lam, scale, *grid, 'both', complex_dtype(x.dtype))
            return solve(x, kernel, otf, scale, rows, columns, mode, self.spectral_filter)
        if n.target is _OPS.inverse_filter.default:
            return self._filter(n, *args)
        if n.target is _OPS.spectral_filter.default:
            return self.spectral_filter(*args)
        if n.target is torch.ops.higher_order.wrap_with_autocast:
            # Off, as all autocast regions of this package are; an exported program has none around it either.
            _, _, _, _, body, *inputs = args
            return _Runner(body, self.form).run(*inputs)
        if n.op == 'call_module' and n.target == '_guards_fn':
            return None  # checks of the sizes, which the next export makes anew
        if n.target is torch.ops.aten._assert_tensor_metadata.default:
            return None  # dtypes and devices of the first export, equal in the next
        return getattr(self, n.op)(n.target, args, kwargs)

    def _filter(self, node: fx.Node, *args: Any) -> Any:
        if node.name in self.stored:
            return self.stored[node.name]()
        otf = self.make_filter(*args)
        if self.made is not None:
            self.made[node] = otf
        return otf


def _constants(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that depend on no input."""
    constants: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op != 'placeholder' and all(source in constants for source in node.all_input_nodes):
            constants.add(node)
    return constants


def _sources(node: fx.Node) -> list[fx.Node]:
    """The nodes that a filter is made from: kernel and lam."""
    first = 1 if node.target is _OPS.solve.default else 0
    return cast('list[fx.Node]', list(node.args[first : first + 2]))
