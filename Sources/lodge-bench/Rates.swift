// Rates of things that are measured in turns.

import Bytes
import Glibc

/// What one of several contestants does in a unit of processor time.
struct Rate {
  let name: String
  /// Units of work a second, one of each repetition.
  let samples: [Double]

  var median: Double { samples.sorted()[samples.count / 2] }

  var json: JSON { .array(samples.map(JSON.number)) }

  /// Something to measure, and the units of work it does.
  struct Contestant {
    let name: String
    let work: Double
    let body: () -> Void
  }

  /// Runs all contestants once, unmeasured, and then `repetitions` times in turns.
  static func measure(repetitions: Int, _ contestants: [Contestant]) -> [Rate] {
    var samples = contestants.map { _ in [Double]() }
    for repetition in 0...repetitions {
      for (index, contestant) in contestants.enumerated() {
        let start = processorSeconds()
        contestant.body()
        let seconds = processorSeconds() - start
        if repetition > 0 { samples[index].append(contestant.work / seconds) }
      }
    }
    return zip(contestants, samples).map { Rate(name: $0.name, samples: $1) }
  }

  /// Processor time of this thread.
  private static func processorSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}

/// A number with two digits after the point.
func decimal(_ value: Double) -> String {
  let hundredths = Int((value * 100).rounded())
  let rest = hundredths % 100
  return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
