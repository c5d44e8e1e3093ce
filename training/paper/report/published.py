"""
Published results to compare with: Spearman and mean distance on the official splits.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
[Pir14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
[Par17] P. Parmar, B. T. Morris. Learning to Score Olympic Events. CVPRW 2017.
[Par19] P. Parmar, B. T. Morris. What and How Well You Performed? CVPR 2019.
"""

from dataclasses import dataclass

DATA = {"diving": "UNLV-Dive", "vault": "UNLV-Vault", "skating": "MIT-Skate"}


@dataclass(frozen=True, slots=True)
class Published:
    spearman: float
    mean_distance: float | None = None
    """Points, where it was printed."""


# [Li18] Table 1: the last fragment only. Its Table 2 prints 0.7435 for MSE on diving.
LOSSES: dict[str, dict[str, Published]] = {
    "MSE": {
        "diving": Published(0.7337, 9.01),
        "vault": Published(0.6325, 1.33),
        "skating": Published(0.4167),
    },
    "ranking": {
        "diving": Published(0.7870, 75.62),
        "vault": Published(0.6648, 14.63),
        "skating": Published(0.2129),
    },
    "MSE + ranking": {
        "diving": Published(0.8009, 7.78),
        "vault": Published(0.7028, 2.60),
        "skating": Published(0.5753),
    },
}

# [Li18] Table 2, and what came later. C3D+SVR on diving is 0.748 in its authors' update.
METHODS: dict[str, dict[str, Published]] = {
    "Pose+DCT": {
        "diving": Published(0.53),
        "vault": Published(0.10),
        "skating": Published(0.35),
    },
    "ConvISA": {"skating": Published(0.45)},
    "C3D+LSTM": {"diving": Published(0.27), "vault": Published(0.05)},
    "C3D+SVR": {
        "diving": Published(0.78),
        "vault": Published(0.66),
        "skating": Published(0.53),
    },
    "C3D-AVG-MTL": {"diving": Published(0.8808)},
}

# Not from a paper: computed from the published annotations, official test splits.
DIFFICULTY_ALONE = {"diving": Published(0.286), "vault": Published(0.858)}
TRAINING_MEAN = {"diving": Published(0.0, 11.15)}
