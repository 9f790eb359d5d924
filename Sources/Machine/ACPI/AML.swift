// A small encoder for AML, the byte code of ACPI's definition blocks (ACPI 6.5, chapter 20). A term is built from terms,
// bottom up; names are literals of this module's own.

/// An encoded AML term: an object, a name's definition, or a scope with its contents.
package struct AML {
    /// The encoding.
    package let bytes: [UInt8]

    private enum Opcode {
        static let zero: UInt8 = 0x00
        static let one: UInt8 = 0x01
        static let name: UInt8 = 0x08
        static let byte: UInt8 = 0x0a
        static let word: UInt8 = 0x0b
        static let dword: UInt8 = 0x0c
        static let string: UInt8 = 0x0d
        static let qword: UInt8 = 0x0e
        static let scope: UInt8 = 0x10
        static let buffer: UInt8 = 0x11
        static let package: UInt8 = 0x12
        static let dualName: UInt8 = 0x2e
        static let multiName: UInt8 = 0x2f
        static let device: [UInt8] = [0x5b, 0x82]
    }

    // MARK: Data (section 20.2.3)

    /// An integer in its shortest form.
    package static func integer(_ value: UInt64) -> AML {
        var writer = ByteWriter()
        switch value {
        case 0: writer.append(Opcode.zero)
        case 1: writer.append(Opcode.one)
        case ...0xff:
            writer.append(Opcode.byte)
            writer.append(UInt8(value))
        case ...0xffff:
            writer.append(Opcode.word)
            writer.append(UInt16(value))
        case ...0xffff_ffff:
            writer.append(Opcode.dword)
            writer.append(UInt32(value))
        default:
            writer.append(Opcode.qword)
            writer.append(value)
        }
        return AML(bytes: writer.bytes)
    }

    /// A string of ASCII characters.
    package static func string(_ text: String) -> AML {
        AML(bytes: [Opcode.string] + Array(text.utf8) + [0])
    }

    /// A buffer with the given contents.
    package static func buffer(_ contents: [UInt8]) -> AML {
        AML(bytes: [Opcode.buffer] + withLength(integer(UInt64(contents.count)).bytes + contents))
    }

    /// A package of data objects, 255 at most.
    package static func package(_ elements: [AML]) -> AML {
        AML(bytes: [Opcode.package] + withLength([UInt8(elements.count)] + elements.flatMap(\.bytes)))
    }

    /// A plug and play ID such as `PNP0A03`, compressed to 32 bits (section 19.3.4, EISAID).
    package static func eisaID(_ id: String) -> AML {
        let characters = Array(id.utf8)
        let letters = characters.prefix(3).reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 0x1f) }
        let product = UInt32(id.dropFirst(3), radix: 16) ?? 0
        return integer(UInt64((letters << 16 | product).byteSwapped))
    }

    // MARK: Named objects (section 20.2.5)

    /// `Name (path, value)`.
    package static func name(_ path: String, _ value: AML) -> AML {
        AML(bytes: [Opcode.name] + nameString(path) + value.bytes)
    }

    /// `Scope (path) { contents }`.
    package static func scope(_ path: String, _ contents: [AML]) -> AML {
        AML(bytes: [Opcode.scope] + withLength(nameString(path) + contents.flatMap(\.bytes)))
    }

    /// `Device (name) { contents }`.
    package static func device(_ name: String, _ contents: [AML]) -> AML {
        AML(bytes: Opcode.device + withLength(nameString(name) + contents.flatMap(\.bytes)))
    }

    /// `Name (_CRS, ResourceTemplate () { resources })`.
    package static func currentResources(_ resources: [Resource]) -> AML {
        name("_CRS", buffer(Resource.template(resources)))
    }

    // MARK: Parts

    /// NameString (section 20.2.2): segments of four characters, padded with `_`, after an optional root `\`.
    private static func nameString(_ path: String) -> [UInt8] {
        let root = path.hasPrefix("\\")
        let segments = path.drop { $0 == "\\" }.split(separator: ".").map { segment in
            Array(segment.utf8.prefix(4)) + [UInt8](repeating: UInt8(ascii: "_"), count: max(0, 4 - segment.utf8.count))
        }
        let prefix: [UInt8] =
            switch segments.count {
            case 0: [0]
            case 1: []
            case 2: [Opcode.dualName]
            default: [Opcode.multiName, UInt8(segments.count)]
            }
        return (root ? [UInt8(ascii: "\\")] : []) + prefix + segments.flatMap(\.self)
    }

    /// `contents` led by PkgLength (section 20.2.4), which counts itself: one byte up to 63, or else the low four bits
    /// beside a count of the one to three bytes that follow.
    private static func withLength(_ contents: [UInt8]) -> [UInt8] {
        if contents.count + 1 < 1 << 6 { return [UInt8(contents.count + 1)] + contents }
        for following in 1...3 {
            let total = contents.count + 1 + following
            guard total < 1 << (4 + 8 * following) else { continue }
            let lead = UInt8(following << 6 | total & 0xf)
            let rest = (0..<following).map { UInt8(truncatingIfNeeded: total >> (4 + 8 * $0)) }
            return [lead] + rest + contents
        }
        // 256 MiB of AML: nothing in this module comes near it.
        preconditionFailure("an AML package of \(contents.count) bytes")
    }
}
