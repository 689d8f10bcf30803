// Similarity with the prompt bank and the selection of the best, against the oracle.
#include "kernels/cuda/rows/similarity.cuh"

#include <numeric>

#include "tests/cuda/test_support.h"

namespace cliptag::cuda {
namespace {

struct SimilarityCase {
  int n = 1, m = 100, dim = 64, k = 5;
  int padding = 0;
  uint32_t order = 0;
  int levels = 0;  // of the bank's values: few make many ties; 0 = continuous
};

class SimilarityRun {
 public:
  explicit SimilarityRun(const SimilarityCase& c)
      : case_(c),
        embeddings_(c.n, c.dim, c.dim + c.padding),
        bank_(c.m, c.dim, c.dim + c.padding),
        cosines_(c.n, c.m, c.m + c.padding),
        top_(c.n, std::max(c.k, 1), std::max(c.k, 1)),
        maxima_(SimilarityMaxima(c.n, c.m)),
        tickets_(SimilarityTickets(c.n)) {
    Random random(static_cast<uint32_t>(c.m + c.k));
    // Unit length, roughly, so that cosines are of the size they have.
    embeddings_.Fill(random, 1 / std::sqrt(static_cast<float>(c.dim)));
    bank_.Fill(random, 1 / std::sqrt(static_cast<float>(c.dim)));
    if (c.levels > 0) MakeTies(random);
    std::fill(tickets_.span().begin(), tickets_.span().end(), 0u);
  }

  void Check() {
    SCOPED_TRACE(testing::Message()
                 << "n " << case_.n << ", m " << case_.m << ", dim " << case_.dim << ", k "
                 << case_.k << ", padding " << case_.padding << ", levels " << case_.levels);
    EmulatedLauncher launcher(case_.order);
    LaunchSimilarity(Params(), launcher);
    ASSERT_EQ(launcher.report().error, "");
    EXPECT_TRUE(cosines_.SentinelsIntact());
    EXPECT_TRUE(top_.SentinelsIntact());
    EXPECT_TRUE(maxima_.GuardsIntact());
    EXPECT_TRUE(tickets_.GuardsIntact());
    for (const unsigned ticket : tickets_.span()) EXPECT_EQ(ticket, 0u);
    CheckCosines();
    CheckTop();
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
    p.k = case_.k;
    if (case_.k > 0) {
      p.top = top_.data();
      p.maxima = maxima_.data();
      p.tickets = tickets_.data();
    }
    return p;
  }

  // The k best of the cosines that the kernel itself wrote: exact, ties to the lower index, NaN
  // last.
  void CheckTop() {
    for (int r = 0; r < case_.n; ++r) {
      std::vector<int32_t> order(case_.m);
      std::iota(order.begin(), order.end(), 0);
      const auto value = [&](int32_t i) {
        const float x = cosines_.at(r, i);
        return std::isnan(x) ? -INFINITY : x;
      };
      std::stable_sort(order.begin(), order.end(),
                       [&](int32_t a, int32_t b) { return value(a) > value(b); });
      for (int i = 0; i < case_.k; ++i) ASSERT_EQ(top_.at(r, i), order[i]) << r << ", " << i;
    }
  }

  DeviceMatrix<float>& embeddings() { return embeddings_; }
  DeviceMatrix<float>& bank() { return bank_; }
  DeviceMatrix<float>& cosines() { return cosines_; }

 private:
  // Every prompt is a multiple of the first: equal levels are equal cosines, bit for bit.
  void MakeTies(Random& random) {
    for (int64_t r = 1; r < case_.m; ++r) {
      const auto level = static_cast<float>(random.Below(case_.levels));
      for (int64_t i = 0; i < case_.dim; ++i) bank_.at(r, i) = bank_.at(0, i) * level;
    }
  }

  void CheckCosines() {
    std::vector<float> embeddings = embeddings_.ToHost(), bank = bank_.ToHost();
    std::vector<float> expected(static_cast<size_t>(case_.n) * case_.m), plain;
    const Status status = CreateRefBackend()->Similarity(
        HostMatrix(embeddings, case_.n, case_.dim), HostMatrix(bank, case_.m, case_.dim),
        HostMatrix(expected, case_.n, case_.m), 0, nullptr);
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
  DeviceMatrix<int32_t> top_;
  DeviceBuffer<float> maxima_;
  DeviceBuffer<unsigned> tickets_;
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

TEST(Similarity, EveryK) {
  for (const int k : {0, 1, 2, 31, 32, 33, 63, 64, 65, 99, 300}) {
    SimilarityRun({.n = 2, .m = 300, .dim = 16, .k = k}).Check();
  }
  SimilarityRun({.n = 20, .m = 700, .dim = 16, .k = 40}).Check();
  SimilarityRun({.n = 1, .m = 1, .dim = 16, .k = 1}).Check();
}

TEST(Similarity, TiesGoToTheLowerIndex) {
  for (const int levels : {1, 2, 5}) {
    // In one level all cosines are zero but the first; with 500 prompts the candidates overflow.
    SimilarityRun({.n = 3, .m = 500, .dim = 8, .k = 32, .order = 9, .levels = levels}).Check();
    SimilarityRun({.n = 20, .m = 500, .dim = 8, .k = 5, .levels = levels}).Check();
  }
}

TEST(Similarity, TenThousandPrompts) {
  SimilarityRun({.n = 3, .m = 10001, .dim = 32, .k = 32, .order = 5}).Check();
  SimilarityRun({.n = 18, .m = 10001, .dim = 8, .k = 5}).Check();
  // More tiles than a warp's list of maxima holds.
  SimilarityRun({.n = 1, .m = 17000, .dim = 4, .k = 3}).Check();
}

TEST(Similarity, AgainWithTheSameTickets) {
  SimilarityRun run({.n = 9, .m = 200, .dim = 24, .k = 7});
  run.Check();
  run.Check();
}

TEST(Similarity, NaNComesLast) {
  for (const int k : {5, 100}) {
    SimilarityRun run({.n = 2, .m = 100, .dim = 8, .k = k});
    run.embeddings().at(1, 3) = NAN;  // all of a row
    run.bank().at(37, 2) = NAN;       // and one of the other
    EmulatedLauncher launcher;
    LaunchSimilarity(run.Params(), launcher);
    ASSERT_EQ(launcher.report().error, "");
    EXPECT_TRUE(std::isnan(run.cosines().at(1, 99)));
    EXPECT_TRUE(std::isnan(run.cosines().at(0, 37)));
    EXPECT_FALSE(std::isnan(run.cosines().at(0, 38)));
    run.CheckTop();
  }
}

}  // namespace
}  // namespace cliptag::cuda
