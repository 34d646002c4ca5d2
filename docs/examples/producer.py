"""Put a video into S3, announce it, and say who is in it: `producer.py FILE [GALLERY]`.

Addresses and keys come from the environment: `. .castlist/env` for a stack of `python3 deploy`.
"""

import asyncio
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

KAFKA, BUCKET = os.environ["KAFKA_BOOTSTRAP"], os.environ.get("S3_BUCKET", "castlist")
S3 = {
    "endpoint_url": os.environ["S3_ENDPOINT"], "region_name": os.environ.get("S3_REGION", "us-east-1"),
    "aws_access_key_id": os.environ["S3_ACCESS_KEY"], "aws_secret_access_key": os.environ["S3_SECRET_KEY"],
    "config": AioConfig(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
}  # fmt: skip


async def main(path: Path, gallery: str = "default") -> int:
    video_id = f"acme-{uuid.uuid4()}"
    async with get_session().create_client("s3", **S3) as s3:
        await s3.put_object(Bucket=BUCKET, Key=f"acme/{video_id}", Body=path.read_bytes())
    announcement = {
        "event": "VideoUploaded", "version": 1, "event_id": f"{video_id}-uploaded",
        "occurred_at": datetime.now(UTC).isoformat(), "video_id": video_id, "gallery": gallery, "name": path.name,
        "object": {"bucket": BUCKET, "key": f"acme/{video_id}"},
    }  # fmt: skip
    results = AIOKafkaConsumer("profile.events", bootstrap_servers=KAFKA)
    async with results, AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all") as producer:
        await results.seek_to_end()  # before we announce: nothing of ours can be missed
        await producer.send_and_wait("video.uploaded", json.dumps(announcement).encode(), video_id.encode())
        async for message in results:
            event = json.loads(message.value)
            if event.get("video_id") == video_id:
                print(json.dumps(event), flush=True)
                if event["event"] == "TaskFinished":
                    break
    return 0 if event["status"] == "done" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:3])))
