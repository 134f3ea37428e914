"""Launches of convolutions: packed images, and blocks of sums over them in registers.

All three ops are sums over packed images (see `canonical.conv`):

    conv2d          a sum over channels and taps of x, at the places of the outputs
    conv2d_input    the same of g, for each phase of the image: the places that the same elements
                    of the kernel reach
    conv2d_weight   for each filter, channel and tap, a sum over the places of g and x

A strip goes through the images, so that what is packed stays in the cache. Each op has two ways or
more, of which it takes the one with the least time: `packing` tells of images as shifts and as
patches, `spread` of conv2d_input from few places, `squares` of 3 × 3 elements at stride 1, `weight`
of pairs and rows.
"""
