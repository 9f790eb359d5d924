// JSON as this tool writes it: keys in the order in which they are given, numbers exact, unknown values null.

import Foundation

indirect enum JSON {
    case string(String?)
    case integer(UInt64?)
    case number(Double)
    case boolean(Bool?)
    case array([JSON])
    case object([(String, JSON)])

    /// The text, indented by two spaces a level.
    func text(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .string(let value): return value.map(Self.quoted) ?? "null"
        case .integer(let value): return value.map(String.init) ?? "null"
        case .boolean(let value): return value.map { $0 ? "true" : "false" } ?? "null"
        case .number(let value): return value.isFinite ? String(format: "%.6f", value) : "null"
        case .array(let values):
            guard !values.isEmpty else { return "[]" }
            return "[\n" + values.map { inner + $0.text(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            guard !members.isEmpty else { return "{}" }
            return "{\n"
                + members.map { "\(inner)\(Self.quoted($0)): \($1.text(indent: inner))" }.joined(separator: ",\n")
                + "\n\(indent)}"
        }
    }

    /// A string literal (RFC 8259, section 7).
    static func quoted(_ text: String) -> String {
        var literal = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": literal += "\\\""
            case "\\": literal += "\\\\"
            case _ where scalar.value < 0x20: literal += String(format: "\\u%04x", scalar.value)
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }
}
