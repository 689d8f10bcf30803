// Fused attention: out = softmax(scale q k^T) v for every head of every batch item, read from the
// packed QKV product, in one pass with the online softmax; no score ever reaches memory.
//
//   grid (query blocks, heads, batch), 1 to 4 warps, tiles by kernels/cuda/attention/tile.h
//
// A warp keeps its 32 (or 16) queries and their sums in registers. K and V pass through shared
// memory in tiles of 64 (or 32) keys, double-buffered with cp.async; each wait is as late as
// possible:
//   wait for K(j), barrier, start K(j+1), S = q K(j)^T, softmax,
//   wait for V(j), barrier, start V(j+1), O += P V(j)
// The accumulators of q k^T have the layout of the left operand of P V, so P stays in registers.
// A head size that is not a multiple of 16 ends with one m16n8k8.
//
// Cost, ViT-L/14 at batch 64 (257 tokens, 16 heads of 64):
//   memory    q, k, v read once (the three query blocks of a head share K and V in the L2) 101 MB,
//             outputs 34 MB: 31 us at 4.3 TB/s
//   products  17.3 GFLOP, 20.5 with queries padded to 288 and keys to 272: 26 us at 790 TFLOP/s, 49
//             to 68 us at the 300 to 420 that mma.sync is said to reach on Hopper
//   exp2      80 M at 16 a cycle on each of 132 multiprocessors: 22 us, overlapped
// 50 to 70 us were expected; an H200 takes 100 (2026-11-26; cuDNN 117), with a third of the issue
// slots used: warps wait for tensor cores that other warps use, and for their own results. The
// products of the same layer take 550 us.
//
// Rejected: Q through shared memory (it is read once, directly into fragments, which saves the
// space and a barrier); all of K and V of a head in shared memory (75 KiB at 257 tokens, three
// blocks of one warp-load each; nothing left to overlap, and 577 tokens do not fit); one warp per
// 16 queries with many queries (bound by shared memory, see kernels/cuda/attention/tile.h); wgmma
// with TMA (a tile of 64 queries per warp group wastes 20 % at 257 and 197 tokens; worth its own
// variant from 577 tokens on).
#pragma once

#include "kernels/cuda/attention/params.cuh"
#include "kernels/cuda/attention/tile.h"
#include "kernels/cuda/attention/warp.cuh"
#include "kernels/cuda/device/device.cuh"

namespace cliptag::cuda {

template <typename T, int kHeadDim, bool kCausal, int kRowTiles>
__global__ void __launch_bounds__(kAttentionMaxWarps* kWarpSize,
                                  AttentionTileFor(kHeadDim, kRowTiles).min_blocks)
    AttentionKernel(AttentionParams p) {
  using Warp = AttentionWarp<T, kHeadDim, kCausal, kRowTiles>;
  constexpr int kKeys = Warp::kKeys;
  T* const k_tiles = reinterpret_cast<T*>(DynamicShared());  // (2, kKeys, kStride)
  T* const v_tiles = k_tiles + 2 * Warp::kTileElements;      // (2, kKeys, kStride)

  const int item = static_cast<int>(blockIdx.z);
  const int column = static_cast<int>(blockIdx.y) * kHeadDim;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int block_rows = static_cast<int>(blockDim.x) / kWarpSize * Warp::kRows;
  const int block_row = static_cast<int>(blockIdx.x) * block_rows;
  const int64_t q_row = int64_t{item} * p.q_tokens, kv_row = int64_t{item} * p.kv_tokens;
  const T* k = static_cast<const T*>(p.k) + kv_row * p.k_stride + column;
  const T* v = static_cast<const T*>(p.v) + kv_row * p.v_stride + column;

  int visible = VisibleKeys(p, item);  // to any query of this block
  if (kCausal && block_row + block_rows < visible) visible = block_row + block_rows;

  Warp::StartTile(k_tiles, k, p.k_stride, 0, visible);
  CpAsyncCommit();
  Warp::StartTile(v_tiles, v, p.v_stride, 0, visible);
  CpAsyncCommit();

  Warp w;
  w.lane = static_cast<int>(threadIdx.x) % kWarpSize;
  w.first_row = block_row + warp * Warp::kRows;
  const bool has_rows = w.first_row < p.q_tokens;
  w.Clear();
  w.LoadQueries(static_cast<const T*>(p.q) + q_row * p.q_stride + column, p.q_stride, p.q_tokens);

  for (int first = 0, here = 0; first < visible; first += kKeys) {
    const int next = first + kKeys, there = Warp::kTileElements - here;
    // Keys of this tile that are visible to any query of the warp.
    int limit = visible - first;
    if (kCausal && w.first_row + Warp::kRows < visible) limit = w.first_row + Warp::kRows - first;
    const int steps = has_rows && limit > 0 ? Warp::StepsFor(limit) : 0;

    CpAsyncWait<1>();  // for K of this tile; V may still be pending
    __syncthreads();   // all parts of it have arrived; all threads have read the other K tile
    if (next < visible) Warp::StartTile(k_tiles + there, k, p.k_stride, next, visible);
    CpAsyncCommit();
    if (steps == Warp::kKeySteps) {
      w.template Weights<Warp::kKeySteps>(k_tiles + here, first, visible, p.scale_log2);
    } else if (steps == 2) {
      w.template Weights<2>(k_tiles + here, first, visible, p.scale_log2);
    } else if (steps == 1) {
      w.template Weights<1>(k_tiles + here, first, visible, p.scale_log2);
    }
    CpAsyncWait<1>();  // for V of this tile
    __syncthreads();   // as above
    if (next < visible) Warp::StartTile(v_tiles + there, v, p.v_stride, next, visible);
    CpAsyncCommit();
    if (steps == Warp::kKeySteps) {
      w.template Accumulate<Warp::kKeySteps>(v_tiles + here);
    } else if (steps == 2) {
      w.template Accumulate<2>(v_tiles + here);
    } else if (steps == 1) {
      w.template Accumulate<1>(v_tiles + here);
    }
    here = there;
  }
  // The outputs are staged in the K tiles, which are not read after the last barrier, and if these
  // are too small, also in the V tiles.
  if constexpr (kAttentionMaxWarps * Warp::kRows > 2 * kKeys) __syncthreads();
  if (has_rows) {
    w.StoreOutput(k_tiles + warp * Warp::kRows * Warp::kStride,
                  static_cast<T*>(p.out) + q_row * p.out_stride + column, p.out_stride, p.q_tokens);
  }
}

}  // namespace cliptag::cuda
