// Frames in device memory to the encoder's input: cropped, turned upright, resampled with the same
// filters as on the CPU, converted to RGB, normalised, in patch order. One launch for a batch of
// frames of any formats and sizes; the host's plan says which of four paths each frame takes:
//
//   tensor cores (tensor.cuh)  YUV of 8 to 16 bits, and RGB or gray beyond 8 bits
//   exact        (exact.cuh)   8-bit gray and packed RGB, upright, bit for bit as PIL
//   fixed taps   (taps.cuh)    the same for planar RGB, sideways, large downscales
//   real taps    (taps.cuh)    the rest: downscales beyond some 20, shifted bytes
//
// Tensor cores: a warp computes 16 targets down the stored rows by 32 along them; a block is four
// neighbouring warps. For each set of rows (luma; interleaved chroma) the warp goes through strips
// of 64 bytes across and, in a strip, through steps of 16 rows down. They arrive by cp.async in a
// ring buffer of three stages per warp, so warps do not wait for each other. Resampling is two
// matrix products:
//   down    sums (16 targets, 64 columns) += weights (16, 16 rows) x samples (16 rows, 64 columns)
//   across  out  (16 targets, 32 targets) += sums (16, 16 columns) x weights (16 columns, 32
//   targets)
// A column is a byte (or word) of the row, of any component. In the filter of one component the
// columns of others have a weight of 0, so packed, planar and semi-planar rows are one case. One
// byte permutation makes two f16 of two samples: 0x64nn is 1024 + nn. The down sums start at minus
// 1152 times the sum of the weights, so that they are around zero when they are rounded to f16,
// with more of its 11 bits for the picture. In registers the down sums already have the layout of
// the left operand of the product across. Its weights are read from the table, which the blocks of
// an SM share in the L1; the down weights are in shared memory. Errors: at most 0.2 of an 8-bit
// step over noise in every format (1 is allowed).
//
//   grid: 28 blocks for a frame at 224 (14 down, 2 across); 128 threads, up to 168 registers, three
//   blocks on an SM; shared memory: 24 KB of rings and 0.5 KB for each 16 rows under a block (1080p
//   NV12: 5 KB); 4 KB in flight per warp, 48 KB per SM, where 30 KB at 1 us give 4 TB/s.
//
// Cost, 64 frames of 1080p NV12 to 224 (crop): 1,100 x 1,080 bytes of luma and half of that of
// chroma are read of each, 114 MB, and 19 MB written: 31 us at 4.3 TB/s. Windows overlap: from the
// L2 come 1.4 times that (94 rows for 77 between blocks down, 184 columns for 154 between warps).
// An H200 takes 115 us (2026-11-26), 28 % of what a copy moves: 35 million instructions of warps,
// of which a fifth each are the products down, those across, the copies' addresses and the output,
// issued in a third of the slots, since twelve warps on an SM wait for their own results and for
// weights. More speed needs fewer registers, so more warps.
//
// Tone mapping (shared/tone_map.h) is in a variant of the kernel: 14 reads of 4 bytes for each of
// 50 thousand target pixels, from 12 KB that stay in the L1, behind a branch per block. Batches
// without such frames launch the variant without it.
//
// Rejected: f32 down the rows in registers and across in shared memory (10 instructions a byte and
// 8 MB of shared-memory reads a frame: 40 us of issue slots at best); dp4a (half the rate, and
// bytes must be transposed); 8-bit products (weights in two or three digits; f16 is exact for
// samples and accurate enough for weights); computing down weights in the kernel from windows (more
// instructions than everything else).
#pragma once

#include "kernels/cuda/preprocess/exact.cuh"
#include "kernels/cuda/preprocess/taps.cuh"
#include "kernels/cuda/preprocess/tensor.cuh"

namespace cliptag::cuda {

// The frame of a block.
template <typename T>
__device__ __forceinline__ int FrameOfBlock(const PreprocessParams<T>& p, int block) {
  if (p.frame_blocks != 0) return block / p.frame_blocks;
  const auto* frames = RecordAt<PreprocessFrame>(p.table, 0);
  int low = 0, high = p.frames;  // the frame is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (frames[middle].first_block <= block) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// kToneMap: some of the frames are tone-mapped.
template <typename T, bool kToneMap>
__global__ void __launch_bounds__(kPreprocessThreads, 3) PreprocessKernel(PreprocessParams<T> p) {
  int block = static_cast<int>(blockIdx.x);
  const int index = FrameOfBlock(p, block);
  const PreprocessFrame& frame = RecordAt<PreprocessFrame>(p.table, 0)[index];
  block -= frame.first_block;
  const PixelWriter<T, kToneMap> writer(p, frame, index);
  const PixelWriter<T, false> plain(p, frame, index);  // for paths that are only for 8-bit RGB
  if (frame.path == PreprocessPath::kTensor) {
    if (frame.bytes_per_sample == 1) {
      PreprocessTensorTile<1>(writer, block);
    } else {
      PreprocessTensorTile<2>(writer, block);
    }
  } else if (frame.path == PreprocessPath::kExact) {
    if (frame.rows[0].pixel_stride == 3) {
      PreprocessExactTile<3>(plain, block);
    } else if (frame.rows[0].pixel_stride == 4) {
      PreprocessExactTile<4>(plain, block);
    } else {
      PreprocessExactTile<1>(plain, block);
    }
  } else if (frame.path == PreprocessPath::kFixedTaps) {
    PreprocessTapsTile<true>(plain, block);
  } else {
    PreprocessTapsTile<false>(writer, block);
  }
}

}  // namespace cliptag::cuda
