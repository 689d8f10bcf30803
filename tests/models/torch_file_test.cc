// PyTorch's archives: what torch itself wrote (make_torch_files.py), and the same broken by chance.
#include "models/torch_file.h"

#include <algorithm>
#include <cstring>

#include "models/weights.h"
#include "tests/models/model_test.h"
#include "tests/models/torch_archive.h"

namespace cliptag {
namespace {

std::string TorchData(const std::string& name) { return DataDir() + "/torch/" + name; }

Result<TorchContents> Parse(const std::string& file) {
  // A copy of exactly this size, so that a sanitizer sees a read behind the end.
  const std::vector<char> exact(file.begin(), file.end());
  return ParseTorch(std::as_bytes(std::span(exact)), "F");
}

std::vector<float> Values(const HostTensor& tensor) {
  std::vector<float> out;
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    out.push_back(ElementOf(tensor, i));
  }
  return out;
}

const std::vector<float> kCounted = {-3, -2, -1, 0, 1, 2};

class TorchKindsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchKindsTest, EveryTypeAndView) {
  const auto file = Must(OpenWeightFile(TorchData(GetParam())));
  EXPECT_FALSE(file->is_script());
  EXPECT_EQ(file->tensors().size(), 15u);
  for (const char* name : {"f32", "f16", "bf16", "f64", "transposed", "tail", "transposed_f16",
                           "transposed_f64", "parameter"}) {
    SCOPED_TRACE(name);
    const HostTensor tensor = Must(file->Get(name));
    if (std::string(name).starts_with("transposed")) {
      // torch writes numbers(3, 2).t(): rows of the transposed matrix.
      EXPECT_EQ(tensor.shape, (std::vector<int64_t>{3, 2}));
    } else {
      EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
    }
    EXPECT_EQ(Values(tensor), kCounted);
  }
  const HostTensor columns = Must(file->Get("columns"));
  EXPECT_EQ(columns.shape, (std::vector<int64_t>{4, 3}));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(Values(columns)[i], static_cast<float>(i - 3));
  EXPECT_EQ(Values(Must(file->Get("scalar"))), std::vector<float>{4.5f});
  EXPECT_EQ(Must(file->Get("empty")).elements(), 0);
  EXPECT_EQ(Must(file->Get("f64")).type, DType::kF32);
  EXPECT_EQ(Must(file->Get("transposed_f16")).type, DType::kF16);
  // Asked for twice, a tensor that had to be copied is the same one.
  EXPECT_EQ(Must(file->Get("transposed")).data, Must(file->Get("transposed")).data);
  ExpectError(file->Get("expanded"), StatusCode::kUnsupported, {"'expanded'", "repeats"});
  ExpectError(file->Get("ids"), StatusCode::kUnsupported, {"'ids'", "I64"});
  ExpectError(file->Get("flags"), StatusCode::kUnsupported, {"'flags'", "BOOL"});
  ExpectError(file->Get("none"), StatusCode::kNotFound, {"'none'"});
}

INSTANTIATE_TEST_SUITE_P(Torch, TorchKindsTest,
                         ::testing::Values("kinds.bin", "kinds-protocol-4.bin"),
                         [](const auto& info) { return info.index == 0 ? "Usual" : "Protocol4"; });

TEST(TorchFileTest, TensorsAreUsedWhereTheyLie) {
  const std::string bytes = ReadAll(TorchData("kinds.bin"));
  const TorchContents contents = Must(Parse(bytes));
  const TensorInfo& info = contents.tensors.at("f32");
  EXPECT_EQ(info.begin % 64, 0u);
  float first = 0;
  std::memcpy(&first, bytes.data() + info.begin, sizeof(first));
  EXPECT_EQ(first, -3.0f);
  EXPECT_EQ(info.end - info.begin, 24u);
}

TEST(TorchFileTest, CheckpointsHoldTheirStateDict) {
  const auto file = Must(OpenWeightFile(TorchData("checkpoint.pt")));
  EXPECT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(Values(Must(file->Get("module.f16"))), kCounted);
}

TEST(TorchFileTest, CompiledModelsHoldTheirAttributes) {
  const auto file = Must(OpenWeightFile(TorchData("script.pt")));
  EXPECT_TRUE(file->is_script());
  EXPECT_EQ(Must(file->Get("inner.weight")).shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(Must(file->Get("inner.bias")).type, DType::kF16);
  EXPECT_EQ(file->tensors().count("count"), 1u);
}

TEST(TorchFileTest, WhatIsNoStateDictIsRefusedByName) {
  ExpectError(OpenWeightFile(TorchData("old.bin")), StatusCode::kUnsupported,
              {"old.bin", "before PyTorch 1.6", "torch.save()"});
  ExpectError(OpenWeightFile(TorchData("calls.bin")), StatusCode::kUnsupported,
              {"calls.bin", "__builtin__.print", "nothing from a pickle is run"});
  ExpectError(OpenWeightFile(TorchData("list.bin")), StatusCode::kDataLoss, {"list.bin", "a list"});
}

TEST(TorchFileTest, HandmadeArchivesLoad) {
  for (const bool zip64 : {false, true}) {
    const TorchContents contents = Must(Parse(Archive(StateDict(PickledTensorValue({})), zip64)));
    EXPECT_EQ(contents.tensors.at("x").dtype, "F32");
    EXPECT_EQ(contents.tensors.at("x").end - contents.tensors.at("x").begin, 24u);
  }
}

}  // namespace
}  // namespace cliptag
