"""Images from captions: a diffusion model that reads them, and a judge that reads the images."""
