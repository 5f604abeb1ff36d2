"""``python -m modiste``: the same as ``modiste``, where the scripts of an environment are not on the path."""

from modiste.commands import main

if __name__ == "__main__":
    main()
