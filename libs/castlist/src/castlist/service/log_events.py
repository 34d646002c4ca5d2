"""Every event that the services log. A line's `message` is one of these names, for ever; what it is about are fields.

docs/operating.md is generated from here, and a test holds the log calls to it. Lines of libraries are in their words.
"""

LOG_EVENTS = {
    # All services.
    "ready": "The process takes work.",
    "server_unavailable": "`step` is tried again until Kafka, MongoDB or S3 is back.",
    "round_postponed": "A periodic `step` is left out this time: a server is away.",
    "round_failed": "A periodic `step` failed over a mistake of ours; it is done again at its next time.",
    "request_unavailable": "A request was answered 503: a server is away.",
    "request_failed": "A request was answered 500: a mistake of ours, with its traceback.",
    "cannot_receive": "Kafka gives no messages of `topic`; asked again.",
    "partition_moved": "Another process has the partition now; what was in hand of it is done again there.",
    "handler_failed": "A mistake of ours about one message or task, with its traceback; after three it is given up.",
    "failure_untold": "A message that is given up was about work that could not be failed; see dead letters.",
    "dead_lettered": "A message was put into its topic's dead letters, for the `reason`.",
    "consumer_stuck": "Messages wait at `offset` of `topic` and `partition`, or one in hand does not end, though the "
    "servers are there: the process exits with 75.",
    "migrated": "MongoDB was brought up to the schema of migration `step`.",
    # ingest
    "upload_removed": "A file that no upload finished was taken out of S3.",
    # frame-workers
    "video_planned": "A video was probed and cut into `chunks`.",
    "video_rejected": "A video cannot be worked through: its task fails with `code`.",
    "video_conflict": "An announcement says otherwise than what is known of the video; it is passed over.",
    "plan_cancelled": "A video was cancelled before it was planned.",
    "object_fetched": "A video was fetched from S3 to the local disk.",
    "chunk_processed": "A chunk was worked through: it `waited` and `took` so many seconds, and as much `cpu`.",
    "chunk_failed": "A chunk cannot be worked through: its task fails with `code`.",
    "chunk_cancelled": "A chunk was given up: its run is not wanted any more.",
    "attempt_failed": "One attempt at a job failed; it is tried again, a few times.",
    "child_ready": "A child process of the workers, or of query-api, has loaded its models.",
    "child_not_started": "A child process did not come up; tried again.",
    "encoder_chosen": "Faces are encoded with `encoder`, whose encodings are `from_dlib` away from dlib's own.",
    "encoder_unusable": "The ONNX encoder cannot be used with `provider`; the next one is tried.",
    "encoder_differs": "The ONNX encoder with `provider` is too far from dlib's; the next one is tried.",
    "encoder_slow": "Faces are encoded with dlib's own encoder, which is slow.",
    "detector_unusable": "CenterFace cannot be used with `provider`; the next one is tried.",
    "detector_unavailable": "The detector `auto` cannot be had here, for the `reason`: videos are planned with `hog`.",
    "graphics_card_unusable": "The graphics card cannot decode, for the `reason`: pictures are decoded in software.",
    "chunks_left": "A chunk needs what this process lacks, for the `reason`: it takes no more, and is not ready.",
    # profile-aggregator
    "gallery_committed": "The people of some videos, or a command, are in the gallery now.",
    "commit_failed": "A mistake of ours about `pending`, with its traceback; its task fails, or its command.",
    "commit_too_large": "A commit did not fit into a transaction, by size or by time; less is committed at once.",
    "commit_not_followed": "A commit won, and a mistake of ours came after it; `gallery` is read from MongoDB again.",
    "publishing_postponed": "What commits to `gallery` say waits for Kafka; publishing it is tried again.",
    "publishing_failed": "A mistake of ours about what commits to `gallery` say; publishing it is tried again.",
    "erasure_failed": "What is left of people who were erased could not be taken away; tried again.",
    "removal_failed": "What a commit has left behind of a video could not be removed; tried again.",
    "turn_failed": "The turn of a gallery, or of a long video (`of`), failed, with a traceback; again in seconds.",
    "maintenance_failed": "Re-clustering or suggestions of one `gallery` failed; again after half a minute.",
    "result_repeated": "A chunk's result came again and was dropped.",
    "result_unreadable": "The stored results of a run cannot be put together: its task fails.",
    "people_pending_already": "The people of a run wait for their commit already.",
    "announced_again": "A task got nowhere for a while; its work was announced again.",
    "topics_lost": "Kafka has lost topics: the process exits with 77; they are made anew, and work is announced again.",
    "position_lost": "The group's `offset` is of a log that Kafka has lost; the partition is read from its beginning.",
    "instance_taken": "Another aggregator runs under this AGGREGATOR_INSTANCE: the process exits with 76.",
    "delivery_failed": "A mistake of ours beside the handlers, with its traceback: the process exits with 70.",
    "stopped_by_itself": "Faust stopped without being told to: the process exits with 71.",
}
