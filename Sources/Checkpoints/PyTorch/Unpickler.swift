// A restricted unpickler: it builds values and views of storages, and can call nothing.

import Bytes

/// A stack machine for the pickles of tensor dictionaries (PEP 307, Lib/pickle.py).
///
/// Opcodes outside `PickleOpcode` and globals outside `PickleGlobal` are refused by name. REDUCE
/// and BUILD are interpreted here for these globals; no Python object or code is involved.
struct Unpickler {
  static let maximumByteCount = 32 << 20
  /// Values that may be made in all, which bounds stack, memo, containers and time.
  static let maximumValueCount = 1 << 18
  static let maximumMarkCount = 1 << 10
  static let maximumRank = 16
  static let hint =
    "a checkpoint is read when it holds tensors only: torch.save(model.state_dict(), path)"

  var cursor: ByteCursor
  private(set) var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  private var pushedCount = 0
  /// Where the current opcode stands.
  private(set) var start: Int

  var tuples: [[PickleValue]] = []
  var lists: [[PickleValue]] = []
  var dictionaries: [[PickleMember]] = []
  var storages: [PickleStorage] = []
  var tensors: [PickleTensor] = []

  /// Runs the pickle that fills `range` of `file`; `root` is what it returns.
  /// - Throws: `InputError` with the byte of the opcode that breaks a rule.
  init(_ file: MappedFile, in range: Range<Int>) throws(InputError) {
    cursor = ByteCursor(file, in: range)
    start = range.lowerBound
    guard range.count <= Unpickler.maximumByteCount else {
      throw cursor.failure(
        "a pickle of \(range.count) bytes, at most \(Unpickler.maximumByteCount) are read")
    }
    guard try cursor.integer(UInt8.self, "pickle") == PickleOpcode.protocolVersion.rawValue else {
      throw failure("the pickle does not begin with PROTO")
    }
    let version = try cursor.integer(UInt8.self, "protocol")
    guard (2...5).contains(version) else {
      throw failure("pickle protocol \(version) is not read, only 2 to 5 are")
    }
    while try step() {}
    guard stack.count == 1, marks.isEmpty else {
      throw failure("the pickle ends with \(stack.count) values and \(marks.count) marks left")
    }
    guard cursor.remainingByteCount == 0 else {
      throw cursor.failure("\(cursor.remainingByteCount) bytes after the end of the pickle")
    }
  }

  /// What the pickle returned.
  var root: PickleValue { stack.first ?? .none }

  /// An error at the current opcode.
  func failure(_ cause: String, hint: String = "") -> InputError {
    InputError(cursor.file.path, offset: start, cause, hint: hint)
  }

  /// Runs one opcode; false for STOP.
  private mutating func step() throws(InputError) -> Bool {
    start = cursor.position
    let byte = try cursor.integer(UInt8.self, "the next opcode")
    guard let opcode = PickleOpcode(rawValue: byte) else {
      throw failure(
        "pickle opcode \(PickleOpcode.name(of: byte)) (0x\(String(byte, radix: 16))) is not allowed",
        hint: Unpickler.hint)
    }
    switch opcode {
    case .stop: return false
    case .protocolVersion: throw failure("a second PROTO")
    case .frame:
      let count = try cursor.integer(UInt64.self, "frame length")
      guard count <= UInt64(cursor.remainingByteCount) else {
        throw failure("a frame of \(count) bytes goes beyond the pickle")
      }
    case .mark:
      guard marks.count < Unpickler.maximumMarkCount else {
        throw failure("more than \(Unpickler.maximumMarkCount) marks")
      }
      marks.append(stack.count)
    case .pop:
      if let mark = marks.last, mark == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popToMark()
    case .none: try push(.none)
    case .newTrue: try push(.bool(true))
    case .newFalse: try push(.bool(false))
    case .integer1: try push(.integer(Int(try cursor.integer(UInt8.self, "integer"))))
    case .integer2: try push(.integer(Int(try cursor.integer(UInt16.self, "integer"))))
    case .integer4: try push(.integer(Int(try cursor.integer(Int32.self, "integer"))))
    case .long1: try push(.integer(try long()))
    case .float8:
      let bits = UInt64(bigEndian: try cursor.integer(UInt64.self, "number").littleEndian)
      try push(.real(Double(bitPattern: bits)))
    case .shortString, .shortUnicode:
      try pushText(byteCount: Int(try cursor.integer(UInt8.self, "string length")))
    case .string, .unicode:
      try pushText(byteCount: Int(try cursor.integer(UInt32.self, "string length")))
    case .emptyTuple: try pushTuple([])
    case .tuple: try pushTuple(popToMark())
    case .tuple1: try pushTuple(pop(1))
    case .tuple2: try pushTuple(pop(2))
    case .tuple3: try pushTuple(pop(3))
    case .emptyList:
      lists.append([])
      try push(.list(lists.count - 1))
    case .append: try append([pop()])
    case .appends: try append(popToMark())
    case .emptyDictionary: try pushDictionary()
    case .setItem: try setItems(pop(2))
    case .setItems: try setItems(popToMark())
    case .put1: try remember(Int(try cursor.integer(UInt8.self, "memo index")))
    case .put4: try remember(Int(try cursor.integer(UInt32.self, "memo index")))
    case .memoize: try remember(memo.count)
    case .get1: try recall(Int(try cursor.integer(UInt8.self, "memo index")))
    case .get4: try recall(Int(try cursor.integer(UInt32.self, "memo index")))
    case .global:
      let module = try line()
      try pushGlobal(module: module, name: line())
    case .stackGlobal:
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw failure("STACK_GLOBAL needs two strings")
      }
      try pushGlobal(module: module, name: name)
    case .reduce: try reduce()
    case .build: try build()
    case .persistentId: try push(storage(for: pop()))
    }
    return true
  }

  mutating func push(_ value: PickleValue) throws(InputError) {
    try take(valueCount: 1)
    stack.append(value)
  }

  /// Counts values that are made, or copied to another container.
  mutating func take(valueCount: Int) throws(InputError) {
    pushedCount += valueCount
    guard pushedCount <= Unpickler.maximumValueCount else {
      throw failure("more than \(Unpickler.maximumValueCount) values in a pickle")
    }
  }

  /// Makes sure that there are `count` values above the last mark.
  private func checkStack(holds count: Int) throws(InputError) {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw failure("\(opcodeName) finds too few values on the stack")
    }
  }

  /// The topmost value; never one below a mark.
  mutating func pop() throws(InputError) -> PickleValue {
    try checkStack(holds: 1)
    return stack.removeLast()
  }

  private mutating func pop(_ count: Int) throws(InputError) -> [PickleValue] {
    try checkStack(holds: count)
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(InputError) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw failure("\(opcodeName) finds no mark") }
    defer { stack.removeLast(stack.count - mark) }
    return Array(stack[mark...])
  }

  /// The current opcode's name, for errors.
  var opcodeName: String {
    let byte = (try? cursor.file.bytes(in: start..<start + 1).first) ?? 0
    return PickleOpcode.name(of: byte)
  }

  private mutating func pushText(byteCount: Int) throws(InputError) {
    try push(.text(try cursor.text(byteCount: byteCount, "string")))
  }

  private mutating func pushTuple(_ elements: [PickleValue]) throws(InputError) {
    tuples.append(elements)
    try push(.tuple(tuples.count - 1))
  }

  mutating func pushDictionary() throws(InputError) {
    dictionaries.append([])
    try push(.dictionary(dictionaries.count - 1))
  }

  private mutating func append(_ elements: [PickleValue]) throws(InputError) {
    guard case .list(let index) = try pop() else { throw failure("\(opcodeName) needs a list") }
    lists[index] += elements
    try push(.list(index))
  }

  private mutating func setItems(_ elements: [PickleValue]) throws(InputError) {
    guard elements.count.isMultiple(of: 2) else { throw failure("a key without a value") }
    guard case .dictionary(let index) = try pop() else {
      throw failure("\(opcodeName) needs a dictionary")
    }
    for pair in stride(from: 0, to: elements.count, by: 2) {
      dictionaries[index].append(
        PickleMember(key: elements[pair], value: elements[pair + 1], start: start))
    }
    try push(.dictionary(index))
  }

  private mutating func remember(_ index: Int) throws(InputError) {
    guard let value = stack.last else { throw failure("\(opcodeName) finds nothing to remember") }
    memo[index] = value
    guard memo.count <= Unpickler.maximumValueCount else {
      throw failure("more than \(Unpickler.maximumValueCount) remembered values")
    }
  }

  private mutating func recall(_ index: Int) throws(InputError) {
    guard let value = memo[index] else { throw failure("memo \(index) was never set") }
    try push(value)
  }

  /// A little-endian two's complement integer of up to eight bytes.
  private mutating func long() throws(InputError) -> Int {
    let count = Int(try cursor.integer(UInt8.self, "integer length"))
    guard count <= 8 else { throw failure("an integer of \(count) bytes, at most 8 are read") }
    let bytes = try cursor.file.bytes(in: try cursor.skip(count, "integer"))
    let bits = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let unused = UInt64(64 - 8 * count)
    return Int(Int64(bitPattern: bits << unused) >> Int64(unused))
  }

  /// Text up to a line feed: a part of a global's name.
  private mutating func line() throws(InputError) -> String {
    let limit = min(256, cursor.remainingByteCount)
    let bytes = try cursor.file.bytes(in: cursor.position..<cursor.position + limit)
    guard let count = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
      throw failure("GLOBAL without the end of a name")
    }
    let text = try cursor.text(byteCount: count, "name of a global")
    _ = try cursor.skip(1, "line feed")
    return text
  }

  private mutating func pushGlobal(module: String, name: String) throws(InputError) {
    guard let global = PickleGlobal(module: module, name: name) else {
      throw failure(
        "the pickle names \(module).\(name), which is not allowed; nothing of it was run",
        hint: Unpickler.hint)
    }
    try push(.global(global))
  }
}
