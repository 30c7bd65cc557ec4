// Chat templates as transformers runs them, and refusals of what is not done.

import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

struct ChatTemplateTests {
  private let folder = try? ScratchFolder()

  private func template(_ text: String) throws -> ChatTemplate {
    let folder = try #require(folder)
    let settings: JSON = [
      "chat_template": .string(text), "bos_token": "<s>", "eos_token": ["content": "</s>"],
    ]
    _ = try folder.write(settings.text.utf8, to: "tokenizer_config.json")
    return try ChatTemplate(folder: folder.path)
  }

  /// Templates in the manner of ChatML, LLaMA 2 and 3, Gemma, Zephyr and Qwen 3, and one of much else;
  /// the texts are those of transformers.
  @Test func textsAreThoseOfTransformers() throws {
    let path = Repository.fixtures.appending(path: "tokenizers/chat.json").path
    guard case .object(let file) = try JSON.read(path),
      case .array(let conversations) = file["conversations"],
      case .object(let templates) = file["templates"]
    else {
      Issue.record("chat.json is not as it was")
      return
    }
    #expect(templates.count == 7 && conversations.count == 2)
    for (name, value) in templates {
      guard case .object(let members) = value, case .string(let text) = members["template"],
        case .array(let texts) = members["texts"]
      else { continue }
      let template = try template(text)
      for (conversation, expected) in zip(conversations, texts) {
        guard case .array(let messages) = conversation else { continue }
        let given = try messages.map { message throws(InputError) in
          var reader = try JSONReader(message, source: path)
          return ChatMessage(
            role: try reader.string("role"), content: try reader.string("content"))
        }
        #expect(try JSON.string(template.text(given)) == expected, "\(name)")
      }
    }
  }

  @Test(arguments: [
    ("{% macro a() %}{% endmacro %}", "the tag \"macro\""), ("{{ x | tojson }}", "tojson"),
    ("{{ strftime_now('%Y') }}", "strftime_now"), ("{{ messages }}", "prints a list"),
    ("{% if a %}", "lacks the tag \"endif\""), ("{{ a", "a tag has no end"),
    ("{{ a.b.c }}", "\"a\" is undefined"), ("{{ 1 < 2 < 3 }}", "chained"),
    ("{{ raise_exception('no system') }}", "says: no system"), ("{% endfor %}", "endfor"),
    (
      "{{ [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]] }}",
      "nested too deeply"
    ),
    (
      "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
      "does not come to an end"
    ),
  ])
  func whatIsNotDoneIsRefused(text: String, part: String) throws {
    do {
      let text = try template(text).text([ChatMessage(role: "user", content: "a")])
      Issue.record("gave \(text.prefix(80))")
    } catch let error as InputError {
      #expect(error.description.contains(part), "\(error)")
    }
  }

  @Test func aFolderWithoutATemplateSaysSo() throws {
    let folder = try #require(folder)
    #expect(throws: InputError.self) { try ChatTemplate(folder: folder.path) }
    _ = try folder.write("{{ messages[0].content }}!".utf8, to: "chat_template.jinja")
    let template = try ChatTemplate(folder: folder.path)
    #expect(try template.text([ChatMessage(role: "user", content: "Ho")]) == "Ho!")
  }
}
