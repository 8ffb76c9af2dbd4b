"""The text side of CLIP and the language stream of ViLBERT: one BERT-style encoder."""
