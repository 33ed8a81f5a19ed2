"""From one source per chapter to exercise notebooks, solution notebooks, pages and the students' release.

source.py reads notebooks/source/NN_topic.py, regions.py turns a source cell into its exercise or solved form,
assemble.py puts the notebooks together, execute.py runs them, pages.py writes HTML, release.py what students get.
`course_utils.notebooks` is the door.
"""
