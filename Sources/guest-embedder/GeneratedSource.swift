// The Swift text that is generated for a guest, and for the list of all guests.
//
// The image is a base64 literal: an array literal of as many bytes would take the compiler minutes.

import Foundation

/// A file that declares `EmbeddedGuest.NAME`.
func guestSource(_ manifest: Manifest, image: [UInt8]) -> String {
    let kind =
        switch manifest.kind {
        case .firmware: ".firmware"
        case .multiboot: ".multiboot"
        case .flat(let load, let entry): ".flat(loadAddress: \(hex(load)), entry: \(hex(entry)))"
        }
    let lines = manifest.lines.map { alternatives in
        "            [" + alternatives.map(literal).joined(separator: ", ") + "],\n"
    }.joined()
    return """
        // Generated from guests/\(manifest.name)/ by guest-embedder.

        extension EmbeddedGuest {
            /// \(manifest.summary)
            public static let \(identifier(manifest.name)) = EmbeddedGuest(
                name: \(literal(manifest.name)),
                summary: \(literal(manifest.summary)),
                kind: \(kind),
                expected: Expectation(ending: \(manifest.ending), lines: [
        \(lines)        ]),
                requirements: Requirements(
                    memory: \(manifest.memoryMiB) << 20, processors: \(manifest.processors),
                    features: [\(manifest.features.map(literal).joined(separator: ", "))]),
                base64: \(literal(Data(image).base64EncodedString())))
        }

        """
}

/// A file that declares `EmbeddedGuest.all`.
func catalogSource(names: [String]) -> String {
    """
    // Generated from the folders of guests/ by guest-embedder.

    extension EmbeddedGuest {
        /// Every guest that was built into this library, in the order of their names.
        public static let all: [EmbeddedGuest] = [
    \(names.map { "        \(identifier($0)),\n" }.joined())    ]
    }

    """
}

/// `exit-status` as a Swift name: `exitStatus`.
private func identifier(_ name: String) -> String {
    let words = name.split(separator: "-")
    let camel = words.prefix(1) + words.dropFirst().map { Substring($0.prefix(1).uppercased() + $0.dropFirst()) }
    return "`\(camel.joined())`"
}

private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// `text` as a Swift string literal.
private func literal(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": result += "\\\\"
        case "\"": result += "\\\""
        case " "..."~": result.unicodeScalars.append(scalar)
        default: result += "\\u{" + String(scalar.value, radix: 16) + "}"
        }
    }
    return result + "\""
}
