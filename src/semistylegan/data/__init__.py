"""Data sets: reading folders and StyleGAN zips, partial labels, writing, checking."""

from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.labels import Labels, choose_rows
from semistylegan.data.storage import ImageStore, ZipWriter, open_store

__all__ = ["Dataset", "ImageStore", "Labels", "ZipWriter", "choose_rows", "epoch_order", "open_store"]
