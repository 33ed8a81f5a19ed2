"""`course doctor`."""

from __future__ import annotations


def doctor(argv: list[str]) -> int:
    """tyro may be what is missing, so this one command reads its options by hand."""
    from ..doctor import examine, usable
    from ..errors import reject

    if {"-h", "--help"} & set(argv):
        print(
            "usage: course doctor\n\nSay what this machine has, what is missing, and what to do. Exit code 0 if usable."
        )
        return 0
    if argv:
        raise reject("argument", argv[0], "none", "course doctor")
    found = examine()
    for check in found:
        print(check)
    good = usable(found)
    print("\nThe course runs here." if good else "\nThe course does not run here yet: see the lines marked PROBLEM.")
    return 0 if good else 1
