// Texts in place of files that were never downloaded, whatever reads them.

import Bytes
import TestSupport
import Testing

@Suite struct StandInTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\noid sha256:5f\nsize 1\n", "Git LFS pointer"),
    ("version https://hawser.github.com/spec/v1\n", "Git LFS pointer"),
    ("<!DOCTYPE html>\n<html>", "web page"), ("\u{feff}\r\n <HTML lang=en>", "web page"),
    (#"<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>"#, "server's message"),
  ]) func areSaid(text: String, cause: String) throws {
    let path = try folder.write(text.utf8, to: "model.safetensors")
    let errors = [
      #expect(throws: InputError.self) { try MappedFile(path: path) },
      #expect(throws: InputError.self) { try JSON.read(path) },
      #expect(throws: InputError.self) { try NPY.readFloats(path) },
    ]
    for error in errors {
      #expect(error?.source == path)
      #expect(error?.cause.contains(cause) == true && error?.hint.isEmpty == false)
    }
  }

  @Test(arguments: ["version 2", "<a>", "{}", "", "<"]) func otherTextIsRead(text: String) throws {
    let path = try folder.write(text.utf8, to: "text")
    #expect(try MappedFile(path: path).byteCount == text.utf8.count)
  }
}
