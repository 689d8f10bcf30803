#include "plugin/cli/eval/report.h"

#include <nlohmann/json.hpp>
#include <opencv2/core/version.hpp>

#include "plugin/cli/eval/corruptions/corruptions.h"

namespace cliptag {

double MeanOfKind(const ZeroShotResult& result, size_t kind) {
  double sum = 0;
  for (size_t s = 0; s < kStrengths; ++s) sum += result.corrupted[kind * kStrengths + s].top1();
  return sum / kStrengths;
}

double MeanOfAll(const ZeroShotResult& result) {
  double sum = 0;
  for (size_t kind = 0; kind < CorruptionKinds().size(); ++kind) sum += MeanOfKind(result, kind);
  return sum / static_cast<double>(CorruptionKinds().size());
}

namespace {

using Json = nlohmann::ordered_json;

Json Numbers(const Accuracy& accuracy) {
  Json json = {{"top1", accuracy.top1()}};
  // Of five classes or fewer every picture's is among the first five.
  json["top5"] = accuracy.classes() > Accuracy::kTop ? Json(accuracy.top5()) : Json();
  json["mean_per_class"] = accuracy.mean_per_class();
  return json;
}

Json Classes(const ZeroShotResult& zero_shot) {
  Json list = Json::array();
  const Accuracy& clean = zero_shot.clean;
  for (int i = 0; i < clean.classes(); ++i) {
    const EvalClass& one = zero_shot.classes[static_cast<size_t>(i)];
    Json entry = {{"folder", one.folder}, {"label", one.label()}, {"names", one.names}};
    entry["pictures"] = clean.count_of(i);
    entry["top1"] = clean.count_of(i) > 0 ? Json(clean.top1_of(i)) : Json();
    entry["top5"] =
        clean.count_of(i) > 0 && clean.classes() > Accuracy::kTop ? Json(clean.top5_of(i)) : Json();
    list.push_back(std::move(entry));
  }
  return list;
}

Json Confusion(const Accuracy& accuracy) {
  Json rows = Json::array();
  for (int truth = 0; truth < accuracy.classes(); ++truth) {
    Json row = Json::array();
    for (int answer = 0; answer < accuracy.classes(); ++answer) {
      row.push_back(accuracy.confusion(truth, answer));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Json Answers(const ZeroShotResult& zero_shot) {
  Json list = Json::array();
  const auto label = [&](int i) { return zero_shot.classes[static_cast<size_t>(i)].label(); };
  for (const PictureAnswer& one : zero_shot.answers) {
    list.push_back({{"file", one.file},
                    {"time", one.time_s ? Json(*one.time_s) : Json()},
                    {"class", label(one.truth)},
                    {"answer", label(one.answer)},
                    {"cosine", one.cosine},
                    {"rank", one.rank}});
  }
  return list;
}

Json Corruptions(const EvalOptions& options, const ZeroShotResult& zero_shot) {
  const double clean = zero_shot.clean.top1();
  const auto relative = [&](double top1) { return clean > 0 ? Json(top1 / clean) : Json(); };
  Json kinds = Json::array();
  for (size_t k = 0; k < CorruptionKinds().size(); ++k) {
    const CorruptionKind& kind = CorruptionKinds()[k];
    Json strengths = Json::array();
    for (size_t s = 0; s < kStrengths; ++s) {
      Json one = {{"strength", s + 1}, {kind.parameter, kind.values[s]}};
      if (kind.second_parameter != nullptr) one[kind.second_parameter] = kind.second_values[s];
      one.update(Numbers(zero_shot.corrupted[k * kStrengths + s]));
      strengths.push_back(std::move(one));
    }
    const double mean = MeanOfKind(zero_shot, k);
    kinds.push_back({{"name", kind.name},
                     {"strengths", std::move(strengths)},
                     {"mean_top1", mean},
                     {"relative_to_clean", relative(mean)}});
  }
  const double mean = MeanOfAll(zero_shot);
  return {{"seed", options.seed},
          {"mean_top1", mean},
          {"relative_to_clean", relative(mean)},
          {"kinds", std::move(kinds)}};
}

Json RecallJson(const Recall& recall) {
  return {{"queries", recall.queries},
          {"recall@1", recall.at1},
          {"recall@5", recall.at5},
          {"recall@10", recall.at10},
          {"median_rank", recall.median_rank}};
}

Json Retrieval(const EvalOptions& options, const CaptionsResult& captions) {
  return {{"captions", options.captions},
          {"pictures", captions.pictures},
          {"texts", captions.texts},
          {"pairs", captions.pairs},
          {"image_to_text", RecallJson(captions.recall.image_to_text)},
          {"text_to_image", RecallJson(captions.recall.text_to_image)}};
}

Json Probe(const EvalOptions& options, const ProbeResult& probe) {
  Json points = Json::array();
  for (const ProbePoint& point : probe.points) {
    points.push_back({{"shots", point.shots == 0 ? Json("all") : Json(point.shots)},
                      {"top1", point.mean},
                      {"standard_deviation", point.deviation},
                      {"draws", point.top1}});
  }
  Json json = {{"train", options.train},
               {"pictures", probe.pictures},
               {"smallest_class", probe.smallest_class},
               {"l2", probe.l2},
               {"prior", probe.from_words ? "words" : "none"},
               {"seed", probe.seed},
               {"seeds", options.probe.seeds},
               {"shots", std::move(points)}};
  json["all"] = Numbers(probe.all);
  json["scale"] = probe.bank.scale;
  json["bank"] = options.bank.empty() ? Json() : Json(options.bank);
  return json;
}

}  // namespace

std::string ToJson(const EvalOptions& options, const EvalResult& result) {
  Json json;
  json["cliptag"] = CLIPTAG_VERSION;
  json["opencv"] = CV_VERSION;
  json["model"] = result.model;
  json["model_path"] = result.model_path;
  json["text_identity"] = result.text_identity;
  json["backend"] = ToString(result.backend.kind);
  json["precision"] = ToString(result.backend.precision);
  json["device"] = result.backend.description;
  if (result.zero_shot) {
    const ZeroShotResult& zero_shot = *result.zero_shot;
    json["dataset"] = options.dataset;
    json["templates"] = zero_shot.templates;
    json["pictures"] = zero_shot.clean.count();
    json["chance"] = 1.0 / zero_shot.clean.classes();
    json.update(Numbers(zero_shot.clean));
    json["classes"] = Classes(zero_shot);
    json["confusion"] = Confusion(zero_shot.clean);
    json["answers"] = Answers(zero_shot);
    if (!zero_shot.corrupted.empty()) json["corruptions"] = Corruptions(options, zero_shot);
  }
  if (result.captions) json["retrieval"] = Retrieval(options, *result.captions);
  if (result.probe) json["probe"] = Probe(options, *result.probe);
  json["unreadable"] = Json::array();
  for (const Unreadable& one : result.unreadable) {
    json["unreadable"].push_back({{"file", one.file}, {"why", one.why}});
  }
  // A file's name may be any bytes; JSON's strings are UTF-8.
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cliptag
