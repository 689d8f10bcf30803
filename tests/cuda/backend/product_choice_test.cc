// Which of the algorithms that cuBLASLt proposes for a product is taken: the fastest on the card,
// found without touching what the caller has, and the first wherever it cannot be found.
#include <cublasLt.h>

#include "tests/cuda/backend/backend_fixture.h"
#include "tests/cuda/standin/control.h"

namespace cliptag::cuda {
namespace {

using testing::HasSubstr;
using Times = std::vector<uint32_t>;

class ProductChoiceTest : public testing::Test {
 protected:
  void TearDown() override {
    Close();
    EXPECT_EQ(test_device::Problems(), "");
  }

  void Close() {
    out_.reset();
    x_.reset();
    linear_.reset();
    backend_.reset();
  }

  // A card whose algorithms take so long, with a product that is about to run for the first time.
  void Open(const Times& algorithm_us, DType out_type = DType::kF32) {
    Close();
    standin::Settings settings;
    settings.algorithm_us = algorithm_us;
    standin::Reset(settings);
    auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    backend_ = backend.Take();
    std::mt19937 random(7);
    TestMatrix weight(32, 48, DType::kF32), bias(1, 32, DType::kF32), x(9, 48, DType::kF16, 8),
        out(9, 32, out_type, 16);
    for (TestMatrix* m : {&weight, &bias, &x, &out}) m->Fill(random);
    auto linear = backend_->PackLinear(
        {{{weight.get().data, DType::kF32, {32, 48}}}, {{bias.get().data, DType::kF32, {32}}}});
    ASSERT_TRUE(linear.ok()) << linear.status().message();
    linear_ = linear.Take();
    x_.emplace(*backend_, x);
    out_.emplace(*backend_, out);
    ASSERT_STATUS_OK(backend_->Sync());
  }

  Status Run(bool accumulate = true) {
    CLIPTAG_RETURN_IF_ERROR(backend_->Gemm(*x_, *linear_, Activation::kNone, accumulate, *out_));
    return backend_->Sync();
  }

  static Times Products() {
    const auto counted = standin::GetCounters().products_of_algorithm;
    Times products(counted.begin(), counted.end());
    products.resize(8);
    return products;
  }

  // The algorithm of a shape that has been run.
  size_t Chosen() {
    const Times before = Products();
    EXPECT_TRUE(Run().ok());
    const Times after = Products();
    size_t chosen = after.size();
    for (size_t i = 0; i < after.size(); ++i) {
      if (after[i] == before[i]) continue;
      EXPECT_EQ(after[i], before[i] + 1);
      EXPECT_EQ(chosen, after.size()) << "one product by two algorithms";
      chosen = i;
    }
    return chosen;
  }

  size_t ChoiceOf(const Times& algorithm_us) {
    Open(algorithm_us);
    EXPECT_TRUE(Run().ok());
    return Chosen();
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Linear> linear_;
  std::optional<OnDevice> x_, out_;
};

TEST_F(ProductChoiceTest, TheFastest) {
  EXPECT_EQ(ChoiceOf({100, 120, 200}), 0u);
  EXPECT_EQ(ChoiceOf({120, 100, 200}), 1u);
  EXPECT_EQ(ChoiceOf({120, 300, 60, 90}), 2u);
  EXPECT_EQ(ChoiceOf({200, 190, 180, 170, 160, 150, 140, 130, 10}), 7u)
      << "no more than eight are asked for";
}

TEST_F(ProductChoiceTest, TheEarlierOfEquals) {
  EXPECT_EQ(ChoiceOf({103, 100, 100}), 0u);
  EXPECT_EQ(ChoiceOf({106, 102, 100}), 1u);
}

TEST_F(ProductChoiceTest, TheFirstOfShortOnes) {
  for (const uint32_t first : {9u, 45u}) {
    Open({first, 1, 1});
    ASSERT_STATUS_OK(Run());
    EXPECT_EQ(Products(), (Times{3, 0, 0, 0, 0, 0, 0, 0})) << first;
  }
  EXPECT_EQ(ChoiceOf({55, 1, 2}), 1u);
}

TEST_F(ProductChoiceTest, OneProposalIsNotTimed) {
  Open({100});
  const uint64_t allocations = standin::GetCounters().allocations;
  ASSERT_STATUS_OK(Run());
  EXPECT_EQ(Products()[0], 1u);
  EXPECT_EQ(standin::GetCounters().allocations, allocations);
}

TEST_F(ProductChoiceTest, ClearlySlowerOnesAreMeasuredOnce) {
  Open({100, 140, 120});
  ASSERT_STATUS_OK(Run());
  // Warmed up, measured; then four rounds; the first then runs.
  EXPECT_EQ(Products(), (Times{2 + 4 + 1, 2, 2 + 4, 0, 0, 0, 0, 0}));
}

TEST_F(ProductChoiceTest, LongProductsEndTheSearch) {
  Open({11000, 5000, 100});
  ASSERT_STATUS_OK(Run());
  EXPECT_EQ(Products(), (Times{3, 0, 0, 0, 0, 0, 0, 0}));
}

// Timing writes to memory of its own, which is given back.
TEST_F(ProductChoiceTest, ResultsAreThoseOfOneProposal) {
  for (const bool accumulate : {false, true}) {
    for (const DType out : {DType::kF16, DType::kF32}) {
      if (accumulate && out != DType::kF32) continue;
      SCOPED_TRACE(testing::Message() << accumulate << static_cast<int>(out));
      Open({100}, out);
      const std::vector<float> untouched_x = x_->values();
      ASSERT_STATUS_OK(Run(accumulate));
      const std::vector<float> expected = out_->values();
      for (const Times& times : {Times{100, 200, 300}, {200, 100, 300}, {300, 200, 100}}) {
        Open(times, out);
        const auto before = standin::GetLiveObjects();
        ASSERT_STATUS_OK(Run(accumulate));
        const auto after = standin::GetLiveObjects();
        EXPECT_EQ(out_->values(), expected);
        EXPECT_EQ(x_->values(), untouched_x);
        EXPECT_EQ(after.allocations, before.allocations);
        EXPECT_EQ(after.events, before.events);
        EXPECT_EQ(standin::GetCounters().nan_products, 0u) << "timed over memory as it was found";
      }
    }
  }
}

TEST_F(ProductChoiceTest, OneThatIsRefusedIsNone) {
  EXPECT_EQ(ChoiceOf({0, 100, 90}), 2u);
  EXPECT_EQ(ChoiceOf({100, 0, 90}), 2u);
  EXPECT_EQ(ChoiceOf({100, 0}), 0u);
  Open({0, 0});
  EXPECT_THAT(Run().message(), HasSubstr("cuBLASLt failed while a product was started"));
}

TEST_F(ProductChoiceTest, TheFirstWithoutMemory) {
  Open({120, 100});
  standin::FailCall("cudaMalloc", 1, cudaErrorMemoryAllocation);
  ASSERT_STATUS_OK(Run());
  EXPECT_EQ(Products(), (Times{1, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Chosen(), 0u);
}

TEST_F(ProductChoiceTest, TheFirstWhileAGraphIsRecorded) {
  Open({120, 100});
  const auto graph = backend_->CreateGraph();
  ASSERT_STATUS_OK(graph->Run([] { return Status(); }));
  ASSERT_STATUS_OK(
      graph->Run([&] { return backend_->Gemm(*x_, *linear_, Activation::kNone, false, *out_); }));
  ASSERT_STATUS_OK(backend_->Sync());
  EXPECT_EQ(standin::GetCounters().graphs_launched, 1u);
  EXPECT_EQ(Products(), (Times{1, 0, 0, 0, 0, 0, 0, 0}));
}

// Shapes, and adding to what is there, are chosen for one by one, once.
TEST_F(ProductChoiceTest, EachShapeOnce) {
  Open({120, 100});
  ASSERT_STATUS_OK(Run());
  const uint64_t asked = standin::CallsOf("cublasLtMatmulAlgoGetHeuristic");
  ASSERT_STATUS_OK(Run());
  EXPECT_EQ(standin::CallsOf("cublasLtMatmulAlgoGetHeuristic"), asked);
  ASSERT_STATUS_OK(Run(/*accumulate=*/false));
  EXPECT_EQ(standin::CallsOf("cublasLtMatmulAlgoGetHeuristic"), asked + 2);
}

// Whichever call fails while algorithms are timed: the product is right, or there is an error.
TEST_F(ProductChoiceTest, AnyCallOfTheTimingMayFail) {
  Open({100});
  ASSERT_STATUS_OK(Run());
  const std::vector<float> expected = out_->values();
  for (const std::string function :
       {"cudaStreamIsCapturing", "cudaMalloc", "cudaMemcpyAsync", "cudaMemsetAsync",
        "cudaEventCreateWithFlags", "cudaEventRecord", "cudaEventSynchronize",
        "cudaEventElapsedTime", "cublasLtMatmul"}) {
    int nth = 1;
    for (uint64_t calls = 1; nth == 1 || calls >= static_cast<uint64_t>(nth) - 1; ++nth) {
      SCOPED_TRACE(function + ", call " + std::to_string(nth));
      Open({120, 100});
      const uint64_t before = standin::CallsOf(function);
      const int error = function == "cublasLtMatmul"
                            ? static_cast<int>(CUBLAS_STATUS_EXECUTION_FAILED)
                            : static_cast<int>(cudaErrorMemoryAllocation);
      standin::FailCall(function, nth, error);
      const Status status = Run();
      calls = standin::CallsOf(function) - before;
      if (calls < static_cast<uint64_t>(nth)) break;  // none was left to fail
      if (status.ok()) {
        ASSERT_EQ(out_->values(), expected);
      } else {
        // The product's own start is the last one.
        ASSERT_EQ(function, "cublasLtMatmul");
        ASSERT_EQ(calls, static_cast<uint64_t>(nth));
      }
    }
    EXPECT_GT(nth, 1) << function << " is never called";
  }
}

TEST_F(ProductChoiceTest, ACardLostMeanwhileIsTold) {
  for (const uint64_t after : {0, 5, 12, 20}) {
    Open({120, 100});
    standin::LoseDeviceAfter(after);
    EXPECT_THAT(Run().message(), HasSubstr("The GPU failed while"));
    Close();
    standin::Reset();
  }
}

}  // namespace
}  // namespace cliptag::cuda
