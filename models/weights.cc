#include "models/weights.h"

#include <cstring>
#include <filesystem>

#include "kernels/base/half.h"

namespace cliptag {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

}  // namespace

float ToFloat(const void* data, DType type) {
  if (type == DType::kF32) {
    float value;
    std::memcpy(&value, data, 4);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, data, 2);
  return type == DType::kF16 ? HalfToFloat(half) : Bf16ToFloat(half);
}

std::string FindWeights(const std::string& directory, Layout layout) {
  std::vector<std::string> names = {"model.safetensors", "model.safetensors.index.json"};
  if (layout == Layout::kOpenClip) {
    // Beside a config.json the plain names belong to the Hugging Face layout.
    if (Exists(directory + "/config.json")) names.clear();
    names.insert(names.begin(),
                 {"open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
                  "open_clip_model.safetensors.index.json"});
  }
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    if (Exists(path)) return path;
  }
  return "";
}

Result<std::unique_ptr<Weights>> Weights::Open(const std::string& directory, Layout layout) {
  std::unique_ptr<Weights> weights(new Weights());
  weights->path_ = FindWeights(directory, layout);
  const std::string& path = weights->path_;
  if (path.empty()) {
    for (const char* pickle : {"pytorch_model.bin", "open_clip_pytorch_model.bin"}) {
      if (Exists(directory + "/" + pickle)) {
        return Unsupported(directory + "/" + pickle +
                           " is a pickle, which is not supported; convert it to safetensors.");
      }
    }
    return NotFound(
        "The model directory " + directory + " has no " +
        (layout == Layout::kOpenClip ? "open_clip_model.safetensors." : "model.safetensors."));
  }
  if (!path.ends_with(".index.json")) {
    CLIPTAG_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(path));
    for (const auto& [tensor, info] : file->tensors()) weights->files_[tensor] = file.get();
    weights->shards_.push_back(std::move(file));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(const auto index, ReadSafetensorsIndex(path));
    std::map<std::string, const SafetensorsFile*> opened;
    for (const auto& [tensor, name] : index) {
      const SafetensorsFile*& shard = opened[name];
      if (shard == nullptr) {
        CLIPTAG_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(directory + "/" + name));
        shard = file.get();
        weights->shards_.push_back(std::move(file));
      }
      if (shard->tensors().count(tensor) == 0) {
        return DataLoss(path + " says that tensor '" + tensor + "' is in " + name +
                        ", but it is not there.");
      }
      weights->files_[tensor] = shard;
    }
  }
  weights->StripPrefix();
  return weights;
}

// Checkpoints of wrapped models have "module." (open_clip strips it) or the base model's name
// (transformers strips it) before every tensor.
void Weights::StripPrefix() {
  for (const char* prefix : {"", "module.", "model.", "clip."}) {
    for (const char* probe :
         {"visual.class_embedding", "visual.conv1.weight", "visual.trunk.patch_embed.proj.weight",
          "vision_model.embeddings.class_embedding",
          "vision_model.embeddings.patch_embedding.weight"}) {
      if (files_.count(std::string(prefix) + probe) > 0) {
        prefix_ = prefix;
        return;
      }
    }
  }
}

Result<HostTensor> Weights::Get(const std::string& tensor, std::vector<int64_t> shape) const {
  const auto it = files_.find(prefix_ + tensor);
  if (it == files_.end()) {
    return DataLoss(path_ + ": tensor '" + prefix_ + tensor + "' of shape " + ShapeText(shape) +
                    " is missing.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(HostTensor out, it->second->Get(prefix_ + tensor));
  if (out.shape != shape) {
    return DataLoss(it->second->path() + ": tensor '" + prefix_ + tensor + "' has the shape " +
                    ShapeText(out.shape) + ", but the configuration asks for " + ShapeText(shape) +
                    ".");
  }
  return out;
}

Result<float> Weights::Scalar(const std::string& tensor) const {
  const auto it = files_.find(prefix_ + tensor);
  if (it == files_.end()) return DataLoss(path_ + ": '" + prefix_ + tensor + "' is missing.");
  CLIPTAG_ASSIGN_OR_RETURN(const HostTensor out, it->second->Get(prefix_ + tensor));
  if (out.elements() != 1) {
    return DataLoss(it->second->path() + ": tensor '" + prefix_ + tensor + "' has the shape " +
                    ShapeText(out.shape) + "; a single number is needed.");
  }
  return ToFloat(out.data, out.type);
}

}  // namespace cliptag
