"""`python -m course_utils.cli` does what the installed `course` does; its copies on several devices start this way."""

import sys

from course_utils.cli import main

sys.exit(main())
