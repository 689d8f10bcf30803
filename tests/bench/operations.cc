// Every operation of kernels/backend.h at the shapes of an image encoder: the list of cases.
#include <cmath>
#include <utility>

#include "tests/bench/bench.h"
#include "tests/bench/shapes.h"

namespace cliptag::bench {
namespace {

constexpr int kLayers = 12;  // of weights, at least, that cold products rotate through

// What the cases of one shape and batch share. Lives as long as the longest Operation.
struct Context {
  Backend& backend;
  const Options& options;
  const Shape shape;
  const int batch;

  int64_t rows() const { return int64_t{batch} * shape.tokens(); }
  DType type() const { return backend.compute_type(); }
};
using ContextPtr = std::shared_ptr<const Context>;

struct Product {
  const char* name;
  int64_t rows, out, in;
  Activation activation;
  bool accumulate, to_f32, precise;
};

std::unique_ptr<Linear> PackRandom(Backend& backend, int64_t out, int64_t in, bool precise) {
  const std::vector<float> weights =
      RandomFloats(static_cast<size_t>(out * in), 1.0f / std::sqrt(static_cast<float>(in)));
  LinearSpec spec;
  spec.weights.push_back({weights.data(), DType::kF32, {out, in}});
  spec.biases.push_back({weights.data(), DType::kF32, {out}});
  spec.precise = precise;
  return Check(backend.PackLinear(spec));
}

Operation MakeProduct(const ContextPtr& c, const Product& p) {
  struct State {
    Buffers buffers;
    std::vector<std::unique_ptr<Linear>> linears;
    Matrix x, out;
  };
  auto state = std::make_shared<State>(State{Buffers(c->backend), {}, {}, {}});
  state->linears.push_back(PackRandom(c->backend, p.out, p.in, p.precise));
  const size_t bytes = state->linears[0]->bytes();
  const int sets = ColdSets(c->options, bytes, kLayers);
  while (static_cast<int>(state->linears.size()) < sets) {
    state->linears.push_back(PackRandom(c->backend, p.out, p.in, p.precise));
  }
  for (const auto& linear : state->linears) Check(c->backend.PrepareGemm(*linear, p.rows));
  state->x = state->buffers.New(p.rows, p.in, c->type());
  state->out = state->buffers.New(p.rows, p.out, p.to_f32 ? DType::kF32 : c->type());
  Operation op;
  op.flops = 2.0 * static_cast<double>(p.rows) * static_cast<double>(p.out * p.in);
  op.bytes = static_cast<double>(bytes);
  op.sets = sets;
  op.run = [c, state, p](int i) {
    CLIPTAG_RETURN_IF_ERROR(c->backend.Gemm(state->x, *state->linears[static_cast<size_t>(i)],
                                            p.activation, p.accumulate, state->out));
    return c->backend.Sync();
  };
  return op;
}

// Operations on matrices: `make` gives one set of them, and what runs on it.
using Runner = std::function<Status()>;
Operation MakeRows(const ContextPtr& c, double bytes, double flops,
                   const std::function<Runner(Buffers&)>& make) {
  const int sets = ColdSets(c->options, static_cast<size_t>(bytes), 2);
  auto buffers = std::make_shared<Buffers>(c->backend);
  auto runners = std::make_shared<std::vector<Runner>>();
  for (int i = 0; i < sets; ++i) runners->push_back(make(*buffers));
  Operation op{flops, bytes, sets, {}};
  op.run = [c, buffers, runners](int i) {
    CLIPTAG_RETURN_IF_ERROR((*runners)[static_cast<size_t>(i)]());
    return c->backend.Sync();
  };
  return op;
}

Operation MakeAttention(const ContextPtr& c, int q_tokens) {
  const int64_t width = c->shape.width, rows = c->rows();
  const int64_t q_rows = int64_t{c->batch} * q_tokens;
  const double size = static_cast<double>(SizeOf(c->type()));
  const double bytes =
      static_cast<double>(2 * rows + 2 * q_rows) * static_cast<double>(width) * size;
  const double flops = 4.0 * static_cast<double>(q_rows * width) * c->shape.tokens();
  return MakeRows(c, bytes, flops, [=](Buffers& b) -> Runner {
    const Matrix qkv = b.New(rows, 3 * width, c->type());
    AttentionArgs args;
    args.q = qkv.Cols(0, width).Rows(0, q_rows);
    args.k = qkv.Cols(width, width);
    args.v = qkv.Cols(2 * width, width);
    args.out = b.New(q_rows, width, c->type());
    args.batch = c->batch;
    args.q_tokens = q_tokens;
    args.kv_tokens = c->shape.tokens();
    args.heads = c->shape.heads;
    args.head_dim = c->shape.width / c->shape.heads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(args.head_dim));
    return [c, args] { return c->backend.Attention(args); };
  });
}

Operation MakeLayerNorm(const ContextPtr& c) {
  const int64_t width = c->shape.width, rows = c->rows();
  const double bytes = static_cast<double>(rows * width) * (4.0 + double(SizeOf(c->type())));
  return MakeRows(c, bytes, 0, [=](Buffers& b) -> Runner {
    const Matrix x = b.New(rows, width, DType::kF32), out = b.New(rows, width, c->type());
    const auto* gamma = static_cast<const float*>(b.New(1, width, DType::kF32).data);
    return [=] { return c->backend.LayerNorm(x, gamma, gamma, 1e-5f, out); };
  });
}

Operation MakeAssembleTokens(const ContextPtr& c) {
  const int64_t width = c->shape.width, rows = c->rows(), patches = rows - c->batch;
  return MakeRows(
      c, static_cast<double>((rows + patches) * width) * 4, 0, [=](Buffers& b) -> Runner {
        const Matrix in = b.New(patches, width, DType::kF32), out = b.New(rows, width, DType::kF32);
        const Matrix position = b.New(c->shape.tokens(), width, DType::kF32);
        const auto* token = static_cast<const float*>(b.New(1, width, DType::kF32).data);
        return [=] { return c->backend.AssembleTokens(in, token, position, c->batch, out); };
      });
}

Operation MakeEmbedTokens(const ContextPtr& c) {
  const int tokens = c->options.small ? 4 : 16, vocabulary = c->options.small ? 64 : 49408;
  const int64_t rows = int64_t{c->batch} * tokens, width = c->shape.width;
  return MakeRows(c, static_cast<double>(rows * width) * 8, 0, [=](Buffers& b) -> Runner {
    static thread_local int seed = 1;
    const Matrix table = b.New(vocabulary / 16, width, DType::kF32);
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < rows; ++i) {
      ids.push_back(static_cast<int32_t>((i * 977 + 31 * seed++) % table.rows));
    }
    const int32_t* place = b.Indices(std::move(ids));
    const Matrix position = b.New(tokens, width, DType::kF32);
    const Matrix out = b.New(rows, width, DType::kF32);
    return [=] { return c->backend.EmbedTokens(place, table, position, tokens, out); };
  });
}

Operation MakeGatherRows(const ContextPtr& c) {
  const int64_t width = c->shape.width;
  return MakeRows(c, static_cast<double>(c->batch * width) * 8, 0, [=](Buffers& b) -> Runner {
    const Matrix x = b.New(c->rows(), width, DType::kF32),
                 out = b.New(c->batch, width, DType::kF32);
    std::vector<int32_t> rows;
    for (int i = 0; i < c->batch; ++i) rows.push_back(i * c->shape.tokens());
    const int32_t* place = b.Indices(std::move(rows));
    return [=] { return c->backend.GatherRows(x, place, out); };
  });
}

Operation MakeNormalizeRows(const ContextPtr& c) {
  return MakeRows(c, static_cast<double>(c->batch) * c->shape.embed * 8, 0,
                  [=](Buffers& b) -> Runner {
                    const Matrix x = b.New(c->batch, c->shape.embed, DType::kF32);
                    return [=] { return c->backend.NormalizeRows(x); };
                  });
}

Operation MakeSimilarity(const ContextPtr& c, int prompts) {
  const int64_t dim = c->shape.embed;
  const double flops = 2.0 * c->batch * prompts * static_cast<double>(dim);
  return MakeRows(c, static_cast<double>(prompts * dim) * 4, flops, [=](Buffers& b) -> Runner {
    const Matrix x = b.New(c->batch, dim, DType::kF32), bank = b.New(prompts, dim, DType::kF32);
    const Matrix cosines = b.New(c->batch, prompts, DType::kF32);
    return [=] { return c->backend.Similarity(x, bank, cosines); };
  });
}

Operation MakeCopy(const ContextPtr& c, bool to_host) {
  const int64_t rows = c->batch, cols = c->shape.embed;
  return MakeRows(c, static_cast<double>(rows * cols) * 8, 0, [=](Buffers& b) -> Runner {
    const Matrix m = b.New(rows, cols, DType::kF32);
    auto host = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
    if (to_host) return [=] { return c->backend.CopyToHost(m, host->data()); };
    return [=] { return c->backend.CopyFromHost(host->data(), host->size() * 4, m.data); };
  });
}

// Loading: how fast weights are packed. One set: it is not done again and again.
Operation MakePackLinear(const ContextPtr& c) {
  const int64_t out = c->shape.mlp(), in = c->shape.width;
  auto weights = std::make_shared<std::vector<float>>(RandomFloats(size_t(out * in), 0.03f));
  Operation op{0, static_cast<double>(out * in) * 4, 1, {}};
  op.run = [=](int) {
    LinearSpec spec;
    spec.weights.push_back({weights->data(), DType::kF32, {out, in}});
    return c->backend.PackLinear(spec).status();
  };
  return op;
}

void AddProducts(const ContextPtr& c, const std::string& where, std::vector<Case>* cases) {
  const Shape& s = c->shape;
  const int64_t rows = c->rows(), w = s.width, m = s.mlp();
  const auto none = Activation::kNone;
  const Product products[] = {
      {"gemm/patch", rows - c->batch, w, int64_t{3} * s.patch * s.patch, none, false, true, true},
      {"gemm/qkv", rows, 3 * w, w, none, false, false, false},
      {"gemm/out", rows, w, w, none, true, true, false},
      {"gemm/fc1", rows, m, w, s.activation, false, false, false},
      {"gemm/fc2", rows, w, m, none, true, true, false},
      {"gemm/projection", c->batch, s.embed, w, none, false, true, true}};
  for (const Product& p : products) {
    cases->push_back({p.name + where, [c, p] { return MakeProduct(c, p); }});
  }
}

}  // namespace

std::vector<Case> OperationCases(const Options& options, Backend& backend, const Shape& shape,
                                 int batch) {
  const auto c = std::make_shared<const Context>(Context{backend, options, shape, batch});
  const std::string where = "/" + shape.name + "/" + std::to_string(batch);
  std::vector<Case> cases;
  AddProducts(c, where, &cases);
  const auto add = [&](const char* name, std::function<Operation()> make) {
    cases.push_back({name + where, std::move(make)});
  };
  const int bank = options.small ? 20 : 1000, large_bank = options.small ? 50 : 10'000;
  add("attention", [c] { return MakeAttention(c, c->shape.tokens()); });
  add("attention_pooled", [c] { return MakeAttention(c, 1); });
  add("layer_norm", [c] { return MakeLayerNorm(c); });
  add("assemble_tokens", [c] { return MakeAssembleTokens(c); });
  add("embed_tokens", [c] { return MakeEmbedTokens(c); });
  add("gather_rows", [c] { return MakeGatherRows(c); });
  add("normalize_rows", [c] { return MakeNormalizeRows(c); });
  add("similarity_1000", [=] { return MakeSimilarity(c, bank); });
  add("similarity_10000", [=] { return MakeSimilarity(c, large_bank); });
  add("copy_to_host", [c] { return MakeCopy(c, true); });
  add("copy_from_host", [c] { return MakeCopy(c, false); });
  add("pack_linear", [c] { return MakePackLinear(c); });
  return cases;
}

}  // namespace cliptag::bench
