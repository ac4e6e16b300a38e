// What a model says of its pictures: MODEL.json, or the metadata entry bnn.preprocessing. A program that has a JSON library needs
// none of this.
#pragma once

#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

struct Description {
  int width, height;
  std::string fit, layout, output;
  double shorter_side;
  std::vector<double> mean, std;
  std::vector<std::string> classes;
};

// A JSON value: text, number or list; members of objects by name.
struct Json {
  std::string text;
  double number = 0;
  std::vector<Json> items;
  std::map<std::string, Json> members;

  const Json& At(const std::string& name) const {
    const auto found = members.find(name);
    if (found == members.end()) throw std::runtime_error("the description of pictures lacks " + name);
    return found->second;
  }
};

class JsonReader {
 public:
  explicit JsonReader(const char* text) : at_(text) {}

  Json Value() {
    Json value;
    switch (Next()) {
      case '{':
        for (++at_; Next() != '}'; Skip(',')) {
          const std::string name = Text();
          if (!Skip(':')) Fail();
          value.members[name] = Value();
        }
        ++at_;
        return value;
      case '[':
        for (++at_; Next() != ']'; Skip(',')) value.items.push_back(Value());
        ++at_;
        return value;
      case '"':
        value.text = Text();
        return value;
    }
    for (const char* word : {"null", "true", "false"}) {
      if (std::strncmp(at_, word, std::strlen(word)) != 0) continue;
      at_ += std::strlen(word);
      return value;
    }
    char* end = nullptr;
    value.number = std::strtod(at_, &end);
    if (end == at_) Fail();
    at_ = end;
    return value;
  }

 private:
  char Next() {
    while (std::strchr(" \t\r\n", *at_) != nullptr && *at_ != 0) ++at_;
    return *at_;
  }
  bool Skip(char expected) {
    if (Next() != expected) return false;
    ++at_;
    return true;
  }
  std::string Text() {
    if (!Skip('"')) Fail();
    std::string text;
    for (; *at_ != '"'; ++at_) {
      if (*at_ == 0) Fail();
      if (*at_ != '\\') text += *at_;
      else if (*++at_ != 'u') text += std::strchr("nrtbf", *at_) != nullptr ? ' ' : *at_;
      else Fail();  // bnn-export writes UTF-8; only control characters would be escaped so
    }
    ++at_;
    return text;
  }
  [[noreturn]] static void Fail() { throw std::runtime_error("the description of pictures is no JSON"); }

  const char* at_;
};

inline Description ParseDescription(const char* text) {
  const Json json = JsonReader(text).Value();
  Description what;
  what.width = int(json.At("size").At("width").number);
  what.height = int(json.At("size").At("height").number);
  what.fit = json.At("fit").text;
  what.layout = json.At("layout").text;
  what.output = json.members.count("output") != 0 ? json.At("output").text : "logits";
  what.shorter_side = json.At("shorterSide").number;
  for (const Json& value : json.At("mean").items) what.mean.push_back(value.number);
  for (const Json& value : json.At("std").items) what.std.push_back(value.number);
  for (const Json& value : json.At("classes").items) what.classes.push_back(value.text);
  return what;
}
