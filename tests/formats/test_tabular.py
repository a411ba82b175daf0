"""scikit-learn, XGBoost and LightGBM: trained on real flowers, served as ONNX."""

import joblib
import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from formats.conftest import without_warnings
from windlass.errors import UsageError
from windlass.formats import Given, find, parse_input

FLOWERS, KINDS = load_iris(return_X_y=True)
FLOWERS = FLOWERS.astype(np.float32)


def answers(added, rows=FLOWERS):
    session = onnxruntime.InferenceSession(added.entry.versions[1] / "model.onnx")
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, {"features": rows}), strict=True))


def outputs(added):
    return {one.name: list(one.dims) for one in added.config.output}


def test_a_pipeline_of_scikit_learn_answers_as_it_did(tmp_path, add):
    import skops.io

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FLOWERS, KINDS)
    with without_warnings():
        skops.io.dump(model, tmp_path / "flowers.skops")
    added = add(tmp_path / "flowers.skops")
    assert outputs(added) == {"label": [1], "probabilities": [3]}
    assert added.config.max_batch_size == 16
    assert "agrees on all of 64 generated rows" in added.notes[0]
    np.testing.assert_array_equal(answers(added)["label"], model.predict(FLOWERS))


def test_a_regression_in_a_pickle_is_added_with_trust(tmp_path, add):
    model = RandomForestRegressor(5, random_state=0).fit(FLOWERS, KINDS)
    joblib.dump(model, tmp_path / "flowers.joblib", compress=3)
    with pytest.raises(UsageError, match="is a pickle"):
        add(tmp_path / "flowers.joblib")
    added = add(tmp_path / "flowers.joblib", trust=True)
    assert outputs(added) == {"prediction": [1]}
    np.testing.assert_allclose(answers(added)["prediction"][:, 0], model.predict(FLOWERS), atol=1e-5)


def test_xgboost_answers_as_it_did(tmp_path, add):
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(FLOWERS, KINDS)
    for suffix in ("json", "ubj"):
        model.save_model(tmp_path / f"flowers.{suffix}")
        added = add(tmp_path / f"flowers.{suffix}", suffix)
        np.testing.assert_allclose(answers(added)["probabilities"], model.predict_proba(FLOWERS), atol=1e-5)
    found = find(tmp_path / "flowers.json").inspect()
    assert found.format == "XGBoost"
    assert found.engines == ("onnxruntime",)
    assert found.parameters > 0


def test_two_classes_of_xgboost_are_two_probabilities(tmp_path, add):
    import xgboost

    rows = xgboost.DMatrix(FLOWERS, (KINDS > 0).astype(int))
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, rows, 3)
    booster.save_model(tmp_path / "flowers.json")
    made = answers(add(tmp_path / "flowers.json"))["probabilities"]
    np.testing.assert_allclose(made[:, 1], booster.predict(rows), atol=1e-5)


def test_lightgbm_answers_as_it_did(tmp_path, add):
    import lightgbm

    with without_warnings():
        model = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(FLOWERS, KINDS)
        wanted = model.predict_proba(FLOWERS)
    model.booster_.save_model(tmp_path / "flowers.txt")
    added = add(tmp_path / "flowers.txt")
    assert outputs(added) == {"label": [1], "probabilities": [3]}
    np.testing.assert_allclose(answers(added)["probabilities"], wanted, atol=1e-5)


def test_boosted_trees_in_a_pipeline_are_converted_with_it(tmp_path, add):
    import xgboost

    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=3, n_jobs=1)).fit(FLOWERS, KINDS)
    joblib.dump(model, tmp_path / "flowers.pkl")
    added = add(tmp_path / "flowers.pkl", trust=True)
    alike = np.isclose(answers(added)["probabilities"], model.predict_proba(FLOWERS), atol=1e-4).all(axis=1)
    # ONNX scales in single precision: a flower that lies on a tree's threshold may go the other way.
    assert alike.mean() >= 0.98


def test_a_classifier_without_probabilities_is_a_label_first(tmp_path, add):
    model = LinearSVC().fit(FLOWERS, KINDS)
    joblib.dump(model, tmp_path / "flowers.pkl")
    added = add(tmp_path / "flowers.pkl", trust=True)
    np.testing.assert_array_equal(answers(added)["label"], model.predict(FLOWERS))


def test_texts_are_named_by_whoever_has_them(tmp_path, add):
    texts = ["good very good", "bad bad", "good", "very bad"]
    joblib.dump(make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0]), tmp_path / "texts.pkl")
    with pytest.raises(UsageError, match="does not tell what it takes"):
        add(tmp_path / "texts.pkl", trust=True)
    added = add(tmp_path / "texts.pkl", trust=True, inputs=(parse_input("text:STRING[-1,1]"),))
    assert outputs(added)["probabilities"] == [2]


@pytest.mark.parametrize("made", [LogisticRegression(), {"model": 1}], ids=["not fitted", "no model"])
def test_what_cannot_be_converted_is_told(tmp_path, made):
    joblib.dump(made, tmp_path / "it.pkl")
    with pytest.raises(UsageError) as refused:
        find(tmp_path / "it.pkl", Given(trust=True)).inspect()
    assert refused.value.hint
