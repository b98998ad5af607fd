"""BERT and DistilBERT backbones for ftkit."""
