"""Helper package of the course *From Autoencoders to Soft-IntroVAE*."""

__version__ = "0.1.0"
