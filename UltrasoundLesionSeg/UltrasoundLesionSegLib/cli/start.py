"""The start of the console script: Ctrl+C is handled before anything else is loaded."""

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
