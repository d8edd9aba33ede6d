"""Weights & Biases of any version is started, or named in one line."""

import sys
import types
from typing import Any

import pytest

from converse_basicsr.compat import patches
from converse_basicsr.errors import UserError

OPTIONS = {'name': 'tiny', 'logger': {'wandb': {'project': 'p'}}}


def fake(monkeypatch: pytest.MonkeyPatch, started: list[Any], *, has_ids: bool) -> None:
    """Put a package in the place of wandb: of before 0.22 with ids, or of today without."""
    wandb, runid = types.ModuleType('wandb'), types.ModuleType('wandb.sdk.lib.runid')
    util: Any = types.SimpleNamespace(generate_id=lambda: 'old') if has_ids else types.SimpleNamespace()
    vars(wandb).update(util=util, init=lambda **arguments: started.append(arguments))
    vars(runid)['generate_id'] = lambda: 'new'
    modules = {'wandb': wandb, 'wandb.sdk': types.ModuleType('wandb.sdk'), 'wandb.sdk.lib': types.ModuleType('lib')}
    for name, module in {**modules, 'wandb.sdk.lib.runid': runid}.items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.promise("Weights & Biases does not start: today's package lacks `wandb.util.generate_id`")
@pytest.mark.parametrize('has_ids', [True, False])
def test_it_starts_with_and_without_the_old_function(monkeypatch: pytest.MonkeyPatch, has_ids: bool) -> None:
    started: list[Any] = []
    fake(monkeypatch, started, has_ids=has_ids)
    patches.apply()
    from basicsr import train

    train.init_wandb_logger(OPTIONS)
    assert [arguments['id'] for arguments in started] == ['old' if has_ids else 'new']
    if not has_ids:
        fake(monkeypatch, started, has_ids=False)
        with patches.disabled('wandb_ids'), pytest.raises(AttributeError):
            train.init_wandb_logger(OPTIONS)


def test_what_it_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, [], has_ids=False)

    def refuse(**_: Any) -> None:
        raise RuntimeError('no API key\nconfigured')

    monkeypatch.setattr(sys.modules['wandb'], 'init', refuse)
    patches.apply()
    from basicsr import train

    with pytest.raises(UserError, match=r'logger:wandb: wandb cannot be started \(no API key configured\)'):
        train.init_wandb_logger(OPTIONS)
