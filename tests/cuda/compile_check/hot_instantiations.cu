// The kernels whose speed decides, compiled by nvcc for every architecture that is supported; what
// ptxas says about each is checked by check_ptxas.py. Templates that nothing refers to are not
// compiled: hence the table of addresses.
#include "kernels/cuda/attention/launch.cuh"
#include "kernels/cuda/preprocess/preprocess.cuh"
#include "kernels/cuda/rows/activation.cuh"
#include "kernels/cuda/rows/average.cuh"
#include "kernels/cuda/rows/gated_silu.cuh"
#include "kernels/cuda/rows/gather.cuh"
#include "kernels/cuda/rows/layer_norm.cuh"
#include "kernels/cuda/rows/normalize.cuh"
#include "kernels/cuda/rows/rope.cuh"
#include "kernels/cuda/rows/similarity.cuh"

namespace cliptag::cuda {

template <typename... Kernels>
void Refer(const void**& table, Kernels... kernels) {
  ((*table++ = reinterpret_cast<const void*>(kernels)), ...);
}

template <typename T, int kRowTiles, int... kHeadDims>
void Attention(const void**& table) {
  (Refer(table, AttentionKernel<T, kHeadDims, false, kRowTiles>), ...);
}

template <typename T>
void Rows(const void**& table) {
  Refer(table, LayerNormKernel<T, float, 3, false>, LayerNormKernel<T, float, 3, true>,
        LayerNormKernel<T, float, 4, false>, LayerNormKernel<T, float, 4, true>,
        LayerNormKernel<T, float, 8, false>, ActivationKernel<T, T, Activation::kGelu, 8>,
        ActivationKernel<T, T, Activation::kQuickGelu, 8>, EmbedTokensKernel<T, 8>);
  // Of EVA's blocks.
  Refer(table, LayerNormKernel<T, T, 3, false>, LayerNormKernel<T, T, 3, true>,
        LayerNormKernel<T, T, 4, false>, LayerNormKernel<T, T, 4, true>,
        LayerNormKernel<T, T, 8, false>, LayerNormWideKernel<T, T>,
        AssembleTokensKernel<float, 8, T>, RopeKernel<T, 4>, GatedSiluKernel<T, 8>);
}

void HotKernels(const void** table) {
  Attention<BFloat16, 1, 32, 64, 72, 80, 88, 96, 104, 112, 128>(table);
  Attention<BFloat16, 2, 32, 64>(table);
  Attention<Half, 1, 64, 80>(table);
  Attention<Half, 2, 64>(table);
  Refer(table, AttentionKernel<BFloat16, 64, true, 1>, AttentionKernel<BFloat16, 80, true, 1>,
        AttentionKernel<Half, 64, true, 1>, SingleQueryAttentionKernel<BFloat16, 64>,
        SingleQueryAttentionKernel<BFloat16, 80>, SingleQueryAttentionKernel<Half, 64>);
  Rows<BFloat16>(table);
  Rows<Half>(table);
  Refer(table, PreprocessKernel<BFloat16, false>, PreprocessKernel<Half, false>,
        PreprocessKernel<BFloat16, true>, PreprocessKernel<Half, true>);
  // Before the first block: on f32 alone.
  Refer(table, AssembleTokensKernel<float, 8>, LayerNormKernel<float, float, 3, false>,
        LayerNormKernel<float, float, 4, false>, LayerNormKernel<float, float, 8, false>);
  Refer(table, GatherRowsKernel<true>, AverageTokensKernel<kAverageGroups>, NormalizeRowsKernel<8>,
        SimilarityKernel<kSimilaritySmallTile, kSimilaritySmallGroup, 16>,
        SimilarityKernel<kSimilarityLargeTile, kSimilarityLargeGroup, 16>);
}

}  // namespace cliptag::cuda
