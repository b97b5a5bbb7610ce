#include "core/json.h"

#include <charconv>
#include <cmath>
#include <unordered_set>

namespace lutra::core {
namespace {

/// Thrown within this file only, and caught at its edge.
struct Fault {
  std::size_t at;
  const char* what;
};

class Parser {
 public:
  Parser(std::string_view text, JsonLimits limits) : text_(text), limits_(limits) {}

  Json whole_text() {
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("there is text after the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const char* what) const { throw Fault{at_, what}; }

  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  void expect(char wanted, const char* what) {
    if (at_ >= text_.size() || text_[at_] != wanted) fail(what);
    ++at_;
  }

  Json parse_value(std::size_t depth) {
    if (depth > limits_.depth) fail("it is nested too deeply");
    if (++values_ > limits_.values) fail("it has too many values");
    skip_space();
    switch (peek()) {
      case '{':
        return parse_object(depth);
      case '[':
        return parse_array(depth);
      case '"':
        return Json(parse_string());
      case 't':
        return parse_word("true", Json(true));
      case 'f':
        return parse_word("false", Json(false));
      case 'n':
        return parse_word("null", Json());
      default:
        return parse_number();
    }
  }

  Json parse_word(std::string_view word, Json value) {
    if (text_.substr(at_, word.size()) != word) fail("a value is misspelt");
    at_ += word.size();
    return value;
  }

  Json parse_object(std::size_t depth) {
    ++at_;
    Json::Object members;
    std::unordered_set<std::string> names;
    skip_space();
    if (peek() == '}') {
      ++at_;
      return Json(std::move(members));
    }
    for (;;) {
      skip_space();
      std::string name = parse_string();
      if (!names.insert(name).second) fail("a name is there twice");
      skip_space();
      expect(':', "a colon is missing");
      Json value = parse_value(depth + 1);
      members.emplace_back(std::move(name), std::move(value));
      skip_space();
      if (peek() == ',') {
        ++at_;
        continue;
      }
      expect('}', "an object does not end");
      return Json(std::move(members));
    }
  }

  Json parse_array(std::size_t depth) {
    ++at_;
    Json::Array items;
    skip_space();
    if (peek() == ']') {
      ++at_;
      return Json(std::move(items));
    }
    for (;;) {
      items.push_back(parse_value(depth + 1));
      skip_space();
      if (peek() == ',') {
        ++at_;
        continue;
      }
      expect(']', "an array does not end");
      return Json(std::move(items));
    }
  }

  std::string parse_string() {
    expect('"', "a string is missing");
    std::string result;
    for (;;) {
      if (at_ >= text_.size()) fail("a string does not end");
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        ++at_;
        return result;
      }
      if (byte < 0x20) fail("a string holds a control character");
      if (byte == '\\')
        parse_escape(result);
      else if (byte < 0x80)
        result.push_back(text_[at_++]);
      else
        copy_multibyte(result);
    }
  }

  void parse_escape(std::string& result) {
    ++at_;
    const char kind = peek();
    ++at_;
    switch (kind) {
      case '"':
      case '\\':
      case '/':
        result.push_back(kind);
        return;
      case 'b':
        result.push_back('\b');
        return;
      case 'f':
        result.push_back('\f');
        return;
      case 'n':
        result.push_back('\n');
        return;
      case 'r':
        result.push_back('\r');
        return;
      case 't':
        result.push_back('\t');
        return;
      case 'u':
        break;
      default:
        fail("a string holds an unknown escape");
    }
    std::uint32_t code = parse_hex();
    if (code >= 0xDC00 && code <= 0xDFFF) fail("a string holds half a character");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (text_.substr(at_, 2) != "\\u") fail("a string holds half a character");
      at_ += 2;
      const std::uint32_t low = parse_hex();
      if (low < 0xDC00 || low > 0xDFFF) fail("a string holds half a character");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(result, code);
  }

  std::uint32_t parse_hex() {
    std::uint32_t code = 0;
    if (text_.size() - at_ < 4) fail("an escape is cut");
    const char* begin = text_.data() + at_;
    const auto [end, problem] = std::from_chars(begin, begin + 4, code, 16);
    if (problem != std::errc() || end != begin + 4) fail("an escape is no hexadecimal number");
    at_ += 4;
    return code;
  }

  static void append_utf8(std::string& result, std::uint32_t code) {
    const auto tail = [&](int shift) { result.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F))); };
    if (code < 0x80) {
      result.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      result.push_back(static_cast<char>(0xC0 | (code >> 6)));
      tail(0);
    } else if (code < 0x10000) {
      result.push_back(static_cast<char>(0xE0 | (code >> 12)));
      tail(6), tail(0);
    } else {
      result.push_back(static_cast<char>(0xF0 | (code >> 18)));
      tail(12), tail(6), tail(0);
    }
  }

  /// One character of two to four bytes, checked: no overlong forms, no surrogates, nothing above U+10FFFF.
  void copy_multibyte(std::string& result) {
    const auto lead = static_cast<unsigned char>(text_[at_]);
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text_.size() - at_ < length) fail("a string is no valid UTF-8");
    std::uint32_t code = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text_[at_ + i]);
      if ((byte & 0xC0) != 0x80) fail("a string is no valid UTF-8");
      code = (code << 6) | (byte & 0x3FU);
    }
    const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (is_overlong || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF) fail("a string is no valid UTF-8");
    result.append(text_.substr(at_, length));
    at_ += length;
  }

  Json parse_number() {
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    const std::size_t digits = at_;
    if (peek() == '0')
      ++at_;
    else
      skip_digits();
    if (at_ == digits) fail("a value is missing");
    bool is_whole = true;
    if (peek() == '.') {
      is_whole = false;
      ++at_;
      need_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      is_whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      need_digits();
    }
    const char* from = text_.data() + begin;
    const char* to = text_.data() + at_;
    if (is_whole) {
      std::int64_t value = 0;
      if (std::from_chars(from, to, value).ec == std::errc()) return Json(value);
    }
    double value = 0;
    if (std::from_chars(from, to, value).ec != std::errc() || !std::isfinite(value)) fail("a number is out of range");
    return Json(value);
  }

  void skip_digits() {
    while (peek() >= '0' && peek() <= '9') ++at_;
  }
  void need_digits() {
    const std::size_t before = at_;
    skip_digits();
    if (at_ == before) fail("a number is not finished");
  }

  std::string_view text_;
  JsonLimits limits_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

std::optional<std::int64_t> Json::whole() const {
  const auto* value = std::get_if<std::int64_t>(&content_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> Json::number() const {
  if (const auto* value = std::get_if<double>(&content_)) return *value;
  if (const auto value = whole()) return static_cast<double>(*value);
  return std::nullopt;
}

const Json* Json::find(std::string_view name) const {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  for (const auto& [key, value] : *members) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<Json> parse_json(std::string_view text, const std::string& path, JsonLimits limits) {
  try {
    return Parser(text, limits).whole_text();
  } catch (const Fault& fault) {
    return bad_file(path, std::string("its JSON is wrong at byte ") + std::to_string(fault.at) + ": " + fault.what);
  }
}

}  // namespace lutra::core
