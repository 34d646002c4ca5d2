"""What goes of those who listen to a gallery, with what they were told of."""

from collections.abc import Collection

from castlist.store.query import eq, with_id
from castlist.store.records.alerts import AlertRecord, DeliveryRecord, WatchedProfiles, WatchRecord, WebhookRecord
from castlist.store.store import Store


async def forget_people_in(transaction: Store, gallery: str, profiles: Collection[str]) -> None:
    """These were erased: nobody waits for them any more, and where they were told of is not kept."""
    watches = await transaction.watches.find_parts(WatchedProfiles, eq(WatchRecord.gallery, gallery))
    for watch in watches:
        if {watch.profile_id, watch.holder} & set(profiles):
            await _forget_watch(transaction, watch.id)


async def forget_video_in(transaction: Store, video: str) -> None:
    """Should it come again, its people are told of again."""
    await transaction.alerts.delete(eq(AlertRecord.video_id, video))


async def forget_gallery(store: Store, gallery: str) -> None:
    """All watches and webhooks, with what belongs to each."""
    for id in await store.watches.ids(eq(WatchRecord.gallery, gallery)):
        await _forget_watch(store, id)
    for id in await store.webhooks.ids(eq(WebhookRecord.gallery, gallery)):
        await store.deliveries.delete(eq(DeliveryRecord.webhook_id, id))
        await store.webhooks.delete(with_id(id))


async def _forget_watch(store: Store, id: str) -> None:
    await store.alerts.delete(eq(AlertRecord.watch_id, id))
    await store.watches.delete(with_id(id))
