"""Every metric, in one list. `/metrics` of each service shows those it touches."""

from prometheus_client import Counter, Gauge, Histogram

UPLOADS = Counter("castlist_uploads_total", "Uploads, by how they ended.", ["outcome"])
UPLOADED_BYTES = Counter("castlist_uploaded_bytes_total", "Bytes received in uploads.")
DEAD_LETTERS = Counter("castlist_dead_letters_total", "Messages that could not be read.", ["topic"])
LAG = Gauge(
    "castlist_lag_messages",
    "Messages of a topic that this process's partitions hold and that its group has not acknowledged.",
    ["topic", "group"],
)
OUTBOX_SWEPT = Counter("castlist_outbox_swept_total", "Events that a sweep had to publish.")
CHUNKS = Counter("castlist_chunks_total", "Chunks, by how they ended.", ["outcome"])
CHUNK_SECONDS = Histogram(
    "castlist_chunk_seconds", "Wall time of a chunk.", buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
)
STAGE_SECONDS = Histogram(
    "castlist_stage_seconds",
    "Wall time of what is around a chunk's analysis: plan (of a video), fetch (its file), wait (for file and slot), "
    "report (crops and result).",
    ["stage"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256),
)
JOB_CPU_SECONDS = Histogram(
    "castlist_job_cpu_seconds",
    "CPU seconds that a job (plan, chunk) took in its child.",
    ["job"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
VIDEO_SECONDS = Counter("castlist_video_seconds_total", "Seconds of video worked through.")
FACES_ENCODED = Counter("castlist_faces_encoded_total", "Faces encoded.")
FACES_SKIPPED = Counter("castlist_faces_skipped_total", "Sightings of faces that were left out, by why.", ["reason"])
CHILD_RESTARTS = Counter(
    "castlist_child_restarts_total", "Children (of workers, of query-api) that died or were killed.", ["reason"]
)
SLOTS_BUSY = Gauge("castlist_slots_busy", "Worker slots at work.")
ENCODER = Gauge(
    "castlist_encoder_info",
    "1 for the encoder in use (onnx, dlib), with what it computes (cpu, cuda).",
    ["encoder", "provider"],
)
DETECTOR_REPLACED = Counter(
    "castlist_detector_replaced_total", "Videos planned with the detector hog because auto could not be had."
)
COMMITS = Counter("castlist_commits_total", "Commits to galleries, by how they ended.", ["outcome"])
COMMIT_SECONDS = Histogram(
    "castlist_commit_seconds", "Wall time of a commit.", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
)
CONFLICTS = Counter(
    "castlist_transaction_conflicts_total", "Transactions that MongoDB undid over another one; they are run again."
)
OLDEST_TASK = Gauge(
    "castlist_oldest_open_task_seconds", "How long ago the task was made that has been open for longest; 0 for none."
)
COMMITTED_VIDEOS = Counter("castlist_committed_videos_total", "Videos committed to galleries.")
WEBHOOK_CALLS = Counter("castlist_webhook_calls_total", "Attempts to send to a webhook, by outcome.", ["outcome"])
HTTP_REQUESTS = Counter("castlist_http_requests_total", "HTTP requests.", ["route", "status"])
HTTP_SECONDS = Histogram("castlist_http_seconds", "Wall time until a request is answered.", ["route"])
