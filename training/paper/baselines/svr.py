"""
Support vector regression, its one parameter chosen by cross-validation on the training clips.

Shapes: N training clips, M test clips, P values a clip.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

Floats = NDArray[np.floating]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5


def regress(known: Floats, judged: Floats, unknown: Floats, *, seed: int) -> NDArray[np.float64]:
    """(N, P), (N,), (M, P) -> (M,) points, by a linear SVR on standardised values."""
    machine = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), SVR(kernel="linear")), transformer=StandardScaler()
    )
    search = GridSearchCV(
        machine,
        {"regressor__svr__C": PENALTIES},
        scoring="neg_mean_absolute_error",
        cv=KFold(min(FOLDS, len(known) // 2), shuffle=True, random_state=seed),
    )
    search.fit(known, judged)
    return np.asarray(search.predict(unknown), np.float64)
