// The host code of a block as something to read: cut into instructions, its parts told apart, and the addresses in it
// replaced by what they mean, so that the same guest code always reads the same.

import CPrimitives
import X86

/// The host code of one block, copied.
package struct HostCode {
    /// What a stretch of the code is for.
    package enum Part: Hashable, Sendable {
        /// The way in for indirect jumps and the dispatcher.
        case landing
        /// Gates of vector and x87 registers, and counting.
        case head
        /// An operation, by its number.
        case operation(Int)
        /// The jump to the block behind.
        case tail
        /// Slow paths and preparations.
        case outOfLine
        /// Ways to the dispatcher of jumps that are not linked.
        case stubs
    }

    /// One instruction.
    package struct Line {
        package var offset: Int
        package var part: Part
        package var bytes: [UInt8]
        /// A label at its place.
        package var label: String?
        /// What stands for some of its bytes.
        var symbol: (range: Range<Int>, name: String)?

        /// The bytes in hexadecimal, what stands for an address in braces.
        package var pattern: String {
            var words: [String] = []
            for n in bytes.indices {
                if let symbol, symbol.range.contains(n) {
                    if n == symbol.range.lowerBound { words.append("{\(symbol.name)}") }
                } else {
                    words.append(String(UInt16(bytes[n]) + 0x100, radix: 16).suffix(2).lowercased())
                }
            }
            return words.joined(separator: " ")
        }

        /// A disassembler's text, with the meaning in an address's place.
        package func annotate(_ text: String) -> String {
            guard let symbol else { return text }
            if let end = text.lastIndex(of: "]") {
                guard let plus = text[..<end].lastIndex(where: { $0 == "+" || $0 == "-" }) else { return text }
                return text[..<plus] + "+ " + symbol.name + text[end...]
            }
            guard let space = text.lastIndex(of: " ") else { return text }
            return text[...space] + symbol.name
        }
    }

    /// In the order of their addresses.
    package let lines: [Line]
    /// Size in bytes, all of it.
    package let size: Int

    /// Bytes of a part.
    package func size(of parts: (Part) -> Bool) -> Int {
        lines.reduce(0) { $0 + (parts($1.part) ? $1.bytes.count : 0) }
    }
}

/// What has to be known of a block's code to read it.
struct HostCodeSource {
    /// Where it was written, and the code itself.
    var start: UInt
    var bytes: [UInt8]
    /// Offsets: where other code enters, where operations begin, where each one's code ends, where the parts behind begin.
    var entry: Int
    var head: Int
    var marks: [Int]
    var lineEnd: Int
    var stubs: Int
    /// Code that is there for being watched only.
    var hidden = 0..<0
    /// Names of addresses.
    var names: [UInt: String]
    var instructionCount: Int

    init(
        _ encoder: borrowing BlockEncoder, from start: UnsafeMutablePointer<UInt8>,
        stubs: UnsafeMutablePointer<UInt8>, _ operations: [Operation], block: UnsafeMutablePointer<Block>
    ) {
        self.start = UInt(bitPattern: start)
        bytes = Array(UnsafeBufferPointer(start: start, count: encoder.code.cursor - start))
        // One of them lies behind the landing; others may lie out of line.
        let entries = encoder.entries
        let first = [entries.entry, entries.inheritingEntry ?? entries.entry].min() ?? entries.entry
        entry = (first < encoder.lineEnd ? first : entries.savedEntry) - start
        let marks = (encoder.marks ?? []).map { $0 - start }
        head = marks.first ?? entry
        self.marks = Array(marks.dropFirst())
        lineEnd = encoder.lineEnd - start
        if let counting = encoder.counting { hidden = counting.start - start..<counting.end - start }
        self.stubs = stubs - start
        names = [UInt(bitPattern: block): "block"]
        for child in Mirror(reflecting: encoder.gates).children {
            guard let label = child.label, let address = child.value as? UnsafePointer<UInt8> else { continue }
            names[UInt(bitPattern: address)] = "gate " + label
        }
        for n in encoder.gates.moves.indices {
            names[UInt(bitPattern: encoder.gates.moves[n])] = "gate move\(8 << n)"
            names[UInt(bitPattern: encoder.gates.stores[n])] = "gate store\(8 << n)"
        }
        instructionCount = operations.count
        for (number, operation) in operations.enumerated() {
            names[UInt(bitPattern: operation.instruction)] = "instruction \(number)"
            if let next = operation.begins { names[UInt(bitPattern: next)] = "block at instruction \(number)" }
        }
    }

    func part(at offset: Int) -> HostCode.Part {
        if offset < entry { return .landing }
        if offset >= stubs { return .stubs }
        if offset >= lineEnd { return .outOfLine }
        if offset < head { return .head }
        return marks.firstIndex { offset < $0 }.map { .operation($0) } ?? .tail
    }
}

extension HostCode {
    init(_ source: HostCodeSource) {
        var lines: [Line] = []
        var targets: Set<Int> = []
        var offset = 0
        while offset < source.bytes.count {
            if source.hidden.contains(offset) {
                offset = source.hidden.upperBound
                continue
            }
            let rest = Array(source.bytes[offset..<min(offset + 15, source.bytes.count)])
            let decoded = rest.withUnsafeBufferPointer { DecodedInstruction($0, mode: .code64) }
            let length = decoded.outcome == .valid ? decoded.length : 1
            var line = Line(offset: offset, part: source.part(at: offset), bytes: Array(rest.prefix(length)))
            line.symbol = Self.symbol(line, source, &targets)
            lines.append(line)
            offset += length
        }
        // Labels in the order of their places.
        let names = Dictionary(
            uniqueKeysWithValues: lines.map(\.offset).filter(targets.contains).enumerated().map { ($1, "L\($0 + 1)") })
        for n in lines.indices {
            lines[n].label = names[lines[n].offset]
            if let symbol = lines[n].symbol, symbol.name.hasPrefix("@"), let target = Int(symbol.name.dropFirst()) {
                lines[n].symbol?.name = names[target] ?? "nowhere"
            }
        }
        self.lines = lines
        size = source.bytes.count - source.hidden.count
    }

    private static func symbol(
        _ line: Line, _ source: HostCodeSource, _ targets: inout Set<Int>
    ) -> (range: Range<Int>, name: String)? {
        let fields = HostFields(line.bytes)
        func value(_ range: Range<Int>) -> Int64 {
            guard range.upperBound <= line.bytes.count, !range.isEmpty else { return 0 }
            let raw = range.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(line.bytes[$1]) }
            let shift = Int64(64 - 8 * range.count)
            return (Int64(bitPattern: raw) << shift) >> shift
        }
        if !fields.distance.isEmpty {
            let target = line.offset + line.bytes.count + Int(value(fields.distance))
            if target >= 0, target < source.bytes.count {
                targets.insert(target)
                return (fields.distance, "@\(target)")
            }
            return (fields.distance, source.names[source.start &+ UInt(bitPattern: target)] ?? "elsewhere")
        }
        if !fields.pointer.isEmpty {
            return source.names[UInt(bitPattern: Int(value(fields.pointer)))].map { (fields.pointer, $0) }
        }
        guard fields.isInState, !fields.displacement.isEmpty else { return nil }
        let displacement = Int32(truncatingIfNeeded: value(fields.displacement))
        return StateNames.name(of: displacement).map { (fields.displacement, $0) }
    }
}
