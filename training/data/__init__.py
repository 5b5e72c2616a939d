"""Records of images and masks, and the augmented samples made of them."""
