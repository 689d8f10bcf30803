// PyTorch's archives: what torch itself wrote (make_torch_files.py), and the same broken by chance.
#include "models/weights/torch_file.h"

#include <algorithm>
#include <cstring>

#include "models/weights/weights.h"
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
  EXPECT_EQ(Values(Must(file->Get("expanded"))), std::vector<float>(15, 1));
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

// make_checkpoints.py wrote them: NumPy's numbers, types, devices and objects beside the weights.
TEST(TorchFileTest, WhatATrainingLeavesBesideTheWeightsIsSkipped) {
  for (const char* name :
       {"epoch_2.pt", "epoch_4.pt", "model_state_dict_2.pt", "model_state_dict_4.pt"}) {
    SCOPED_TRACE(name);
    const auto weights = Must(Weights::OpenFile(TorchData(name)));
    EXPECT_EQ(weights->Names(),
              (std::vector<std::string>{"logit_scale", "visual.conv1.weight", "visual.expanded"}));
    EXPECT_EQ(Values(Must(weights->Get("visual.conv1.weight", {2, 3}))), kCounted);
    EXPECT_EQ(Values(Must(weights->Get("visual.expanded", {3, 2}))),
              (std::vector<float>{4, 5, 4, 5, 4, 5}));
    EXPECT_EQ(Must(weights->Scalar("logit_scale")), 2.0f);
  }
  ExpectError(OpenWeightFile(TorchData("two_models.pt")), StatusCode::kDataLoss,
              {"two_models.pt", "'model' (3 tensors)", "'ema.shadow' (3 tensors)", "alone"});
}

// A value of a few bytes must not become one of many.
TEST(TorchFileTest, ExpandedTensorsAreBounded) {
  const auto expanded = [](int64_t rows) {
    TempDir dir;
    dir.Write("a.pt",
              Archive(StateDict(PickledTensorValue({.shape = {rows, 2}, .strides = {0, 1}}))));
    return Must(OpenWeightFile(dir.File("a.pt")))->Get("x").status();
  };
  EXPECT_TRUE(expanded(1 << 10).ok());
  ExpectError(expanded((1 << 23) + 1), StatusCode::kUnsupported, {"'x'", "repeats"});
  ExpectError(expanded(int64_t{1} << 40), StatusCode::kUnsupported, {"'x'", "repeats"});
}

// Saved by what is not known here: nothing where nobody needs it, else an error with its name.
TEST(TorchFileTest, TensorsOfOtherKinds) {
  const std::string quantized = "ctorch._utils\n_rebuild_qtensor\n)R";
  const TorchContents contents = Must(Parse(
      Archive("\x80\x02}(" + PickledText("q") + quantized + PickledText("x") +
              PickledTensorValue({}) + PickledText("note") + "cargparse\nNamespace\n)\x81u.")));
  EXPECT_EQ(contents.tensors.size(), 2u);
  EXPECT_EQ(contents.tensors.at("x").refusal, "");
  EXPECT_NE(contents.tensors.at("q").refusal.find("torch._utils._rebuild_qtensor"),
            std::string::npos);
  const TorchContents int8 =
      Must(Parse(Archive(StateDict(PickledTensorValue({.storage = "QInt8Storage"})))));
  EXPECT_NE(int8.tensors.at("x").refusal.find("torch.QInt8Storage"), std::string::npos);
  // A parameter with attributes of its own, and a dictionary from Python 2.
  const std::string subclass =
      "ctorch._tensor\n_rebuild_from_type_v2\n" +
      PickledTuple({"ctorch._utils\n_rebuild_tensor_v2\n", "ctorch.nn.parameter\nParameter\n",
                    PickledTensorArguments({}), "}"}) +
      "R";
  const std::string pairs =
      "ccollections\nOrderedDict\n](]" + PickledText("x") + "a" + subclass + "ae\x85R.";
  EXPECT_EQ(Must(Parse(Archive("\x80\x02" + pairs))).tensors.at("x").shape,
            (std::vector<int64_t>{2, 3}));
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
