// Similarity with the prompt bank, against the oracle.
#include "kernels/cuda/rows/similarity.cuh"

#include <numeric>

#include "tests/cuda/test_support.h"

namespace cliptag::cuda {
namespace {

struct SimilarityCase {
  int n = 1, m = 100, dim = 64;
  int padding = 0;
  uint32_t order = 0;
};

class SimilarityRun {
 public:
  explicit SimilarityRun(const SimilarityCase& c)
      : case_(c),
        embeddings_(c.n, c.dim, c.dim + c.padding),
        bank_(c.m, c.dim, c.dim + c.padding),
        cosines_(c.n, c.m, c.m + c.padding) {
    Random random(static_cast<uint32_t>(c.m));
    // Unit length, roughly, so that cosines are of the size they have.
    embeddings_.Fill(random, 1 / std::sqrt(static_cast<float>(c.dim)));
    bank_.Fill(random, 1 / std::sqrt(static_cast<float>(c.dim)));
  }

  void Check() {
    SCOPED_TRACE(testing::Message() << "n " << case_.n << ", m " << case_.m << ", dim " << case_.dim
                                    << ", padding " << case_.padding);
    EmulatedLauncher launcher(case_.order);
    LaunchSimilarity(Params(), launcher);
    ASSERT_EQ(launcher.report().error, "");
    EXPECT_TRUE(cosines_.SentinelsIntact());
    CheckCosines();
  }

  SimilarityParams Params() {
    SimilarityParams p;
    p.embeddings = embeddings_.data();
    p.bank = bank_.data();
    p.cosines = cosines_.data();
    p.embeddings_stride = embeddings_.stride();
    p.bank_stride = bank_.stride();
    p.cosines_stride = cosines_.stride();
    p.n = case_.n;
    p.m = case_.m;
    p.dim = case_.dim;
    return p;
  }

  DeviceMatrix<float>& embeddings() { return embeddings_; }
  DeviceMatrix<float>& bank() { return bank_; }
  DeviceMatrix<float>& cosines() { return cosines_; }

 private:
  void CheckCosines() {
    std::vector<float> embeddings = embeddings_.ToHost(), bank = bank_.ToHost();
    std::vector<float> expected(static_cast<size_t>(case_.n) * case_.m), plain;
    const Status status = CreateRefBackend()->Similarity(HostMatrix(embeddings, case_.n, case_.dim),
                                                         HostMatrix(bank, case_.m, case_.dim),
                                                         HostMatrix(expected, case_.n, case_.m));
    ASSERT_TRUE(status.ok()) << status.message();
    for (int r = 0; r < case_.n; ++r) {
      for (int j = 0; j < case_.m; ++j) {
        plain.push_back(
            std::inner_product(&embeddings[static_cast<size_t>(r) * case_.dim],
                               &embeddings[static_cast<size_t>(r) * case_.dim] + case_.dim,
                               &bank[static_cast<size_t>(j) * case_.dim], 0.0f));
      }
    }
    ExpectAsGoodAsPlain(cosines_.ToHost(), plain, expected, 1e-7);
  }

  SimilarityCase case_;
  DeviceMatrix<float> embeddings_, bank_, cosines_;
};

TEST(Similarity, SizesAroundTheTiles) {
  for (const int n : {1, 7, 8, 9, 16, 17, 33}) {
    for (const int m : {5, 31, 32, 33, 64, 65, 130}) {
      SimilarityRun({.n = n, .m = m, .dim = 32, .order = static_cast<uint32_t>(n)}).Check();
    }
  }
}

TEST(Similarity, DimensionsAroundTheSlabs) {
  for (const int dim : {1, 3, 4, 31, 32, 33, 36, 64, 65, 96, 100, 512, 770}) {
    SimilarityRun({.n = 3, .m = 40, .dim = dim}).Check();
    SimilarityRun({.n = 20, .m = 70, .dim = dim, .padding = 4}).Check();
    SimilarityRun({.n = 2, .m = 40, .dim = dim, .padding = 1}).Check();
  }
}

TEST(Similarity, TenThousandPrompts) {
  SimilarityRun({.n = 3, .m = 10001, .dim = 32, .order = 5}).Check();
  SimilarityRun({.n = 18, .m = 10001, .dim = 8}).Check();
}

TEST(Similarity, NaNStaysInItsRowAndColumn) {
  SimilarityRun run({.n = 2, .m = 100, .dim = 8});
  run.embeddings().at(1, 3) = NAN;
  run.bank().at(37, 2) = NAN;
  EmulatedLauncher launcher;
  LaunchSimilarity(run.Params(), launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(std::isnan(run.cosines().at(1, 99)));
  EXPECT_TRUE(std::isnan(run.cosines().at(0, 37)));
  EXPECT_FALSE(std::isnan(run.cosines().at(0, 38)));
}

}  // namespace
}  // namespace cliptag::cuda
