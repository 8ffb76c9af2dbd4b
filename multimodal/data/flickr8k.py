"""Flickr8k (Hodosh et al. 2013): 8,000 photos, five captions each."""

from pathlib import Path

from multimodal.data.captions import read_captions
from multimodal.data.photos import Photo, find


def load(root: Path, split: str = "train") -> list[Photo]:
    """Reads one split.

    Args:
        root: Folder with the photos (`Images/` or `Flicker8k_Dataset/`), the captions and the
            split lists (`Flickr_8k.trainImages.txt`, ...), or a folder whose `flickr8k/` is one.
        split: ``train`` or ``val`` (``dev`` in the official names).

    Raises:
        DataError: if a part is not there.
    """
    root = Path(root)
    root = root / "flickr8k" if (root / "flickr8k").is_dir() else root
    folder = find(root, "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
    captions = read_captions(
        find(root, "captions.txt", "Flickr8k.token.txt", "*/Flickr8k.token.txt")
    )
    official = "dev" if split == "val" else split
    listing = find(
        root,
        f"Flickr_8k.{split}Images.txt",
        f"Flickr_8k.{official}Images.txt",
        f"*/Flickr_8k.{official}Images.txt",
    )
    names = listing.read_text("utf-8").split()
    return [
        Photo(folder / name, name, tuple(captions[name]))
        for name in names
        if name in captions and (folder / name).is_file()
    ]
