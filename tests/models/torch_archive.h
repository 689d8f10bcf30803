// PyTorch archives made by hand, so that tests can lie in every field of them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cliptag {

using ZipEntries = std::vector<std::pair<std::string, std::string>>;  // name, content

// A zip file of stored entries; `zip64`: with all numbers in the zip64 records.
std::string ZipFile(const ZipEntries& entries, bool zip64 = false);

std::string LittleEndian(uint64_t value, size_t bytes);

// Programs of pickle's machine that leave one value on its stack.
std::string PickledText(const std::string& text);
std::string PickledNumber(int64_t number);
std::string PickledTuple(const std::vector<std::string>& items);
std::string PickledNumbers(const std::vector<int64_t>& numbers);

struct HandmadeTensor {
  std::string storage = "FloatStorage", key = "0";
  int64_t elements = 6, offset = 0;
  std::vector<int64_t> shape = {2, 3}, strides = {3, 1};
};
std::string PickledTensorArguments(const HandmadeTensor& tensor);  // of _rebuild_tensor_v2
std::string PickledTensorValue(const HandmadeTensor& tensor);

// {"x": VALUE}, as a whole pickle.
std::string StateDict(const std::string& value);

// An archive with this pickle, and six floats (-3, -2, …) in data/0.
std::string Archive(const std::string& pickle, bool zip64 = false);

}  // namespace cliptag
