"""What a feature of a row can be."""

from collections.abc import Collection, Mapping
from typing import Literal, get_args

FeatureType = Literal["number", "category", "flag", "time", "text", "title", "bag", "image"]
NAME_ONE = "name an `image_encoder`, which reads pictures"
FEATURE_TYPES: frozenset[FeatureType] = frozenset(get_args(FeatureType))
TEXTS: frozenset[FeatureType] = frozenset({"text", "title"})  # what people wrote, in the order in which they did
WORDED: frozenset[FeatureType] = TEXTS | {"bag"}  # what is made of words
UNALIKE: frozenset[FeatureType] = WORDED | {"image"}  # of which hardly two rows have the same


def unseen(features: Mapping[str, FeatureType], types: Collection[FeatureType], remedy: str = "leave it out") -> str:
    """Why what looks at these types alone can make nothing of such features; empty where it can."""
    if set(features.values()) & set(types):
        return ""
    kinds = " or ".join(sorted(set(features.values())))
    return f"looks at no {kinds}, and there are no other features than {', '.join(features)}; {remedy}"
