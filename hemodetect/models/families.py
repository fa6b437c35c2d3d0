"""The five model families, in the order every page and table shows them."""

FAMILY_NAMES = {
    "svm": "SVM",
    "logistic": "Logistic regression",
    "cnn": "CNN",
    "rnn": "RNN",
    "attention_rnn": "Attention RNN",
}
"""Key of a family (as in bundles and on the command line) -> its name for people."""
