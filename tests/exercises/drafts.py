"""Which chapters are drafts: written, and not built yet, because the weights they load are not recorded."""

from course_utils.paths import repository_root
from course_utils.publishing.source import source_files


def draft_chapters() -> set[int]:
    folder = repository_root() / "notebooks" / "source"
    return {int(path.stem[:2]) for path in {*source_files(folder, drafts=True)} - {*source_files(folder)}}
