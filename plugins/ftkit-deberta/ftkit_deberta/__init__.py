"""DeBERTa-v3 backbones for ftkit."""
