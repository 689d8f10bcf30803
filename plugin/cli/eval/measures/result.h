// What `cliptag eval` is asked for and what it finds.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "plugin/cli/eval/measures/classes.h"
#include "plugin/cli/eval/measures/linear_probe.h"
#include "plugin/cli/eval/measures/metrics.h"
#include "plugin/cli/options.h"

namespace cliptag {

struct EvalOptions {
  ModelOptions model;
  InputOptions input;  // its files are the dataset's
  std::string dataset, class_names;
  std::string templates, templates_file;
  bool corruptions = false;
  std::string dump_corruptions;  // a folder; empty: nothing is kept
  uint64_t seed = 1;
  std::string captions;
  ProbeOptions probe;
  std::string train;  // a folder; empty: no probe
  std::string bank;   // a file for the probe; empty: none
  bool json = false;
  std::string plot;
};

// A picture that counts for nothing, and why.
struct Unreadable {
  std::string file, why;
};

// What the model took a picture, or a frame of a video, for.
struct PictureAnswer {
  std::string file;
  std::optional<double> time_s;
  int truth = 0, answer = 0;
  int rank = 1;      // of the truth
  float cosine = 0;  // with the answer
};

// Embeddings with the class of each.
struct LabelledEmbeddings {
  size_t dim = 0;
  std::vector<float> rows;  // (labels, dim)
  std::vector<int> labels;
};

struct ZeroShotResult {
  std::vector<EvalClass> classes;
  std::vector<std::string> templates;
  std::vector<float> class_rows;  // (classes, dim), unit length
  Accuracy clean;
  std::vector<PictureAnswer> answers;
  LabelledEmbeddings embeddings;
  std::vector<Accuracy> corrupted;  // (kinds, strengths), or empty
};

struct CaptionsResult {
  size_t pictures = 0, texts = 0, pairs = 0;  // that could be read
  RetrievalResult recall;
};

struct EvalResult {
  std::string model, model_path, text_identity;
  BackendInfo backend;
  std::optional<ZeroShotResult> zero_shot;
  std::optional<CaptionsResult> captions;
  std::optional<ProbeResult> probe;
  std::vector<Unreadable> unreadable;
};

}  // namespace cliptag
