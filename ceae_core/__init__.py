"""Models, losses and measures behind the ceae-book: CEAE, iVAE, cVAE and the families they are compared with."""

__version__ = "0.1.0"
