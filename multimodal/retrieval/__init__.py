"""Searching photos with words and words with photos: a gallery is one folder.

from multimodal.retrieval import Gallery

gallery = Gallery.create("my-gallery", "clip-photos")
for progress in gallery.add("holiday-photos"):
    print(progress.done, progress.rate)
for hit in gallery.search("a dog on the beach").hits:
    print(hit.rank, hit.score, hit.path)
"""

from multimodal.retrieval.gallery import Gallery
from multimodal.retrieval.indexing import IndexProgress
from multimodal.retrieval.manifest import GalleryError
from multimodal.retrieval.query import CaptionHit, Hit, SearchResult

__all__ = ["CaptionHit", "Gallery", "GalleryError", "Hit", "IndexProgress", "SearchResult"]
