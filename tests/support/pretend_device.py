"""A pretended device of type ``mps``: it computes what the CPU does, but has no float64, and no CPU tensor may join in.

Tensors on it are wrappers around CPU tensors, so that code sees a real device: ``x.device`` is ``mps``, and what moves
there and back passes through ``to``. What a device without float64 refuses raises ``TypeError`` here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._library.custom_ops import OPDEFS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRETENDED = torch.device('mps', 0)
TOO_WIDE = (torch.float64, torch.complex128)


class OnPretended(torch.Tensor):
    """A tensor on the pretended device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> 'OnPretended':
        if inner.dtype in TOO_WIDE:
            raise TypeError(f'the pretended device has no {inner.dtype}')
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device='meta'
        )
        wrapper.inner = inner
        return wrapper

    @property
    def device(self) -> torch.device:  # what is not Python sees ``meta``: no PyTorch without MPS has guards for it
        return PRETENDED

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with _Pretending():
            return func(*args, **(kwargs or {}))


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == 'converse_basicsr':  # an operator of this package: look into it
            with self:
                return OPDEFS[f'{func.namespace}::{func._opname}']._init_fn(*args, **kwargs)
        if func is torch.ops.aten._conj.default:  # lazy, which is lost within a dispatch mode
            func = torch.ops.aten._conj_physical.default
        with self:
            composed = func.decompose(*args, **kwargs)
        if composed is not NotImplemented:
            return composed
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = any(isinstance(tensor, OnPretended) for tensor in tensors)
        to = kwargs.get('device')
        if to is not None and torch.device(to).type in (PRETENDED.type, 'meta'):
            there, kwargs = True, {**kwargs, 'device': torch.device('cpu')}
        elif to is not None:
            there = False
        copies = func in (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
        if copies and kwargs.get('dtype') in TOO_WIDE and any(isinstance(tensor, OnPretended) for tensor in tensors):
            raise TypeError(f'the pretended device has no {kwargs["dtype"]}, not even to copy from')
        if there and not copies and any(not isinstance(tensor, OnPretended) and tensor.ndim for tensor in tensors):
            raise RuntimeError(f'{func}: a tensor on the CPU among those of the pretended device')
        if func is torch.ops.aten.copy_.default and isinstance(args[1], OnPretended) and args[0].dtype in TOO_WIDE:
            raise TypeError(f'the pretended device has no {args[0].dtype}, not even to copy from')
        wrapped = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, OnPretended)}
        args, kwargs = tree_map(lambda x: x.inner if isinstance(x, OnPretended) else x, (args, kwargs))
        out = func(*args, **kwargs)
        if not there:
            return out

        def wrap(x: Any) -> Any:
            if not isinstance(x, torch.Tensor):
                return x
            return wrapped[id(x)] if id(x) in wrapped else OnPretended(x)  # the former where it works in place

        return tree_map(wrap, out)


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """Within the context ``tensor.to('mps:0')`` and ``torch.empty(..., device='mps:0')`` work, by pretending."""
    with _Pretending():
        yield PRETENDED
