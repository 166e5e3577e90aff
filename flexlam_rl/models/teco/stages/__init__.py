"""Training stages of TECO: `vqgan`, then `teco`, or `direct` for the models without latent dynamics."""
