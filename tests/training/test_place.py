from hypothesis import given
from hypothesis import strategies as st

from converse_basicsr.training.place import DataPlace


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 3), st.integers(0, 60), st.data())
def test_the_epoch_of_an_iteration_is_that_of_its_place(
    batches: int, batch: int, rest: int, iterations: int, data: st.DataObject
) -> None:
    size = batches * batch + min(rest, batch - 1)
    start = data.draw(st.integers(0, batches)) * batch
    place = DataPlace(epoch=2, iteration=7, position=start, epoch_size=size, batch_size=batch)
    epoch, position = 2, start
    for _ in range(iterations):
        if position + batch > size:
            epoch, position = epoch + 1, 0
        position += batch
    assert place.epoch_of(7 + iterations) == epoch
    assert place.position_after(epoch, 7 + iterations) == position


def test_places_of_runs_with_incomplete_batches() -> None:
    place = DataPlace(epoch=0, iteration=0, position=0, epoch_size=22, batch_size=4)  # 5 batches per epoch
    assert place.position_after(0, 3) == 12
    assert place.position_after(2, 13) == 12
    # It goes on in the middle of an epoch, with smaller batches.
    place = DataPlace(epoch=2, iteration=13, position=12, epoch_size=22, batch_size=2)
    assert place.position_after(2, 15) == 16
    assert place.position_after(3, 20) == 4
    assert place.position_after(4, 30) == 2
