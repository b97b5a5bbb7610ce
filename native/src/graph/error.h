#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace lutra::graph {

/// What went wrong, in the words of the contract: `code` is one of contract/errors.ts.
class GraphError : public std::runtime_error {
 public:
  GraphError(std::string code, const std::string& message, std::string hint = {}, std::string subject = {})
      : std::runtime_error(message), code_(std::move(code)), hint_(std::move(hint)), subject_(std::move(subject)) {}

  [[nodiscard]] const std::string& code() const { return code_; }
  [[nodiscard]] const std::string& hint() const { return hint_; }
  [[nodiscard]] const std::string& subject() const { return subject_; }

 private:
  std::string code_;
  std::string hint_;
  std::string subject_;
};

}  // namespace lutra::graph
