"""Imports, carried out: an archive is looked at whole, then what is in it is committed some videos at a time.

The command that asks for it stays pending, and first of its gallery's, until all is there; so nothing else is committed
meanwhile. Every step may be done twice, by a process that died in between or by two at once: the gallery says that it
is under way, the ledger which videos are there, and all ids are the archive's or follow from them.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from castlist.archive.archive_format import CONTENTS, LINES, ArchiveError
from castlist.archive.archive_reader import ArchiveReader
from castlist.contract.commands import ImportGallery
from castlist.contract.ids import ARCHIVES, CROPS
from castlist.ports.errors import AlreadyExistsError, ObjectMissingError, UnavailableError
from castlist.ports.objects import Objects
from castlist.store.installation import installation
from castlist.store.pending import ledger_id
from castlist.store.query import ascending, below, eq, not_of_kind, of_kind
from castlist.store.records.change_history import CommandError
from castlist.store.records.pending import PendingCommand, PendingRecluster, PendingRecord
from castlist.store.store import Store
from castlist.tasks.galleries import is_shown
from profile_aggregator.commits.commands import command_of, is_import
from profile_aggregator.commits.commit_plan import StaleGalleryError
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.imports.archive_contents import ArchiveContents
from profile_aggregator.imports.free_ids import ensure_room
from profile_aggregator.imports.gallery_import import GalleryImport
from profile_aggregator.imports.new_ids import NewIds

log = logging.getLogger(__name__)
SWEEP_EVERY = 600.0
_ABANDONED = timedelta(days=1)
_AFTER_ERROR = 30.0
_NOT_LOOKED_AT = CommandError("internal", "It could not be looked at; the log says why.")


class Imports:
    """The worker. One instance a process."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        galleries: GalleryCache,
        committer: Committer,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._objects, self._clock = store, objects, clock
        self._galleries, self._committer = galleries, committer
        self._failed: dict[str, float] = {}

    async def take(self, gallery: str) -> bool:
        """Carry out the import that a gallery waits for; False if it waits for none. UnavailableError if a server is
        away; safe to repeat."""
        waiting = eq(PendingRecord.gallery, gallery) & not_of_kind(PendingRecluster)
        arrival = [ascending(PendingRecord.created_at), ascending(PendingRecord.id)]
        first = await self._store.pending.find(waiting, sort=arrival, limit=1)
        pending = first[0] if first else None
        if not isinstance(pending, PendingCommand) or not is_import(pending):
            return False
        command = ImportGallery.model_validate(pending.command)
        if time.monotonic() - self._failed.get(pending.id, -_AFTER_ERROR) < _AFTER_ERROR:
            return False
        try:
            await self._import(pending, command)
        except (StaleGalleryError, AlreadyExistsError):
            return True  # another process is at it, too
        except UnavailableError:
            raise
        except Exception:
            log.exception("import_failed", extra={"gallery": gallery, "command": command.event_id})
            self._failed[pending.id] = time.monotonic()
            return False
        finally:
            self._galleries.forget(gallery)
        await self._objects.delete(command.object.key)
        return True

    async def _import(self, pending: PendingCommand, command: ImportGallery) -> None:
        gallery = await self._store.galleries.get(command.gallery)
        if gallery is None or await self._store.ledger.get(ledger_id(pending)) is not None:
            await self._committer.forget_applied(pending)
            return
        begun = gallery.importing == pending.id
        try:
            if not is_shown(gallery):
                raise CommandRefusedError("not_found", "The gallery was deleted.")
            contents = await self._looked_at(command)
            about = contents.about
            ours = about.installation == await installation(self._store)
            ids = NewIds(command.gallery, anew=ours and about.gallery != command.gallery)
            if not begun:
                await ensure_room(self._store, command.gallery, contents, ids)
        except (ArchiveError, CommandRefusedError, ObjectMissingError) as error:
            if begun:
                raise LookupError(f"what was found to be an archive before: {error}") from error
            await self._committer.fail_command(pending, _reason(error))
            return
        except UnavailableError:
            raise
        except Exception:
            if begun:
                raise
            # Nothing was written: it would fail again, and its gallery would wait for ever.
            log.exception("import_failed", extra={"gallery": command.gallery, "command": command.event_id})
            await self._committer.fail_command(pending, _NOT_LOOKED_AT)
            return
        run = GalleryImport(self._store, self._objects, self._clock, pending, command, contents, ids)
        if not begun:
            await run.begin(gallery)
        await run.carry_out(self._blocks(command))
        await run.end()
        log.info("gallery_imported", extra={"gallery": command.gallery, "videos": len(contents.videos)})

    async def _looked_at(self, command: ImportGallery) -> ArchiveContents:
        """The archive, from its beginning to its end."""
        reader = ArchiveReader(self._blocks(command))
        contents = ArchiveContents(await reader.about())
        async for entry in reader.entries():
            if entry.name.startswith(CROPS):
                contents.crops.add(entry.name)
            elif entry.name.startswith(CONTENTS):
                contents.contents.add(entry.name.removeprefix(CONTENTS))
            elif entry.name in LINES:
                async for line in reader.lines():
                    contents.take(line)
        contents.finish()
        return contents

    def _blocks(self, command: ImportGallery) -> AsyncIterator[bytes]:
        stored = command.object
        return self._objects.read(stored.key, bucket=stored.bucket, etag=stored.etag)

    async def sweep(self) -> None:
        """Take away archives that came a day ago and that nobody imports."""
        now = self._clock()
        await self._objects.abort_stale_uploads(_ABANDONED.total_seconds(), ARCHIVES)
        old = [info.key for info in await self._objects.list(ARCHIVES) if _begun_at(info.key) < now - _ABANDONED]
        if not old:
            return
        waiting = below(PendingRecord.created_at, now) & of_kind(PendingCommand)
        named = set[str]()
        for pending in await self._store.pending.find(waiting):
            with contextlib.suppress(ValueError):
                command = command_of(pending)
                named |= {command.object.key} if isinstance(command, ImportGallery) else set()
        for key in sorted(set(old) - named):
            await self._objects.delete(key)


def _reason(error: Exception) -> CommandError:
    match error:
        case CommandRefusedError():
            return CommandError(error.code, str(error), error.changes)
        case ObjectMissingError():
            return CommandError("not_found", "The archive is not there any more.")
        case _:
            return CommandError("invalid", str(error))


def _begun_at(key: str) -> datetime:
    seconds, _, _ = key.removeprefix(ARCHIVES).partition("-")
    return datetime.fromtimestamp(int(seconds) if seconds.isdecimal() else 0, UTC)
