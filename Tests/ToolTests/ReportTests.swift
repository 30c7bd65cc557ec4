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
    try elements(at: "\(page)?theme=\(theme)", options: [])
  }

  private static func elements(at page: String, options: [String]) throws -> String {
    let folder = try ScratchFolder()
    let output = try folder.write([UInt8](), to: "elements.html")
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments =
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=\(folder.file("profile"))",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,3000",
        "--virtual-time-budget=10000", "--dump-dom",
      ] + options + ["file://\(page)"]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return try String(contentsOfFile: output, encoding: .utf8)
  }

  /// What does not fit where the page is `width` pixels wide, one line a fault: the page or a chart
  /// wider than that, and labels of one axis that cover each other. A browser's window is not made
  /// as narrow as a telephone, so a frame is.
  static func misfits(of page: String, width: Int) throws -> [String] {
    try misfits(of: [page], width: width)
  }

  /// The same of several pages, one after the other; a fault names its page. A browser looks at a
  /// few: on a busy machine the time that it has would end before many are drawn.
  static func misfits(of pages: [String], width: Int) throws -> [String] {
    guard pages.count <= 6 else {
      return try misfits(of: Array(pages.prefix(6)), width: width)
        + misfits(of: Array(pages.dropFirst(6)), width: width)
    }
    let folder = try ScratchFolder()
    let frame = try folder.write(
      """
      <iframe style="border:0;width:\(width)px;height:3000px"></iframe>
      <script>
        const pages = \(JSON.array(pages.map { .string("file://\($0)") }).text);
        const found = [];
        const frame = document.querySelector("iframe");
        let wanted;
        const next = () => {
          wanted = pages.shift();
          if (!wanted) {
            document.body.dataset.misfits = found.join(";") || "none";
            return;
          }
          frame.src = wanted;
          look();
        };
        const look = () => {
          const page = frame.contentDocument;
          const isThere = page && page.URL === new URL(wanted).href;
          if (!isThere || !page.documentElement.dataset.charts) return setTimeout(look, 50);
          const file = \(pages.count) > 1 ? ` in ${page.location.pathname.split("/").pop()}` : "";
          if (page.documentElement.scrollWidth > \(width)) found.push("the page" + file);
          for (const chart of page.querySelectorAll("[data-chart]")) {
            const name = chart.dataset.chart;
            if (chart.getBoundingClientRect().right > \(width)) found.push(name + file);
            for (const axis of chart.querySelectorAll(".xaxislayer-above, .yaxislayer-above")) {
              const boxes = [...axis.querySelectorAll("text")].map((e) => e.getBoundingClientRect());
              const covers = (a, b) => a.left + 1 < b.right && b.left + 1 < a.right
                && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
              if (boxes.some((a, i) => boxes.some((b, j) => i < j && covers(a, b)))) {
                found.push("labels of " + name + file);
              }
            }
          }
          next();
        };
        next();
      </script>
      """.utf8, to: "frame.html")
    let elements = try elements(
      at: frame, options: ["--allow-file-access-from-files", "--virtual-time-budget=600000"])
    let start = try #require(elements.range(of: "data-misfits=\""), "nothing was looked at")
    let found = elements[start.upperBound...].prefix { $0 != "\"" }
    return found == "none" ? [] : found.split(separator: ";").map(String.init)
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
    #expect(
      try Browser.misfits(of: page.replacingOccurrences(of: " ", with: "%20"), width: 400) == [])
    let count = Self.pointCount(try #require(charts["nodes"]))
    #expect(try count == Self.errorCount(page) && count > 40)
  }

  /// The errors of nodes that a logarithm can show, of both stages, and the circles of first jumps.
  private static func errorCount(_ page: String) throws -> Int {
    let text = try String(contentsOfFile: page, encoding: .utf8)
    let start = try #require(text.range(of: "id=\"data\">")).upperBound
    let end = try #require(text.range(of: "</script>", range: start..<text.endIndex)).lowerBound
    let parsed = try JSONSerialization.jsonObject(with: Data(text[start..<end].utf8))
    let document = try #require(parsed as? [String: Any])
    let nodes = try #require(document["nodes"] as? [[String: Any]])
    let growth = try #require(document["firstGrowth"] as? [String: Any])
    return ["approximated", "ring"].reduce(0) { sum, stage in
      sum + nodes.count { ($0[stage] as? Double ?? 0) > 0 } + (growth[stage] is NSNull ? 0 : 1)
    }
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
    for part in ["2 recipes compared", "<b>headroom</b>", "Correlations a token"] {
      #expect(visible.contains(part), "\(part)")
    }
    let charts = try Self.charts(page, theme: "dark")
    Self.expectDrawn(charts, names: ["tradeoff", "recipes"])
    #expect(Self.pointCount(try #require(charts["recipes"])) == 6)
    #expect(Self.pointCount(try #require(charts["tradeoff"])) == 2)
    #expect(try Browser.misfits(of: page, width: 400) == [])
  }

  /// Whatever the figures are, no label of an axis covers another on a telephone.
  @Test func labelsOfAnyRangeFit() throws {
    let scratch = try #require(folder)
    let json = try Tool.succeed(
      "lodge-check",
      [
        "compare", "\(Tiny.converted.get())/model.lodge", "\(Tiny.other.get())/model.lodge",
        "--tokens", tokens("[[1,2,3,4,5,6]]"), "--json",
      ])
    let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8))
    let document = try #require(parsed as? [String: Any])
    let seed = UInt64.random(in: 0...UInt64.max)
    print("labels: seed \(seed)")
    var random = SplitMix(seed)
    /// Near a size of its own, by up to a factor of 30: what the second model's value is beside the
    /// first's.
    func figures(_ exponents: ClosedRange<Double>) -> [Double] {
      let size = pow(10, Double.random(in: exponents, using: &random))
      return [size, size * pow(10, Double.random(in: -1.5...1.5, using: &random))]
    }
    var pages: [String] = []
    for page in 0..<24 {
      var document = document
      var models = try #require(document["models"] as? [[String: Any]])
      let (rounds, bytes, seconds, dealt, loss) = (
        figures(0...5), figures(0...12), figures(-5...3), figures(0...13), figures(-12...1)
      )
      for index in models.indices {
        var token = try #require(models[index]["token"] as? [String: Any])
        token["rounds"] = Int(rounds[index]) + 1
        token["bytesPerParty"] = Int(bytes[index]) + 1
        let times = try #require(token["networkSeconds"] as? [Double])
        token["networkSeconds"] = times.map { _ in seconds[index] }
        models[index]["token"] = token
        models[index]["correlationBytesPerToken"] = Int(dealt[index]) + 1
        var stages = try #require(models[index]["stages"] as? [[String: Any]])
        for stage in stages.indices { stages[stage]["meanDivergence"] = loss[index] }
        models[index]["stages"] = stages
      }
      document["models"] = models
      let input = try scratch.write(
        JSONSerialization.data(withJSONObject: document), to: "\(page).json")
      let output = scratch.file("\(page).html")
      let outcome = try PythonTool("report").run([input, "--out", output])
      #expect(outcome.status == 0, "\(outcome.errors)")
      pages.append(output)
    }
    #expect(try Browser.misfits(of: pages, width: 400) == [], "seed \(seed)")
  }

  /// Gates of a tiny model: three charts, also on a telephone, and why a layer stays dense.
  @Test func gatesAreDrawn() throws {
    let scratch = try #require(folder)
    let checkpoint = try ScratchFolder()
    _ = try TinyCheckpoint.opt(width: 8, innerWidth: 64).write(to: checkpoint)
    let texts = (0..<40).map { text in
      JSON.array((0..<6).map { .integer((text * 7 + $0 * 3) % 11) })
    }
    let page = scratch.file("gates.html")
    let json = try Tool.succeed(
      "lodge-model",
      [
        "sparsify", checkpoint.path, "--tokens", tokens(JSON.array(texts).text), "--block-width",
        "2",
        "--rank", "1", "--mass", "0.5", "--out", scratch.file("gates.safetensors"), "--report",
        page,
        "--json",
      ])
    let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8))
    let layers = try #require((parsed as? [String: Any])?["layers"] as? [[String: Any]])
    #expect(layers.count == 2)
    for layer in layers {
      let curve = try #require(layer["curve"] as? [String: [Double]])
      for key in ["openShare", "recall", "massKept"] {
        let values = try #require(curve[key])
        #expect(
          values.first == 0 && zip(values, values.dropFirst()).allSatisfy { $0 <= $1 }, "\(key)")
      }
      #expect(curve["openShare"]?.last == 1)
      // The point that was chosen lies on the curve.
      let (open, kept) = try (
        #require(layer["openShare"] as? Double), #require(layer["massKept"] as? Double)
      )
      let next = try #require(curve["openShare"]?.firstIndex { $0 >= open })
      let masses = try #require(curve["massKept"])
      #expect(masses[max(next - 1, 0)] <= kept + 1e-9 && kept <= masses[next] + 1e-9)
      let picture = try #require(layer["picture"] as? [String])
      let letters = picture.joined()
      let openCount = letters.count { $0 == "o" || $0 == "i" }
      #expect(abs(Double(openCount) / Double(letters.count) - open) < 1e-9)
    }
    try Self.expectOffline(page)
    let visible = Self.visible(try String(contentsOfFile: page, encoding: .utf8))
    #expect(visible.contains("2 feed-forward layers") && visible.contains("Block by token"))
    Self.expectDrawn(
      try Self.charts(page, theme: "light"), names: ["gateDensity", "gateCurve", "gatePicture"])
    #expect(try Browser.misfits(of: page, width: 400) == [])
  }

  /// A page that shows green where few flights are paid for with another answer misleads.
  @Test func onlyTheOriginalsAnswerIsGreen() throws {
    let scratch = try #require(folder)
    let outcome = try Tool.succeed(
      "lodge-check",
      [
        "compare", "\(Tiny.converted.get())/model.lodge", "\(Tiny.other.get())/model.lodge",
        "--tokens", tokens("[[1,2,3,4,5,6]]"), "--json",
      ])
    let parsed = try JSONSerialization.jsonObject(with: Data(outcome.utf8))
    let document = try #require(parsed as? [String: Any])
    func page(increase: Double) throws -> String {
      var document = document
      var models = try #require(document["models"] as? [[String: Any]])
      var stages = try #require(models[1]["stages"] as? [[String: Any]])
      let ring = try #require(stages.firstIndex { $0["stage"] as? String == "ring" })
      stages[ring]["perplexityIncrease"] = increase
      models[1]["stages"] = stages
      var token = try #require(models[1]["token"] as? [String: Any])
      token["rounds"] = 7
      models[1]["token"] = token
      document["models"] = models
      let input = try scratch.write(
        JSONSerialization.data(withJSONObject: document), to: "\(increase).json")
      let output = scratch.file("\(increase).html")
      let outcome = try PythonTool("report").run([input, "--out", output])
      #expect(outcome.status == 0, "\(outcome.errors)")
      return Self.visible(try String(contentsOfFile: output, encoding: .utf8))
    }
    #expect(try page(increase: 0.001).contains("<span class=\"best\">7</span>"))
    #expect(try !page(increase: 2.5).contains("class=\"best\""))
  }

  @Test(arguments: [
    ("{}", "is no validation, comparison or sparsification"),
    ("[1", "is not JSON"), ("{\"format\": \"lodge-validation\", \"version\": 2}", "version: 2"),
    ("{\"format\": \"lodge-validation\", \"version\": 1}", "is not as it was written"),
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
