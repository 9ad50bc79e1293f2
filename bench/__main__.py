"""All measured claims, one after the other: `make bench`."""

from bench import engine, http, journal, tokens


def main() -> None:
    """Runs every benchmark; each prints its own table."""
    http.main()
    tokens.main()
    engine.main()
    journal.main()


if __name__ == "__main__":
    main()
