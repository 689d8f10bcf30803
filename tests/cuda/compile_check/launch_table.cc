// Prints what ptxas does not know of the kernels in hot_instantiations.cu: threads of the largest
// block and bytes of dynamic shared memory, a line each: kernel, its numeric template arguments or
// one, threads, bytes. Compiled for the host under the emulation's headers; runs no kernel.
#include <cstdio>

#include "kernels/cuda/attention/launch.cuh"
#include "kernels/cuda/preprocess/launch.cuh"
#include "kernels/cuda/rows/activation.cuh"
#include "kernels/cuda/rows/average.cuh"
#include "kernels/cuda/rows/gated_silu.cuh"
#include "kernels/cuda/rows/gather.cuh"
#include "kernels/cuda/rows/layer_norm.cuh"
#include "kernels/cuda/rows/normalize.cuh"
#include "kernels/cuda/rows/rope.cuh"
#include "kernels/cuda/rows/similarity.cuh"

int main() {
  using namespace cliptag::cuda;  // NOLINT: a table of it
  for (int head_dim = 1; head_dim <= 256; ++head_dim) {
    for (int row_tiles = 1; IsAttentionHeadDim(head_dim) && row_tiles <= 2; ++row_tiles) {
      std::printf("AttentionKernel %d:%d %d %zu\n", head_dim, row_tiles,
                  kAttentionMaxWarps * kWarpSize, AttentionSharedBytes(head_dim, row_tiles));
    }
  }
  std::printf("SingleQueryAttentionKernel * %d 0\n", kSingleQueryThreads);
  std::printf("LayerNormKernel * %d 0\n", kLayerNormThreads);
  std::printf("LayerNormWideKernel * %d 0\n", kLayerNormWideThreads);
  std::printf("ActivationKernel * %d 0\n", kActivationThreads);
  std::printf("GatedSiluKernel * %d 0\n", kGatedSiluThreads);
  std::printf("RopeKernel * %d 0\n", kRopeThreads);
  std::printf("AssembleTokensKernel * %d 0\n", kGatherThreads);
  std::printf("EmbedTokensKernel * %d 0\n", kGatherThreads);
  std::printf("GatherRowsKernel * %d 0\n", kGatherThreads);
  std::printf("AverageTokensKernel * %d 0\n", kAverageColumns * kAverageGroups);
  std::printf("NormalizeRowsKernel * %d 0\n", kNormalizeThreads);
  // The most; 1080p has 5 KiB of fragments.
  std::printf("PreprocessKernel * %d %zu\n", kPreprocessThreads,
              kPreprocessRings + kMaxFragmentBytes);
  std::printf("SimilarityKernel %d %d %zu\n", kSimilaritySmallTile, kSimilarityThreads,
              SimilaritySharedBytes<kSimilaritySmallTile, kSimilaritySmallGroup>());
  std::printf("SimilarityKernel %d %d %zu\n", kSimilarityLargeTile, kSimilarityThreads,
              SimilaritySharedBytes<kSimilarityLargeTile, kSimilarityLargeGroup>());
}
