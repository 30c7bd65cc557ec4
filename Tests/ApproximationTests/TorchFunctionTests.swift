// The torch functions that models are trained with are those that they are converted with.

import Approximation
import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.needsTorch) struct TorchFunctionTests {
  /// A form with rows of inputs, and the values that Lodge has for them.
  struct Case {
    var name: String
    var form: ReplacementForm
    var rows: [[Double]]
    var expected: [[Double]]
    var epsilon = 0.0
    /// For softmax: how many scores from the start of each row take part.
    var keyCounts: [Int] = []

    var json: JSON {
      var members: [String: JSON] = [
        "form": form.json,
        "rows": .array(rows.map { .array($0.map(JSON.number)) }), "epsilon": .number(epsilon),
      ]
      if !keyCounts.isEmpty {
        members["allowed"] = .array(
          zip(rows, keyCounts).map { row, count in
            .array(row.indices.map { .bool($0 < count) })
          })
      }
      return .object(members)
    }
  }

  /// What the forms that depend on a calibration are resolved with.
  private func statistics(_ site: ReplacementSite) -> NodeStatistics {
    NodeStatistics(
      name: "node", site: site,
      inputs: InputDensity(
        uniformOn: site.operationClass.activation == nil ? 0.125...12 : -6...6),
      centredScores: InputDensity(uniformOn: -24...0), epsilon: 1e-5, headroom: 2,
      fractionalBits: 16
    ) { (_) throws(InputError) in 1 }
  }

  private func makeCase(_ name: String, _ form: ReplacementForm, _ site: ReplacementSite) -> Case? {
    switch form {
    case .activation(let function):
      // Knots themselves are on the grid: both sides must agree on who owns them.
      let inputs = (-1280...1280).map { Double($0) / 128 } + function.knots
      return Case(name: name, form: form, rows: [inputs], expected: [inputs.map { function($0) }])
    case .softmax(let softmax):
      var rows: [[Double]] = []
      var random = SplitMix(11)
      for spread in [0.5, 4, 16, 40] {
        rows.append((0..<24).map { _ in Double.random(in: -spread...spread, using: &random) })
      }
      // No score is above zero.
      rows.append((0..<24).map { -Double($0) / 4 })
      let keyCounts = [24, 1, 13, 24, 24]
      let expected = zip(rows, keyCounts).map { row, count in
        var allowed = Array(row[..<count])
        softmax.apply(&allowed)
        return allowed + [Double](repeating: 0, count: row.count - count)
      }
      return Case(
        name: name, form: form, rows: rows, expected: expected, keyCounts: keyCounts)
    case .normalisation(let normalisation):
      let variances = (0...400).map { pow(10, Double($0) / 80 - 3) }
      let epsilon = 1e-5
      let expected = variances.map { variance in
        switch normalisation {
        case .exact: 1 / (variance + epsilon).squareRoot()
        case .affine(let factor): factor
        }
      }
      return Case(
        name: name, form: form, rows: [variances], expected: [expected], epsilon: epsilon)
    case .permuted: return nil
    }
  }

  /// Every replacement of every shipped recipe, for every class.
  private func cases() throws -> [Case] {
    var result: [Case] = []
    for recipe in Recipe.shipped {
      for (operationClass, choice) in recipe.choices.sorted(by: {
        $0.key.rawValue < $1.key.rawValue
      }) {
        let site = ReplacementSite(operationClass, keyCount: operationClass == .softmax ? 24 : 1)
        let replacement = try choice.replacement.resolved(for: statistics(site))
        let form = try #require(replacement.form(at: site), "\(recipe.name) \(site)")
        if let new = makeCase("\(recipe.name) \(operationClass.rawValue)", form, site) {
          result.append(new)
        }
      }
    }
    return result
  }

  @Test func everyFormHasTheSameValuesInTorch() throws {
    let cases = try cases()
    #expect(cases.count >= 8 * OperationClass.allCases.count)
    let folder = try ScratchFolder()
    let path = try folder.write(JSON.array(cases.map(\.json)).text.utf8, to: "cases.json")
    let outcome = try PythonTool("evaluate-functions").run([path])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let values = try folder.write(outcome.output.utf8, to: "values.json")
    guard case .array(let results) = try JSON.read(values) else {
      Issue.record("no values")
      return
    }
    try #require(results.count == cases.count)
    for (test, result) in zip(cases, results) {
      var largest = 0.0
      guard case .array(let rows) = result, rows.count == test.rows.count else {
        Issue.record("\(test.name): another number of rows")
        continue
      }
      for (row, expected) in zip(rows, test.expected) {
        guard case .array(let elements) = row, elements.count == expected.count else {
          Issue.record("\(test.name): another number of values")
          continue
        }
        for (element, value) in zip(elements, expected) {
          let found = try #require(element.double, "\(test.name): \(element.text)")
          largest = max(largest, abs(found - value) / max(1, abs(value)))
        }
      }
      #expect(largest < 1e-5, "\(test.name)")
    }
  }

  @Test func formsOfOtherKindsAreNamed() throws {
    let folder = try ScratchFolder()
    let path = try folder.write(
      #"[{"form": {"spline": {}}, "rows": [[1]]}]"#.utf8, to: "cases.json")
    let outcome = try PythonTool("evaluate-functions").run([path])
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1 && outcome.errors.contains("spline"))
  }
}
