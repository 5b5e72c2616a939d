"""The networks that detectors stand on: ResNets of torchvision and ConvNets of timm."""
