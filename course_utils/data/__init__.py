"""Data: load(name, split) gives one uint8 tensor of images with what is known about them."""

from course_utils.data.image_set import ImageSet
from course_utils.data.registry import catalog, get, load, names

__all__ = ["ImageSet", "catalog", "get", "load", "names"]
