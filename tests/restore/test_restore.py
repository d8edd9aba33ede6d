from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from converse_basicsr.archs import ConverseDnCNN, ConverseSRResNet, ConverseUSRNet, USRNet

Basicsr = Callable[..., int]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Checkpoints of tiny networks: a grey denoiser, a colour enlarger, and the two that take a kernel."""
    torch.manual_seed(0)
    nets = {
        'dncnn': ConverseDnCNN(num_feat=4, num_block=1),
        'x4': ConverseSRResNet(num_feat=4, num_block=1),
        'usr': ConverseUSRNet(num_feat=4, num_block=1, num_iter=1),
        'usrnet': USRNet(num_feat=2, num_block=1, num_iter=1),
    }
    for name, net in nets.items():
        torch.save({'params': net.state_dict()}, tmp_path / f'{name}.pth')
    return tmp_path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / 'colour.jpg'), rng.integers(0, 256, (20, 30, 3), np.uint8))
    cv2.imwrite(str(folder / 'deep.png'), rng.integers(0, 65536, (20, 30), np.uint16))
    cv2.imwrite(str(folder / 'clear.png'), rng.integers(0, 256, (20, 30, 4), np.uint8))
    return folder


def shapes(folder: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    images = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.glob('*.png'))}
    return {name: (image.shape, image.dtype) for name, image in images.items()}


def test_a_folder_of_all_kinds(basicsr: Basicsr, weights: Path, photos: Path, capsys) -> None:
    (photos / 'notes.txt').write_text('')
    assert basicsr('restore', None, 'photos', '--checkpoint', 'x4.pth', '--output', 'out', '--compare') == 0
    assert shapes(Path('out')) == {
        'clear.png': ((80, 120, 4), np.uint8),
        'colour.png': ((80, 120, 3), np.uint8),
        'deep.png': ((80, 120), np.uint16),
    }
    assert set(shapes(Path('out/compare'))) == {'clear.png', 'colour.png', 'deep.png'}
    output = capsys.readouterr()
    assert 'left out notes.txt' in output.err
    assert 'ConverseSRResNet from x4.pth (not stated by the checkpoint, so assumed: ' in output.err
    assert 'padding_mode=replicate' in output.err
    assert '3 of 3 images restored in out' in output.out


def test_the_result_is_the_networks(basicsr: Basicsr, weights: Path, photos: Path) -> None:
    assert basicsr('restore', None, 'photos/clear.png', '--checkpoint', 'dncnn.pth', '--output', 'out') == 0
    net = ConverseDnCNN(num_feat=4, num_block=1).eval()
    net.load_state_dict(torch.load('dncnn.pth', weights_only=True)['params'])
    before, after = (cv2.imread(f'{folder}/clear.png', cv2.IMREAD_UNCHANGED) for folder in ('photos', 'out'))
    with torch.no_grad():
        x = torch.from_numpy(before[..., :3].transpose(2, 0, 1).astype(np.float32) / 255)[:, None]
        expected = (net(x).clamp(0, 1) * 255).round()[:, 0].permute(1, 2, 0).numpy()
    assert np.abs(after[..., :3] - expected).max() <= 1  # batches differ in the last bit
    assert np.array_equal(after[..., 3], before[..., 3])


@pytest.mark.promise('results of `basicsr restore` that exist, or that would replace an input')
def test_nothing_is_overwritten_unasked(basicsr: Basicsr, weights: Path, photos: Path, capsys) -> None:
    command = ('restore', None, 'photos', '--checkpoint', 'dncnn.pth', '--output', 'out')
    Path('out').mkdir()
    Path('out/colour.png').write_text('mine')
    Path('out/deep.png').write_text('mine')
    assert basicsr(*command) == 2
    assert 'out/colour.png and 1 more exist already' in capsys.readouterr().err
    assert basicsr(*command, '--skip-existing') == 0
    assert Path('out/colour.png').read_text() == 'mine'
    assert '1 of 1 images' in capsys.readouterr().out
    assert basicsr(*command, '--skip-existing') == 0
    assert 'nothing to do' in capsys.readouterr().out
    assert basicsr(*command, '--overwrite') == 0
    assert len(shapes(Path('out'))) == 3


@pytest.mark.promise('results of `basicsr restore` that exist, or that would replace an input')
def test_inputs_are_never_replaced(basicsr: Basicsr, weights: Path, photos: Path, capsys) -> None:
    command = ('restore', None, 'photos/deep.png', '--checkpoint', 'dncnn.pth', '--output', 'photos', '--overwrite')
    assert basicsr(*command) == 2
    assert 'photos/deep.png would replace an input' in capsys.readouterr().err
    (photos / 'Colour.png').write_bytes((photos / 'deep.png').read_bytes())
    assert basicsr('restore', None, 'photos', '--checkpoint', 'dncnn.pth', '--output', 'out') == 2
    assert 'would all become out/' in capsys.readouterr().err
    assert not Path('out').exists()


@pytest.mark.promise('a bad image among those that `basicsr restore` is given')
def test_bad_images_are_named_and_the_others_restored(basicsr: Basicsr, weights: Path, photos: Path, capsys) -> None:
    (photos / 'bad.png').write_bytes(b'')
    assert basicsr('restore', None, 'photos', '--checkpoint', 'dncnn.pth', '--output', 'out') == 2
    output = capsys.readouterr()
    assert 'basicsr: error: photos/bad.png is empty' in output.err
    assert '3 of 4 images' in output.out
    assert len(shapes(Path('out'))) == 3


def test_kernels(basicsr: Basicsr, weights: Path, photos: Path, capsys) -> None:
    for side in (3, 7, 9):
        np.save(f'{side}.npy', np.full((side, side), 2.0))
    for checkpoint, kernel, scale in (('usr', 3, 1), ('usr', 7, 2), ('usrnet', 9, 3)):
        arguments = ('--kernel', f'{kernel}.npy', '--scale', str(scale), '--output', f'{checkpoint}{kernel}')
        command = ('restore', None, 'photos/colour.jpg', '--checkpoint', f'{checkpoint}.pth', *arguments)
        assert basicsr(*command) == 0
        assert shapes(Path(f'{checkpoint}{kernel}'))['colour.png'][0] == (20 * scale, 30 * scale, 3)
    capsys.readouterr()
    command = ('restore', None, 'photos/colour.jpg', '--output', 'out', '--checkpoint')
    Path('text.npy').write_text('no array')
    for arguments, message in [
        (['usr.pth'], 'needs the blur kernel: give it as --kernel'),
        (['usr.pth', '--kernel', '9.npy'], 'is 9 x 9, the network takes kernels of up to 7 x 7'),
        (['usr.pth', '--kernel', 'none.npy'], '--kernel none.npy does not exist'),
        (['usr.pth', '--kernel', 'text.npy'], '--kernel text.npy cannot be used'),
        (['usr.pth', '--kernel', '7.npy', '--sigma', '5'], '--sigma is no input of ConverseUSRNet'),
        (['usrnet.pth', '--kernel', '7.npy', '--sigma', '256'], '--sigma must be between 0 and 255'),
        (['x4.pth', '--scale', '4'], '--scale is no input of ConverseSRResNet'),
        (['x4.pth', '--kernel', '7.npy'], '--kernel is no input of ConverseSRResNet'),
        (['x4.pth', '--tile', '32', '--overlap', '25'], '--overlap must be between 0 and --tile - 8 (24), got 25'),
        (['x4.pth', '--tile', '15'], '--tile must be at least 16'),
        (['x4.pth', '--device', 'tpu'], '--device tpu'),
        (['x4.pth', '--border', '-1'], '--border must be at least 0'),
    ]:
        assert basicsr(*command, *arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len([line for line in error.splitlines() if line.startswith('basicsr: error')]) == 1
    assert not Path('out').exists()


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('nowhere', 'nowhere does not exist'),
        ('x4.pth', 'x4.pth is no image by its name'),
        ('empty', 'empty holds no image'),
    ],
)
def test_inputs_that_are_none(basicsr: Basicsr, weights: Path, capsys, argument: str, message: str) -> None:
    Path('empty').mkdir()
    assert basicsr('restore', None, argument, '--checkpoint', 'x4.pth', '--output', 'out') == 2
    assert message in capsys.readouterr().err


def test_the_network_is_the_checkpoints_or_what_the_command_line_says(
    basicsr: Basicsr, weights: Path, photos: Path, capsys
) -> None:
    twin = {'num_feat': 4, 'num_block': 1, 'operator': 'convtranspose', 'padding_mode': 'reflect'}
    net = ConverseDnCNN(**twin)
    torch.nn.init.constant_(net.m_tail[0].bias, 0.5)  # else most of a random network's output is clipped to black
    content = {'params': net.state_dict(), 'network_g': {'type': 'ConverseDnCNN', **twin}}
    torch.save(content, 'twin.pth')
    command = ('restore', None, 'photos/deep.png', '--checkpoint', 'twin.pth', '--output')
    assert basicsr(*command, 'stated') == 0
    assert 'ConverseDnCNN from twin.pth\n' in capsys.readouterr().err
    assert basicsr(*command, 'told', '--network_g', 'operator=conv', 'padding_mode=circular') == 0
    assert 'ConverseDnCNN from twin.pth\n' in capsys.readouterr().err
    torch.save(content['params'], 'twin.pth')
    assert basicsr(*command, 'assumed') == 0
    assert 'operator=conv padding_mode=circular' in capsys.readouterr().err
    stated, told, assumed = (Path(f'{folder}/deep.png').read_bytes() for folder in ('stated', 'told', 'assumed'))
    assert stated != told
    assert told == assumed
    assert basicsr(*command, 'out', '--network_g', 'operator') == 2
    assert '--network_g operator: must look like key=value' in capsys.readouterr().err


def test_released_weights_by_name(basicsr: Basicsr, shared_data: Path, photos: Path) -> None:
    Path('model_zoo').symlink_to(shared_data / 'model_zoo')
    assert basicsr('restore', None, 'photos/deep.png', '--checkpoint', 'dncnn_gray25', '--output', 'out') == 0
    assert shapes(Path('out')) == {'deep.png': ((20, 30), np.uint16)}
