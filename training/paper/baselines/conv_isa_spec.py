"""
The sizes of ConvISA. A field is an option of `baseline`.

The default sizes of patches, blocks, components and groups are those of the program that the
authors of [Le11] published; see `conv_isa` for what differs.
"""

from dataclasses import dataclass
from typing import Annotated

from training.errors import RunError
from training.option_groups import CONV_ISA, check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvIsaSpec:
    patch_pixels: Annotated[
        int, CONV_ISA(min=2, help="Height and width of a patch, which layer 1 sees.")
    ] = 16
    patch_frames: Annotated[int, CONV_ISA(min=1, help="Frames of a patch.")] = 10
    block_pixels: Annotated[
        int, CONV_ISA(min=2, help="Height and width of a block: layer 2 sees patches 4 apart.")
    ] = 20
    block_frames: Annotated[int, CONV_ISA(min=1, help="Frames of a block.")] = 14
    patch_components: Annotated[int, CONV_ISA(min=2, help="Filters of layer 1.")] = 300
    block_components: Annotated[int, CONV_ISA(min=2, help="Filters of layer 2.")] = 200
    patch_group: Annotated[int, CONV_ISA(min=1, help="Filters a group in layer 1.")] = 1
    block_group: Annotated[int, CONV_ISA(min=1, help="Filters a group in layer 2.")] = 2
    samples: Annotated[
        int,
        CONV_ISA(
            min=2, help="Blocks that layers and clusters are learned from, as many of each clip."
        ),
    ] = 20_000
    isa_steps: Annotated[
        int, CONV_ISA(min=0, help="Steps that a layer is learned in, at most.")
    ] = 100
    stride_pixels: Annotated[
        int, CONV_ISA(min=1, help="From one block that is counted to the next.")
    ] = 10
    stride_frames: Annotated[int, CONV_ISA(min=1, help="The same, in time.")] = 7
    drop: Annotated[
        float,
        CONV_ISA(
            min=0, max=0.99, help="Share of the blocks that is left out: those of least activation."
        ),
    ] = 0.5
    words: Annotated[int, CONV_ISA(min=2, help="Clusters of descriptors, at most.")] = 500

    def __post_init__(self) -> None:
        check_limits(self)
        if self.block_pixels < self.patch_pixels or self.block_frames < self.patch_frames:
            raise RunError(
                f"a block is {self.block_frames}x{self.block_pixels}x{self.block_pixels}, need at"
                f" least a patch, {self.patch_frames}x{self.patch_pixels}x{self.patch_pixels}"
            )
        for components, group in (
            (self.patch_components, self.patch_group),
            (self.block_components, self.block_group),
        ):
            if components % group:
                raise RunError(f"{components} components make no groups of {group}")
