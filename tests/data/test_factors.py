import pytest
import torch

from course_utils import data
from course_utils.data import factors
from course_utils.errors import CourseError


def center(images):
    """Center of mass (x, y) of each picture in pixels."""
    mass = images.float().sum(1)                                          # (N, H, W)
    positions = torch.arange(images.shape[-1]).float()
    total = mass.sum((1, 2))
    return torch.stack([(mass.sum(1) * positions).sum(1) / total, (mass.sum(2) * positions).sum(1) / total], 1)


def varied(key, **fixed):
    """Factors where only `key` changes, over its whole range."""
    names = list(factors.SIZES)
    rows = torch.tensor([[fixed.get(name, 3 if name in "xy" else 1) for name in names]] * factors.SIZES[key])
    rows[:, names.index(key)] = torch.arange(factors.SIZES[key])
    return rows


@pytest.fixture(scope="module")
def everything():
    return data.load("shapes", "all")


def test_the_grid_holds_every_combination_once(everything):
    got = everything.attributes["factors"]
    assert got.shape == (49152, 6) and len(got.unique(dim=0)) == 49152
    assert tuple((got.amax(0) + 1).tolist()) == everything.meta["factor_sizes"] == (4, 6, 4, 8, 8, 8)
    assert everything.meta["factor_names"] == ("shape", "color", "scale", "rotation", "x", "y")
    assert len({picture.tobytes() for picture in everything.images.numpy()}) == 49152, "two combinations look the same"
    assert everything.sha256() == "85660b1d811aa1446f9af99874d8fdac8a434220e65a5a993882e7b37a55e88b"


def test_splits_are_disjoint_fixed_and_cover_each_value():
    train, test = data.load("shapes"), data.load("shapes", "test")
    both = torch.cat([train.attributes["factors"], test.attributes["factors"]])
    assert (len(train), len(test)) == (45000, 4152)
    assert len(both.unique(dim=0)) == 49152
    for part in (train, test):
        for column, n in zip(part.attributes["factors"].T, factors.SIZES.values(), strict=True):
            assert column.bincount(minlength=n).min() > len(part) / n * 0.8
        assert torch.equal(part.labels, part.attributes["factors"][:, 0])
        assert torch.equal(factors.render(part.attributes["factors"][:50]), part.images[:50])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("key,axis", [("x", 0), ("y", 1)])
def test_positions_move_the_picture_by_exact_steps(key, axis, size):
    images = factors.render(varied(key), size)
    moved = center(images).diff(dim=0)
    want = torch.zeros(2)
    want[axis] = 2.0 * size / 32
    assert torch.allclose(moved, want.expand_as(moved), atol=1e-3)


def test_the_middle_is_the_middle():
    low, high = factors.render(torch.tensor([[3, 0, 3, 0, 3, 3], [3, 0, 3, 0, 4, 4]])).flip(0)
    assert torch.equal(low[:, 2:, 2:], high[:, :-2, :-2]), "one step right and down is two pixels"
    upright = factors.render(torch.tensor([[3, 0, 3, 0, 3, 3]]))[0]
    # At position 3 the shape's axis lies one pixel left of the picture's middle: columns 0..29 mirror onto themselves.
    assert torch.equal(upright[..., :30], upright[..., :30].flip(-1))


def test_color_changes_no_outline_and_outline_no_color():
    images = factors.render(varied("color")).float()
    shares = [image.amax(0) / max(rgb) for image, rgb in zip(images, factors.COLORS.values(), strict=True)]
    for share in shares[1:]:
        assert (share - shares[0]).abs().max() < 0.02
    for image, rgb in zip(images, factors.COLORS.values(), strict=True):
        assert image.flatten(1).amax(1).tolist() == list(rgb)


def test_scale_grows_the_area_by_its_square():
    area = factors.render(varied("scale")).float().sum((1, 2, 3))
    radii = torch.tensor(factors.RADII)
    assert torch.allclose(area / area[0], (radii / radii[0]) ** 2, rtol=0.05)


@pytest.mark.parametrize("shape", range(4))
def test_rotation_turns_counterclockwise_and_every_angle_differs(shape):
    canvas = torch.from_numpy(factors.masks(32)[shape, 3])                # (8, 48, 48)
    assert len(canvas.flatten(1).unique(dim=0)) == 8
    for angle in range(8):                                                # two steps of 45 degrees: a quarter turn
        assert torch.equal(canvas[(angle + 2) % 8], canvas[angle].rot90(1))
    area = canvas.float().sum((1, 2))
    assert torch.allclose(area, area.mean().expand(8), rtol=0.02)


def test_edges_are_antialiased_and_shapes_stay_inside():
    images = factors.render(varied("rotation", scale=3, color=0))
    red = images[:, 0]
    assert ((red > 0) & (red < 230)).any() and red.max() == 230
    for x in (0, 7):
        for y in (0, 7):
            edge = factors.render(varied("rotation", x=x, y=y, scale=3)).amax(1)
            whole = factors.render(varied("rotation", scale=3)).amax(1)
            assert edge.long().sum() == whole.long().sum(), "a shape is cut off at the border"


@pytest.mark.parametrize("bad", [torch.zeros(3, 5).long(), torch.zeros(3, 6), torch.tensor([[0, 0, 0, 8, 0, 0]])])
def test_bad_factors_are_named(bad):
    with pytest.raises(CourseError, match="factors"):
        factors.render(bad)


def test_bad_size_is_named():
    with pytest.raises(CourseError, match="size: got 40.*multiple of 16"):
        data.load("shapes", size=40)
