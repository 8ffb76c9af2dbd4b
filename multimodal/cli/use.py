"""Commands that use a model: classify, index, search, answer, generate, reconstruct."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from multimodal.cli.common import (
    DEFAULT_CLIP,
    DEFAULT_DALLE,
    DEFAULT_VILBERT,
    DEFAULT_VQVAE,
    OPTIONAL,
    File,
    Folder,
    Name,
    SomeFile,
    check_at_least_one,
    check_exists,
    check_json,
    one_line,
    write_json,
)
from multimodal.errors import UserError
from multimodal.progress import Progress
from multimodal.terminal import show

if TYPE_CHECKING:
    from multimodal.vilbert.answering import Answer as Answered


@dataclass(frozen=True)
class Classify:
    """Say which of several labels fits a photo best (CLIP zero-shot).

    Attributes:
        image: The photo.
        labels: Labels to choose from, in English or Korean; quote a label of several words.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        json: Write the result as one JSON object.
    """

    image: Annotated[Positional[str], tyro.conf.arg(metavar="IMAGE")]
    labels: Annotated[
        Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="LABEL [LABEL ...]", help_behavior_hint="(at least one)"),
    ] = ()
    model: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints the labels, best first."""
        labels = [label for label in self.labels if label.strip()]
        if not labels:
            raise UserError("No label was given: write at least one after the photo.")
        check_json(self.json)
        from multimodal import clip
        from multimodal.images import open_image

        picture = open_image(self.image)
        model = clip.load(self.model)
        predictions = model.classify(picture, labels)
        for prediction in predictions:
            print(
                f"{100 * prediction.probability:6.2f} %  cosine {prediction.cosine:+.3f}  "
                f"{prediction.label}"
            )
        write_json(
            self.json,
            {
                "image": self.image,
                "model": self.model,
                "predictions": [asdict(prediction) for prediction in predictions],
            },
        )
        return 0


@dataclass(frozen=True)
class Index:
    """Make a folder of photos searchable; what is already indexed is not embedded again.

    Captions lie beside the photos: name.txt for name.jpg, or a captions.txt with the columns
    image,caption.

    Attributes:
        folder: The photos, subfolders included.
        out: The gallery: a folder that is made, or gone on with.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
    """

    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="DIR")]
    out: Annotated[Path, tyro.conf.arg(metavar="GALLERY")]
    model: Name = DEFAULT_CLIP

    def run(self) -> int:
        """Indexes with a progress bar and lists the files that could not be read."""
        check_exists("DIR", self.folder)
        from multimodal.data.captions import captions_beside, folder_texts
        from multimodal.retrieval import Gallery

        gallery = Gallery.open_or_create(self.out, self.model)
        captions = captions_beside(folder_texts(self.folder)) if self.folder.is_dir() else None
        last = show(gallery.add(self.folder, captions), unit="photos")
        for _, reason in last.bad:
            print(one_line(str(reason)), file=sys.stderr)
        if not len(gallery):
            raise UserError(f"{self.folder} holds no photo that can be read: give another folder.")
        print(
            f"{len(gallery)} photos in {self.out}: {last.added} new, {last.skipped} there already, "
            f"{len(last.bad)} could not be read."
        )
        return 0


@dataclass(frozen=True)
class Search:
    """Find photos of a gallery by words or by a photo.

    Attributes:
        gallery: What index has made.
        text: Words to search with, in English or Korean.
        image: A photo to search with.
        top_k: How many hits.
        json: Write the hits as one JSON object.
    """

    gallery: Annotated[Positional[Path], tyro.conf.arg(metavar="GALLERY")]
    text: Annotated[str | None, tyro.conf.arg(metavar="T")] = None
    image: Annotated[str | None, tyro.conf.arg(metavar="F")] = None
    top_k: Annotated[int, tyro.conf.arg(metavar="K")] = 10
    json: SomeFile = None

    def run(self) -> int:
        """Prints the hits, best first."""
        if (self.text is None) == (self.image is None):
            raise UserError("Search with --text or --image: give one of the two.")
        check_at_least_one("--top-k", self.top_k)
        check_json(self.json)
        from multimodal.retrieval import Gallery

        gallery = Gallery.open(self.gallery)
        photo = None if self.image is None else Path(self.image)  # a str would be read as words
        hits = gallery.search(self.text, photo, top_k=self.top_k).hits
        for hit in hits:
            print(f"{hit.rank:4}  {hit.score:+.3f}  {hit.path or hit.name}")
        write_json(
            self.json,
            {
                "gallery": str(self.gallery),
                "model": gallery.model_name,
                "text": self.text,
                "image": self.image,
                "hits": [
                    {
                        "rank": hit.rank,
                        "score": hit.score,
                        "name": hit.name,
                        "path": str(hit.path) if hit.path else None,
                        "captions": list(hit.captions),
                    }
                    for hit in hits
                ],
            },
        )
        return 0


@dataclass(frozen=True)
class Answer:
    """Answer a question about a photo, and what the question alone suggests (ViLBERT).

    Attributes:
        image: The photo.
        question: The question, in a language that the model was trained on.
        model: A bundled name or a checkpoint folder.
        top_k: How many answers.
        json: Write the answers as one JSON object.
    """

    image: Annotated[Positional[str], tyro.conf.arg(metavar="IMAGE")]
    question: Annotated[Positional[str], tyro.conf.arg(metavar="QUESTION")]
    model: Name = DEFAULT_VILBERT
    top_k: Annotated[int, tyro.conf.arg(metavar="K")] = 5
    json: SomeFile = None

    def run(self) -> int:
        """Prints the answers, best first, and the best one with the photo hidden."""
        if not self.question.strip():
            raise UserError("The question is empty: write one after the photo.")
        check_at_least_one("--top-k", self.top_k)
        check_json(self.json)
        from multimodal import vilbert
        from multimodal.clip.prompts import language_of
        from multimodal.images import open_image

        picture = open_image(self.image)
        model = vilbert.load(self.model)
        if language_of(self.question) not in model.languages:
            print(
                f"{self.model} was not trained on the question's language: answers mean little.",
                file=sys.stderr,
            )
        answers = model.answer(picture, self.question, self.top_k)
        blind = model.answer_blind(self.question, self.top_k)
        for answer in answers:
            print(f"{100 * answer.probability:6.2f} %  {answer.text}")
        print(f"With the photo hidden: {100 * blind[0].probability:.2f} %  {blind[0].text}")
        write_json(
            self.json,
            {
                "image": self.image,
                "question": self.question,
                "model": self.model,
                "answers": _answers(answers),
                "question_only": _answers(blind),
            },
        )
        return 0


@dataclass(frozen=True)
class Generate:
    """Draw pictures of a prompt (a miniature DALL-E).

    Attributes:
        prompt: What to draw, in English or Korean; "" draws whatever the model likes.
        out: Folder for the pictures, each named after its seed.
        model: A bundled name or a checkpoint folder.
        images: How many.
        seed: The first picture's seed; the others have the following ones.
        temperature: Under 1 safer, over 1 wilder; the model's own if not given.
        top_k: Only the k likeliest tokens may be drawn; 0 allows all.
        top_p: Only the likeliest tokens that together have this probability.
        guidance_scale: How much the prompt is exaggerated; 1 not at all.
        json: Write what was drawn, and how, as one JSON object.
    """

    prompt: Annotated[Positional[str], tyro.conf.arg(metavar="PROMPT")]
    out: Folder
    model: Name = DEFAULT_DALLE
    images: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0
    temperature: Annotated[
        float | None, tyro.conf.arg(metavar="T", help_behavior_hint=OPTIONAL)
    ] = None
    top_k: Annotated[int | None, tyro.conf.arg(metavar="K", help_behavior_hint=OPTIONAL)] = None
    top_p: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint=OPTIONAL)] = None
    guidance_scale: Annotated[
        float | None, tyro.conf.arg(metavar="G", help_behavior_hint=OPTIONAL)
    ] = None
    json: SomeFile = None

    def run(self) -> int:
        """Draws with a progress bar and names the files."""
        check_json(self.json)
        from multimodal import dalle
        from multimodal.dalle.export import file_name, save_png

        model = dalle.load(self.model)
        drawings = model.generate(
            self.prompt,
            self.images,
            self.seed,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            guidance_scale=self.guidance_scale,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        last = None

        def rows() -> Iterator[Progress]:
            nonlocal last
            for last in drawings:
                yield Progress(last.rows, model.config.grid, "drawing")

        show(rows(), unit="rows")
        files = []
        for i in range(len(last.images)):
            file = self.out / file_name(self.prompt, last.seeds[i])
            save_png(last, i, file, self.prompt, self.model)
            files.append(str(file))
            print(file)
        write_json(
            self.json,
            {
                "prompt": self.prompt,
                "model": self.model,
                **asdict(last.settings),
                "images": [
                    {"file": file, "seed": seed}
                    for file, seed in zip(files, last.seeds, strict=True)
                ],
            },
        )
        return 0


@dataclass(frozen=True)
class Reconstruct:
    """Show what is left of a photo after it went through the image tokens of a VQ-VAE.

    Attributes:
        image: The photo.
        out: The picture to write.
        model: A bundled name or a checkpoint folder.
    """

    image: Annotated[Positional[str], tyro.conf.arg(metavar="IMAGE")]
    out: File
    model: Name = DEFAULT_VQVAE

    def run(self) -> int:
        """Writes the reconstruction and prints how near it came."""
        from multimodal import dalle
        from multimodal.dalle.export import save_image
        from multimodal.images import open_image

        picture = open_image(self.image)
        model = dalle.load_vqvae(self.model)
        made = model.reconstruct(picture)
        save_image(made, self.out)
        print(
            f"{self.out}: {model.grid} x {model.grid} tokens, {model.image_size} pixels square, "
            f"PSNR {model.psnr(picture, made):.1f} dB"
        )
        return 0


def _answers(answers: "list[Answered]") -> list[dict[str, str | float]]:
    """Answers as they are written to a file."""
    return [{"answer": answer.text, "probability": answer.probability} for answer in answers]
