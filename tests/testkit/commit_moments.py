"""Stop the aggregator at an exact moment of a commit, and prove that it was that moment.

Nothing in the product helps with this: the process is frozen with SIGSTOP as soon as MongoDB shows the moment, and the
moment is looked at again while it is frozen. If it has passed by then the process goes on, and the next try is made.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from castlist.contract.ids import ledger_key, run_key
from testkit.database import Database
from testkit.synthetic import SyntheticVideo

Moment = Callable[[Database, SyntheticVideo], bool]


def before_transaction(database: Database, video: SyntheticVideo) -> bool:
    """The people are pending, nothing was committed, and no transaction is open."""
    pending = database.pending.find_one({"_id": run_key(video.video_id, video.epoch)}) is not None
    return pending and not _committed(database, video) and not _open_transactions(database)


def inside_transaction(database: Database, video: SyntheticVideo) -> bool:
    """A transaction is open on the server and its writes are not visible."""
    return bool(_open_transactions(database)) and not _committed(database, video)


def after_transaction(database: Database, video: SyntheticVideo) -> bool:
    """The transaction is committed, its events are not published yet."""
    unpublished = {"gallery": video.gallery, "published_at": None}
    return _committed(database, video) and database.gallery_log.find_one(unpublished) is not None


def _committed(database: Database, video: SyntheticVideo) -> bool:
    return database.ledger.find_one({"_id": ledger_key(video.gallery, video.video_id, video.epoch)}) is not None


def _open_transactions(database: Database) -> list[Any]:
    stages = [
        {"$currentOp": {"allUsers": True, "idleSessions": True}},
        {"$match": {"transaction.parameters.autocommit": False, "transaction.timeActiveMicros": {"$gt": 2000}}},
    ]
    return list(database.client.admin.aggregate(stages))


def freeze_at(moment: Moment, database: Database, video: SyntheticVideo, pid: int, timeout: float = 20.0) -> bool:
    """SIGSTOP `pid` at the moment; False if it was missed (the process goes on then)."""
    deadline, looks = time.monotonic() + timeout, 0
    while time.monotonic() < deadline:
        looks += 1
        if moment(database, video):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.05)  # what was on its way to the server has arrived
            if moment(database, video):
                return True
            os.kill(pid, signal.SIGCONT)
            return False
        if moment is before_transaction and _committed(database, video):
            return False
        if moment is inside_transaction and looks % 50 == 0 and _committed(database, video):
            return False  # asked now and then only: the moment is short
    return False
