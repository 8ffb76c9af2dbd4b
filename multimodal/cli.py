"""The command line: `python -m multimodal COMMAND`.

Every command is one dataclass: its fields are the arguments, their documentation is the help text,
and `run` does the work. What costs seconds to import is imported there and not before.
"""

import json as json_format
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, Positional

from multimodal.errors import UserError
from multimodal.terminal import show

DEFAULT_CLIP = "clip-photos"
STOPPED = 130  # what shells report after Ctrl-C: 128 + SIGINT
WRONG = 2  # something the user gave cannot be used

OPTIONAL = "(optional)"
Name = Annotated[str, tyro.conf.arg(metavar="NAME")]
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
SomeFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint=OPTIONAL)]
SomeFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=OPTIONAL)]


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
            print(one_line(reason), file=sys.stderr)
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
        if self.top_k < 1:
            raise UserError(f"--top-k is {self.top_k}: give 1 or more.")
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
class Train:
    """Train a model by a recipe; a stopped training goes on with --resume.

    Attributes:
        family: Which kind of model.
        recipe: Name of a recipe in multimodal/training/recipes, or a TOML file of your own.
        data: Folder of the data sets; the toybox needs none.
        out: Working folder; the model ends in its model/.
        resume: Go on where a stopped or killed training was.
        init: Checkpoint to go on from, in place of the recipe's own start.
        image_start: MobileNetV2 weights to start the image tower from.
        text_start: Folder of the BERT to start the text tower from.
        cache: Where decoded photos are kept; beside --out if not given.
    """

    family: Annotated[Positional[Literal["clip"]], tyro.conf.arg(metavar="{clip}")]
    recipe: Name
    data: SomeFolder = None
    out: SomeFolder = None
    resume: bool = False
    init: Annotated[str, tyro.conf.arg(metavar="NAME_OR_DIR", help_behavior_hint=OPTIONAL)] = ""
    image_start: SomeFile = None
    text_start: SomeFolder = None
    cache: SomeFolder = None

    def run(self) -> int:
        """Trains, with a progress bar."""
        from multimodal.training.clip import train

        show(
            train(
                self.recipe,
                self.data,
                self.out,
                resume=self.resume,
                init=self.init,
                image_start=self.image_start,
                text_start=self.text_start,
                cache=self.cache,
            )
        )
        return 0


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot accuracy on a class-per-folder set: the innermost folder's name is the class.

    Attributes:
        images: A folder, or an uncompressed tar.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        classes: Lines of FOLDER<TAB>NAME, where folders are not named after what they hold.
        template: A sentence with {} where the name belongs, in place of the ensemble of seven.
        json: Write the figures as one JSON object.
    """

    images: Annotated[Path, tyro.conf.arg(metavar="DIR_OR_TAR")]
    model: Name = DEFAULT_CLIP
    classes: SomeFile = None
    template: Annotated[str, tyro.conf.arg(metavar="T", help_behavior_hint=OPTIONAL)] = ""
    json: SomeFile = None

    def run(self) -> int:
        """Prints top1, top5 and mean_per_class in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--classes", self.classes)
        from multimodal import clip
        from multimodal.evaluation import zero_shot

        templates = [self.template] if self.template else None
        return figures(
            zero_shot.evaluate(clip.load(self.model), self.images, self.classes, templates),
            self.json,
        )


@dataclass(frozen=True)
class Retrieval:
    """Recall of captions to photos and photos to captions.

    Attributes:
        images: Folder of the photos.
        captions: captions.txt (csv with image,caption) or a COCO captions JSON.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        json: Write the figures as one JSON object.
    """

    images: Folder
    captions: File
    model: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints recall at 1, 5 and 10 in per cent, both ways."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--captions", self.captions)
        from multimodal import clip
        from multimodal.evaluation import retrieval

        return figures(
            retrieval.evaluate(clip.load(self.model), self.images, self.captions), self.json
        )


@dataclass(frozen=True)
class Toybox:
    """Exact scores on scenes drawn afresh from a seed.

    Attributes:
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        seed: Chooses the scenes.
        scenes: How many scenes.
        json: Write the figures as one JSON object.
    """

    model: Name = "clip-toybox"
    seed: int = 0
    scenes: int = 1000
    json: SomeFile = None

    def run(self) -> int:
        """Prints the figures in per cent."""
        check_json(self.json)
        if self.scenes < 1:
            raise UserError(f"--scenes is {self.scenes}: give 1 or more.")
        from multimodal import clip
        from multimodal.evaluation import toybox

        return figures(toybox.evaluate(clip.load(self.model), self.seed, self.scenes), self.json)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model.

    Attributes:
        task: What to measure.
    """

    task: (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[Toybox, tyro.conf.subcommand("toybox")]
    )

    def run(self) -> int:
        """Hands over to the task."""
        return self.task.run()


@dataclass(frozen=True)
class Data:
    """Get a data set from its official addresses: resumes, verifies, unpacks.

    Attributes:
        action: What to do.
        name: Which data set.
        out: The data folder; give the same one to train as --data.
    """

    action: Annotated[Positional[Literal["fetch"]], tyro.conf.arg(metavar="{fetch}")]
    name: Annotated[
        Positional[Literal["coco", "flickr8k", "tiny-imagenet"]],
        tyro.conf.arg(metavar="{coco,flickr8k,tiny-imagenet}"),
    ]
    out: Folder = Path("data")

    def run(self) -> int:
        """Downloads with a progress bar."""
        from multimodal.data.fetch import ARCHIVES, SETS, fetch

        data_set = SETS[self.name]
        print(f"{self.name}: {data_set.terms}")
        show(fetch(self.name, self.out), unit="B")
        folder = self.out / data_set.folder
        print(
            f"Ready in {folder}; {folder / ARCHIVES} is no longer needed and may be emptied of "
            "its zip files."
        )
        return 0


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, found and broken, and the cure; no request is made."""

    def run(self) -> int:
        """Prints the report; 1 if something is broken."""
        from multimodal.doctor import examine, exit_code, table

        rows = list(examine())
        print(table(rows, max(60, min(120, shutil.get_terminal_size((100, 24)).columns))))
        return exit_code(rows)


Command = (
    Annotated[Classify, tyro.conf.subcommand("classify")]
    | Annotated[Index, tyro.conf.subcommand("index")]
    | Annotated[Search, tyro.conf.subcommand("search")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line; None takes those of the process.

    Returns:
        The exit status: 0 done, 1 the doctor found something broken, 2 bad input, 130 stopped
        with Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # Korean on a terminal that knows none
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = tyro.cli(
            Command,
            prog="python -m multimodal",
            description="CLIP and image-text retrieval, with models trained in this repository.",
            args=words or ["--help"],
            config=(FlagCreatePairsOff, OmitSubcommandPrefixes, OmitArgPrefixes),
        )
        return command.run()
    except UserError as error:
        print(one_line(str(error)), file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(one_line(f"{place}{error.strerror or error}."), file=sys.stderr)
        return WRONG


def one_line(text: str) -> str:
    """A message without line breaks."""
    return " ".join(text.split())


def figures(values: dict[str, Any], json: Path | None) -> int:
    """Prints figures one a line and writes them to a file if asked to."""
    width = max(map(len, values))
    for name, value in values.items():
        print(
            f"{name:<{width}}  {value:.2f}"
            if isinstance(value, float)
            else f"{name:<{width}}  {value}"
        )
    write_json(json, values)
    return 0


def check_json(file: Path | None) -> None:
    """Says before the work, and not after it, that the result could not be written."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UserError(f"--json {file}: there is no folder {file.parent}, so make it first.")
    if file is not None and file.is_dir():
        raise UserError(f"--json {file} is a folder: give the name of a file.")


def check_exists(option: str, path: Path | None) -> None:
    """Says before a model is loaded that its input is not there."""
    if path is not None and not path.exists():
        raise UserError(f"{option} {path}: there is no such file or folder, so check the path.")


def write_json(file: Path | None, values: dict[str, Any]) -> None:
    """Writes one object, whole or not at all."""
    if file is None:
        return
    text = json_format.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", "utf-8")
    os.replace(part, file)
