// cosines (n, m) = embeddings (n, dim) times the prompt bank (m, dim) transposed, all f32.
//
//   grid (bank tiles, embedding groups), 128 threads; tiles of 32 prompts by 8 embeddings for few
//   embeddings, of 64 by 32 for more; slabs of 32 dimensions in a pipeline of three cp.async stages
//
// Shared memory: rows of 32 floats have a stride of 9 units of 16 bytes, an odd number, so that
// eight lanes that read 16 bytes of eight rows access eight different units: no bank conflict.
//
// Cost, 10,000 prompts of 768 dimensions: the bank is 31 MB, 7.2 us at 4.3 TB/s, and the bound up
// to some 16 embeddings; at 64, 0.98 GFLOP at about 60 TFLOP/s of f32: 16 us, in practice twice
// that (8 loads of 16 bytes for 64 multiply-adds). f32 throughout: TF32's 10 bits would change the
// third decimal of a cosine.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kSimilarityThreads = 128;
inline constexpr int kSimilaritySlab = 32;  // dimensions
inline constexpr int kSimilarityRow = 36;   // floats from row to row in shared memory
inline constexpr int kSimilarityStages = 3;
inline constexpr int kSimilaritySmallTile = 32;  // prompts, for few embeddings
inline constexpr int kSimilaritySmallGroup = 8;
inline constexpr int kSimilarityLargeTile = 64;
inline constexpr int kSimilarityLargeGroup = 32;

struct SimilarityParams {
  const float* embeddings = nullptr;                                   // (n, dim)
  const float* bank = nullptr;                                         // (m, dim)
  float* cosines = nullptr;                                            // (n, m)
  int64_t embeddings_stride = 0, bank_stride = 0, cosines_stride = 0;  // elements
  int n = 0, m = 0, dim = 0;
};

template <int kTile, int kGroup>
constexpr size_t SimilaritySharedBytes() {
  return size_t{kSimilarityStages} * (kTile + kGroup) * kSimilarityRow * sizeof(float);
}

// kBytes of an asynchronous copy: 16, or 4 where a stride or an address is odd.
template <int kTile, int kGroup, int kBytes>
struct SimilarityBlock {
  static constexpr int kRows = kTile + kGroup;  // of a slab: prompts, then embeddings
  static constexpr int kSlabFloats = kRows * kSimilarityRow;
  static constexpr int kTilePerThread = kTile / 16, kGroupPerThread = kGroup / 8;
  float sum[kTilePerThread][kGroupPerThread];

  // Dimensions from `dim` on of the tile's prompts and the group's embeddings; zeros beyond the
  // edges.
  static __device__ __forceinline__ void StartSlab(const SimilarityParams& p, float* slab,
                                                   int dim) {
    constexpr int kUnit = kBytes / 4, kUnits = kSimilaritySlab / kUnit;
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kUnits; i += kSimilarityThreads) {
      const int row = i / kUnits, col = i % kUnits * kUnit;
      const bool prompt = row < kTile;
      const int index = prompt ? static_cast<int>(blockIdx.x) * kTile + row
                               : static_cast<int>(blockIdx.y) * kGroup + row - kTile;
      const bool there = index < (prompt ? p.m : p.n) && dim + col < p.dim;
      const float* from =
          prompt ? p.bank + index * p.bank_stride : p.embeddings + index * p.embeddings_stride;
      CpAsync<kBytes>(slab + row * kSimilarityRow + col, there ? from + dim + col : p.bank,
                      there ? kBytes : 0);
    }
  }

  __device__ __forceinline__ void Multiply(const float* slab) {
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
    for (int col = 0; col < kSimilaritySlab; col += 4) {
      float4 bank[kTilePerThread];
#pragma unroll
      for (int i = 0; i < kTilePerThread; ++i) {
        bank[i] = LoadFloat4(slab + (x + 16 * i) * kSimilarityRow + col);
      }
#pragma unroll
      for (int j = 0; j < kGroupPerThread; ++j) {
        const float4 e = LoadFloat4(slab + (kTile + y + 8 * j) * kSimilarityRow + col);
#pragma unroll
        for (int i = 0; i < kTilePerThread; ++i) {
          sum[i][j] += bank[i].x * e.x;
          sum[i][j] += bank[i].y * e.y;
          sum[i][j] += bank[i].z * e.z;
          sum[i][j] += bank[i].w * e.w;
        }
      }
    }
  }

  __device__ __forceinline__ void Store(const SimilarityParams& p) const {
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
#pragma unroll
    for (int j = 0; j < kGroupPerThread; ++j) {
      const int row = static_cast<int>(blockIdx.y) * kGroup + y + 8 * j;
#pragma unroll
      for (int i = 0; i < kTilePerThread; ++i) {
        const int prompt = static_cast<int>(blockIdx.x) * kTile + x + 16 * i;
        if (row < p.n && prompt < p.m) p.cosines[row * p.cosines_stride + prompt] = sum[i][j];
      }
    }
  }
};

template <int kTile, int kGroup, int kBytes>
__global__ void __launch_bounds__(kSimilarityThreads) SimilarityKernel(SimilarityParams p) {
  using Block = SimilarityBlock<kTile, kGroup, kBytes>;
  auto* slabs = reinterpret_cast<float*>(DynamicShared());  // (kSimilarityStages, kRows, 36)
  Block block;
#pragma unroll
  for (int i = 0; i < Block::kTilePerThread; ++i) {
#pragma unroll
    for (int j = 0; j < Block::kGroupPerThread; ++j) block.sum[i][j] = 0;
  }
  const int count = (p.dim + kSimilaritySlab - 1) / kSimilaritySlab;
  for (int i = 0; i < kSimilarityStages - 1; ++i) {
    if (i < count) Block::StartSlab(p, slabs + i * Block::kSlabFloats, i * kSimilaritySlab);
    CpAsyncCommit();
  }
  for (int i = 0; i < count; ++i) {
    CpAsyncWait<kSimilarityStages - 2>();  // slab i
    __syncthreads();  // all parts of it have arrived; all threads have read slab i - 1
    const int next = i + kSimilarityStages - 1;
    if (next < count) {
      Block::StartSlab(p, slabs + next % kSimilarityStages * Block::kSlabFloats,
                       next * kSimilaritySlab);
    }
    CpAsyncCommit();
    block.Multiply(slabs + i % kSimilarityStages * Block::kSlabFloats);
  }
  block.Store(p);
}

// Host.

template <int kTile, int kGroup, typename Launch>
void LaunchSimilarityOf(const SimilarityParams& p, Launch&& launch) {
  static_assert(SimilaritySharedBytes<kTile, kGroup>() <= kMaxSharedBytes);
  const LaunchShape shape{static_cast<unsigned>((p.m + kTile - 1) / kTile),
                          static_cast<unsigned>((p.n + kGroup - 1) / kGroup), 1, kSimilarityThreads,
                          SimilaritySharedBytes<kTile, kGroup>()};
  const auto ends = reinterpret_cast<uintptr_t>(p.bank) | reinterpret_cast<uintptr_t>(p.embeddings);
  if (ends % 16 == 0 && (p.bank_stride | p.embeddings_stride | p.dim) % 4 == 0) {
    launch(SimilarityKernel<kTile, kGroup, 16>, shape, p);
  } else {
    launch(SimilarityKernel<kTile, kGroup, 4>, shape, p);
  }
}

// n up to 65,535 * 32.
template <typename Launch>
void LaunchSimilarity(const SimilarityParams& p, Launch&& launch) {
  if (p.n <= 2 * kSimilaritySmallGroup) {
    LaunchSimilarityOf<kSimilaritySmallTile, kSimilaritySmallGroup>(p, launch);
  } else {
    LaunchSimilarityOf<kSimilarityLargeTile, kSimilarityLargeGroup>(p, launch);
  }
}

}  // namespace cliptag::cuda
