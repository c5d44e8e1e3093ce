"""
Published results to compare with: Spearman and mean distance on the official splits.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
[Pir14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
[Par17] P. Parmar, B. T. Morris. Learning to Score Olympic Events. CVPRW 2017.
[Par19] P. Parmar, B. T. Morris. What and How Well You Performed? CVPR 2019.
[Par19b] P. Parmar, B. T. Morris. Action Quality Assessment Across Multiple Actions. WACV 2019.
"""

from dataclasses import dataclass

DATA = {  # by action; those of AQA-7 by the kind of data set, too
    "diving": "UNLV-Dive",
    "vault": "UNLV-Vault",
    "skating": "MIT-Skate",
    "aqa-7-diving": "AQA-7 diving",
    "aqa-7-vault": "AQA-7 vault",
    "aqa-7-ski": "AQA-7 ski",
    "aqa-7-snowboard": "AQA-7 snowboard",
    "aqa-7-sync-3m": "AQA-7 sync 3 m",
    "aqa-7-sync-10m": "AQA-7 sync 10 m",
}
AQA7 = tuple(name for name in DATA if name.startswith("aqa-7"))


@dataclass(frozen=True, slots=True)
class Published:
    spearman: float
    mean_distance: float | None = None
    """Points, where it was printed."""


RANKING = {
    "diving": Published(0.7870, 75.62),
    "vault": Published(0.6648, 14.63),
    "skating": Published(0.2129),
}
# [Li18] Table 1: the last fragment only. Its Table 2 prints 0.7435 for MSE on diving. Its ranking
# row has distances of about the mean score, as scores have that begin at 0.
LOSSES: dict[str, dict[str, Published]] = {
    "MSE": {
        "diving": Published(0.7337, 9.01),
        "vault": Published(0.6325, 1.33),
        "skating": Published(0.4167),
    },
    "ranking": RANKING,
    "ranking, from 0": RANKING,
    "MSE + ranking": {
        "diving": Published(0.8009, 7.78),
        "vault": Published(0.7028, 2.60),
        "skating": Published(0.5753),
    },
}


def of_aqa7(*spearman: float) -> dict[str, Published]:
    return {name: Published(each) for name, each in zip(AQA7, spearman, strict=True)}


# [Li18] Table 2, and what came later. C3D+SVR on diving is 0.748 in its authors' update. Those of
# AQA-7 are of [Par19b], a network or a machine for each action.
METHODS: dict[str, dict[str, Published]] = {
    "Pose+DCT": {
        "diving": Published(0.53),
        "vault": Published(0.10),
        "skating": Published(0.35),
    },
    "ConvISA": {"skating": Published(0.45)},
    "C3D+LSTM": {
        "diving": Published(0.27),
        "vault": Published(0.05),
        **of_aqa7(0.6047, 0.5636, 0.4593, 0.5029, 0.7912, 0.6927),
    },
    "C3D+SVR": {
        "diving": Published(0.78),
        "vault": Published(0.66),
        "skating": Published(0.53),
        **of_aqa7(0.7902, 0.6824, 0.5209, 0.4006, 0.5937, 0.9120),
    },
    "C3D pool5+LSTM": {},  # the same from the extractor's last feature map, which no paper has
    "C3D pool5+SVR": {},
    "C3D-AVG-MTL": {"diving": Published(0.8808)},
}

# Not from a paper: computed from the published annotations, official test splits.
DIFFICULTY_ALONE = {"diving": Published(0.286), "vault": Published(0.858)}
TRAINING_MEAN = {"diving": Published(0.0, 11.15)}
