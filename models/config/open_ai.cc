// OpenAI's own archives (ViT-B-32.pt and its like): no configuration lies beside them, and all of
// it follows from the shapes of their tensors, as OpenAI's build_model and open_clip's
// build_model_from_openai_state_dict have it.
#include <cmath>

#include "models/config/reader.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

constexpr int kHeadWidth = 64;
constexpr char kResNetPosition[] = "visual.attnpool.positional_embedding";

// Only of OpenAI's own models is it known that they use QuickGELU; they are compiled, or hold these
// buffers.
bool IsOpenAi(const Weights& weights) {
  return weights.is_script() || (weights.Has("input_resolution") && weights.Has("vocab_size"));
}

class Shapes {
 public:
  Shapes(const Weights& weights, const std::string& file) : weights_(weights), file_(file) {}

  // One size of a tensor that has `dimensions`; 1 once something has failed.
  int Size(const std::string& tensor, size_t dimensions, size_t index) {
    if (!status_.ok()) return 1;
    const std::vector<int64_t> shape = weights_.Shape(tensor);
    if (shape.size() == dimensions && shape[index] > 0 && shape[index] <= kMost) {
      return static_cast<int>(shape[index]);
    }
    status_ = DataLoss(file_ + ": tensor '" + tensor + "' is missing or has an unlikely shape; " +
                       "nothing else says what the model looks like.");
    return 1;
  }
  // Places a side, by the position embeddings: theirs, and one more.
  int Grid(const std::string& tensor) {
    const int tokens = Size(tensor, 2, 0);
    const int grid = static_cast<int>(std::lround(std::sqrt(tokens - 1)));
    if (status_.ok() && (grid < 1 || grid * grid + 1 != tokens)) {
      status_ = DataLoss(file_ + ": tensor '" + tensor + "' has " + std::to_string(tokens) +
                         " rows, which are no square of places and one more.");
    }
    return grid;
  }
  // Blocks of a tower, counted by one of the tensors that each has.
  int Blocks(const std::string& prefix, const char* tensor = ".attn.in_proj_weight") {
    int count = 0;
    while (weights_.Has(prefix + std::to_string(count) + tensor)) ++count;
    if (status_.ok() && count == 0) {
      status_ = DataLoss(file_ + ": there is no '" + prefix + "0" + tensor +
                         "', and so a tower or stage without layers.");
    }
    return count;
  }
  const Status& status() const { return status_; }

 private:
  static constexpr int64_t kMost = 1 << 20;
  const Weights& weights_;
  const std::string& file_;
  Status status_;
};

TransformerConfig Tower(Shapes* shapes, int width, const std::string& blocks) {
  TransformerConfig out;
  out.width = width;
  out.layers = shapes->Blocks(blocks);
  out.heads = width / kHeadWidth;
  out.mlp_width = 4 * width;
  out.activation = Activation::kQuickGelu;
  return out;
}

VitConfig Vit(Shapes* shapes) {
  VitConfig out;
  out.transformer =
      Tower(shapes, shapes->Size("visual.conv1.weight", 4, 0), "visual.transformer.resblocks.");
  out.patch_size = shapes->Size("visual.conv1.weight", 4, 3);
  out.image_size = out.patch_size * shapes->Grid("visual.positional_embedding");
  return out;
}

ResNetConfig ResNet(Shapes* shapes) {
  ResNetConfig out;
  for (int stage = 0; stage < 4; ++stage) {
    out.layers[stage] =
        shapes->Blocks("visual.layer" + std::to_string(stage + 1) + ".", ".conv1.weight");
  }
  out.width = shapes->Size("visual.layer1.0.conv1.weight", 4, 0);
  out.heads = out.features() / kHeadWidth;
  out.image_size = 32 * shapes->Grid(kResNetPosition);
  return out;
}

}  // namespace

Status ReadOpenAiConfig(const std::string& file, ModelConfig* config) {
  CLIPTAG_ASSIGN_OR_RETURN(const auto weights, Weights::OpenFile(file));
  if (!IsOpenAi(*weights)) {
    return NotFound(file +
                    " is not one of OpenAI's archives and has no configuration beside it, from "
                    "which alone its activation is known; put the model's open_clip_config.json "
                    "or config.json there.");
  }
  Shapes shapes(*weights, file);
  config->layout = Layout::kOpenClip;
  config->embed_dim = shapes.Size("text_projection", 2, 1);
  if (weights->Has(kResNetPosition)) {
    config->vision = ResNet(&shapes);
  } else {
    config->vision = Vit(&shapes);
  }
  TextConfig& text = config->text;
  text.transformer = Tower(&shapes, shapes.Size("ln_final.weight", 1, 0), "transformer.resblocks.");
  text.context_length = shapes.Size("positional_embedding", 2, 0);
  text.vocab_size = shapes.Size("token_embedding.weight", 2, 0);
  text.pooling = TextPooling::kArgmax;
  CLIPTAG_RETURN_IF_ERROR(shapes.status());
  SetClipMeanAndStd(&config->preprocess);
  SetInput(config->vision, &config->preprocess);
  config->preprocess.interpolation = Interpolation::kBicubic;
  config->preprocess.fit = Fit::kCrop;
  return CheckConfig(*config, file);
}

}  // namespace cliptag
