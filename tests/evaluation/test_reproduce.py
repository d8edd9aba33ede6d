import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_run import smooth_image

from converse_basicsr import cli
from converse_basicsr.archs import ConverseSRResNet
from converse_basicsr.checkpoints import files
from converse_basicsr.evaluation import published
from converse_basicsr.options.library import option_files

ROW = ['--rows', 'converse_srresnet_x4', '--sets', 'Set5']


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with two tiny test images and weights where the option files look for them."""
    monkeypatch.chdir(tmp_path)
    Path('datasets/Set5/GTmod4').mkdir(parents=True)
    for number in range(2):
        image = smooth_image(np.random.default_rng(number), 32, 36)
        cv2.imwrite(f'datasets/Set5/GTmod4/{number}.png', image)
    Path('model_zoo').mkdir()
    torch.manual_seed(0)
    torch.save(ConverseSRResNet().state_dict(), 'model_zoo/converse_srresnet.pth')
    return tmp_path


def lines() -> list[dict[str, str]]:
    return list(csv.DictReader(Path('results/srresnet.csv').read_text().splitlines()))


@pytest.mark.slow
def test_measured_stands_beside_published_and_a_second_run_measures_nothing(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(['reproduce', 'srresnet', '--sets', 'Set5']) == 0
    output = capsys.readouterr()
    assert 'srresnet_x4: experiments/srresnet_x4/models/net_g_latest.pth does not exist; no weights are' in output.err
    assert [line['image'] for line in lines()] == ['0', '1']
    mean = np.mean([float(line['psnr']) for line in lines()])
    table = Path('results/srresnet.md').read_text()
    assert f'| Converse-SRResNet | {mean:.2f} (2) / 32.25 |' in table
    assert '| Conv-SRResNet | - / 32.23 |' in table
    assert len(list(Path('results/srresnet/converse_srresnet_x4').glob('Set5_*.png'))) == 1

    sheet = cv2.imread('results/srresnet.png')
    (one,) = (cv2.imread(str(path)) for path in Path('results/srresnet').glob('*/*.png'))
    assert np.array_equal(sheet, one)  # one row, one test set

    before = Path('results/srresnet.csv').read_bytes()
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    assert Path('results/srresnet.csv').read_bytes() == before


@pytest.mark.slow
@pytest.mark.promise('`basicsr compare` or `basicsr reproduce` repeated after an interruption')
def test_it_goes_on_where_it_was_stopped(run_folder: Path) -> None:
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    record = Path('results/srresnet.csv')
    whole = record.read_text().splitlines()
    record.write_text('\n'.join(whole[:2]) + '\n' + whole[2][:30])  # killed while it wrote the second image
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    assert lines()[0]['image'] == '0'
    assert record.read_text().splitlines()[-1] == whole[2]


@pytest.mark.slow
def test_other_weights_are_measured_anew(run_folder: Path) -> None:
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    first = [line['psnr'] for line in lines()]
    torch.manual_seed(1)
    torch.save(ConverseSRResNet().state_dict(), 'model_zoo/converse_srresnet.pth')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    second = [line['psnr'] for line in lines()[2:]]
    assert len(second) == 2
    assert first != second
    mean = np.mean([float(value) for value in second])
    assert f'{mean:.2f} (2) / 32.25' in Path('results/srresnet.md').read_text()


def test_a_checkpoint_that_states_its_network_is_not_measured_as_another(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {'type': 'ConverseSRResNet', 'num_feat': 8, 'num_block': 1}
    network = ConverseSRResNet(num_feat=8, num_block=1)
    files.write({'params': network.state_dict(), 'network_g': section}, 'model_zoo/converse_srresnet.pth')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    note = capsys.readouterr().err
    assert 'note: model_zoo/converse_srresnet.pth states num_block=1 and num_feat=8 for ConverseSRResNet' in note
    assert 'converse_srresnet_x4.yml:' in note
    assert len(lines()) == 2


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(['reproduce', 'dncnn']) == 2
    error = capsys.readouterr().err
    assert 'converse_dncnn.pth does not exist; get it with: basicsr prepare weights' in error
    assert 'train them: basicsr train -opt options/conv_dncnn_gray25.yml' in error
    assert 'datasets/Set12 does not exist' in error
    assert 'basicsr: error: nothing was measured' in error
    assert not list(tmp_path.iterdir())


def test_bad_arguments_and_foreign_records_are_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['reproduce', 'srresnet', '--rows', 'converse']) == 2
    assert '--rows must be some of' in capsys.readouterr().err
    Path('results').mkdir()
    Path('results/srresnet.csv').write_text('my,own\n1,2\n')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 2
    assert 'is no record of this command' in capsys.readouterr().err
    assert Path('results/srresnet.csv').read_text() == 'my,own\n1,2\n'


def test_every_row_has_its_option_files() -> None:
    names = dict(option_files())
    for rows in published.TABLES.values():
        for row in rows:
            assert {f'{row}.yml', f'test/{row}.yml'} <= set(names)


@pytest.fixture
def small_network(run_folder: Path) -> Path:
    """Weights of a network that takes a moment, which they state."""
    section = {'type': 'ConverseSRResNet', 'num_feat': 8, 'num_block': 1}
    network = ConverseSRResNet(num_feat=8, num_block=1)
    files.write({'params': network.state_dict(), 'network_g': section}, 'model_zoo/converse_srresnet.pth')
    return run_folder


def test_pictures_that_are_gone_or_damaged_do_not_stop_it(
    small_network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    (picture,) = Path('results/srresnet/converse_srresnet_x4').glob('*.png')
    picture.write_bytes(picture.read_bytes()[:1000])
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    assert f'note: {picture} ' in capsys.readouterr().err
    picture.unlink()
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 0
    assert len(lines()) == 2


@pytest.mark.promise('files of yours under the names of a report, a page or a table')
@pytest.mark.parametrize('name', ['srresnet.md', 'srresnet.png'])
def test_files_of_others_are_not_replaced(small_network: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path('results').mkdir()
    Path('results', name).write_text('mine')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 2
    assert f'results/{name} is in the way' in capsys.readouterr().err
    assert [path.name for path in Path('results').iterdir()] == [name]


def test_an_override_that_takes_the_weights_or_metrics_away_is_one_line(
    small_network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for override in ('path:pretrain_network_g=~', 'val:metrics=~'):
        assert cli.main(['reproduce', 'srresnet', *ROW, '--force_yml', override]) == 2
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.promise('a place for results that is read-only, or no folder')
def test_a_place_that_is_no_folder_is_said_before_the_work(
    small_network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path('results').write_text('mine')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 2
    assert 'cannot write to results' in capsys.readouterr().err
    assert Path('results').read_text() == 'mine'


@pytest.mark.promise('a report on data that cannot be scored')
def test_a_set_that_does_not_fit_is_named_and_left_out(small_network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path('datasets/Set5/GTmod4/0.png').write_bytes(b'no image')
    assert cli.main(['reproduce', 'srresnet', *ROW]) == 2
    error = capsys.readouterr().err
    assert '0.png is no image that can be read' in error
    assert 'nothing was measured' in error
