"""What a correction asks of a gallery: a decision about its persons, and the change that follows. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from castlist.contract.commands import (
    AddPresence,
    AnswerSuggestion,
    ChangeCard,
    DeleteProfile,
    EnrolPerson,
    MergeProfiles,
    RaiseObjection,
    RejectAppearance,
    RenameProfile,
    SplitProfile,
)
from castlist.store.records.galleries import SuggestionRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks.commands import DecidingCommand
from castlist_identity.decisions.decision import Decision, Keys
from castlist_identity.decisions.decision_set import NAME
from profile_aggregator.commits.asked import Asked
from profile_aggregator.corrections.corrected_gallery import CORE, WHOLE_GROUP, CorrectedGallery
from profile_aggregator.corrections.erased_persons import erase, raise_objection
from profile_aggregator.corrections.manual_persons import add_presence, enrol
from profile_aggregator.corrections.refusal import CommandRefusedError


def decide(
    corrected: CorrectedGallery,
    command: DecidingCommand,
    suggestion: SuggestionRecord | None = None,
    video: VideoRecord | None = None,
    tracks: Mapping[str, Keys] | None = None,
) -> Asked:
    """What the command decides. CommandRefusedError where it is about nobody, or contradicts another decision."""
    match command:
        case ChangeCard():
            profile = corrected.profile(command.profile_id)
            card = command.card.model_dump(mode="json", include=set[str](command.changed))
            return corrected.taken(_card(corrected, command.event_id, profile, card), {"card": card})
        case RenameProfile():
            profile = corrected.profile(command.profile_id)
            return corrected.taken(_card(corrected, command.event_id, profile, {NAME: command.name}), {})
        case MergeProfiles():
            return _merge(corrected, command.event_id, command.profile_id, command.profiles)
        case SplitProfile():
            profile = corrected.profile(command.profile_id)
            leaving = corrected.in_videos(profile, command.videos)
            if command.track_ids:
                leaving = corrected.made_of(profile, frozenset(command.track_ids), tracks or {})
            if not leaving:
                raise CommandRefusedError("invalid", "It names nothing to split off.")
            return _split(corrected, command.event_id, profile, leaving, command.into)
        case RejectAppearance():
            return _reject(corrected, command)
        case AddPresence():
            return add_presence(corrected, command, video)
        case EnrolPerson():
            return enrol(corrected, command)
        case DeleteProfile():
            profile = corrected.profile(command.profile_id)
            if command.erase:
                return erase(corrected, command.event_id, [profile])
            return _unmatched(corrected, command.event_id, profile, corrected.persons(profile))
        case RaiseObjection():
            return raise_objection(corrected, command)
        case AnswerSuggestion():
            if suggestion is None or suggestion.gallery != command.gallery:
                raise CommandRefusedError("not_found", "There is no such suggestion any more.")
            return _answer(corrected, command, suggestion)


def _card(corrected: CorrectedGallery, id: str, profile: str, card: dict[str, Any]) -> Decision:
    """A name is said of all whom the profile has; of the rest some stand for it."""
    if (cover := card.get("cover")) is not None:
        corrected.in_videos(profile, [cover])
    about = corrected.persons(profile) if NAME in card else corrected.some(profile, WHOLE_GROUP)
    return Decision(id, corrected.version, (profile,), about=about, card=card)


def _merge(corrected: CorrectedGallery, id: str, into: str, others: Iterable[str]) -> Asked:
    profiles = [corrected.profile(into)]
    for other in others:
        if (known := corrected.profile(other)) not in profiles:
            profiles.append(known)
    if len(profiles) == 1:
        raise CommandRefusedError("invalid", "A profile cannot be merged into itself.")
    names = {profile: corrected.name(profile) for profile in profiles}
    name = next((names[profile] for profile in profiles if names[profile] is not None), None)
    origins = {profile: corrected.persons(profile) for profile in profiles}
    groups = tuple(corrected.some(profile, WHOLE_GROUP) for profile in profiles)
    decision = Decision(id, corrected.version, tuple(profiles), groups=groups, origins=origins, into=profiles[0])
    if name is not None:
        decision = replace(decision, about=frozenset().union(*origins.values()), card={NAME: name})
    claims = {key: profiles[0] for profile in profiles[1:] for key in origins[profile]}
    return corrected.taken(decision, {"into": profiles[0], "names": names}, claims)


def _split(corrected: CorrectedGallery, id: str, profile: str, leaving: Keys, into: str | None) -> Asked:
    rest = corrected.persons(profile) - leaving
    if not rest:
        raise CommandRefusedError("invalid", "That is everything the profile has: nothing of it would be left.")
    target = None if into is None else corrected.profile(into)
    if target == profile:
        raise CommandRefusedError("invalid", "A profile cannot be split into itself.")
    decision = Decision(
        id,
        corrected.version,
        (profile,) if target is None else (profile, target),
        groups=(leaving,) if target is None else (leaving, corrected.some(target, WHOLE_GROUP)),
        leaving=leaving,
        rest=corrected.some(profile, CORE, leaving),
        about=leaving,
        card={NAME: None if target is None else corrected.name(target)},
        origins={profile: leaving} | ({} if target is None else {target: corrected.persons(target)}),
        into=target,
    )
    return corrected.taken(decision, {}, dict.fromkeys(leaving, target))


def _reject(corrected: CorrectedGallery, command: RejectAppearance) -> Asked:
    profile = corrected.profile(command.profile_id)
    leaving = corrected.in_videos(profile, [command.video_id])
    if command.reason == "not_a_face":
        return _unmatched(corrected, command.event_id, profile, leaving)
    rest = corrected.some(profile, CORE, leaving)
    if not rest:
        raise CommandRefusedError("invalid", "That is everything the profile has: delete it, or say not_a_face.")
    decision = Decision(
        command.event_id,
        corrected.version,
        (profile,),
        leaving=leaving,
        rest=rest,
        about=leaving,
        card={NAME: None},
        origins={profile: leaving},
    )
    return corrected.taken(decision, {"video_id": command.video_id}, dict.fromkeys(leaving))


def _unmatched(corrected: CorrectedGallery, id: str, profile: str, persons: Keys) -> Asked:
    return corrected.taken(
        Decision(id, corrected.version, (profile,), unmatched=persons, origins={profile: persons}), {}
    )


def _answer(corrected: CorrectedGallery, command: AnswerSuggestion, suggestion: SuggestionRecord) -> Asked:
    profiles = [corrected.profile(profile) for profile in suggestion.profiles]
    id, same = command.event_id, command.answer == "same"
    if suggestion.kind == "two":
        if not same:
            return _split(corrected, id, profiles[0], corrected.in_videos(profiles[0], suggestion.videos), None)
        groups = tuple(frozenset([key]) for key in sorted(corrected.some(profiles[0], WHOLE_GROUP)))
        return corrected.taken(Decision(id, corrected.version, (profiles[0],), groups=groups), {})
    if same:
        one, other = sorted(profiles, key=lambda profile: _prominence(corrected, profile))
        return _merge(corrected, id, one, [other])
    one, other = profiles
    if one == other:
        raise CommandRefusedError("not_found", "The two are one profile by now.")
    decision = Decision(
        id, corrected.version, (one, other), leaving=corrected.some(one, CORE), rest=corrected.some(other, CORE)
    )
    return corrected.taken(decision, {})


def _prominence(corrected: CorrectedGallery, profile: str) -> tuple[object, ...]:
    """Which of two keeps its id: the named, the larger, the older one."""
    gallery = corrected.gallery
    return (
        corrected.name(profile) is None, -gallery.videos_of(profile), gallery.profiles[profile].created, profile
    )  # fmt: skip
