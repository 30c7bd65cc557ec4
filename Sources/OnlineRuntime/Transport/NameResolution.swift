// From host names to socket addresses and back.

import Bytes
import Glibc

/// A socket address of either family.
struct SocketAddress {
  var family: Int32
  var storage: sockaddr_storage
  var length: socklen_t

  /// All addresses that `address` stands for, in the system's order of preference.
  static func resolve(_ address: Address, listening: Bool) throws(InputError) -> [SocketAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = listening ? AI_PASSIVE : 0
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(address.host, String(address.port), &hints, &list)
    guard status == 0 else {
      throw InputError(
        address.description, unsafe "unknown host (\(String(cString: gai_strerror(status))))")
    }
    defer { unsafe freeaddrinfo(list) }
    var result: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      let info = unsafe entry.pointee
      var storage = sockaddr_storage()
      if let source = unsafe info.ai_addr,
        unsafe Int(info.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size
      {
        unsafe withUnsafeMutableBytes(of: &storage) {
          unsafe $0.copyMemory(
            from: UnsafeRawBufferPointer(start: source, count: Int(info.ai_addrlen)))
        }
        result.append(
          unsafe SocketAddress(family: info.ai_family, storage: storage, length: info.ai_addrlen))
      }
      unsafe next = info.ai_next
    }
    return result
  }

  /// Calls `body` with the address in the form that the system's calls take.
  func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    unsafe withUnsafePointer(to: storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
    }
  }

  /// An address that the system fills in by `body`, or nil when that fails.
  static func filled(
    by body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> (result: Int32, address: SocketAddress) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, &length) }
    }
    return (
      result, SocketAddress(family: Int32(storage.ss_family), storage: storage, length: length)
    )
  }

  /// Whether the address cannot be reached from other machines.
  var isLoopback: Bool {
    let bytes = unsafe withUnsafeBytes(of: storage) { unsafe Array($0.prefix(32)) }
    switch family {
    // struct sockaddr_in has the address at byte 4, struct sockaddr_in6 at byte 8.
    case AF_INET: return bytes[4] == 127
    case AF_INET6:
      let host = bytes[8..<24]
      let isMapped = host.dropLast(6).allSatisfy { $0 == 0 } && bytes[18] == 255 && bytes[19] == 255
      return host.elementsEqual([UInt8](repeating: 0, count: 15) + [1])
        || isMapped && bytes[20] == 127
    default: return false
    }
  }

  /// Numeric host and port.
  var numeric: Address? {
    var host = [CChar](repeating: 0, count: 256)
    var service = [CChar](repeating: 0, count: 32)
    let status = unsafe withPointer { pointer, length in
      unsafe getnameinfo(
        pointer, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
        NI_NUMERICHOST | NI_NUMERICSERV)
    }
    func text(_ characters: [CChar]) -> String {
      String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    guard status == 0, let port = UInt16(text(service)) else { return nil }
    return Address(host: text(host), port: port)
  }
}
