// Every operation of the CUDA backend, host code included, against the oracle.
#include "tests/cuda/backend/backend_fixture.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {
namespace {

using BackendOpsTest = BackendTest;

HostTensor Tensor(const TestMatrix& m) {
  return {m.get().data, m.get().type, {m.get().rows, m.get().cols}};
}

TEST_P(BackendOpsTest, SaysWhatItIs) {
  const BackendInfo& info = backend_->info();
  EXPECT_EQ(info.kind, BackendKind::kCuda);
  EXPECT_EQ(info.precision, GetParam());
  EXPECT_THAT(info.description, testing::StartsWith(test_device::Description()));
}

TEST_P(BackendOpsTest, GemmOfEveryKind) {
  for (const auto& [rows, in, out] : {std::tuple{1, 8, 8}, {3, 40, 72}, {50, 64, 33}, {7, 12, 5}}) {
    for (const bool bias : {false, true}) {
      TestMatrix x(rows, in, type(), 8), weight(out, in, DType::kF32), b(1, out, DType::kF32);
      x.Fill(random_);
      weight.Fill(random_, 0.2f);
      b.Fill(random_);
      // The weights that count are the rounded ones.
      TestMatrix rounded(out, in, type());
      rounded.Set(weight.values());
      LinearSpec spec{{Tensor(rounded)}, {}};
      if (bias) spec.biases = {{b.get().data, DType::kF32, {out}}};
      const auto linear = backend_->PackLinear(spec), exact_linear = ref_->PackLinear(spec);
      ASSERT_TRUE(linear.ok() && exact_linear.ok());
      ASSERT_STATUS_OK(backend_->PrepareGemm(**linear, rows));
      const OnDevice device_x(*backend_, x);
      for (const Activation activation :
           {Activation::kNone, Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
        for (const DType out_type : {type(), DType::kF32}) {
          const std::string what = std::to_string(rows) + "x" + std::to_string(in) + "x" +
                                   std::to_string(out) + (bias ? " with bias" : "") +
                                   ", activation " + std::to_string(static_cast<int>(activation)) +
                                   (out_type == DType::kF32 ? " to f32" : "");
          const OnDevice y(*backend_, TestMatrix(rows, out, out_type, 16));
          TestMatrix exact(rows, out, DType::kF32);
          SCOPED_TRACE(what);
          ASSERT_STATUS_OK(backend_->Gemm(device_x, **linear, activation, false, y));
          ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), **exact_linear, activation, false, exact));
          // An activation sees the product as it was stored, a bias as it was rounded.
          const double rounding = out_type == DType::kF32 ? 0
                                  : type() == DType::kF16 ? 2e-3
                                                          : 1.6e-2;
          ExpectLikeExact(y, exact, what, 2e-5 + rounding);
        }
      }
    }
  }
}

TEST_P(BackendOpsTest, GemmAddsToTheResidualStream) {
  TestMatrix x(9, 48, type()), weight(32, 48, type()), bias(1, 32, DType::kF32);
  TestMatrix residual(9, 32, DType::kF32, 4);
  x.Fill(random_);
  weight.Fill(random_, 0.3f);
  bias.Fill(random_);
  residual.Fill(random_, 3.0f);
  const LinearSpec spec{{Tensor(weight)}, {{bias.get().data, DType::kF32, {32}}}};
  const auto linear = backend_->PackLinear(spec), exact_linear = ref_->PackLinear(spec);
  ASSERT_TRUE(linear.ok() && exact_linear.ok());
  EXPECT_GT((*linear)->bytes(), 2u * 32 * 48);
  const OnDevice y(*backend_, residual);
  TestMatrix exact = residual.AsFloat();
  ASSERT_STATUS_OK(backend_->Gemm(OnDevice(*backend_, x), **linear, Activation::kNone, true, y));
  ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), **exact_linear, Activation::kNone, true, exact));
  ExpectLikeExact(y, exact, "residual", 2e-5);
  const Status status =
      backend_->Gemm(OnDevice(*backend_, x), **linear, Activation::kGelu, true, y);
  EXPECT_EQ(status.code(), StatusCode::kUnsupported) << status.message();
}

TEST_P(BackendOpsTest, GemmOfStackedAndTransposedWeights) {
  TestMatrix a(16, 24, type()), b(8, 24, type()), t(24, 40, type()), x(5, 24, type());
  for (TestMatrix* m : {&a, &b, &t, &x}) m->Fill(random_, 0.5f);
  for (const LinearSpec& spec :
       {LinearSpec{{Tensor(a), Tensor(b)}, {}}, LinearSpec{{Tensor(t)}, {}, true}}) {
    const auto linear = backend_->PackLinear(spec), exact_linear = ref_->PackLinear(spec);
    ASSERT_TRUE(linear.ok() && exact_linear.ok());
    const int64_t out = (*linear)->out();
    const OnDevice y(*backend_, TestMatrix(5, out, DType::kF32));
    TestMatrix exact(5, out, DType::kF32);
    ASSERT_STATUS_OK(backend_->Gemm(OnDevice(*backend_, x), **linear, Activation::kNone, false, y));
    ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), **exact_linear, Activation::kNone, false, exact));
    ExpectLikeExact(y, exact, "stacked or transposed");
  }
}

TEST_P(BackendOpsTest, LayerNormAndUnitLength) {
  for (const int width : {5, 64, 96, 2048, 3000}) {
    TestMatrix x(6, width, DType::kF32, 8), gamma(1, width, DType::kF32),
        beta(1, width, DType::kF32);
    x.Fill(random_, 2.0f, 1.0f);
    gamma.Fill(random_);
    beta.Fill(random_);
    const OnDevice device_x(*backend_, x), g(*backend_, gamma), b(*backend_, beta);
    for (const DType out_type : {type(), DType::kF32}) {
      for (const bool with_beta : {false, true}) {
        const OnDevice y(*backend_, TestMatrix(6, width, out_type));
        TestMatrix exact(6, width, DType::kF32);
        ASSERT_STATUS_OK(
            backend_->LayerNorm(device_x, g.floats(), with_beta ? b.floats() : nullptr, 1e-5f, y));
        ASSERT_STATUS_OK(ref_->LayerNorm(x, static_cast<float*>(gamma.get().data),
                                         with_beta ? static_cast<float*>(beta.get().data) : nullptr,
                                         1e-5f, exact));
        ExpectLikeExact(y, exact, "layer norm of " + std::to_string(width));
      }
    }
    TestMatrix unit = x.AsFloat();
    ASSERT_STATUS_OK(backend_->NormalizeRows(device_x));
    ASSERT_STATUS_OK(ref_->NormalizeRows(unit));
    ExpectLikeExact(device_x, unit, "unit length of " + std::to_string(width));
  }
}

TEST_P(BackendOpsTest, AttentionReadsThePackedProduct) {
  for (const int head_dim : {16, 64}) {  // the plain kernel, the tensor cores'
    for (const bool causal : {false, true}) {
      const int batch = 2, tokens = 20, heads = 2, width = heads * head_dim;
      TestMatrix qkv(batch * tokens, 3 * width, type());
      qkv.Fill(random_);
      const TestMatrix exact_qkv = qkv.AsFloat();
      const OnDevice device(*backend_, qkv),
          out(*backend_, TestMatrix(batch * tokens, width, type()));
      TestMatrix exact(batch * tokens, width, DType::kF32);
      TestMatrix lengths(1, batch, DType::kF32);
      const int32_t counts[] = {20, 7};
      std::memcpy(lengths.get().data, counts, sizeof(counts));
      const OnDevice device_lengths(*backend_, lengths);
      AttentionArgs args;
      args.batch = batch;
      args.q_tokens = args.kv_tokens = tokens;
      args.heads = heads;
      args.head_dim = head_dim;
      args.scale = 0.25f;
      args.causal = causal;
      const auto run = [&](Backend& backend, const Matrix& in, const Matrix& to,
                           const int32_t* seen) {
        args.kv_lengths = seen;
        return PackedAttention(backend, in, to, args);
      };
      ASSERT_STATUS_OK(run(*backend_, device, out, device_lengths.ints()));
      ASSERT_STATUS_OK(run(*ref_, exact_qkv, exact, counts));
      ExpectLikeExact(out, exact, "attention", type() == DType::kF16 ? 2e-3 : 1.6e-2);
    }
  }
}

TEST_P(BackendOpsTest, TokensAndRows) {
  const int batch = 3, width = 40;
  for (const bool with_class : {false, true}) {
    const int tokens = 4 + with_class;
    TestMatrix patches(batch * 4, width, type()), class_token(1, width, DType::kF32),
        position(tokens, width, DType::kF32);
    patches.Fill(random_);
    class_token.Fill(random_);
    position.Fill(random_);
    const OnDevice c(*backend_, class_token);
    const OnDevice out(*backend_, TestMatrix(batch * tokens, width, DType::kF32));
    TestMatrix exact(batch * tokens, width, DType::kF32);
    ASSERT_STATUS_OK(backend_->AssembleTokens(OnDevice(*backend_, patches),
                                              with_class ? c.floats() : nullptr,
                                              OnDevice(*backend_, position), batch, out));
    ASSERT_STATUS_OK(ref_->AssembleTokens(
        patches.AsFloat(), with_class ? static_cast<float*>(class_token.get().data) : nullptr,
        position, batch, exact));
    EXPECT_EQ(out.values(), exact.values());  // one addition: exact
    TestMatrix rounded(batch * tokens, width, type());
    rounded.Set(exact.values());
    const TestMatrix unrounded = patches.AsFloat();
    for (const TestMatrix* from : {static_cast<const TestMatrix*>(&patches), &unrounded}) {
      const OnDevice short_out(*backend_, TestMatrix(batch * tokens, width, type()));
      ASSERT_STATUS_OK(backend_->AssembleTokens(OnDevice(*backend_, *from),
                                                with_class ? c.floats() : nullptr,
                                                OnDevice(*backend_, position), batch, short_out));
      EXPECT_EQ(short_out.values(), rounded.values());
    }
  }
  TestMatrix table(50, width, type()), position(7, width, DType::kF32), ids(1, 14, DType::kF32);
  table.Fill(random_);
  position.Fill(random_);
  const int32_t chosen[] = {0, 49, 3, 3, 7, 11, 20, 1, 2, 48, 30, 31, 32, 33};
  std::memcpy(ids.get().data, chosen, sizeof(chosen));
  const OnDevice device_ids(*backend_, ids), device_table(*backend_, table);
  const OnDevice out(*backend_, TestMatrix(14, width, DType::kF32));
  TestMatrix exact(14, width, DType::kF32);
  ASSERT_STATUS_OK(backend_->EmbedTokens(device_ids.ints(), device_table,
                                         OnDevice(*backend_, position), 7, out));
  ASSERT_STATUS_OK(ref_->EmbedTokens(chosen, table.AsFloat(), position, 7, exact));
  EXPECT_EQ(out.values(), exact.values());
  const OnDevice rows(*backend_, TestMatrix(14, width, type()));
  TestMatrix exact_rows(14, width, DType::kF32);
  ASSERT_STATUS_OK(backend_->GatherRows(device_table, device_ids.ints(), rows));
  ASSERT_STATUS_OK(ref_->GatherRows(table.AsFloat(), chosen, exact_rows));
  EXPECT_EQ(rows.values(), exact_rows.values());
}

TEST_P(BackendOpsTest, AverageTokens) {
  TestMatrix x(3 * 50, 70, DType::kF32), exact(3, 70, DType::kF32);
  x.Fill(random_);
  const OnDevice out(*backend_, TestMatrix(3, 70, DType::kF32));
  ASSERT_STATUS_OK(backend_->AverageTokens(OnDevice(*backend_, x), 1, out));
  ASSERT_STATUS_OK(ref_->AverageTokens(x, 1, exact));
  ExpectLikeExact(out, exact, "means", 1e-5);
}

TEST_P(BackendOpsTest, Similarity) {
  for (const auto& [n, m] : {std::pair{1, 1}, {3, 200}, {40, 77}}) {
    TestMatrix embeddings(n, 48, DType::kF32), bank(m, 48, DType::kF32);
    embeddings.Fill(random_, 0.2f);
    bank.Fill(random_, 0.2f);
    const OnDevice cosines(*backend_, TestMatrix(n, m, DType::kF32));
    TestMatrix exact(n, m, DType::kF32);
    ASSERT_STATUS_OK(
        backend_->Similarity(OnDevice(*backend_, embeddings), OnDevice(*backend_, bank), cosines));
    ASSERT_STATUS_OK(ref_->Similarity(embeddings, bank, exact));
    ExpectLikeExact(cosines, exact, "cosines", 1e-5);
  }
}

// A feature map over a matrix of its own.
FeatureMap MapOf(const Matrix& pixels, int batch, int height, int width) {
  return {pixels, batch, height, width};
}

TEST_P(BackendOpsTest, Convolutions) {
  struct Case {
    int in, out, kernel, stride, padding;
  };
  for (const Case& c : {Case{8, 16, 3, 1, 1}, {3, 8, 3, 2, 1}, {16, 8, 1, 1, 0}}) {
    const int batch = 2, height = 9, width = 7;
    TestMatrix x(batch * height * width, c.in, type());
    TestMatrix weight(c.out, c.in * c.kernel * c.kernel, type()), bias(1, c.out, type());
    x.Fill(random_);
    weight.Fill(random_, 0.3f);
    bias.Fill(random_);
    ConvolutionSpec spec;
    spec.weight = {weight.get().data, type(), {c.out, c.in, c.kernel, c.kernel}};
    spec.bias = {bias.get().data, type(), {c.out}};
    spec.stride = c.stride;
    spec.padding = c.padding;
    const auto convolution = backend_->PackConvolution(spec),
               exact_one = ref_->PackConvolution(spec);
    ASSERT_TRUE(convolution.ok()) << convolution.status().message();
    const int h = (*convolution)->OutEdge(height), w = (*convolution)->OutEdge(width);
    TestMatrix residual(batch * h * w, c.out, type());
    residual.Fill(random_);
    const TestMatrix exact_x = x.AsFloat(), exact_residual = residual.AsFloat();
    const OnDevice device_x(*backend_, x), device_residual(*backend_, residual);
    for (const bool add : {false, true}) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(testing::Message() << c.in << " to " << c.out << ", window " << c.kernel
                                        << (add ? ", residual" : "") << (relu ? ", relu" : ""));
        const OnDevice y(*backend_, TestMatrix(batch * h * w, c.out, type()));
        TestMatrix exact(batch * h * w, c.out, DType::kF32);
        const FeatureMap r = MapOf(device_residual, batch, h, w);
        const FeatureMap exact_r = MapOf(exact_residual, batch, h, w);
        ASSERT_STATUS_OK(backend_->Convolve(MapOf(device_x, batch, height, width), **convolution,
                                            add ? &r : nullptr, relu, MapOf(y, batch, h, w)));
        ASSERT_STATUS_OK(ref_->Convolve(MapOf(exact_x, batch, height, width), **exact_one,
                                        add ? &exact_r : nullptr, relu, MapOf(exact, batch, h, w)));
        ExpectLikeExact(y, exact, "convolution");
      }
    }
  }
}

TEST_P(BackendOpsTest, AveragePooling) {
  const int batch = 2, height = 6, width = 9, channels = 8;
  TestMatrix x(batch * height * width, channels, type());
  x.Fill(random_);
  const TestMatrix exact_x = x.AsFloat();
  const OnDevice device_x(*backend_, x);
  for (const int window : {1, 2, 3}) {
    const int h = height / window, w = width / window;
    const OnDevice y(*backend_, TestMatrix(batch * h * w, channels, type()));
    TestMatrix exact(batch * h * w, channels, DType::kF32);
    ASSERT_STATUS_OK(backend_->AveragePool(MapOf(device_x, batch, height, width), window,
                                           MapOf(y, batch, h, w)));
    ASSERT_STATUS_OK(
        ref_->AveragePool(MapOf(exact_x, batch, height, width), window, MapOf(exact, batch, h, w)));
    ExpectLikeExact(y, exact, "pooling by " + std::to_string(window));
  }
  const OnDevice y(*backend_, TestMatrix(1, channels, type()));
  EXPECT_EQ(
      backend_->AveragePool(MapOf(device_x, batch, height, width), 7, MapOf(y, 1, 1, 1)).code(),
      StatusCode::kInvalidArgument);
}

// The workspace of a larger picture takes the place of a smaller one's, which a graph still
// uses.
TEST_P(BackendOpsTest, ARecordedConvolutionOutlivesItsWorkspace) {
  TestMatrix weight(8, 72, type()), x(400, 8, type());
  weight.Fill(random_, 0.2f);
  x.Fill(random_);
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, type(), {8, 8, 3, 3}};
  spec.padding = 1;
  const auto convolution = backend_->PackConvolution(spec), exact_one = ref_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok());
  const OnDevice device_x(*backend_, x), small(*backend_, TestMatrix(16, 8, type())),
      large(*backend_, TestMatrix(400, 8, type()));
  const FeatureMap small_x = MapOf(device_x.get().Rows(0, 16), 1, 4, 4);
  const auto graph = backend_->CreateGraph();
  const auto run = [&] {
    return graph->Run([&] {
      return backend_->Convolve(small_x, **convolution, nullptr, true, MapOf(small, 1, 4, 4));
    });
  };
  ASSERT_STATUS_OK(run());
  ASSERT_STATUS_OK(run());
  ASSERT_STATUS_OK(backend_->Convolve(MapOf(device_x, 1, 20, 20), **convolution, nullptr, true,
                                      MapOf(large, 1, 20, 20)));
  ASSERT_STATUS_OK(run());
  TestMatrix exact(16, 8, DType::kF32);
  const TestMatrix exact_x = x.AsFloat();
  ASSERT_STATUS_OK(ref_->Convolve(MapOf(exact_x.get().Rows(0, 16), 1, 4, 4), **exact_one, nullptr,
                                  true, MapOf(exact, 1, 4, 4)));
  ExpectLikeExact(small, exact, "replayed");
}

TEST_P(BackendOpsTest, PreprocessesFramesOfHostMemory) {
  const PreprocessSpec spec = PlainSpec(32, 8, Fit::kCrop, Interpolation::kBicubic);
  std::vector<TestFrame> frames;
  for (const char* name : {"NV12", "RGB", "I420", "YUY2"}) {
    const Layout& layout = LayoutNamed(name);
    const int width = 60 + static_cast<int>(frames.size()) * 17;
    frames.push_back(MakeFrame(layout, width, 50, Noise(5, layout, width), 3));
  }
  const int64_t patches = 16, cols = 3 * 8 * 8;
  // Several batches in a row: both slots are used again while work is under way.
  for (int round = 0; round < 5; ++round) {
    const size_t count = 1 + round % frames.size();
    std::vector<FrameView> views;
    for (size_t i = 0; i < count; ++i) views.push_back(frames[(i + round) % frames.size()].view);
    const auto rows = static_cast<int64_t>(count) * patches;
    const OnDevice out(*backend_, TestMatrix(rows, cols, type()));
    TestMatrix exact(rows, cols, DType::kF32);
    ASSERT_STATUS_OK(backend_->Preprocess(views, spec, out));
    ASSERT_STATUS_OK(ref_->Preprocess(views, spec, exact));
    const std::vector<float> got = out.values(), want = exact.values();
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], want[i], 1.0 / 255 + (type() == DType::kF16 ? 5e-4 : 4e-3)) << i;
    }
  }
}

TEST_P(BackendOpsTest, AGraphReplays) {
  TestMatrix x(4, 32, DType::kF32);
  x.Fill(random_);
  const OnDevice device_x(*backend_, x);
  TestMatrix gamma(1, 32, DType::kF32);
  gamma.Set(std::vector<float>(32, 1.0f));
  const OnDevice g(*backend_, gamma), y(*backend_, TestMatrix(4, 32, DType::kF32));
  const auto graph = backend_->CreateGraph();
  int calls = 0;
  for (int run = 0; run < 5; ++run) {
    x.Fill(random_, 1.0f + static_cast<float>(run));
    ASSERT_STATUS_OK(
        backend_->CopyFromHost(x.get().data, 4 * 32 * sizeof(float), device_x.get().data));
    ASSERT_STATUS_OK(graph->Run([&] {
      ++calls;
      const Status status = backend_->LayerNorm(device_x, g.floats(), nullptr, 1e-5f, y);
      return status.ok() ? backend_->NormalizeRows(y) : status;
    }));
    TestMatrix exact(4, 32, DType::kF32);
    ASSERT_STATUS_OK(
        ref_->LayerNorm(x, static_cast<float*>(gamma.get().data), nullptr, 1e-5f, exact));
    ASSERT_STATUS_OK(ref_->NormalizeRows(exact));
    ExpectLikeExact(y, exact, "run " + std::to_string(run));
  }
  EXPECT_EQ(calls, 2) << "an ordinary run and the recorded one";
  if (const auto graphs = test_device::GraphsSoFar()) {
    EXPECT_EQ(graphs->captured, 1u);
    EXPECT_EQ(graphs->launched, 4u);
  }
}

INSTANTIATE_BACKEND_TESTS(BackendOpsTest);

}  // namespace
}  // namespace cliptag::cuda
