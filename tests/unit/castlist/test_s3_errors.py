"""What servers that speak S3 answer in words of their own."""

import pytest
from botocore.exceptions import ClientError

from castlist.adapters.s3 import _translated
from castlist.ports.errors import ObjectMissingError, UnavailableError


def answer(code: str, status: int) -> ClientError:
    """An error as the client raises it."""
    told = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "GetObject")


def test_a_key_that_a_server_cannot_hold_is_missing_when_it_is_read() -> None:
    """MinIO refuses keys with empty steps and steps of over 255 bytes; a message may name any, and waiting would not
    help."""
    with pytest.raises(ObjectMissingError), _translated("a//b", reading=True):
        raise answer("XMinioInvalidObjectName", 400)


def test_an_upload_that_was_aborted_beneath_its_writer_is_to_be_tried_again() -> None:
    """A sweep took it away: the client is told 503, not that something of ours is wrong."""
    with pytest.raises(UnavailableError), _translated("videos/one"):
        raise answer("NoSuchUpload", 404)
