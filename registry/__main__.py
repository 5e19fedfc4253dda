"""`python -m registry` is `entrepot`."""

from registry.cli.main import run

if __name__ == "__main__":
    run()
