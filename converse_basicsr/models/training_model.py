"""BasicSR's SRModel with mixed precision, accumulation, clipping and more: the base of this package's models."""

import contextlib
import functools
import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from torch import nn

from converse_basicsr.errors import UserError
from converse_basicsr.models.finite import ADVICE
from converse_basicsr.models.learning_rates import grouped
from converse_basicsr.models.training_options import TrainingOptions


class TrainingModel(SRModel):
    """Train any network of BasicSR, with mixed precision, gradient accumulation and clipping, ``torch.compile``.

    The section ``train`` of the option file takes the keys of
    :class:`~converse_basicsr.models.training_options.TrainingOptions` and any optimizer of ``torch.optim``, with
    learning rates of their own for kernels and lam of reverse convolutions (``kernel_lr_mult``, ``lam_lr_mult``).
    Without these keys, an iteration computes exactly what BasicSR's ``SRModel`` computes.

    Convention:
        An iteration is one optimizer step on ``batch_size_per_gpu * accum_iter`` samples per process. Its gradient is
        that of the mean loss over all of these samples. So 2 processes with 4 samples each, 1 process with 8, and 1
        process with 4 and ``accum_iter: 2`` are equivalent. ``total_iter``, ``val_freq``, ``save_checkpoint_freq``,
        schedules and EMA count iterations. Losses with ``reduction: sum`` are averaged over processes and
        micro-batches too.

        BatchNorm is the exception: it normalises over one micro-batch of one process, and the running statistics that
        are saved are those of rank 0.

        If the loss or the gradient is not finite on any process, the iteration is skipped on all: weights, optimizer,
        EMA and running statistics do not change. It is counted and logged.

    Subclasses override :meth:`losses` for other objectives and ``feed_data`` for other inputs. ``feed_data`` gets every
    micro-batch as if it were a batch.

    Args:
        opt: The option file's content, completed for a run.

    Raises:
        converse_basicsr.errors.UserError: If an option has a value that is not allowed or that the device does not
            support.
    """

    splits_batches = True
    """Tells the training loop to feed ``accum_iter`` batches at once."""

    lq: torch.Tensor
    gt: torch.Tensor
    output: torch.Tensor

    def __init__(self, opt: dict[str, Any]) -> None:
        self.options = TrainingOptions.read(opt['train']) if opt['is_train'] else TrainingOptions()
        super().__init__(opt)

    def init_training_settings(self) -> None:
        """Make losses, optimizer and schedules, gradient scaler and compiled network."""
        options = self.options
        if options.amp == 'fp16' and self.device.type != 'cuda':
            raise UserError('train:amp: fp16 needs a GPU; bf16 and no work on the CPU too')
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.amp == 'fp16')
        self.skipped_iterations = self.skipped_in_succession = 0
        super().init_training_settings()
        # Compiling the DistributedDataParallel wrapper, not the network inside it, lets communication overlap with the
        # backward pass.
        self.trained_net = torch.compile(self.net_g) if options.compile else self.net_g

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to the device, in the chosen memory format, and wrap it if there are several devices."""
        if self.options.channels_last:
            net = net.to(memory_format=torch.channels_last)
        return super().model_to_device(net)

    def get_optimizer(
        self,
        optim_type: str,
        params: Any,
        lr: float,
        *,
        kernel_lr_mult: float = 1,
        lam_lr_mult: float = 1,
        **kwargs: Any,
    ) -> torch.optim.Optimizer:
        """Make any optimizer of ``torch.optim`` by its name (BasicSR offers Adam only).

        Args:
            optim_type: Its name.
            params: The parameters that it trains.
            lr: Their learning rate.
            kernel_lr_mult: Factor of the learning rate for the kernels of reverse convolutions.
            lam_lr_mult: Factor of the learning rate for the logits of their lam.
            kwargs: Further arguments of the optimizer.
        """
        optimizer = getattr(torch.optim, optim_type, None)
        if not (isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)):
            raise UserError(f'train:optim_g:type must be an optimizer of torch.optim, such as Adam, got {optim_type!r}')
        options = {'lr': lr, **kwargs}
        networks = [part for part in vars(self).values() if isinstance(part, nn.Module)]
        params = grouped(networks, params, lr, {'kernel_lr_mult': kernel_lr_mult, 'lam_lr_mult': lam_lr_mult})
        try:
            made: torch.optim.Optimizer = optimizer(params, **options)
            inspect.signature(made.step).bind()
        except (TypeError, ValueError) as error:  # a step that needs a closure, as that of LBFGS, among them
            raise UserError(f'train:optim_g: {optim_type} cannot train this network: {error}') from error
        return made

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take ``lq`` and ``gt`` of a batch or a micro-batch."""
        super().feed_data(data)
        self.fed = data
        if self.options.channels_last:
            self.lq = self.lq.contiguous(memory_format=torch.channels_last)

    def losses(self) -> dict[str, torch.Tensor]:
        """The terms of the loss between ``self.output`` and ``self.gt``, by the names under which they are logged."""
        terms = {}
        if self.cri_pix:
            terms['l_pix'] = self.cri_pix(self.output, self.gt)
        if self.cri_perceptual:
            perceptual, style = self.cri_perceptual(self.output, self.gt)
            if perceptual is not None:
                terms['l_percep'] = perceptual
            if style is not None:
                terms['l_style'] = style
        return terms

    def optimize_parameters(self, current_iter: int) -> None:
        """Make one optimizer step on the batch that was fed.

        Args:
            current_iter: The iteration, for messages.

        Raises:
            converse_basicsr.errors.UserError: If too many iterations in succession were not finite.
        """
        batch, parts = self.fed, split(self.fed, self.options.accum_iter)
        self.optimizer_g.zero_grad()
        buffers = [buffer.clone() for buffer in self.get_bare_model(self.net_g).buffers()]
        means: dict[str, torch.Tensor] = {}
        for number, (part, share) in enumerate(parts, 1):
            if len(parts) > 1:
                self.feed_data(part)
            with self._gradients_exchanged(number == len(parts)):
                with self._autocast():
                    output = self.trained_net(self.lq)
                self.output = output.to(self.gt.dtype)
                terms = self.losses()
                loss = functools.reduce(torch.add, terms.values())
                self.scaler.scale(loss * share).backward()
            for name, term in terms.items():
                means[name] = means.get(name, 0) + term.detach() * share
        self.fed = batch
        self.log_dict = self._mean_over_processes(means)
        self.scaler.unscale_(self.optimizer_g)
        limit = float('inf') if self.options.grad_clip is None else self.options.grad_clip
        norm = nn.utils.clip_grad_norm_(self.net_g.parameters(), limit)
        # With a scaler, gradients may overflow now and then; the scaler skips such steps itself.
        finite = all(map(math.isfinite, self.log_dict.values())) and (self.scaler.is_enabled() or math.isfinite(norm))
        if not finite:
            self._skip(current_iter, buffers)
            return
        self.skipped_in_succession = 0
        try:
            self.scaler.step(self.optimizer_g)
        except (TypeError, ValueError, RuntimeError) as error:  # such as SparseAdam, of gradients that are not sparse
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            name = type(self.optimizer_g).__name__
            raise UserError(f'train:optim_g: {name} cannot train this network: {error}') from error
        self.scaler.update()
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def further_training_state(self) -> dict[str, Any]:
        """What a training state contains of this model beside weights, optimizers and schedules."""
        return {
            'scaler': self.scaler.state_dict(),
            'skipped_iterations': self.skipped_iterations,
            'skipped_in_succession': self.skipped_in_succession,
        }

    def load_further_training_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`further_training_state` returned; states of other models do not contain it."""
        if state.get('scaler') and self.scaler.is_enabled():
            self.scaler.load_state_dict(state['scaler'])
        self.skipped_iterations = state.get('skipped_iterations', 0)
        self.skipped_in_succession = state.get('skipped_in_succession', 0)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'no': None}[self.options.amp]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def _gradients_exchanged(self, wanted: bool) -> contextlib.AbstractContextManager[Any]:
        """A context for a backward pass in which the processes exchange gradients only if ``wanted``."""
        return contextlib.nullcontext() if wanted or not self.opt['dist'] else self.net_g.no_sync()

    def _mean_over_processes(self, losses: dict[str, torch.Tensor]) -> dict[str, float]:
        """Average losses over the processes; all get the same result, and so agree on whether it is finite."""
        values = torch.stack([value.mean() for value in losses.values()])
        if self.opt['dist']:
            torch.distributed.all_reduce(values)
            values /= self.opt['world_size']
        return dict(zip(losses, values.tolist()))

    def _skip(self, current_iter: int, buffers: list[torch.Tensor]) -> None:
        """Undo an iteration that was not finite, before its optimizer step; end the run if there were too many."""
        self.optimizer_g.zero_grad()
        for buffer, saved in zip(self.get_bare_model(self.net_g).buffers(), buffers):
            buffer.copy_(saved)
        self.skipped_iterations += 1
        self.skipped_in_succession += 1
        limit = self.options.nonfinite_limit
        get_root_logger().warning(
            f'Iteration {current_iter}: loss or gradient is not finite; skipped ({self.skipped_in_succession} in '
            f'succession of at most {limit}, {self.skipped_iterations} in all).'
        )
        if self.skipped_in_succession >= limit:
            raise UserError(
                f'loss or gradient was not finite in {limit} iterations in succession, the last being {current_iter}: '
                f'set train:grad_clip or train:amp: no and go on with --auto_resume, or {ADVICE}'
            )


def split(batch: Mapping[str, Any], count: int) -> list[tuple[dict[str, Any], float]]:
    """Split a batch into micro-batches.

    Args:
        batch: Tensors and lists with one entry per sample; anything else goes into every part.
        count: Number of parts; with fewer samples there are as many parts as samples.

    Returns:
        The parts, each with its share of the samples.
    """
    size = len(batch['lq'])
    bounds = [number * size // count for number in range(count + 1)]
    return [
        ({name: _cut(value, size, start, end) for name, value in batch.items()}, (end - start) / size)
        for start, end in itertools.pairwise(bounds)
        if end > start
    ]


def _cut(value: Any, size: int, start: int, end: int) -> Any:
    has_samples = (isinstance(value, torch.Tensor) and value.ndim > 0) or isinstance(value, (list, tuple))
    return value[start:end] if has_samples and len(value) == size else value
