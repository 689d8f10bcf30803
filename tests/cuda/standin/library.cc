#include "tests/cuda/standin/library.h"

#include <cstring>

namespace cliptag::standin {

std::string FindStray(Runtime& runtime, const std::vector<Operand>& operands, int device) {
  for (const Operand& operand : operands) {
    const auto* block = runtime.memory.Find(operand.data, operand.bytes);
    if (block == nullptr) {
      return std::string(operand.name) + ": " + std::to_string(operand.bytes) +
             " bytes that are not inside one allocation on the device";
    }
    if (block->device != device) return std::string(operand.name) + " is on another device";
  }
  return "";
}

bool Overlap(const Operand& a, const Operand& b) {
  const auto a_start = reinterpret_cast<uintptr_t>(a.data);
  const auto b_start = reinterpret_cast<uintptr_t>(b.data);
  return a_start < b_start + b.bytes && b_start < a_start + a.bytes;
}

cudaError_t EnqueueLibraryWork(Runtime& runtime, const std::shared_ptr<Stream>& stream,
                               const std::string& name, std::vector<Operand> operands,
                               void* workspace, size_t workspace_bytes,
                               std::function<void()> work) {
  if (workspace_bytes > 0) operands.push_back({"the workspace", workspace, workspace_bytes});
  const int device = stream->device;
  return runtime.Enqueue(
      stream,
      std::make_shared<Operation>(Operation{
          name, [&runtime, operands, device, workspace, workspace_bytes, work]() -> Outcome {
            const std::string stray = FindStray(runtime, operands, device);
            if (!stray.empty()) return {cudaErrorIllegalAddress, stray};
            if (workspace_bytes > 0) std::memset(workspace, 0xff, workspace_bytes);
            work();
            return {};
          }}));
}

}  // namespace cliptag::standin
