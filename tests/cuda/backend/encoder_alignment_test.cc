// What the image encoder asks of the library for a patch size whose rows, 3 * 14 * 14 elements, are
// no multiple of what tensor cores take at once.
#include <gtest/gtest.h>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda/standin/control.h"
#include "tests/gpu/bench/shapes.h"

namespace cliptag::cuda {
namespace {

TEST(EncoderAlignment, RowsOfPatchesArePadded) {
  standin::Reset();
  auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
  ASSERT_TRUE(backend.ok()) << backend.status().message();
  bench::RandomEncoder model(**backend, {"tiny", 28, 14, 64, 2, 1, 32, Activation::kGelu});
  ASSERT_TRUE(model.encoder().Setup(2).ok());
  ASSERT_TRUE(model.encoder().EncodePrepared(2).ok());
  ASSERT_TRUE((*backend)->Sync().ok());
  EXPECT_GT(standin::GetCounters().products, 0u);
  EXPECT_EQ(standin::GetCounters().unaligned_products, 0u);
}

}  // namespace
}  // namespace cliptag::cuda
