import pytest

from converse_basicsr.commands.arguments import read_overrides
from converse_basicsr.errors import UserError


def test_values_are_read_as_yaml() -> None:
    given = read_overrides(['type=EDSR', 'num_feat=8', 'kernel_init=~', 'converse={upsample: true}', 'name=a=b'])
    assert given == {
        'type': 'EDSR',
        'num_feat': 8,
        'kernel_init': None,
        'converse': {'upsample': True},
        'name': 'a=b',
    }


@pytest.mark.parametrize(
    ('text', 'message'),
    [('num_iter', 'must look like key=value'), ('=5', 'must look like'), ('num_iter=[', 'no valid YAML')],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_overrides([text])
    assert str(caught.value).startswith(f'--network_g {text}: ')
    assert '\n' not in str(caught.value)
