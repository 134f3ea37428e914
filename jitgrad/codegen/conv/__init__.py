"""Launches of convolutions: images packed one after the other, and sums over them in registers.

All three ops are sums over packed images (see `canonical.conv`):

    conv2d          a sum over channels and taps of x, at the places of the outputs
    conv2d_input    the same of g, for each phase of the image: the places that the same elements
                    of the kernel reach
    conv2d_weight   for each filter, channel and tap, a sum over the places of g and x

A strip goes through the images, so that what is packed stays in the cache.
"""
