#include "models/weights/tensor_names.h"

#include <algorithm>
#include <initializer_list>
#include <set>

namespace cliptag {
namespace {

using Texts = std::initializer_list<std::string_view>;

bool IsOneOf(std::string_view text, Texts texts) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// Tensors of which every image tower has one.
constexpr std::string_view kFirst[] = {
    "visual.class_embedding",
    "visual.conv1.weight",
    "visual.trunk.patch_embed.proj.weight",
    "visual.trunk.patch_embed.backbone.0.conv.weight",
    "visual.trunk.stem.0.conv_kxk.0.conv.weight",
    "visual.trunk.stem.0.reparam_conv.weight",
    "vision_model.embeddings.class_embedding",
    "vision_model.embeddings.patch_embedding.weight",
};

}  // namespace

std::string Unwrapped(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    const bool last = dot == name.size();
    const std::string_view part = name.substr(0, dot);
    if (last || !IsOneOf(part, {"module", "_orig_mod", "_fsdp_wrapped_module",
                                "_checkpoint_wrapped_module"})) {
      out.append(name.substr(0, last ? dot : dot + 1));
    }
    name.remove_prefix(last ? dot : dot + 1);
  }
  return out;
}

std::vector<std::string> ModelPrefixes(const std::vector<std::string>& names) {
  std::set<std::string> found;
  for (const std::string& name : names) {
    for (const std::string_view first : kFirst) {
      if (!name.ends_with(first)) continue;
      const std::string prefix = name.substr(0, name.size() - first.size());
      if (prefix.empty() || prefix.back() == '.') found.insert(prefix);
    }
  }
  return {found.begin(), found.end()};
}

bool IsHarmless(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);  // all of it without a dot
  return IsOneOf(last, {"attn_mask", "position_ids", "num_batches_tracked"}) ||
         // OpenAI's numbers, and torch.optim.swa_utils' count.
         IsOneOf(name, {"input_resolution", "context_length", "vocab_size", "n_averaged"}) ||
         name.starts_with("text_decoder.") || name.starts_with("optimizer.");
}

}  // namespace cliptag
