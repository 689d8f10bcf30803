// Errors as values: every call of the core that can fail returns a Status or a Result<T>. No
// exception leaves the core, and nothing in it aborts or prints. A message is one clear sentence
// that names what is wrong and, where possible, says what to do. Messages are shown through
// PlainSentence() (plain_text.h), so that another sentence may follow.
//
// Thread safety: plain values, no shared state.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace cliptag {

enum class StatusCode {
  kOk,
  kInvalidArgument,  // the caller or the user asked for something impossible
  kNotFound,         // a file, model, field or device does not exist
  kDataLoss,         // a file is truncated, hostile or contradicts itself
  kUnsupported,      // valid, but this build or machine cannot do it
  kResourceExhausted,
  kCancelled,  // flushed or stopped before it was done
  kInternal,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status InvalidArgument(std::string m) {
  return {StatusCode::kInvalidArgument, std::move(m)};
}
inline Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
inline Status DataLoss(std::string m) { return {StatusCode::kDataLoss, std::move(m)}; }
inline Status Unsupported(std::string m) { return {StatusCode::kUnsupported, std::move(m)}; }
inline Status ResourceExhausted(std::string m) {
  return {StatusCode::kResourceExhausted, std::move(m)};
}
inline Status Cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
inline Status Internal(std::string m) { return {StatusCode::kInternal, std::move(m)}; }

// A value, or the error that prevented it. Check ok() before value access.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T Take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

// Returns an error to the caller: `CLIPTAG_RETURN_IF_ERROR(DoIt());`
#define CLIPTAG_RETURN_IF_ERROR(expr)                                      \
  do {                                                                     \
    if (::cliptag::Status status_ = (expr); !status_.ok()) return status_; \
  } while (false)

#define CLIPTAG_CONCAT_INNER(a, b) a##b
#define CLIPTAG_CONCAT(a, b) CLIPTAG_CONCAT_INNER(a, b)
// `CLIPTAG_ASSIGN_OR_RETURN(auto file, Open(path));`
#define CLIPTAG_ASSIGN_OR_RETURN(decl, expr)                                                      \
  auto CLIPTAG_CONCAT(result_, __LINE__) = (expr);                                                \
  if (!CLIPTAG_CONCAT(result_, __LINE__).ok()) return CLIPTAG_CONCAT(result_, __LINE__).status(); \
  decl = CLIPTAG_CONCAT(result_, __LINE__).Take()

}  // namespace cliptag
