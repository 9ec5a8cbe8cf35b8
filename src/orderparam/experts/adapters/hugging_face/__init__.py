"""Scaling plans for transformers of Hugging Face."""
