// Files of weights: PyTorch's archives and safetensors.
#include <cstring>
#include <span>

#include "models/io/json.h"
#include "models/prompts/bank_file.h"
#include "models/weights/safetensors.h"
#include "models/weights/torch_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/targets.h"
#include "tests/models/torch_archive.h"

namespace cliptag {
namespace {

const FuzzFolder& Folder() {
  static const FuzzFolder folder;
  return folder;
}

void RequireInside(const std::map<std::string, TensorInfo>& tensors, size_t file_bytes) {
  for (const auto& [name, info] : tensors) {
    Require(info.begin <= info.end && info.end <= file_bytes, "tensors lie in their file");
  }
}

// Every byte of every tensor, as one who loads them would read it.
void ReadTensors(const WeightFile& file) {
  for (const auto& [name, info] : file.tensors()) {
    const Result<HostTensor> tensor = file.Get(name);
    if (!tensor.ok()) {
      RequireReason(tensor.status());
      continue;
    }
    const auto bytes = static_cast<size_t>(tensor->elements()) * SizeOf(tensor->type);
    std::vector<char> copy(bytes);
    if (bytes > 0) std::memcpy(copy.data(), tensor->data, bytes);
    Require(info.shape == tensor->shape, "a tensor has the shape that is listed");
  }
}

// The same header over data of one element a tensor.
std::string Shrunk(const std::string& file) {
  std::map<std::string, std::string> metadata;
  const auto tensors = ParseSafetensors(std::as_bytes(std::span(file)), "seed", &metadata);
  Require(tensors.ok(), "the seeds can be read");
  Json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t at = 0;
  for (const auto& [name, info] : *tensors) {
    const size_t bytes = static_cast<size_t>(BitsOf(info.dtype)) / 8;
    header[name] = {{"dtype", info.dtype},
                    {"shape", std::vector<int64_t>(info.shape.size(), 1)},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  return LittleEndian(text.size(), 8) + text + std::string(at, '\x3c');
}

std::string EveryType() {
  Json header;
  size_t at = 0;
  for (const char* type : {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}) {
    const size_t bytes = 6 * static_cast<size_t>(BitsOf(type)) / 8;
    header[std::string("x.") + type] = {
        {"dtype", type}, {"shape", {2, 3}}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  return LittleEndian(text.size(), 8) + text + std::string(at, '\1');
}

std::string Bank() {
  PromptSpec spec;
  spec.bank = {"", "starter", std::string(64, 'a')};
  spec.templates = {"a photo of a {}."};
  for (int i = 0; i < 2; ++i) {
    TagSpec& tag = spec.tags.emplace_back();
    tag.label = i == 0 ? "fire" : "dog";
    tag.negatives = {"a sunset"};
    tag.threshold = 0.6;
    tag.row = std::make_shared<const std::vector<float>>(4, 0.5f);
  }
  const std::string path = Folder().File("bank.safetensors");
  Require(WriteBankFile(path, spec).ok(), "a bank can be written");
  const Result<std::string> bank = ReadFile(path);
  Require(bank.ok(), "a bank can be read back");
  return *bank;
}

// An archive of OpenAI's with the same tensors, which all have the same few bytes.
std::string ShrunkScript(const std::string& file) {
  const auto contents = ParseTorch(std::as_bytes(std::span(file)), "seed");
  Require(contents.ok() && contents->is_script, "the seeds can be read");
  std::string attributes;
  for (const auto& [name, info] : contents->tensors) {
    const std::vector<int64_t> none(info.shape.size(), 0);
    attributes += PickledText(name) + PickledTensorValue({.shape = info.shape, .strides = none});
  }
  return Archive(
      "\x80\x02"
      "c__torch__\nM\n)\x81}(" +
      attributes + "ub.");
}

}  // namespace

Status ReadFuzzedSafetensors(std::string_view bytes) {
  // A copy of exactly this size, so that a sanitizer sees a read behind the end.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  std::map<std::string, std::string> metadata;
  const auto tensors = ParseSafetensors(std::as_bytes(std::span(exact)), "file", &metadata);
  if (!tensors.ok()) return Refused(tensors.status());
  RequireInside(*tensors, exact.size());
  const std::string path = Folder().File("file.safetensors");
  Folder().Write("file.safetensors", bytes);
  const auto file = SafetensorsFile::Open(path);
  Require(file.ok() && (*file)->metadata() == metadata, "a file is read as its bytes are");
  ReadTensors(**file);
  const Result<PromptSpec> bank = ReadBankFile(path);
  if (!bank.ok()) {
    RequireReason(bank.status());
    return {};
  }
  for (const TagSpec& tag : bank->tags) {
    Require(tag.row != nullptr && !tag.row->empty(), "every tag of a bank has a row");
    Require(tag.row->size() == bank->tags.front().row->size(), "rows are as long as each other");
  }
  return {};
}

std::vector<std::string> SafetensorsSeeds() {
  std::vector<std::string> seeds = {EveryType(), Bank()};
  for (const char* model :
       {"hf/model", "hf-legacy-gelu-sharded-bf16/model-00002-of-00002", "openclip/open_clip_model",
        "coca/open_clip_model", "siglip-timm/open_clip_model"}) {
    seeds.push_back(Shrunk(ReadSource(std::string("tests/data/models/") + model + ".safetensors")));
  }
  return seeds;
}

Status ReadFuzzedTorch(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto contents = ParseTorch(std::as_bytes(std::span(exact)), "file");
  if (!contents.ok()) return Refused(contents.status());
  RequireInside(contents->tensors, exact.size());
  Folder().Write("file.pt", bytes);
  const auto file = OpenWeightFile(Folder().File("file.pt"));
  Require(file.ok() && (*file)->is_script() == contents->is_script,
          "a file is read as its bytes are");
  ReadTensors(**file);
  const Result<ModelConfig> config = ReadModelConfig(Folder().File("file.pt"));
  if (config.ok()) {
    RequireSound(*config);
  } else {
    RequireReason(config.status());
  }
  return {};
}

std::vector<std::string> TorchSeeds() {
  std::vector<std::string> seeds = {Archive(StateDict(PickledTensorValue({}))),
                                    Archive(StateDict(PickledTensorValue({})), true)};
  for (const char* name : {"checkpoint.pt", "kinds.bin", "kinds-protocol-4.bin", "script.pt"}) {
    seeds.push_back(ReadSource(std::string("tests/data/torch/") + name));
  }
  seeds.push_back(ShrunkScript(ReadSource("tests/data/models/openai/ViT-B-8.pt")));
  seeds.push_back(ShrunkScript(ReadSource("tests/data/models/openai-resnet/RN-4.pt")));
  return seeds;
}

}  // namespace cliptag
