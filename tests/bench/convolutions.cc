// The convolutions of CLIP's RN50, each shape once, and its averages: the list of cases.
#include <cmath>
#include <utility>

#include "tests/bench/bench.h"

namespace cliptag::bench {
namespace {

struct Layer {
  const char* name;
  int edge, in, out, kernel, stride;
  bool residual;
};

// Of a bottleneck: "in" makes it narrow, "window" looks around, "out" widens it again.
constexpr Layer kLayers[] = {
    {"stem1", 224, 8, 32, 3, 2, false},           {"stem2", 112, 32, 32, 3, 1, false},
    {"stem3", 112, 32, 64, 3, 1, false},          {"stage1_in", 56, 256, 64, 1, 1, false},
    {"stage1_window", 56, 64, 64, 3, 1, false},   {"stage1_out", 56, 64, 256, 1, 1, true},
    {"stage2_in", 28, 512, 128, 1, 1, false},     {"stage2_window", 28, 128, 128, 3, 1, false},
    {"stage2_out", 28, 128, 512, 1, 1, true},     {"stage3_in", 14, 1024, 256, 1, 1, false},
    {"stage3_window", 14, 256, 256, 3, 1, false}, {"stage3_out", 14, 256, 1024, 1, 1, true},
    {"stage4_in", 7, 2048, 512, 1, 1, false},     {"stage4_window", 7, 512, 512, 3, 1, false},
    {"stage4_out", 7, 512, 2048, 1, 1, true}};

FeatureMap NewMap(Buffers& buffers, int batch, int edge, int channels) {
  return {buffers.New(int64_t{batch} * edge * edge, channels, buffers.backend().compute_type()),
          batch, edge, edge};
}

Operation MakeConvolution(const Options& options, Backend& backend, const Layer& layer, int batch) {
  struct Set {
    std::unique_ptr<Convolution> convolution;
    FeatureMap x, residual, out;
  };
  struct State {
    Buffers buffers;
    std::vector<Set> sets;
  };
  const int64_t depth = int64_t{layer.in} * layer.kernel * layer.kernel;
  const std::vector<float> weights = RandomFloats(static_cast<size_t>(layer.out * depth),
                                                  1.0f / std::sqrt(static_cast<float>(depth)));
  ConvolutionSpec spec;
  spec.weight = {weights.data(), DType::kF32, {layer.out, layer.in, layer.kernel, layer.kernel}};
  spec.bias = {weights.data(), DType::kF32, {layer.out}};
  spec.stride = layer.stride;
  spec.padding = layer.kernel / 2;
  auto state = std::make_shared<State>(State{Buffers(backend), {}});
  const auto add_set = [&] {
    Set set{Check(backend.PackConvolution(spec)), {}, {}, {}};
    set.x = NewMap(state->buffers, batch, layer.edge, layer.in);
    const int edge = set.convolution->OutEdge(layer.edge);
    set.out = NewMap(state->buffers, batch, edge, layer.out);
    if (layer.residual) set.residual = NewMap(state->buffers, batch, edge, layer.out);
    state->sets.push_back(std::move(set));
  };
  add_set();
  const Set& first = state->sets.front();
  const auto map_bytes = [](const FeatureMap& m) {
    return static_cast<double>(m.pixels.rows * m.pixels.cols) *
           static_cast<double>(SizeOf(m.pixels.type));
  };
  Operation op;
  op.flops = 2.0 * static_cast<double>(first.out.pixels.rows * layer.out * depth);
  op.bytes =
      static_cast<double>(layer.out * depth) * static_cast<double>(SizeOf(backend.compute_type())) +
      map_bytes(first.x) + map_bytes(first.residual) + map_bytes(first.out);
  op.sets = ColdSets(options, static_cast<size_t>(op.bytes), 2);
  while (static_cast<int>(state->sets.size()) < op.sets) add_set();
  op.run = [&backend, state, layer](int i) {
    const Set& set = state->sets[static_cast<size_t>(i)];
    CLIPTAG_RETURN_IF_ERROR(backend.Convolve(
        set.x, *set.convolution, layer.residual ? &set.residual : nullptr, true, set.out));
    return backend.Sync();
  };
  return op;
}

Operation MakeAveragePool(const Options& options, Backend& backend, int edge, int batch) {
  constexpr int kChannels = 256;
  struct State {
    Buffers buffers;
    std::vector<std::pair<FeatureMap, FeatureMap>> sets;
  };
  auto state = std::make_shared<State>(State{Buffers(backend), {}});
  Operation op;
  op.bytes =
      1.25 * batch * edge * edge * kChannels * static_cast<double>(SizeOf(backend.compute_type()));
  op.sets = ColdSets(options, static_cast<size_t>(op.bytes), 2);
  for (int i = 0; i < op.sets; ++i) {
    const FeatureMap x = NewMap(state->buffers, batch, edge, kChannels);
    state->sets.emplace_back(x, NewMap(state->buffers, batch, edge / 2, kChannels));
  }
  op.run = [&backend, state](int i) {
    const auto& [x, out] = state->sets[static_cast<size_t>(i)];
    CLIPTAG_RETURN_IF_ERROR(backend.AveragePool(x, 2, out));
    return backend.Sync();
  };
  return op;
}

}  // namespace

std::vector<Case> ConvolutionCases(const Options& options, Backend& backend, int batch) {
  const std::string where =
      std::string(options.small ? "/tiny/" : "/RN50/") + std::to_string(batch);
  std::vector<Case> cases;
  for (Layer layer : kLayers) {
    if (options.small) layer = {layer.name, 6, 8, 8, layer.kernel, layer.stride, layer.residual};
    cases.push_back(
        {std::string("convolution/") + layer.name + where, [&options, &backend, layer, batch] {
           return MakeConvolution(options, backend, layer, batch);
         }});
  }
  const int edge = options.small ? 6 : 56;
  cases.push_back({"average_pool" + where, [&options, &backend, edge, batch] {
                     return MakeAveragePool(options, backend, edge, batch);
                   }});
  return cases;
}

}  // namespace cliptag::bench
