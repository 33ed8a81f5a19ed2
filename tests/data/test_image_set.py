import pytest
import torch

from course_utils.data import ImageSet
from course_utils.data.image_set import check_size, pad_to_32, resize
from course_utils.errors import CourseError


def small_set(n=6, side=8):
    images = torch.arange(n * 3 * side * side).remainder(256).to(torch.uint8).reshape(n, 3, side, side)
    return ImageSet(images, torch.arange(n), "toy", "train", tuple("abcdef"),
                    {"word": [f"w{i}" for i in range(n)], "code": torch.arange(n) * 10})


def test_floats_are_in_the_unit_interval_and_batched():
    data = small_set()
    assert data.floats().shape == (6, 3, 8, 8) and data.floats(2).shape == (1, 3, 8, 8)
    assert data.floats([1, 4]).shape == (2, 3, 8, 8) and data.shape == (3, 8, 8) and len(data) == 6
    assert data.floats().min() == 0 and data.floats().max() == 1 and data.floats().dtype == torch.float32
    assert torch.equal(data.floats(torch.tensor([3]))[0] * 255, data.images[3].float())


@pytest.mark.parametrize("index", [[4, 1], torch.tensor([4, 1]), slice(1, 5, 3), torch.arange(6) % 3 == 1])
def test_subset_takes_labels_and_attributes_along(index):
    data = small_set()
    part, want = data.subset(index), torch.arange(6)[index].tolist()
    assert part.labels.tolist() == want and part.attributes["word"] == [f"w{i}" for i in want]
    assert part.attributes["code"].tolist() == [10 * i for i in want]
    assert torch.equal(part.images, data.images[want])


def test_hash_depends_on_pixels_labels_and_shape_only():
    data = small_set()
    assert data.sha256() == "6e1e24113a53c54b74118e9b7371444277bb4cf6c93d6f21904547a3a7144dbe"
    assert data.sha256() == data.to("cpu").sha256() == small_set().sha256()
    shuffled = ImageSet(data.images.contiguous(memory_format=torch.channels_last), data.labels, "other", "test")
    assert shuffled.sha256() == data.sha256()
    changed = data.images.clone()
    changed[3, 0, 0, 0] += 1
    assert ImageSet(changed, data.labels, "toy", "train").sha256() != data.sha256()
    assert ImageSet(data.images, data.labels.flip(0), "toy", "train").sha256() != data.sha256()
    assert ImageSet(data.images, None, "toy", "train").sha256() != data.sha256()
    assert ImageSet(data.images.reshape(6, 3, 4, 16), data.labels, "toy", "train").sha256() != data.sha256()


def test_a_set_prints_on_one_line():
    assert repr(small_set()) == "ImageSet('toy', 'train': 6 images of 3x8x8)"


def test_wrong_tensors_are_refused():
    with pytest.raises(CourseError, match="images.*float32"):
        ImageSet(torch.zeros(2, 3, 8, 8), None, "toy", "train")
    with pytest.raises(CourseError, match="labels.*3 entries.*2"):
        ImageSet(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(3), "toy", "train")


def test_padding_adds_two_zeros_on_each_side():
    images = torch.full((2, 1, 28, 28), 7, dtype=torch.uint8)
    padded = pad_to_32(images)
    assert padded.shape == (2, 1, 32, 32) and torch.equal(padded[:, :, 2:-2, 2:-2], images)
    assert int(padded.sum()) == int(images.sum())


def test_whole_factors_reduce_by_exact_means():
    block = torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8)             # mean 0.75 rounds to 1
    images = block.repeat(8, 8)[None, None]                               # (1, 1, 16, 16)
    assert torch.equal(resize(images, 8), torch.ones(1, 1, 8, 8, dtype=torch.uint8))
    assert resize(images, 16) is images


def test_other_sizes_are_antialiased():
    stripes = (torch.arange(96) % 2 * 255).to(torch.uint8).expand(1, 1, 96, 96)
    inner = resize(stripes, 40)[..., 4:-4].int()
    assert inner.min() > 60 and inner.max() < 195, "one pixel in 2.4 would show bare black and white"


@pytest.mark.parametrize("size", [0, -32, 7, 5000, 32.0, "32", True])
def test_bad_sizes_are_named(size):
    with pytest.raises(CourseError, match="size: got"):
        check_size(size, 32)
