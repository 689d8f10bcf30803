// The CPU backend's vector kernels against the oracle.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/create_backend.h"
#include "tests/kernels/cpu_test_fixture.h"

namespace cliptag {
namespace {

class CpuOpsTest : public CpuTest {};

TEST_P(CpuOpsTest, LayerNorm) {
  for (int64_t cols : {1, 2, 15, 16, 17, 63, 192, 768, 1280}) {
    for (const auto& [rows, extra, offset] :
         {std::tuple{1, 0, 0.0f}, {3, 5, 1000.0f}, {100, 0, -3.0f}}) {
      TestMatrix x(rows, cols, DType::kF32, extra), gamma(1, cols, DType::kF32);
      TestMatrix beta(1, cols, DType::kF32), exact(rows, cols, DType::kF32);
      x.Fill(random_, 2.0f, offset);
      gamma.Fill(random_);
      beta.Fill(random_);
      const float* g = static_cast<float*>(gamma.get().data);
      const float* b = rows == 3 ? nullptr : static_cast<float*>(beta.get().data);
      ASSERT_STATUS_OK(ref_->LayerNorm(x.AsFloat(), g, b, 1e-5f, exact));
      const std::string what = std::to_string(rows) + "x" + std::to_string(cols);
      // Values near 1000 are themselves rounded to 6e-8 of that, in units of their deviation.
      const double tolerance = 3e-6 + std::abs(offset) * 6e-8;
      for (DType out_type : {DType::kF32, type()}) {
        TestMatrix out(rows, cols, out_type, 3);
        ASSERT_STATUS_OK(cpu_->LayerNorm(x, g, b, 1e-5f, out));
        ExpectLikeExact(out, exact, tolerance, what);
      }
      ASSERT_STATUS_OK(cpu_->LayerNorm(x, g, b, 1e-5f, x));
      ExpectLikeExact(x, exact, tolerance, what + " in place");
    }
  }
}

TEST_P(CpuOpsTest, LayerNormOfComputeType) {
  for (int64_t cols : {1, 15, 17, 129, 768}) {
    for (const bool in_place : {false, true}) {
      TestMatrix x(5, cols, type(), 6), gamma(1, cols, DType::kF32), beta(1, cols, DType::kF32);
      TestMatrix out(5, cols, type(), 3), exact(5, cols, DType::kF32);
      x.Fill(random_, 2.0f, 1.0f);
      gamma.Fill(random_);
      beta.Fill(random_);
      const float* g = static_cast<float*>(gamma.get().data);
      const float* b = static_cast<float*>(beta.get().data);
      ASSERT_STATUS_OK(ref_->LayerNorm(x.AsFloat(), g, b, 1e-6f, exact));
      TestMatrix& to = in_place ? x : out;
      ASSERT_STATUS_OK(cpu_->LayerNorm(x, g, b, 1e-6f, to));
      ExpectLikeExact(to, exact, 3e-6, std::to_string(cols) + (in_place ? " in place" : ""));
    }
  }
}

TEST_P(CpuOpsTest, AddLayerNorm) {
  for (int64_t cols : {1, 15, 17, 129, 768}) {
    for (const bool in_place : {false, true}) {
      TestMatrix x(7, cols, type(), 6), gamma(1, cols, DType::kF32), beta(1, cols, DType::kF32);
      TestMatrix residual(7, cols, DType::kF32, 2), out(7, cols, type(), 3);
      x.Fill(random_, 2.0f, 1.0f);
      residual.Fill(random_, 3.0f);
      gamma.Fill(random_);
      beta.Fill(random_);
      const float* g = static_cast<float*>(gamma.get().data);
      const float* b = in_place ? nullptr : static_cast<float*>(beta.get().data);
      TestMatrix exact = residual.AsFloat(), exact_out(7, cols, DType::kF32);
      ASSERT_STATUS_OK(ref_->AddLayerNorm(x.AsFloat(), g, b, 1e-6f, exact, exact_out));
      TestMatrix& to = in_place ? x : out;
      ASSERT_STATUS_OK(cpu_->AddLayerNorm(x, g, b, 1e-6f, residual, to));
      const std::string what = std::to_string(cols) + (in_place ? " in place" : "");
      ExpectLikeExact(residual, exact, 3e-6, what);
      ExpectLikeExact(to, exact, 3e-6, what + ", rounded");
    }
  }
}

TEST_P(CpuOpsTest, Rope) {
  for (const auto& [tokens, heads, head_dim] :
       {std::tuple{1, 1, 2}, {5, 3, 16}, {7, 2, 20}, {50, 24, 64}, {3, 2, 4}}) {
    TestMatrix x(2 * tokens, heads * head_dim, type(), 10),
        angles(tokens, head_dim, DType::kF32, 4);
    x.Fill(random_);
    angles.Fill(random_);
    TestMatrix exact = x.AsFloat();
    ASSERT_STATUS_OK(ref_->Rope(exact, angles));
    ASSERT_STATUS_OK(cpu_->Rope(x, angles));
    ExpectLikeExact(x, exact, 1e-6, std::to_string(head_dim));
  }
}

TEST_P(CpuOpsTest, GatedSilu) {
  for (int64_t cols : {1, 3, 16, 17, 136, 2048}) {
    for (const bool in_place : {false, true}) {
      TestMatrix x(4, 2 * cols, type(), 6), out(4, cols, type(), 3);
      TestMatrix exact(4, cols, DType::kF32);
      x.Fill(random_, 3.0f);
      x.Set(0, 0, -200.0f);
      x.Set(1, 0, 200.0f);
      ASSERT_STATUS_OK(ref_->GatedSilu(x.AsFloat(), exact));
      const Matrix to = in_place ? x.get().Cols(0, cols) : out.get();
      ASSERT_STATUS_OK(cpu_->GatedSilu(x, to));
      TestMatrix copy(4, cols, type());
      std::vector<float> values(static_cast<size_t>(4 * cols));
      CopyMatrixToFloat(to, values.data());
      copy.Set(values);
      ExpectLikeExact(copy, exact, 1e-6, std::to_string(cols) + (in_place ? " in place" : ""));
      x.ExpectSentinels("x");
      out.ExpectSentinels("out");
    }
  }
}

TEST_P(CpuOpsTest, LayerNormKeepsNan) {
  TestMatrix x(2, 20, DType::kF32), out(2, 20, DType::kF32), gamma(1, 20, DType::kF32);
  x.Fill(random_);
  gamma.Fill(random_);
  x.Set(1, 7, std::numeric_limits<float>::quiet_NaN());
  ASSERT_STATUS_OK(cpu_->LayerNorm(x, static_cast<float*>(gamma.get().data), nullptr, 1e-5f, out));
  for (int c = 0; c < 20; ++c) {
    EXPECT_TRUE(std::isfinite(out.values()[c])) << c;
    EXPECT_TRUE(std::isnan(out.values()[20 + c])) << c;
  }
}

TEST_P(CpuOpsTest, AssembleTokens) {
  for (const auto& [batch, patches, width] :
       {std::tuple{1, 49, 768}, {3, 4, 19}, {2, 1, 1}, {2, 49, 192}}) {
    for (DType patch_type : {DType::kF32, type()}) {
      for (bool with_class : {true, false}) {
        const int64_t tokens = patches + (with_class ? 1 : 0);
        TestMatrix x(batch * patches, width, patch_type, 2),
            position(tokens, width, DType::kF32, 1);
        TestMatrix class_token(1, width, DType::kF32);
        x.Fill(random_);
        position.Fill(random_);
        class_token.Fill(random_);
        const float* c = with_class ? static_cast<float*>(class_token.get().data) : nullptr;
        TestMatrix out(batch * tokens, width, DType::kF32, 4);
        TestMatrix exact(batch * tokens, width, DType::kF32);
        ASSERT_STATUS_OK(cpu_->AssembleTokens(x, c, position, batch, out));
        ASSERT_STATUS_OK(ref_->AssembleTokens(x.AsFloat(), c, position, batch, exact));
        EXPECT_EQ(out.values(), exact.values());  // one addition: exact
        out.ExpectSentinels("out");
        TestMatrix rounded(batch * tokens, width, type(), 3);
        ASSERT_STATUS_OK(cpu_->AssembleTokens(x, c, position, batch, rounded));
        EXPECT_EQ(rounded.values(), bf16() ? RoundedToBf16(exact.values()) : exact.values());
        rounded.ExpectSentinels("rounded out");
      }
    }
  }
}

TEST_P(CpuOpsTest, EmbedTokens) {
  for (DType table_type : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int width : {1, 30, 512}) {
      TestMatrix table(50, width, table_type, 1), position(7, width, DType::kF32);
      table.Fill(random_);
      position.Fill(random_);
      std::vector<int32_t> ids(21);
      for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 31 % 50);
      TestMatrix out(21, width, DType::kF32, 3), exact(21, width, DType::kF32);
      ASSERT_STATUS_OK(cpu_->EmbedTokens(ids.data(), table, position, 7, out));
      ASSERT_STATUS_OK(ref_->EmbedTokens(ids.data(), table, position, 7, exact));
      EXPECT_EQ(out.values(), exact.values());
      out.ExpectSentinels("out");
    }
  }
}

TEST_P(CpuOpsTest, GatherRows) {
  for (DType gathered : {DType::kF32, DType::kBF16, DType::kI32}) {
    TestMatrix x(10, 33, gathered, 2), out(4, 33, gathered, 5);
    x.Fill(random_);
    const int32_t indices[] = {9, 0, 3, 3};
    ASSERT_STATUS_OK(cpu_->GatherRows(x, indices, out));
    for (int r = 0; r < 4; ++r) {
      EXPECT_EQ(0, std::memcmp(out.get().Rows(r, 1).data, x.get().Rows(indices[r], 1).data,
                               33 * SizeOf(gathered)));
    }
    out.ExpectSentinels("out");
  }
}

TEST_P(CpuOpsTest, NormalizeRows) {
  for (int cols : {1, 3, 17, 512, 768}) {
    TestMatrix x(9, cols, DType::kF32, 3);
    x.Fill(random_);
    // Rows whose squares over- or underflow, a zero row, a subnormal one.
    const float scales[] = {1, 1e-25f, 1e25f, 0, 1e-40f, 1e37f, 1, 1, 1};
    std::vector<float> values = x.values();
    for (size_t i = 0; i < values.size(); ++i) values[i] *= scales[i / cols];
    x.Set(values);
    TestMatrix exact = x.AsFloat();
    ASSERT_STATUS_OK(cpu_->NormalizeRows(x));
    ASSERT_STATUS_OK(ref_->NormalizeRows(exact));
    ExpectLikeExact(x, exact, 1e-5, std::to_string(cols));
    for (int c = 0; c < cols; ++c) EXPECT_EQ(x.values()[3 * cols + c], 0.0f) << "zero row";
  }
}

TEST_P(CpuOpsTest, AverageTokens) {
  for (const auto& [batch, tokens, cols, skip] :
       {std::tuple{1, 1, 1, 0}, {3, 50, 768, 1}, {2, 5, 33, 0}, {1, 9, 16, 8}}) {
    TestMatrix x(batch * tokens, cols, DType::kF32, 3), out(batch, cols, DType::kF32, 1);
    TestMatrix exact(batch, cols, DType::kF32);
    x.Fill(random_, 1.0f, 100.0f);
    ASSERT_STATUS_OK(cpu_->AverageTokens(x, skip, out));
    ASSERT_STATUS_OK(ref_->AverageTokens(x, skip, exact));
    EXPECT_EQ(out.values(), exact.values()) << cols;
  }
}

TEST_P(CpuOpsTest, Similarity) {
  for (const auto& [rows, bank_rows, dim] :
       {std::tuple{1, 1, 1}, {1, 3, 192}, {3, 100, 512}, {8, 1000, 64}, {2, 37, 33}}) {
    TestMatrix e(rows, dim, DType::kF32, 1), bank(bank_rows, dim, DType::kF32, 2);
    e.Fill(random_);
    bank.Fill(random_);
    ASSERT_STATUS_OK(cpu_->NormalizeRows(e));
    ASSERT_STATUS_OK(cpu_->NormalizeRows(bank));
    TestMatrix cosines(rows, bank_rows, DType::kF32, 3), exact(rows, bank_rows, DType::kF32);
    ASSERT_STATUS_OK(cpu_->Similarity(e, bank, cosines));
    ASSERT_STATUS_OK(ref_->Similarity(e, bank, exact));
    ExpectLikeExact(cosines, exact, 1e-5, std::to_string(bank_rows));
  }
}

TEST_P(CpuOpsTest, UploadsFromAnyAddress) {
  for (DType from : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (DType to : {DType::kF32, DType::kF16, DType::kBF16}) {
      TestMatrix m(1, 37, from);
      m.Fill(random_);
      std::vector<char> file(37 * SizeOf(from) + 1);
      std::memcpy(file.data() + 1, m.get().data, file.size() - 1);
      auto memory = cpu_->Upload({file.data() + 1, from, {37}}, to);
      ASSERT_TRUE(memory.ok()) << memory.status().message();
      EXPECT_EQ(reinterpret_cast<uintptr_t>((*memory)->data()) % 64, 0u);
      std::vector<float> host(37);
      ASSERT_STATUS_OK(cpu_->CopyToHost({(*memory)->data(), to, 1, 37, 37}, host.data()));
      TestMatrix exact(1, 37, to);
      exact.Set(m.values());
      EXPECT_EQ(host, exact.values());
    }
  }
}

TEST_P(CpuOpsTest, RefusesWhatDoesNotFit) {
  TestMatrix x(4, 6, DType::kF32), y(4, 5, DType::kF32);
  const float one = 1;
  const int32_t index = 0;
  EXPECT_EQ(cpu_->LayerNorm(x, &one, nullptr, 1e-5f, y).message(),
            "LayerNorm: out is 4x5 f32 but should be 4x6.");
  EXPECT_EQ(cpu_->LayerNorm(x, nullptr, nullptr, 1e-5f, x).message(),
            "LayerNorm: gamma is missing.");
  TestMatrix wrong(4, 6, bf16() ? DType::kF32 : DType::kBF16), right(4, 6, type());
  const auto of_type = [this](std::string what) {
    return what.append(bf16() ? " is f32 but should be bf16." : " is bf16 but should be f32.");
  };
  const auto of_shape = [this](std::string what, const char* wanted) {
    return what.append(bf16() ? " is 4x6 bf16 but should be " : " is 4x6 f32 but should be ")
        .append(wanted);
  };
  EXPECT_EQ(cpu_->LayerNorm(right, &one, nullptr, 1e-5f, y).message(),
            "LayerNorm: out is 4x5 f32 but should be 4x6.");
  EXPECT_EQ(cpu_->AddLayerNorm(wrong, &one, nullptr, 1e-5f, x, right).message(),
            of_type("AddLayerNorm: x"));
  EXPECT_EQ(cpu_->AddLayerNorm(right, nullptr, nullptr, 1e-5f, x, right).message(),
            "AddLayerNorm: gamma is missing.");
  EXPECT_EQ(cpu_->AddLayerNorm(right, &one, nullptr, 1e-5f, y, right).message(),
            "AddLayerNorm: residual is 4x5 f32 but should be 4x6.");
  EXPECT_EQ(cpu_->AddLayerNorm(right, &one, nullptr, 1e-5f, x, wrong).message(),
            of_type("AddLayerNorm: out"));
  EXPECT_EQ(cpu_->Rope(wrong, x).message(), of_type("Rope: x"));
  EXPECT_EQ(cpu_->Rope(right, x.get().Rows(0, 3)).message(),
            of_shape("Rope: x", "whole sequences of heads of 3x6 f32, in pairs."));
  EXPECT_EQ(cpu_->Rope(right, x.get().Cols(0, 3)).message(),
            of_shape("Rope: x", "whole sequences of heads of 4x3 f32, in pairs."));
  EXPECT_EQ(cpu_->Rope(right, x.get().Cols(0, 4)).message(),
            of_shape("Rope: x", "whole sequences of heads of 4x4 f32, in pairs."));
  EXPECT_EQ(cpu_->GatedSilu(right, right).message(), of_shape("GatedSilu: x", "4x12."));
  EXPECT_EQ(cpu_->GatedSilu(wrong, right.get().Cols(0, 3)).message(), of_type("GatedSilu: x"));
  EXPECT_EQ(cpu_->GatedSilu(right, wrong.get().Cols(0, 3)).message(), of_type("GatedSilu: out"));
  EXPECT_EQ(cpu_->AssembleTokens(x, nullptr, y, 3, x).message(),
            "AssembleTokens: 4 patch rows do not make a batch of 3.");
  EXPECT_EQ(cpu_->EmbedTokens(&index, x, y, 1, x).message(),
            "EmbedTokens: position is 4x5 f32 but should have 1 rows or more of 6.");
  EXPECT_EQ(cpu_->GatherRows(x, nullptr, x).message(), "GatherRows: indices is missing.");
  EXPECT_EQ(cpu_->AverageTokens(x, 2, x.get().Rows(0, 2)).message(),
            "AverageTokens: 4 rows are not 2 sequences of more than 2 tokens.");
  EXPECT_EQ(cpu_->Similarity(x, y, x).message(),
            "Similarity: embeddings have 6 dimensions but the bank has 5.");
  EXPECT_EQ(cpu_->Similarity(x, x, y).message(),
            "Similarity: cosines is 4x5 f32 but should be 4x4.");
  auto memory = cpu_->Allocate(size_t{1} << 62);
  ASSERT_FALSE(memory.ok());
  EXPECT_EQ(memory.status().code(), StatusCode::kResourceExhausted);
}

INSTANTIATE_CPU_TESTS(CpuOpsTest);

TEST(CpuBackend, SaysWhatItDoesNotHave) {
  const auto message = [](BackendOptions options) {
    auto backend = CreateBackend(options);
    return backend.ok() ? "" : backend.status().message();
  };
  EXPECT_EQ(message({.kind = BackendKind::kCuda}),
            "This build of cliptag has no CUDA backend; build it where the CUDA toolkit is, or use "
            "backend=cpu.");
  EXPECT_EQ(message({.precision = Precision::kFp16}),
            "The CPU backend has no fp16; use precision=bf16, int8, fp32 or auto.");
  EXPECT_EQ(message({.threads = -1}),
            "threads is -1; use 0 for every core, or how many threads to use.");
  EXPECT_EQ(message({}), "");
}

TEST(CpuBackend, TakesTheThreadsAskedFor) {
  for (int threads : {1, 2, 5}) {
    auto backend = CreateBackend({.kind = BackendKind::kCpu, .threads = threads});
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    EXPECT_EQ((*backend)->info().threads, threads);
    EXPECT_NE((*backend)->info().description.find("oneDNN"), std::string::npos);
  }
}

TEST(CpuLevel, AnUnknownCapIsAnError) {
  const char* before = std::getenv("CLIPTAG_CPU");
  const std::string saved = before ? before : "";
  setenv("CLIPTAG_CPU", "sse9", 1);
  auto level = ChooseCpuLevel();
  before ? setenv("CLIPTAG_CPU", saved.c_str(), 1) : unsetenv("CLIPTAG_CPU");
  ASSERT_FALSE(level.ok());
  EXPECT_EQ(level.status().message(),
            "CLIPTAG_CPU is 'sse9'; use baseline, avx2, avx512, avx512_vnni, avx512_bf16 "
            "or amx, or unset it.");
}

}  // namespace
}  // namespace cliptag
