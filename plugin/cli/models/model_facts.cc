#include "plugin/cli/models/model_facts.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>

#include "models/weights/weight_file.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

// The files that hold the weights: one, or the shards of an index.
Result<std::vector<std::string>> WeightFiles(const ModelConfig& config) {
  const std::string path =
      config.weights_file.empty() ? FindWeights(config.path, config.layout) : config.weights_file;
  if (path.empty()) return NotFound("there is no file of weights in '" + config.path + "'");
  if (!path.ends_with(".index.json")) return std::vector<std::string>{path};
  CLIPTAG_ASSIGN_OR_RETURN(const auto index, ReadWeightIndex(path));
  std::set<std::string> names;
  for (const auto& [tensor, file] : index) names.insert(file);
  std::vector<std::string> files;
  files.reserve(names.size());
  for (const std::string& name : names) {
    files.push_back((std::filesystem::path(path).parent_path() / name).string());
  }
  return files;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void Count(const std::string& name, const TensorInfo& tensor, ModelFacts* facts) {
  // Integers (position ids) are no parameters.
  if (tensor.dtype.empty() || (tensor.dtype[0] != 'F' && tensor.dtype[0] != 'B')) return;
  if (tensor.dtype == "BOOL") return;
  if (Contains(name, ".running_")) return;  // what a batch norm has seen is none either
  int64_t elements = 1;
  for (int64_t size : tensor.shape) elements *= size;
  facts->parameters_by_type[tensor.dtype] += elements;
  if (Contains(name, "logit_")) {
    facts->other_parameters += elements;
  } else if (Contains(name, "visual") || Contains(name, "vision_model")) {
    facts->image_parameters += elements;
  } else {
    facts->text_parameters += elements;
  }
}

// The products of the blocks on `tokens` rows: Q, K, V and output, the two or three of the MLP, and
// attention.
double BlockFlops(const TransformerConfig& t, double tokens) {
  const double width = t.width, mlp = t.mlp_width;
  const double rows = 2 * tokens * (4 * width * width + (t.gated_mlp ? 3 : 2) * width * mlp);
  const double attention = 2 * 2 * tokens * tokens * width;
  return t.layers * (rows + attention);
}

// Every convolution at the edge it has, and the attention pooling.
double Flops(const ResNetConfig& resnet, int embed_dim) {
  const double width = resnet.width, features = resnet.features();
  int edge = (resnet.image_size + 1) / 2;
  const double stem = 3 * width / 2 + width / 2 * width / 2 + width / 2 * width;
  double sum = double{9} * edge * edge * stem, in = width;
  edge /= 2;
  for (int stage = 0; stage < 4; ++stage) {
    const double planes = width * (1 << stage);
    for (int i = 0; i < resnet.layers[stage]; ++i) {
      const double before = double(edge) * edge;
      if (i == 0 && stage > 0) edge /= 2;
      const double after = double(edge) * edge;
      sum += before * (in * planes + 9 * planes * planes) + after * planes * 4 * planes;
      if (i == 0) sum += after * in * 4 * planes;  // the shortcut
      in = 4 * planes;
    }
  }
  const double tokens = double(edge) * edge + 1;
  sum += features * (features + tokens * 2 * features + 2 * tokens + embed_dim);
  return 2 * sum;
}

// Every convolution at the edge it has, and attention. An edge is halved with what is left over.
double Flops(const FastVitConfig& fast, int embed_dim) {
  constexpr double kMixer = 9, kLarge = 49;  // pixels of windows
  double width = fast.stages.front().width;
  int edge = (fast.image_size + 1) / 2;
  double sum = double(edge) * edge * 9 * 3 * width;
  edge = (edge + 1) / 2;
  sum += double(edge) * edge * width * (9 + width);
  for (const FastVitConfig::Stage& stage : fast.stages) {
    const bool halves = &stage != &fast.stages.front();
    if (halves) edge = (edge + 1) / 2;
    width = stage.width;
    const double pixels = double(edge) * edge;
    if (halves) sum += pixels * width * (kLarge + width);
    if (stage.attention) sum += pixels * width * kLarge;
    const double mixing = stage.attention ? 4 * width * width + 2 * pixels * width : kMixer * width;
    sum += stage.layers * pixels * (mixing + kLarge * width + 2 * fast.mlp_ratio * width * width);
  }
  sum += double(edge) * edge * fast.features() * 9 + double(fast.features()) * embed_dim;
  return 2 * sum;
}

double Flops(const VitConfig& v, int embed_dim) {
  const double patch_values = 3.0 * v.patch_size * v.patch_size;
  const double width = v.transformer.width, embed = embed_dim;
  double head = 2 * width * embed;
  if (v.attention_pool != AttentionPool::kNone) {
    // Keys and values of all tokens; of the one query what it sees, its output and what follows.
    const double after =
        v.attention_pool == AttentionPool::kProbe ? 2.0 * v.transformer.mlp_width : embed;
    head = 2 * v.tokens() * width * 2 * embed + 2 * 2 * v.tokens() * embed +
           2 * embed * (embed + after);
  }
  double patches = patch_values * width;
  // Sixteen windows of 4 pixels, four of 2, and one, to a quarter of the width twice.
  if (v.conv_stem) patches = 16 * 48 * width / 4 + 4 * width * width / 4 + width * width;
  return 2 * v.patches() * patches + BlockFlops(v.transformer, v.tokens()) + head;
}

}  // namespace

Result<ModelFacts> ReadModelFacts(const ModelConfig& config) {
  ModelFacts facts;
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> weights, WeightFiles(config));
  for (const std::string& path : weights) {
    CLIPTAG_ASSIGN_OR_RETURN(const auto file, OpenWeightFile(path));
    for (const auto& [name, tensor] : file->tensors()) Count(name, tensor, &facts);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(config.path, error)) {
    if (!entry.is_regular_file(error)) continue;
    // Beside a file that was named on its own there may lie anything.
    const bool named = !config.weights_file.empty();
    if (named && entry.path().filename() != std::filesystem::path(config.weights_file).filename()) {
      continue;
    }
    facts.files.emplace_back(entry.path().filename().string(), entry.file_size(error));
  }
  std::sort(facts.files.begin(), facts.files.end());
  return facts;
}

int64_t DirectoryBytes(const std::string& directory) {
  int64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code unreadable;
    const uintmax_t size = it->file_size(unreadable);
    if (!unreadable && it->is_regular_file(unreadable)) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

double ImageFlops(const ModelConfig& config) {
  return std::visit([&](const auto& tower) { return Flops(tower, config.embed_dim); },
                    config.vision);
}

double TextFlops(const ModelConfig& config) {
  const TextConfig& t = config.text;
  return BlockFlops(t.transformer, t.context_length) + 2.0 * t.transformer.width * config.embed_dim;
}

std::string SizeText(int64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  double amount = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  for (; amount >= 999.5 && unit < 3; ++unit) amount /= 1000;
  char text[32];
  std::snprintf(text, sizeof(text), amount < 99.95 ? "%.1f %s" : "%.0f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace cliptag
