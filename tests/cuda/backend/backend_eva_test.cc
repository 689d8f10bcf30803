// The operations of EVA's blocks on the CUDA backend, host code included, against the oracle.
#include "tests/cuda/backend/backend_fixture.h"

namespace cliptag::cuda {
namespace {

using BackendEvaTest = BackendTest;

TEST_P(BackendEvaTest, NormsOfShortRows) {
  for (const int width : {5, 96, 2048, 3000}) {
    TestMatrix x(6, width, type(), 8), gamma(1, width, DType::kF32), beta(1, width, DType::kF32);
    TestMatrix residual(6, width, DType::kF32, 4);
    x.Fill(random_, 2.0f, 1.0f);
    residual.Fill(random_);
    gamma.Fill(random_);
    beta.Fill(random_);
    const OnDevice device_x(*backend_, x), g(*backend_, gamma), b(*backend_, beta);
    const OnDevice stream(*backend_, residual), y(*backend_, TestMatrix(6, width, type()));
    const auto* exact_g = static_cast<float*>(gamma.get().data);
    const auto* exact_b = static_cast<float*>(beta.get().data);
    TestMatrix exact(6, width, DType::kF32), exact_stream = residual.AsFloat();
    ASSERT_STATUS_OK(backend_->LayerNorm(device_x, g.floats(), b.floats(), 1e-6f, y));
    ASSERT_STATUS_OK(ref_->LayerNorm(x.AsFloat(), exact_g, exact_b, 1e-6f, exact));
    ExpectLikeExact(y, exact, "layer norm of " + std::to_string(width));
    ASSERT_STATUS_OK(
        backend_->AddLayerNorm(device_x, g.floats(), b.floats(), 1e-6f, stream, device_x));
    ASSERT_STATUS_OK(ref_->AddLayerNorm(x.AsFloat(), exact_g, exact_b, 1e-6f, exact_stream, exact));
    ExpectLikeExact(stream, exact_stream, "residual stream of " + std::to_string(width));
    ExpectLikeExact(device_x, exact_stream, "rounded stream of " + std::to_string(width));
  }
}

TEST_P(BackendEvaTest, RotationsAndGates) {
  for (const auto& [heads, head_dim] : {std::pair{6, 64}, {3, 20}}) {
    const int tokens = 5, width = heads * head_dim;
    TestMatrix x(2 * tokens, width, type(), 8), angles(tokens, head_dim, DType::kF32);
    x.Fill(random_);
    angles.Fill(random_);
    const OnDevice device_x(*backend_, x),
        out(*backend_, TestMatrix(2 * tokens, width / 2, type()));
    TestMatrix exact(2 * tokens, width / 2, DType::kF32), turned = x.AsFloat();
    ASSERT_STATUS_OK(backend_->GatedSilu(device_x, out));
    ASSERT_STATUS_OK(ref_->GatedSilu(turned, exact));
    ExpectLikeExact(out, exact, "gates of " + std::to_string(width));
    ASSERT_STATUS_OK(backend_->Rope(device_x, OnDevice(*backend_, angles)));
    ASSERT_STATUS_OK(ref_->Rope(turned, angles));
    ExpectLikeExact(device_x, turned, "rotation of " + std::to_string(head_dim));
  }
}

INSTANTIATE_BACKEND_TESTS(BackendEvaTest);

}  // namespace
}  // namespace cliptag::cuda
