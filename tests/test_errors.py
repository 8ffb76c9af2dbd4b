"""What is said to users, in their language."""

from multimodal.errors import UserError
from multimodal.images import ImageError


def test_an_error_is_said_in_the_language_of_the_page():
    error = ImageError("It is torn: copy it again.", "깨졌습니다. 다시 복사하세요.")
    assert str(error) == error.said("en") == "It is torn: copy it again."
    assert error.said("ko") == "깨졌습니다. 다시 복사하세요."


def test_english_stands_in_where_there_is_no_korean():
    assert UserError("Give at least 1.").said("ko") == "Give at least 1."
