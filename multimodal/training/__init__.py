"""One loop, one module per model, recipes as TOML. Nothing here is needed to use a model."""
