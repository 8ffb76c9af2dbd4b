"""The command `evaluate`: one dataclass per task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

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
    figures,
)


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
class VqaFigures:
    """Soft accuracy on questions about photos, with the photo and without.

    Attributes:
        images: Folder of the photos, named by COCO's numbers.
        questions: Questions in the VQA v2 layout.
        answers: Their answers in the VQA v2 layout.
        model: A bundled name or a checkpoint folder.
        all_questions: Count questions that fewer than ten people answered too.
        json: Write the figures as one JSON object.
    """

    images: Folder
    questions: File
    answers: File
    model: Name = DEFAULT_VILBERT
    all_questions: bool = False
    json: SomeFile = None

    def run(self) -> int:
        """Prints accuracy, question_only, and accuracy by type of answer in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--questions", self.questions)
        check_exists("--answers", self.answers)
        from multimodal import vilbert
        from multimodal.evaluation import vqa

        found = vqa.evaluate(
            vilbert.load(self.model),
            self.images,
            self.questions,
            self.answers,
            all_questions=self.all_questions,
        )
        return figures(found, self.json)


@dataclass(frozen=True)
class Alignment:
    """How often a ViLBERT prefers a photo's own caption to a random other one's.

    Attributes:
        images: Folder of the photos.
        captions: captions.txt (csv with image,caption) or a COCO captions JSON.
        model: A bundled name or a checkpoint folder.
        seed: Chooses the other captions.
        json: Write the figures as one JSON object.
    """

    images: Folder
    captions: File
    model: Name = DEFAULT_VILBERT
    seed: int = 0
    json: SomeFile = None

    def run(self) -> int:
        """Prints aligned in per cent; chance is 50."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--captions", self.captions)
        from multimodal import vilbert
        from multimodal.evaluation import alignment

        model = vilbert.load(self.model)
        return figures(alignment.evaluate(model, self.images, self.captions, self.seed), self.json)


@dataclass(frozen=True)
class VqvaeFigures:
    """How much of a photo survives the way through its image tokens.

    Attributes:
        images: Folder of the photos.
        model: A bundled name or a checkpoint folder.
        json: Write the figures as one JSON object.
    """

    images: Folder
    model: Name = DEFAULT_VQVAE
    json: SomeFile = None

    def run(self) -> int:
        """Prints mse, psnr in dB, ssim, perplexity and codes_used in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        from multimodal import dalle
        from multimodal.evaluation import vqvae

        return figures(vqvae.evaluate(dalle.load_vqvae(self.model), self.images), self.json)


@dataclass(frozen=True)
class DalleFigures:
    """How well a DALL-E foretells captioned photos, and whether its pictures fit their captions.

    Attributes:
        images: Folder of the photos.
        captions: captions.txt (csv with image,caption) or a COCO captions JSON.
        model: A bundled name or a checkpoint folder.
        scenes: Scene photos, class per folder, a folder or an uncompressed tar: are scenes drawn
            as asked for?
        clip: The CLIP that judges.
        json: Write the figures as one JSON object.
    """

    images: Folder
    captions: File
    model: Name = DEFAULT_DALLE
    scenes: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR_OR_TAR", help_behavior_hint=OPTIONAL)
    ] = None
    clip: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints nats per token and shares in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--captions", self.captions)
        check_exists("--scenes", self.scenes)
        from multimodal import clip, dalle
        from multimodal.evaluation import dalle as measure

        model, judge = dalle.load(self.model), clip.load(self.clip)
        found = measure.evaluate(model, judge, self.images, self.captions)
        if self.scenes is not None:
            found |= measure.evaluate_scenes(model, judge, self.scenes)
        return figures(found, self.json)


@dataclass(frozen=True)
class Toybox:
    """Exact scores on scenes drawn afresh from a seed, for a model of any family.

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
        check_at_least_one("--scenes", self.scenes)
        from multimodal.evaluation import toybox

        return figures(toybox.evaluate(self.model, self.seed, self.scenes), self.json)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model.

    Attributes:
        task: What to measure.
    """

    task: (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[VqaFigures, tyro.conf.subcommand("vqa")]
        | Annotated[Alignment, tyro.conf.subcommand("alignment")]
        | Annotated[VqvaeFigures, tyro.conf.subcommand("vqvae")]
        | Annotated[DalleFigures, tyro.conf.subcommand("dalle")]
        | Annotated[Toybox, tyro.conf.subcommand("toybox")]
    )

    def run(self) -> int:
        """Hands over to the task."""
        return self.task.run()
