"""Images and the identities that they show."""

from gonio.data.fingerprint import Fingerprint
from gonio.data.folder import FolderImages, open_folder
from gonio.data.images import ArrayImages, Images, to_float
from gonio.data.open import open_data
from gonio.data.split import select_identities, split_by_identity

__all__ = [
    "ArrayImages",
    "Fingerprint",
    "FolderImages",
    "Images",
    "open_data",
    "open_folder",
    "select_identities",
    "split_by_identity",
    "to_float",
]
