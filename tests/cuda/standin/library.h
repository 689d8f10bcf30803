// What the stand-ins of cuBLASLt and cuDNN share: numbered objects that Reset() forgets, and
// operands in device memory that are looked up when a call is made and again when it runs.
//
// Threads: guarded by the mutex of Runtime.
#pragma once

#include <string>
#include <vector>

#include "tests/cuda/standin/product.h"
#include "tests/cuda/standin/runtime.h"

namespace cliptag::standin {

// A part of device memory that an operation reads or writes.
struct Operand {
  const char* name = "";
  const void* data = nullptr;
  size_t bytes = 0;
};

// A sentence about the first operand that is not inside an allocation of the current device; empty
// if all are.
std::string FindStray(Runtime& runtime, const std::vector<Operand>& operands, int device);
bool Overlap(const Operand& a, const Operand& b);

// Puts library work into a stream. Operands are looked up again when it runs, since graphs replay
// it; the workspace is poisoned then.
cudaError_t EnqueueLibraryWork(Runtime& runtime, const std::shared_ptr<Stream>& stream,
                               const std::string& name, std::vector<Operand> operands,
                               void* workspace, size_t workspace_bytes, std::function<void()> work);

template <typename Opaque, typename T>
class LibraryObjects {
 public:
  explicit LibraryObjects(uintptr_t kind) : handles_(kind) {}

  Opaque* Add(Runtime& runtime) {
    Refresh(runtime);
    ++runtime.library_objects;
    return handles_.Add(std::make_shared<T>());
  }
  T* Find(Runtime& runtime, const Opaque* handle) {
    Refresh(runtime);
    return handles_.Find(const_cast<Opaque*>(handle)).get();
  }
  bool Remove(Runtime& runtime, Opaque* handle) {
    Refresh(runtime);
    if (!handles_.Remove(handle)) return false;
    --runtime.library_objects;
    return true;
  }

 private:
  void Refresh(Runtime& runtime) {
    if (epoch_ != runtime.epoch()) handles_.Clear();
    epoch_ = runtime.epoch();
  }

  Handles<Opaque, T> handles_;
  uint64_t epoch_ = 0;
};

}  // namespace cliptag::standin
