#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/device/stream_launch.cuh"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/rows/activation.cuh"
#include "kernels/cuda/rows/average.cuh"
#include "kernels/cuda/rows/gated_silu.cuh"
#include "kernels/cuda/rows/gather.cuh"
#include "kernels/cuda/rows/layer_norm.cuh"
#include "kernels/cuda/rows/normalize.cuh"
#include "kernels/cuda/rows/rope.cuh"
#include "kernels/cuda/rows/similarity.cuh"

namespace cliptag::cuda {
namespace {

template <typename T>
T* As(const Matrix& m) {
  return static_cast<T*>(m.data);
}

int Int(int64_t value) { return static_cast<int>(value); }

// Calls run(T()) with the C++ type of `type`.
template <typename Function>
void WithType(DType type, Function&& run) {
  switch (type) {
    case DType::kF16:
      return run(Half());
    case DType::kBF16:
      return run(BFloat16());
    default:
      return run(float());
  }
}

// Likewise for 16-bit types.
template <typename Function>
void WithShortType(DType type, Function&& run) {
  return type == DType::kF16 ? run(Half()) : run(BFloat16());
}

template <typename Out, typename In>
LayerNormParams<Out, In> NormParams(const Matrix& x, const float* gamma, const float* beta,
                                    float epsilon, const Matrix& out) {
  LayerNormParams<Out, In> params;
  params.x = As<const In>(x);
  params.gamma = gamma;
  params.beta = beta;
  params.out = As<Out>(out);
  params.x_stride = x.stride;
  params.out_stride = out.stride;
  params.rows = Int(x.rows);
  params.cols = Int(x.cols);
  params.epsilon = epsilon;
  return params;
}

Status Started(const StreamLauncher& launch, const char* what) {
  return FromCuda(launch.error(), what);
}

}  // namespace

Status RunActivation(cudaStream_t stream, Activation activation, const float* bias,
                     const Matrix& x) {
  StreamLauncher launch(stream);
  WithType(x.type, [&](auto type) {
    using T = decltype(type);
    const ActivationParams<T, T> params{As<T>(x), bias,        As<T>(x),   x.stride,
                                        x.stride, Int(x.rows), Int(x.cols)};
    LaunchActivation(activation, params, launch);
  });
  return Started(launch, "an activation was started");
}

Status RunLayerNorm(cudaStream_t stream, const Matrix& x, const float* gamma, const float* beta,
                    float epsilon, const Matrix& out) {
  StreamLauncher launch(stream);
  if (x.type == DType::kF32) {
    WithType(out.type, [&](auto type) {
      LaunchLayerNorm(NormParams<decltype(type), float>(x, gamma, beta, epsilon, out), launch);
    });
  } else {
    WithShortType(x.type, [&](auto type) {
      using T = decltype(type);
      LaunchLayerNorm(NormParams<T, T>(x, gamma, beta, epsilon, out), launch);
    });
  }
  return Started(launch, "a layer norm was started");
}

Status RunAddLayerNorm(cudaStream_t stream, const Matrix& x, const float* gamma, const float* beta,
                       float epsilon, const Matrix& residual, const Matrix& out) {
  StreamLauncher launch(stream);
  WithShortType(x.type, [&](auto type) {
    using T = decltype(type);
    auto params = NormParams<T, T>(x, gamma, beta, epsilon, out);
    params.residual = As<float>(residual);
    params.residual_stride = residual.stride;
    LaunchLayerNorm(params, launch);
  });
  return Started(launch, "a layer norm was added");
}

Status RunRope(cudaStream_t stream, const Matrix& x, const Matrix& angles) {
  StreamLauncher launch(stream);
  WithShortType(x.type, [&](auto type) {
    using T = decltype(type);
    const RopeParams<T> params{As<T>(x),    As<float>(angles), x.stride,         angles.stride,
                               Int(x.rows), Int(x.cols),       Int(angles.rows), Int(angles.cols)};
    LaunchRope(params, launch);
  });
  return Started(launch, "RoPE was started");
}

Status RunGatedSilu(cudaStream_t stream, const Matrix& x, const Matrix& out) {
  StreamLauncher launch(stream);
  WithShortType(x.type, [&](auto type) {
    using T = decltype(type);
    const GatedSiluParams<T> params{As<T>(x),   As<T>(out),    x.stride,
                                    out.stride, Int(out.rows), Int(out.cols)};
    LaunchGatedSilu(params, launch);
  });
  return Started(launch, "a gated activation was started");
}

Status RunAssembleTokens(cudaStream_t stream, const Matrix& patches, const float* class_token,
                         const Matrix& position, int batch, const Matrix& out) {
  StreamLauncher launch(stream);
  const auto run = [&](auto type, auto out_type) {
    using T = decltype(type);
    using Out = decltype(out_type);
    AssembleTokensParams<T, Out> params;
    params.patches = As<T>(patches);
    params.class_token = class_token;
    params.position = As<float>(position);
    params.out = As<Out>(out);
    params.patches_stride = patches.stride;
    params.position_stride = position.stride;
    params.out_stride = out.stride;
    params.batch = batch;
    params.tokens = Int(out.rows / batch);
    params.cols = Int(out.cols);
    LaunchAssembleTokens(params, launch);
  };
  WithType(patches.type, [&](auto type) {
    if (out.type == DType::kF32) {
      run(type, float());
    } else {
      if constexpr (std::is_same_v<decltype(type), float>) {
        WithShortType(out.type, [&](auto out_type) { run(type, out_type); });
      } else {
        run(type, type);
      }
    }
  });
  return Started(launch, "tokens were assembled");
}

Status RunEmbedTokens(cudaStream_t stream, const int32_t* ids, const Matrix& table,
                      const Matrix& position, int tokens, const Matrix& out) {
  StreamLauncher launch(stream);
  WithType(table.type, [&](auto type) {
    using T = decltype(type);
    EmbedTokensParams<T> params;
    params.ids = ids;
    params.table = As<T>(table);
    params.position = As<float>(position);
    params.out = As<float>(out);
    params.table_stride = table.stride;
    params.position_stride = position.stride;
    params.out_stride = out.stride;
    params.rows = Int(out.rows);
    params.tokens = tokens;
    params.cols = Int(out.cols);
    LaunchEmbedTokens(params, launch);
  });
  return Started(launch, "tokens were embedded");
}

Status RunGatherRows(cudaStream_t stream, const Matrix& x, const int32_t* indices,
                     const Matrix& out) {
  StreamLauncher launch(stream);
  const auto size = static_cast<int64_t>(SizeOf(x.type));
  GatherRowsParams params;
  params.x = x.data;
  params.indices = indices;
  params.out = out.data;
  params.x_stride_bytes = x.stride * size;
  params.out_stride_bytes = out.stride * size;
  params.row_bytes = x.cols * size;
  params.rows = Int(out.rows);
  LaunchGatherRows(params, launch);
  return Started(launch, "rows were gathered");
}

Status RunAverageTokens(cudaStream_t stream, const Matrix& x, int skip, const Matrix& out) {
  StreamLauncher launch(stream);
  const int tokens = Int(x.rows / out.rows);
  LaunchAverageTokens({As<float>(x), As<float>(out), x.stride, out.stride, Int(out.rows), tokens,
                       skip, Int(out.cols)},
                      launch);
  return Started(launch, "tokens were averaged");
}

Status RunNormalizeRows(cudaStream_t stream, const Matrix& x) {
  StreamLauncher launch(stream);
  LaunchNormalizeRows({As<float>(x), x.stride, Int(x.rows), Int(x.cols)}, launch);
  return Started(launch, "embeddings were normalised");
}

Status RunSimilarity(cudaStream_t stream, const Matrix& embeddings, const Matrix& bank,
                     const Matrix& cosines) {
  StreamLauncher launch(stream);
  SimilarityParams params;
  params.embeddings = As<float>(embeddings);
  params.bank = As<float>(bank);
  params.cosines = As<float>(cosines);
  params.embeddings_stride = embeddings.stride;
  params.bank_stride = bank.stride;
  params.cosines_stride = cosines.stride;
  params.n = Int(embeddings.rows);
  params.m = Int(bank.rows);
  params.dim = Int(bank.cols);
  LaunchSimilarity(params, launch);
  return Started(launch, "embeddings were compared");
}

}  // namespace cliptag::cuda
