// OpenAI's own archives (ViT-B-32.pt and its like): no configuration lies beside them, and all of
// it follows from the shapes of their tensors, as OpenAI's build_model and open_clip's
// build_model_from_openai_state_dict have it.
#include <cmath>

#include "models/config/reader.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

constexpr int kHeadWidth = 64;

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
  // Blocks of a tower, counted by one of the tensors that each has.
  int Blocks(const std::string& prefix, const char* tensor = ".attn.in_proj_weight") const {
    int count = 0;
    while (weights_.Has(prefix + std::to_string(count) + tensor)) ++count;
    return count;
  }
  const Status& status() const { return status_; }

 private:
  static constexpr int64_t kMost = 1 << 20;
  const Weights& weights_;
  const std::string& file_;
  Status status_;
};

TransformerConfig Tower(int width, int layers) {
  TransformerConfig out;
  out.width = width;
  out.layers = layers;
  out.heads = width / kHeadWidth;
  out.mlp_width = 4 * width;
  out.activation = Activation::kQuickGelu;
  return out;
}

Result<ResNetConfig> ResNet(Shapes* shapes, const std::string& file) {
  ResNetConfig out;
  out.width = shapes->Size("visual.layer1.0.conv1.weight", 4, 0);
  out.heads = out.features() / kHeadWidth;
  for (int stage = 0; stage < 4; ++stage) {
    const std::string prefix = "visual.layer" + std::to_string(stage + 1) + ".";
    out.layers[stage] = shapes->Blocks(prefix, ".conv1.weight");
    if (out.layers[stage] == 0) {
      return DataLoss(file + ": there is no '" + prefix +
                      "0.conv1.weight', and so a stage of its ResNet without layers.");
    }
  }
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
  VisionConfig& vision = config->vision;
  const bool resnet = weights->Has("visual.attnpool.positional_embedding");
  if (resnet) {
    CLIPTAG_ASSIGN_OR_RETURN(vision.resnet, ResNet(&shapes, file));
    vision.patch_size = 1;
  } else {
    vision.transformer = Tower(shapes.Size("visual.conv1.weight", 4, 0),
                               shapes.Blocks("visual.transformer.resblocks."));
    vision.patch_size = shapes.Size("visual.conv1.weight", 4, 3);
  }
  const std::string position =
      resnet ? "visual.attnpool.positional_embedding" : "visual.positional_embedding";
  const int tokens = shapes.Size(position, 2, 0);
  const int grid = static_cast<int>(std::lround(std::sqrt(tokens - 1)));
  vision.image_size = grid * (resnet ? 32 : vision.patch_size);
  TextConfig& text = config->text;
  text.transformer =
      Tower(shapes.Size("ln_final.weight", 1, 0), shapes.Blocks("transformer.resblocks."));
  text.context_length = shapes.Size("positional_embedding", 2, 0);
  text.vocab_size = shapes.Size("token_embedding.weight", 2, 0);
  text.pooling = TextPooling::kArgmax;
  CLIPTAG_RETURN_IF_ERROR(shapes.status());
  if ((!resnet && vision.transformer.layers == 0) || text.transformer.layers == 0) {
    return DataLoss(file + ": there is no 'resblocks.0.attn.in_proj_weight' in one of its towers.");
  }
  if (grid < 1 || grid * grid + 1 != tokens) {
    return DataLoss(file + ": tensor '" + position + "' has " + std::to_string(tokens) +
                    " rows, which are no square of places and one more.");
  }
  SetClipMeanAndStd(&config->preprocess);
  config->preprocess.size = vision.image_size;
  config->preprocess.patch = vision.patch_size;
  config->preprocess.interpolation = Interpolation::kBicubic;
  config->preprocess.fit = Fit::kCrop;
  return CheckConfig(*config, file);
}

}  // namespace cliptag
