// The rings that products are computed in.

/// An integer modulo 2^`bitWidth`: an element of Z_2^64 or Z_2^32.
public protocol RingElement: FixedWidthInteger, UnsignedInteger, BitwiseCopyable, Sendable {}

extension UInt64: RingElement {}
extension UInt32: RingElement {}
