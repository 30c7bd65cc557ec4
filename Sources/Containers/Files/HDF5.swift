// libhdf5 behind one lock, because whether it can be entered by two threads is up to its build.

package import Bytes
import CHDF5
import Glibc
import Synchronization

/// The only way into libhdf5.
package enum HDF5 {
  private static let isStarted = Mutex(false)

  /// Runs `body` as the only thread inside libhdf5; must not be nested.
  package static func locked<R: Sendable>(
    source: String, _ body: () throws(InputError) -> R
  ) throws(InputError) -> R {
    try isStarted.withLock { (isStarted) throws(InputError) -> R in
      if !isStarted {
        guard lodge_hdf5_start() >= 0 else {
          throw InputError(source, "libhdf5 cannot be started")
        }
        isStarted = true
      }
      // Thread-safe builds have one such setting per thread.
      lodge_hdf5_silence()
      return try body()
    }
  }

  /// The innermost cause that libhdf5 recorded, as an error at `place`; the lock must be held.
  static func failure(_ source: String, place: String = "", _ action: String) -> InputError {
    var buffer = [CChar](repeating: 0, count: 512)
    unsafe buffer.withUnsafeMutableBufferPointer { unsafe lodge_hdf5_take_error($0.baseAddress) }
    let text = String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // Its message for failed system calls is long and holds addresses; the number is enough.
    if let range = text.firstRange(of: "errno = "),
      let number = Int32(text[range.upperBound...].prefix { $0.isNumber })
    {
      return InputError(source, place: place, "\(action): \(SystemError.message(number))")
    }
    let cause = DatasetDescription.printable(text)
    return InputError(source, place: place, cause.isEmpty ? action : "\(action) (\(cause))")
  }
}

/// An identifier of libhdf5 that is released when it goes out of scope; lives under the lock.
struct HDF5Handle: ~Copyable {
  let id: hid_t

  /// Takes over `id`; throws with libhdf5's cause where it is not valid.
  init(
    _ id: hid_t, source: String, place: String = "", _ action: String
  ) throws(InputError) {
    guard id >= 0 else { throw HDF5.failure(source, place: place, action) }
    self.id = id
  }

  deinit { H5Idec_ref(id) }
}
