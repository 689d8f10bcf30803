// cosines (n, m) = embeddings (n, dim) times the prompt bank (m, dim) transposed, all f32, and the
// k largest of each row, best first, ties to the lower index: one kernel.
//
//   grid (bank tiles, embedding groups), 128 threads; tiles of 32 prompts by 8 embeddings for few
//   embeddings, of 64 by 32 for more; slabs of 32 dimensions, three under way with cp.async
//
// A block writes its tile of cosines and each embedding's largest of the tile. The block that
// finishes last for a group of embeddings (a ticket says so) then selects: the k largest cosines
// lie in the k tiles with the largest maxima, ties to the lower tile, since each such maximum
// precedes everything in other tiles. So a warp finds the k-th of m / 64 maxima, then the k best of
// those tiles' cosines that are no smaller: a few hundred numbers of ten thousand.
//
// Shared memory: rows of 32 floats are 9 units of 16 bytes apart, an odd number, so that eight
// lanes that read 16 bytes of eight rows meet eight different units: no bank conflict.
//
// Cost, 10,000 prompts of 768 dimensions: the bank is 31 MB, 7.2 us at 4.3 TB/s, and the bound up
// to some 16 embeddings; at 64, 0.98 GFLOP at about 60 TFLOP/s of f32: 16 us, in practice twice
// that (8 loads of 16 bytes for 64 multiply-adds), and some 3 us a row of a warp's eight for the
// selection at k = 5. f32 throughout: the bank is no place to lose precision, and TF32's 10 bits
// would show in the third decimal of a cosine.
//
// Rejected: a radix select over the row by the last block (five passes over ten thousand cosines,
// and shared-memory atomics that collide, since cosines share their exponent); a heap of k in each
// thread.
#pragma once

#include <cmath>

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

// What a selecting warp keeps in shared memory; beyond that it reads the cosines themselves, k
// times.
inline constexpr int kSelectMaxima = 512;
inline constexpr int kSelectTop = 64;
inline constexpr int kSelectCandidates = 256;

struct SimilarityParams {
  const float* embeddings = nullptr;                                   // (n, dim)
  const float* bank = nullptr;                                         // (m, dim)
  float* cosines = nullptr;                                            // (n, m)
  int64_t embeddings_stride = 0, bank_stride = 0, cosines_stride = 0;  // elements
  int n = 0, m = 0, dim = 0;
  int k = 0;                // at most m; 0 = cosines alone, and the three below may be null
  int32_t* top = nullptr;   // (n, k)
  float* maxima = nullptr;  // SimilarityMaxima(n, m) floats of scratch
  unsigned* tickets =
      nullptr;  // SimilarityTickets(n) of them, zero at the start and again at the end
};

// Of the launch below.
constexpr size_t SimilarityMaxima(int n, int m) {
  return static_cast<size_t>(n) *
         static_cast<size_t>((m + kSimilaritySmallTile - 1) / kSimilaritySmallTile);
}
constexpr size_t SimilarityTickets(int n) {
  return static_cast<size_t>((n + kSimilaritySmallGroup - 1) / kSimilaritySmallGroup);
}

// --- selection
// ---------------------------------------------------------------------------------------

// Larger for what comes earlier: a larger value, or the same at a lower index. Never zero. NaN
// comes last.
__device__ __forceinline__ uint64_t SelectionKey(float value, int index) {
  uint32_t bits = Bits(value);  // never -0, which should tie with 0: no sum from +0 on is
  bits = bits >> 31 ? ~bits : bits | 0x80000000u;
  if (!(value == value)) bits = 0;
  return static_cast<uint64_t>(bits) << 32 | (0xffffffffu - static_cast<uint32_t>(index));
}
__device__ __forceinline__ int IndexOf(uint64_t key) {
  return static_cast<int>(0xffffffffu - static_cast<uint32_t>(key));
}

// The largest key(i) below `last` of i in [0, count), in every lane; 0 if there is none.
template <typename Key>
__device__ __forceinline__ uint64_t NextKey(int count, uint64_t last, Key key) {
  uint64_t best = 0;
  for (int i = static_cast<int>(threadIdx.x) % kWarpSize; i < count; i += kWarpSize) {
    const uint64_t candidate = key(i);
    if (candidate < last && candidate > best) best = candidate;
  }
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    const uint64_t other = __shfl_xor_sync(kAllLanes, best, lanes);
    if (other > best) best = other;
  }
  return best;
}

// A warp's shared memory.
struct Selection {
  uint64_t candidates[kSelectCandidates];
  float maxima[kSelectMaxima];
  int tiles[kSelectTop];
};

// Writes the k best of one embedding.
template <int kTile>
struct Selector {
  const float* cosines;  // (m)
  const float* maxima;   // (tiles)
  int m, tiles, k;
  int32_t* top;
  Selection* shared;

  // From the cosines in memory, k times over all of them.
  __device__ __forceinline__ void SelectFromAll() const {
    uint64_t last = ~uint64_t{0};
    for (int r = 0; r < k; ++r) {
      last = NextKey(m, last, [&](int i) { return SelectionKey(LoadL2(cosines + i), i); });
      if (threadIdx.x % kWarpSize == 0) top[r] = IndexOf(last);
    }
  }

  // The tiles to look into, best first, into shared->tiles; returns the last one's maximum.
  __device__ __forceinline__ float SelectTiles(int wanted) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    for (int i = lane; i < tiles; i += kWarpSize) shared->maxima[i] = LoadL2(maxima + i);
    __syncwarp();
    uint64_t last = ~uint64_t{0};
    for (int r = 0; r < wanted; ++r) {
      last = NextKey(tiles, last, [&](int i) { return SelectionKey(shared->maxima[i], i); });
      if (lane == 0) shared->tiles[r] = IndexOf(last);
    }
    __syncwarp();
    return shared->maxima[IndexOf(last)];
  }

  // Keys of the chosen tiles' cosines that `least` does not exceed; how many there are.
  __device__ __forceinline__ int Collect(int chosen, float least) const {
    constexpr int kUnroll = 4;  // loads under way
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const uint64_t bound = SelectionKey(least, 0) >> 32;
    int found = 0;
    for (int first = 0; first < chosen * kTile; first += kUnroll * kWarpSize) {
      uint64_t keys[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int i = first + u * kWarpSize + lane;
        keys[u] = 0;
        if (i < chosen * kTile) {
          const int index = shared->tiles[i / kTile] * kTile + i % kTile;
          if (index < m) keys[u] = SelectionKey(LoadL2(cosines + index), index);
        }
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const bool take = keys[u] != 0 && keys[u] >> 32 >= bound;
        const unsigned takers = __ballot_sync(kAllLanes, take);
        const int place = found + __popc(takers & ((1u << lane) - 1));
        if (take && place < kSelectCandidates) shared->candidates[place] = keys[u];
        found += __popc(takers);
      }
    }
    __syncwarp();
    return found;
  }

  __device__ __forceinline__ void Select() const {
    if (tiles > kSelectMaxima || k > kSelectTop) return SelectFromAll();
    const int wanted = k < tiles ? k : tiles;
    const float least = SelectTiles(wanted);
    // Fewer tiles than k: everything is a candidate.
    const int found = Collect(wanted, wanted < k ? -INFINITY : least);
    if (found > kSelectCandidates || found < k) return SelectFromAll();  // ties in masses, or NaN
    uint64_t last = ~uint64_t{0};
    for (int r = 0; r < k; ++r) {
      last = NextKey(found, last, [&](int i) { return shared->candidates[i]; });
      if (threadIdx.x % kWarpSize == 0) top[r] = IndexOf(last);
    }
  }
};

// --- products
// ----------------------------------------------------------------------------------------

template <int kTile, int kGroup>
constexpr size_t SimilaritySharedBytes() {
  constexpr size_t kSlabs =
      size_t{kSimilarityStages} * (kTile + kGroup) * kSimilarityRow * sizeof(float);
  constexpr size_t kSelections = kSimilarityThreads / kWarpSize * sizeof(Selection);
  return kSlabs > kSelections ? kSlabs : kSelections;
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

  // The cosines, and each embedding's largest of the tile.
  __device__ __forceinline__ void Store(const SimilarityParams& p) const {
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
#pragma unroll
    for (int j = 0; j < kGroupPerThread; ++j) {
      const int row = static_cast<int>(blockIdx.y) * kGroup + y + 8 * j;
      float largest = -INFINITY;
#pragma unroll
      for (int i = 0; i < kTilePerThread; ++i) {
        const int prompt = static_cast<int>(blockIdx.x) * kTile + x + 16 * i;
        if (row < p.n && prompt < p.m) {
          p.cosines[row * p.cosines_stride + prompt] = sum[i][j];
          largest = fmaxf(largest, sum[i][j]);
        }
      }
#pragma unroll
      for (int lanes = 8; lanes > 0; lanes /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, lanes));
      }
      if (p.k > 0 && x == 0 && row < p.n) {
        p.maxima[static_cast<int64_t>(row) * gridDim.x + blockIdx.x] = largest;
      }
    }
  }
};

// Whether this block is the last of its group of embeddings, and may read what the others wrote.
__device__ __forceinline__ bool TakeTicket(unsigned* ticket) {
  unsigned* last = StaticShared<unsigned, 1>();
  __threadfence();  // this thread's cosines before the ticket
  __syncthreads();
  if (threadIdx.x == 0) {
    *last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    if (*last) *ticket = 0;  // for the next launch
  }
  __syncthreads();
  __threadfence();
  return *last != 0;
}

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
    __syncthreads();  // everyone's part of it; and nobody reads slab i - 1 any more
    const int next = i + kSimilarityStages - 1;
    if (next < count) {
      Block::StartSlab(p, slabs + next % kSimilarityStages * Block::kSlabFloats,
                       next * kSimilaritySlab);
    }
    CpAsyncCommit();
    block.Multiply(slabs + i % kSimilarityStages * Block::kSlabFloats);
  }
  block.Store(p);
  if (p.k == 0 || !TakeTicket(p.tickets + blockIdx.y)) return;

  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  Selection* selection = reinterpret_cast<Selection*>(DynamicShared()) + warp;
  for (int i = warp; i < kGroup; i += kSimilarityThreads / kWarpSize) {
    const int row = static_cast<int>(blockIdx.y) * kGroup + i;
    if (row >= p.n) break;
    const int tiles = static_cast<int>(gridDim.x);
    const Selector<kTile> selector{p.cosines + row * p.cosines_stride,
                                   p.maxima + static_cast<int64_t>(row) * tiles,
                                   p.m,
                                   tiles,
                                   p.k,
                                   p.top + static_cast<int64_t>(row) * p.k,
                                   selection};
    selector.Select();
    __syncwarp();  // before the next row's maxima take the place of these
  }
}

// --- launch (host)
// -----------------------------------------------------------------------------------

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
