"""Pretrained networks of transformers, such as BERT and GPT-2, with their tokenizers."""
