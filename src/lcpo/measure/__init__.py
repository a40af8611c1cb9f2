"""What is counted, once for training, evaluation and serving; also files, manifests and progress."""
