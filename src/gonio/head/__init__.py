"""The head: class weights, and any loss of the table over them, as one torch module."""

from gonio.head.head import Head

__all__ = ["Head"]
