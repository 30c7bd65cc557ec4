// What the libraries that tokenizers were trained with take a character for.

/// Classes of scalars in the Unicode versions of the reference's libraries, which are older than
/// that of the system: a character that they do not know is in no class.
///
/// Compared with the reference for every scalar by tools/development/compare-tokenizers.
enum UnicodeRules {
  typealias Category = Unicode.GeneralCategory

  /// Whether `scalar` was there in Unicode `major`.0.
  static func isKnown(_ scalar: Unicode.Scalar, in major: Int) -> Bool {
    guard let age = scalar.properties.age else { return false }
    return age.major < major || (age.major == major && age.minor == 0)
  }

  private static func isMark(_ category: Category) -> Bool {
    category == .nonspacingMark || category == .spacingMark || category == .enclosingMark
  }

  static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    isMark(scalar.properties.generalCategory)
  }

  private static func isPunctuation(_ category: Category) -> Bool {
    switch category {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      true
    default: false
    }
  }

  static func isASCIIPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e: true
    default: false
    }
  }

  /// `\w` of Unicode 16.
  static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII {
      return scalar.properties.isAlphabetic || (0x30...0x39).contains(scalar.value)
        || scalar == "_"
    }
    guard isKnown(scalar, in: 16) else { return false }
    let properties = scalar.properties
    let category = properties.generalCategory
    return properties.isAlphabetic || isMark(category) || category == .decimalNumber
      || category == .connectorPunctuation || properties.isJoinControl
  }

  static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }

  static func isNumeric(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  /// Punctuation of ASCII and of Unicode 8, two characters of which were reclassified since.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return isASCIIPunctuation(scalar) }
    if scalar.value == 0x166d || scalar.value == 0x111c9 { return true }
    return isPunctuation(scalar.properties.generalCategory) && isKnown(scalar, in: 8)
  }

  /// Marks that `StripAccents` takes off: those of Unicode 9, three of which were reclassified since.
  static func isCombiningMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x111c9: false
    case 0x1cf2, 0x1cf3: true
    default: isMark(scalar.properties.generalCategory) && isKnown(scalar, in: 9)
    }
  }

  /// Marks that `BertNormalizer` takes off: those without a width of Unicode 8, six of which were
  /// reclassified since.
  static func isNonspacingMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x1885, 0x1886, 0xa9bd, 0x111c9: false
    case 0x1734, 0x1171e: true
    default: scalar.properties.generalCategory == .nonspacingMark && isKnown(scalar, in: 8)
    }
  }

  /// Control characters that `BertNormalizer` takes out.
  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x9, 0xa, 0xd: return false
    case 0xfffd: return true
    default: break
    }
    switch scalar.properties.generalCategory {
    case .control, .privateUse: return true
    case .format: return isKnown(scalar, in: 8)
    default: return false
    }
  }

  /// Ideographs that `BertNormalizer` sets apart.
  static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x3400...0x4dbf, 0x4e00...0x9fff, 0xf900...0xfaff, 0x20000...0x2a6df, 0x2a700...0x2b81f,
      0x2b920...0x2ceaf, 0x2f800...0x2fa1f:
      true
    default: false
    }
  }

  /// A character class of regular expressions.
  enum ScalarClass {
    case space, digit, word
    case categories(Set<Category>)

    func contains(_ scalar: Unicode.Scalar) -> Bool {
      switch self {
      case .space: return isSpace(scalar)
      case .digit:
        return scalar.properties.generalCategory == .decimalNumber && isKnown(scalar, in: 16)
      case .word:
        switch scalar.value {
        case 0xb2, 0xb3, 0xb9, 0xbc, 0xbd, 0xbe: return true
        case 0x200c, 0x200d: return false
        default: return isWord(scalar)
        }
      case .categories(let categories):
        if scalar.isASCII { return categories.contains(scalar.properties.generalCategory) }
        // It was a small letter until Unicode 16.
        let category = scalar.value == 0x295 ? .lowercaseLetter : scalar.properties.generalCategory
        return categories.contains(category) && isKnown(scalar, in: 16)
      }
    }
  }

  /// The categories that `\p{name}` stands for.
  static func categories(_ name: String) -> Set<Category>? {
    let found = categoryNames.filter { $0.key == name || $0.key.dropLast() == name }.values
    return found.isEmpty ? nil : Set(found)
  }

  private static let categoryNames: [String: Category] = [
    "Lu": .uppercaseLetter, "Ll": .lowercaseLetter, "Lt": .titlecaseLetter,
    "Lm": .modifierLetter, "Lo": .otherLetter, "Mn": .nonspacingMark, "Mc": .spacingMark,
    "Me": .enclosingMark, "Nd": .decimalNumber, "Nl": .letterNumber, "No": .otherNumber,
    "Pc": .connectorPunctuation, "Pd": .dashPunctuation, "Ps": .openPunctuation,
    "Pe": .closePunctuation, "Pi": .initialPunctuation, "Pf": .finalPunctuation,
    "Po": .otherPunctuation, "Sm": .mathSymbol, "Sc": .currencySymbol, "Sk": .modifierSymbol,
    "So": .otherSymbol,
  ]
}
