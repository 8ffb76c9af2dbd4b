"""Text and pictures together: CLIP, retrieval, ViLBERT and a miniature DALL-E for the classroom."""
