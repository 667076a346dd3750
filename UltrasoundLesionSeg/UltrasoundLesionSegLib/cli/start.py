"""Where the console script begins: Ctrl+C is taken care of before anything else is loaded."""

from UltrasoundLesionSegLib.cli import interrupts


def main() -> None:
    """Run the command line."""
    interrupts.install()
    from UltrasoundLesionSegLib.cli.main import main as run

    try:
        run()
    finally:
        interrupts.ignore()


if __name__ == "__main__":
    main()
