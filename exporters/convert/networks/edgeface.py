"""EdgeFace: EdgeNeXt of timm with a linear head.

George, Ecabert, Otroshi Shahreza, Kotwal, Marcel, "EdgeFace: Efficient Face Recognition Model for Edge Devices",
IEEE T-BIOM 2024; the body is Maaz et al., "EdgeNeXt", ECCVW 2022. Read are those without low-rank linear layers.
"""

from __future__ import annotations

import warnings

from torch import Tensor, nn

from uncnn.plugins.extras import require

VARIANTS = {24: "edgenext_xx_small", 32: "edgenext_x_small", 48: "edgenext_small"}
"""timm's name by the channels of the stem."""


class EdgeFace(nn.Module):
    """(N, 3, 112, 112) -> (N, `length`)."""

    height, width = 112, 112

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        require("timm")
        import timm

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm speaks of its own parts at import
            self.model = timm.create_model(VARIANTS[channels], num_classes=length)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, `length`), of normalised pictures (N, 3, 112, 112)."""
        embeddings: Tensor = self.model(pictures)
        return embeddings
