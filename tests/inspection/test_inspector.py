import csv
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from converse_basicsr import archs
from converse_basicsr.archs import ConverseDnCNN, ConverseUSRNet
from converse_basicsr.archs.converse_usrnet import ConverseDataStep
from converse_basicsr.checkpoints import files
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.inspection import inspect_network, inspector, sheets
from converse_basicsr.inspection.inspector import inspect, require_place, write
from converse_basicsr.ops import Converse2D
from converse_basicsr.restore import checkpoint

SMALL = {'num_feat': 4, 'num_block': 2}
BLUR = np.full((7, 7), 1 / 49)


def save(path: str, network: str = 'ConverseDnCNN', seed: int = 0, **arguments: Any) -> torch.nn.Module:
    """Write a checkpoint that states its network."""
    torch.manual_seed(seed)
    net = getattr(archs, network)(**SMALL, **arguments)
    Path(path).parent.mkdir(exist_ok=True)
    files.write({'params': net.state_dict(), 'network_g': {'type': network, **SMALL, **arguments}}, Path(path))
    return net


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def start_file(section: object, **options: Any) -> str:
    Path('net.yml').write_text(yaml.safe_dump({'network_g': section, **options}, sort_keys=False))
    return 'net.yml'


def test_checkpoints_are_inspected_one_by_one() -> None:
    nets = [save(f'net_g_{n}.pth', seed=n) for n in range(3)]
    found = inspect([f'net_g_{n}.pth' for n in (0, 2, 0, 1)], grid=8)
    assert [one.label for one in found] == ['net_g_0', 'net_g_2', 'net_g_1']
    for one, number in zip(found, (0, 2, 1)):
        assert one.title == f'ConverseDnCNN from net_g_{number}.pth'
        assert torch.equal(one.layers[1].lam, nets[number].m_body[1].conv1[3].lam.double().flatten())
        assert torch.equal(one.layers[1].filters.kernel, nets[number].m_body[1].conv1[3].weight[0].double())


def test_checkpoints_of_one_name_are_told_apart() -> None:
    for folder in ('a', 'b'):
        save(f'{folder}/net.pth')
    assert [one.label for one in inspect(['a/net.pth', 'b/net.pth'], grid=8)] == ['a/net.pth', 'b/net.pth']


def test_weights_that_state_no_network_take_an_option_file() -> None:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    section = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 2}
    section['converse'] = {'upsample': True}
    torch.save({'params': build_network(dict(section)).state_dict()}, 'edsr.pth')
    (found,) = inspect(['edsr.pth'], opt=start_file(section), grid=8)
    assert [layer.scale for layer in found.layers] == [2]


def test_the_start_is_that_of_the_training(basicsr: Callable[..., int], run_options: dict[str, Any]) -> None:
    run_options['train']['optim_g']['lr'] = 1e-30
    run_options['manual_seed'] = 7
    assert basicsr('train', run_options) == 0
    (trained,) = inspect(['experiments/tiny/models/net_g_latest.pth'], grid=8)
    (start,) = inspect(opt='run.yml', grid=8)
    assert (start.label, start.title) == ('start', 'ConverseSRResNet from run.yml, as its training starts')
    assert len(start.layers) == len(trained.layers) > 1
    for one, other in zip(start.layers, trained.layers):
        assert one.name == other.name
        torch.testing.assert_close(one.filters.kernel, other.filters.kernel)
    run_options['manual_seed'] = 8
    Path('run.yml').write_text(yaml.safe_dump(run_options))
    (another,) = inspect(opt='run.yml', grid=8)
    assert not torch.allclose(another.layers[0].filters.kernel, start.layers[0].filters.kernel)


def test_the_start_can_be_shown_beside_checkpoints() -> None:
    save('start.pth')
    save('net.pth')
    opt = start_file({'type': 'ConverseDnCNN', **SMALL}, manual_seed=3)
    assert [one.label for one in inspect(['net.pth'], opt=opt, grid=8)] == ['net']
    found = inspect(['net.pth', 'start.pth'], opt=opt, start=True, grid=8)
    assert [one.label for one in found] == ['start', 'net.pth', 'start.pth']
    assert [one.title.endswith(', as its training starts') for one in found] == [True, False, False]
    (alone,) = inspect(opt=opt, start=True, grid=8)
    assert torch.equal(alone.layers[0].filters.kernel, found[0].layers[0].filters.kernel)


def test_the_start_of_a_fine_tuning_is_its_weights() -> None:
    net = save('net.pth')
    opt = start_file({'type': 'ConverseDnCNN', **SMALL}, path={'pretrain_network_g': 'net.pth'})
    (found,) = inspect(opt=opt, grid=8)
    assert torch.equal(found.layers[0].filters.kernel, net.m_body[0].conv1[3].weight[0].double())
    assert found.title == 'ConverseDnCNN from net.pth, as its training starts'


def test_the_random_generators_stay_as_they_are() -> None:
    opt = start_file({'type': 'ConverseDnCNN', **SMALL}, manual_seed=3)
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.get_rng_state(), random.getstate()
    inspect(opt=opt, network_g={'num_block': 1}, grid=8)
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert random.getstate() == expected[1]


@pytest.mark.parametrize(
    ('section', 'message'),
    [
        ({'type': 'ConverseDnCN'}, r'net\.yml:2 network_g:type: no arch is named .*did you mean ConverseDnCNN'),
        ({'type': 'ConverseDnCNN', 'num_block': -1}, r'net\.yml:1 network_g: ConverseDnCNN cannot be built'),
        ({'type': 'ConverseDnCNN', 'num_feat': 10**7}, r'net\.yml:1 network_g: ConverseDnCNN cannot be built: it need'),
        ({'type': ['a']}, r'net\.yml:1 network_g: .* cannot be built'),
        ({'num_feat': 4}, r'net\.yml network_g: must be a section with a type'),
        ('ConverseDnCNN', r'net\.yml network_g: must be a section with a type'),
        ({'type': 'DnCNN', 'num_feat': 4}, r'net\.yml: DnCNN has no reverse convolution'),
    ],
)
def test_starts_that_cannot_be_inspected(section: object, message: str) -> None:
    opt = start_file(section)
    with pytest.raises(UserError, match=message):
        inspect(opt=opt)


@pytest.mark.parametrize('seed', [-1, 2**32, 'a', 1.5, [1]])
def test_seeds_that_are_none(seed: object) -> None:
    opt = start_file({'type': 'ConverseDnCNN', **SMALL}, manual_seed=seed)
    with pytest.raises(UserError, match=r'net\.yml:\d manual_seed: must be a whole number'):
        inspect(opt=opt)


@pytest.mark.promise('`basicsr inspect` on a network without reverse convolutions')
def test_the_checkpoint_without_reverse_convolutions_is_named() -> None:
    save('one.pth')
    save('twin.pth', operator='conv')
    with pytest.raises(UserError, match=r'^twin\.pth: ConverseDnCNN has no reverse convolution'):
        inspect(['one.pth', 'twin.pth'], grid=8)


@pytest.mark.promise('`basicsr inspect` on a network that needs a blur kernel, without one')
def test_a_blur_kernel_goes_to_the_networks_that_take_one() -> None:
    save('blind.pth')
    save('given.pth', 'ConverseUSRNet', num_iter=2)
    blind, given = inspect(['blind.pth', 'given.pth'], grid=8)
    assert (blind.note, given.note) == ('', 'kernels of d: made from the blur kernel, so give one as --kernel')
    blind, given = inspect(['blind.pth', 'given.pth'], kernel=BLUR, scale=3, grid=8)
    assert [layer.scale for layer in given.layers if layer.name.startswith('d')] == [3, 1]
    assert given.note == ''
    assert len(blind.layers) == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'nothing to inspect: give --checkpoint FILE, or -opt FILE'),
        ({'checkpoints': ['blind.pth'], 'kernel': BLUR}, '--kernel is no input of this network'),
        ({'checkpoints': ['blind.pth'], 'start': True}, '--start has no effect without -opt'),
        ({'checkpoints': ['given.pth'], 'scale': 2}, '--scale has no effect without kernel'),
        ({'checkpoints': ['given.pth'], 'kernel': np.ones((9, 9))}, '--kernel is 9 x 9, the network takes'),
        ({'checkpoints': ['given.pth'], 'kernel': np.ones((2, 2))}, 'must be a matrix with odd sides'),
        ({'checkpoints': ['blind.pth'], 'grid': 1000}, '--grid must be between 1 and 512, got 1000'),
        ({'checkpoints': ['none.pth']}, 'none.pth is no file'),
    ],
)
def test_arguments_that_do_not_suit(arguments: dict[str, Any], message: str) -> None:
    save('blind.pth')
    save('given.pth', 'ConverseUSRNet', num_iter=1)
    with pytest.raises(ArgumentError) as caught:
        inspect(**arguments)
    assert message in caught.value.on_command_line


@pytest.mark.promise('weights that hold infinity or NaN')
def test_weights_that_are_not_finite_are_named() -> None:
    net = ConverseDnCNN(**SMALL)
    net.m_body[1].conv1[3].bias.data[0, 1] = float('nan')
    torch.save({'params': net.state_dict()}, 'net.pth')
    with pytest.raises(UserError, match=r'net\.pth.* m_body\.1\.conv1\.3\.bias holds infinity or NaN'):
        inspect(['net.pth'])


def inspected(*seeds: int) -> list[inspector.Inspected]:
    for seed in seeds:
        save(f'net_g_{seed}.pth', seed=seed)
    save('usrnet.pth', 'ConverseUSRNet', num_iter=1)
    return inspect([*(f'net_g_{seed}.pth' for seed in seeds), 'usrnet.pth'], grid=8)


def test_tables_plots_and_sheets_are_written() -> None:
    pytest.importorskip('matplotlib')
    output = Path('new/folder')
    require_place(output)
    written = write(inspected(0, 1), output, grid=8, channels=3)
    names = ['gains.svg', 'inspect.csv', 'inspect.md', 'lam.svg', 'sheet_1.png', 'sheet_2.png', 'sheet_3.png']
    assert sorted(path.name for path in written) == sorted(path.name for path in output.iterdir()) == names
    rows = list(csv.DictReader((output / 'inspect.csv').read_text().splitlines()))
    assert {row['network'] for row in rows} == {'net_g_0', 'net_g_1', 'usrnet'}
    page = (output / 'inspect.md').read_text()
    assert [link for link in re.findall(r'\]\((.*?)\)', page) if not (output / link).is_file()] == []
    assert page.count('| m\\_body.0') + page.count('| m_body.0.conv1.3 |') == 2
    assert 'made from the blur kernel, so give one as --kernel' in page
    for name in ('gains.svg', 'lam.svg'):
        text = (output / name).read_text()
        assert all(label in text for label in ('net_g_0', 'net_g_1', 'usrnet', 'p.m_body.1.conv1.3'))
    # One row of pictures for each layer whose kernels are known; their frames are grey.
    for number, count in ((1, 2), (2, 2), (3, 2)):
        sheet = cv2.imread(str(output / f'sheet_{number}.png'))
        frames = (sheet[:, sheets.MARGIN + 2] == 160).all(-1)
        assert frames.sum() == 2 * count
        assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


def test_the_same_networks_give_the_same_files() -> None:
    pytest.importorskip('matplotlib')
    for folder in ('a', 'b'):
        write(inspected(0), Path(folder), grid=8)
    for path in Path('a').iterdir():
        assert path.read_bytes() == Path('b', path.name).read_bytes()
    require_place(Path('a'))  # it may be done again


def test_many_layers_go_on_several_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, 'MOST_ROWS', 1)
    (found, _) = inspected(0)
    first, second = sheets.contact_sheets('title', found.layers, grid=8, channels=2)
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


def test_channels_go_from_the_smallest_gain_to_the_largest() -> None:
    torch.manual_seed(0)
    rms = torch.rand(20)
    filters = inspected(0)[0].layers[0].filters
    chosen = sheets._choose(type(filters)(**{**vars(filters), 'rms': rms}), 5)
    assert rms[chosen].tolist() == rms.sort().values[[0, 5, 10, 14, 19]].tolist()
    assert sheets._choose(filters, 100).tolist() == filters.rms.argsort().tolist()


@pytest.mark.parametrize(('grid', 'scale'), [(1, 1), (2, 3), (41, 2)])
def test_grids_and_scales_of_all_kinds_can_be_drawn(grid: int, scale: int) -> None:
    pytest.importorskip('matplotlib')
    save('given.pth', 'ConverseUSRNet', num_iter=1)
    write(inspect(['given.pth'], kernel=BLUR, scale=scale, grid=grid), Path('out'), grid=grid)


@pytest.mark.parametrize('module', [ConverseDataStep(2), Converse2D(1, 1, 3)], ids=['no filter', 'one layer'])
def test_networks_of_few_layers_can_be_drawn(module: torch.nn.Module) -> None:
    pytest.importorskip('matplotlib')
    if isinstance(module, Converse2D):
        module.weight.data.fill_(1e30)  # of gain 0
    write([inspector.Inspected('label', 'title', inspect_network(module, grid=4))], Path('out'), grid=4)
    assert Path('out/sheet_1.png').exists() == isinstance(module, Converse2D)


@pytest.mark.promise('names with markup, formulas or control characters in reports, pages and tables')
def test_names_stay_names() -> None:
    pytest.importorskip('matplotlib')
    for name in ('<b>x', '=1+1', '$\\frac', '_hidden', '\x1b[2J'):
        save(f'{name}.pth')
    write(inspect([f'{name}.pth' for name in ('<b>x', '=1+1', '$\\frac', '_hidden', '\x1b[2J')], grid=4), Path('out'))
    page = Path('out/inspect.md').read_text()
    assert not re.search(r'(?<!\\)<', page)
    assert '\x1b' not in page
    networks = {row['network'] for row in csv.DictReader(Path('out/inspect.csv').read_text().splitlines())}
    assert networks == {'<b>x', "'=1+1", '$\\frac', '_hidden', '\\x1b[2J'}
    assert '_hidden' in Path('out/lam.svg').read_text()


@pytest.mark.promise('files of yours under the names of a report, a page or a table')
@pytest.mark.parametrize('name', ['inspect.csv', 'inspect.md', 'gains.svg', 'lam.svg', 'sheet_1.png', 'sheet_12.png'])
def test_files_of_others_stay(name: str) -> None:
    pytest.importorskip('matplotlib')
    Path(name).write_text('mine')
    with pytest.raises(UserError, match=f'{name} is in the way'):
        require_place(Path())


@pytest.mark.promise('a place for results that is read-only, or no folder')
def test_places_that_are_none() -> None:
    pytest.importorskip('matplotlib')
    Path('file').touch()
    with pytest.raises(UserError, match='cannot write to file/below'):
        require_place(Path('file/below'))


def test_a_missing_matplotlib_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(UserError, match='plots need matplotlib'):
        require_place(Path('out'))


def test_a_network_that_fails_on_an_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    save('given.pth', 'ConverseUSRNet', num_iter=1)

    def fail(net: object, x: object, kernel: object, scale: int = 1) -> None:
        raise RuntimeError('no image of mine')

    monkeypatch.setattr(ConverseUSRNet, 'forward', fail)
    with pytest.raises(UserError, match=r'given\.pth: ConverseUSRNet cannot restore an image .* no image of mine'):
        inspect(['given.pth'], kernel=BLUR)


def test_a_start_is_loaded_with_the_weights_of_no_other_file() -> None:
    loaded = checkpoint.load_start(start_file({'type': 'ConverseDnCNN', **SMALL}))
    assert not loaded.net.training
    assert loaded.assumed == {}
    assert not any(parameter.requires_grad for parameter in loaded.net.parameters())
