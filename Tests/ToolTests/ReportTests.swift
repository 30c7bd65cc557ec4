// The HTML pages of validations and comparisons: complete, offline, and drawn by a browser.

import Bytes
import Foundation
import TestSupport
import Testing

/// Headless Chromium, from the Debian package.
enum Browser {
  static let path = "/usr/bin/chromium"
  static let isAvailable = FileManager.default.isExecutableFile(atPath: path)

  /// The page's elements after its scripts have run; whatever it wants to fetch is not found.
  static func elements(of page: String, theme: String) throws -> String {
    let folder = try ScratchFolder()
    let output = try folder.write([UInt8](), to: "elements.html")
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = [
      "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=\(folder.file("profile"))",
      "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,3000",
      "--virtual-time-budget=10000", "--dump-dom", "file://\(page)?theme=\(theme)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return try String(contentsOfFile: output, encoding: .utf8)
  }
}

@Suite(
  .needsPython, .enabled(if: Browser.isAvailable, "chromium is not installed"), .serialized)
struct ReportTests {
  private let folder = try? ScratchFolder()

  private func tokens(_ text: String) throws -> String {
    try #require(folder).write(text.utf8, to: "eval.json")
  }

  /// Text between the script elements, which hold the library and the data.
  private static func visible(_ page: String) -> String {
    var result = ""
    var rest = Substring(page)
    while let start = rest.range(of: "<script") {
      result += rest[..<start.lowerBound]
      guard let end = rest.range(of: "</script>", range: start.upperBound..<rest.endIndex) else {
        break
      }
      rest = rest[end.upperBound...]
    }
    return result + rest
  }

  private static func count(_ part: String, in text: Substring) -> Int {
    text.components(separatedBy: part).count - 1
  }

  /// What a browser makes of `page`: each chart's elements, by its name.
  private static func charts(_ page: String, theme: String) throws -> [String: Substring] {
    let elements = try Browser.elements(of: page, theme: theme)
    #expect(elements.contains("data-charts="), "the script did not end")
    let body = visible(elements)
    var charts: [String: Substring] = [:]
    let parts = body.components(separatedBy: " data-chart=\"").dropFirst()
    for part in parts {
      let name = String(part.prefix { $0 != "\"" })
      charts[name] = Substring(part)
    }
    return charts
  }

  /// Markers and bars that are drawn; those of legends are called otherwise.
  private static func pointCount(_ elements: Substring) -> Int {
    count("class=\"point\"", in: elements) + count("class=\"point ", in: elements)
  }

  /// Every chart has drawn marks: markers or bars, or the image of a heat map.
  private static func expectDrawn(_ charts: [String: Substring], names: [String]) {
    #expect(Set(names).isSubset(of: charts.keys), "\(charts.keys.sorted())")
    for (name, elements) in charts {
      #expect(elements.contains("main-svg"), "\(name)")
      #expect(pointCount(elements) + count("<image", in: elements) > 0, "\(name) is empty")
    }
  }

  /// Nothing in the page points outside it, and the browser is told to fetch nothing.
  private static func expectOffline(_ page: String) throws {
    let text = try String(contentsOfFile: page, encoding: .utf8)
    #expect(text.contains("default-src 'none'"))
    let visible = visible(text)
    for part in ["http:", "https:", "src=", "href=", "@import", "url("] {
      #expect(!visible.contains(part), "\(part)")
    }
  }

  @Test(arguments: ["light", "dark"])
  func aValidationIsDrawn(theme: String) throws {
    let model = try "\(Tiny.converted.get())/model.lodge"
    let page = try #require(folder).file("report & page.html")
    try Tool.succeed(
      "lodge-check",
      [
        "validate", model, "--tokens", tokens("[[1,2,3,4,5,6],[7,8,9,10,0,1]]"), "--report", page,
        "--max-perplexity-increase", "0.5", "--secure", "1",
      ])
    try Self.expectOffline(page)
    let visible = Self.visible(try String(contentsOfFile: page, encoding: .utf8))
    for part in [
      "Validation of model.lodge, recipe accurate", "The threshold is kept", "Two parti",
    ] {
      #expect(visible.contains(part), "\(part)")
    }
    let charts = try Self.charts(page.replacingOccurrences(of: " ", with: "%20"), theme: theme)
    Self.expectDrawn(
      charts, names: ["nodes", "scatter", "differences", "headroom", "cost", "function-0"])
    // Both stages' errors of all 27 nodes but the embedding's, which has none in float, and
    // circles.
    #expect((53...55).contains(Self.pointCount(try #require(charts["nodes"]))))
  }

  @Test func anEncoderAndAMissAreDrawn() throws {
    let scratch = try #require(folder)
    let checkpoint = try ScratchFolder()
    _ = try TinyCheckpoint.bert().write(to: checkpoint)
    let model = scratch.file("bert.lodge")
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", checkpoint.path, "--tokens", tokens("[[1,2,3],[4,5,6,7]]"), "--out", model,
      ])
    let pairs = try scratch.write(
      """
      [{"first": [1, 2, 3], "second": [1, 2, 4], "score": 4}, {"first": [5, 6], "second": [7], \
      "score": 0.5}, {"first": [3, 3, 1], "second": [9, 2], "score": 2}]
      """.utf8, to: "pairs.json")
    let page = scratch.file("encoder.html")
    let outcome = try Tool.run(
      "lodge-check",
      ["validate", model, "--pairs", pairs, "--report", page, "--min-cosine", "1"])
    #expect(outcome.status == 2)
    try Self.expectOffline(page)
    let visible = Self.visible(try String(contentsOfFile: page, encoding: .utf8))
    #expect(visible.contains("Spearman correlation") && visible.contains("3 scored pairs"))
    #expect(visible.contains("1 threshold missed"))
    Self.expectDrawn(try Self.charts(page, theme: "light"), names: ["nodes", "scatter", "cost"])
  }

  @Test func aComparisonIsDrawn() throws {
    let page = try #require(folder).file("compare.html")
    try Tool.succeed(
      "lodge-check",
      [
        "compare", "\(Tiny.converted.get())/model.lodge", "\(Tiny.other.get())/model.lodge",
        "--tokens", tokens("[[1,2,3,4,5,6]]"), "--report", page,
      ])
    try Self.expectOffline(page)
    let visible = Self.visible(try String(contentsOfFile: page, encoding: .utf8))
    for part in ["2 recipes compared", "headroom", "Correlations a token"] {
      #expect(visible.contains(part), "\(part)")
    }
    let charts = try Self.charts(page, theme: "dark")
    Self.expectDrawn(charts, names: ["tradeoff", "recipes"])
    #expect(Self.pointCount(try #require(charts["recipes"])) == 6)
    #expect(Self.pointCount(try #require(charts["tradeoff"])) == 2)
  }

  @Test(arguments: [
    ("{}", "is neither a validation nor a comparison"),
    ("[1", "is not JSON"), ("{\"format\": \"lodge-validation\", \"version\": 2}", "version: 2"),
    ("{\"format\": \"lodge-validation\", \"version\": 1}", "is not what lodge-check writes"),
    ("{\"format\": \"lodge-comparison\", \"version\": 1, \"x\": NaN}", "NaN is no JSON"),
  ]) func whatIsNoResultIsRefused(text: String, cause: String) throws {
    let scratch = try #require(folder)
    let path = try scratch.write(text.utf8, to: "result.json")
    let outcome = try PythonTool("report").run([path, "--out", scratch.file("page.html")])
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1)
    #expect(outcome.errors.contains(cause), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: scratch.file("page.html")))
  }

  @Test func aMissingToolIsSaidBeforeTheWork() throws {
    let process = Process()
    process.executableURL = try Tool.executable("lodge-check")
    process.environment = ["LODGE_TOOLS": "/nowhere"]
    process.arguments = [
      "validate", try "\(Tiny.converted.get())/model.lodge", "--tokens", try tokens("[[1,2]]"),
      "--report", try #require(folder).file("page.html"),
    ]
    let messages = Pipe()
    process.standardError = messages
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: messages.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    #expect(text.contains("lodge-check: error: /nowhere/report: there is no such tool"))
    #expect(text.contains("lodge-check: hint: set LODGE_TOOLS"))
  }
}
