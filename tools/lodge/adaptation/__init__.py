"""Fine-tuning of models whose non-linear operations are replaced; see finetune.py."""
