// A translated block as text and as JSON: what `trapeze explain` shows.

import Disassembly
import Foundation
import Trapeze

struct ExplainReport {
    let disassembler: Disassembler
    let symbols: SymbolTable?
    /// Guest instructions that all translated blocks executed.
    let total: UInt64

    /// The lines about one block.
    func lines(_ block: ExplainedBlock, number: Int, of count: Int) -> [String] {
        heading(block, number, count) + guestCode(block) + operations(block) + hostCode(block)
    }

    // MARK: Parts

    private func heading(_ block: ExplainedBlock, _ number: Int, _ count: Int) -> [String] {
        let share = total > 0 ? 100 * Double(block.executions) * Double(block.guest.count) / Double(total) : 0
        let sizes = Sizes(block)
        var lines = [
            "block \(number) of \(count): \(place(block.address)), \(block.isUser ? "user" : "supervisor") code of "
                + "\(block.codeWidth * 8) bits at guest-physical \(hexadecimal(block.physical))",
            "  executed \(block.executions) times, \(String(format: "%.2f", share)) % of the instructions in translated code"
                + (block.translations > 1 ? "; translated \(block.translations) times" : ""),
            "  guest: \(block.blockCount == 1 ? "" : "a trace of \(block.blockCount) blocks, ")\(block.guest.count) instructions, \(sizes.guestBytes) bytes; host: \(sizes.lineInstructions) "
                + "instructions, \(sizes.lineBytes) bytes on the way through, \(sizes.bytes) bytes in all",
            "  expansion: \(String(format: "%.2f", Double(sizes.lineInstructions) / Double(max(block.guest.count, 1)))) "
                + "instructions for each of the guest's, \(String(format: "%.2f", Double(sizes.bytes) / Double(max(sizes.guestBytes, 1)))) "
                + "bytes for each of the guest's",
        ]
        lines.append("  links in: \(list(block.linksIn.map(place)))")
        lines.append(
            "  links out: \(list(block.linksOut.map { place($0.target) + ($0.isLinked ? " (linked)" : " (not linked)") }))"
        )
        return lines
    }

    private func list(_ items: [String]) -> String {
        let most = 8
        if items.isEmpty { return "none" }
        let shown = items.prefix(most).joined(separator: ", ")
        return items.count > most ? shown + " and \(items.count - most) more" : shown
    }

    private func guestCode(_ block: ExplainedBlock) -> [String] {
        var lines = ["", "  guest code"]
        var address = block.address
        for bytes in block.guest {
            lines.append(
                columns("    " + hexadecimal(address) + "  ", hexadecimal(bytes), text(bytes, at: address, block)))
            address &+= UInt64(bytes.count)
        }
        return lines
    }

    private func operations(_ block: ExplainedBlock) -> [String] {
        var lines: [String] = []
        var before: [String] = []
        for stage in block.stages {
            let changed = stage.operations.indices.filter { before.isEmpty || before[$0] != stage.operations[$0] }
            lines += ["", "  operations after \(stage.name)" + (changed.isEmpty ? ": no change" : "")]
            for n in changed { lines.append("    \(pad("\(n)", 3)) \(stage.operations[n])") }
            before = stage.operations
        }
        return lines
    }

    private func hostCode(_ block: ExplainedBlock) -> [String] {
        var lines = ["", "  host code"]
        var part: HostCode.Part?
        for line in block.host.lines {
            if line.part != part { lines.append("    " + title(line.part, block)) }
            part = line.part
            if let label = line.label { lines.append("     \(label):") }
            let text = disassembler.instruction(line.bytes, at: UInt64(line.offset))?.text ?? "?"
            lines.append(
                columns("      \(pad(String(line.offset, radix: 16), 4))  ", line.pattern, line.annotate(text)))
        }
        return lines
    }

    private func title(_ part: HostCode.Part, _ block: ExplainedBlock) -> String {
        switch part {
        case .landing: return "the way in for indirect jumps and the dispatcher"
        case .head: return "gates and counting"
        case .operation(let n):
            let before = block.guest.prefix(n).reduce(0) { $0 + $1.count }
            let bytes = n < block.guest.count ? block.guest[n] : []
            return "\(n): \(text(bytes, at: block.address &+ UInt64(before), block))"
        case .tail: return "on to the next block"
        case .outOfLine: return "out of line"
        case .stubs: return "jumps that are not linked"
        }
    }

    // MARK: Words

    private func text(_ bytes: [UInt8], at address: UInt64, _ block: ExplainedBlock) -> String {
        let mode: Disassembler.Mode = block.codeWidth == 2 ? .code16 : block.codeWidth == 4 ? .code32 : .code64
        guard let text = disassembler.instruction(bytes, at: address, mode: mode)?.text else { return "?" }
        // A branch's target by its name.
        guard ["j", "call", "loop"].contains(where: text.hasPrefix), let symbols, let space = text.lastIndex(of: " "),
            text[text.index(after: space)...].hasPrefix("0x"),
            let target = UInt64(text[space...].dropFirst(3), radix: 16), let name = symbols.name(of: target)
        else { return text }
        return text + " <\(name)>"
    }

    private func place(_ address: UInt64) -> String {
        hexadecimal(address) + (symbols?.name(of: address).map { " <\($0)>" } ?? "")
    }

    private func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String(format: "%02x", $0) }.joined(separator: " ")
    }
    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
    private func columns(_ place: String, _ bytes: String, _ text: String) -> String {
        place + bytes + String(repeating: " ", count: max(2, 36 - bytes.count)) + text
    }

    /// How much code there is.
    private struct Sizes {
        var guestBytes: Int
        /// In line: what is executed where every access hits and no gate is closed.
        var lineBytes: Int
        var lineInstructions: Int
        /// All of it.
        var bytes: Int

        init(_ block: ExplainedBlock) {
            func isInLine(_ part: HostCode.Part) -> Bool {
                switch part {
                case .head, .operation, .tail: true
                default: false
                }
            }
            guestBytes = block.guest.reduce(0) { $0 + $1.count }
            lineBytes = block.host.size(of: isInLine)
            lineInstructions = block.host.lines.filter { isInLine($0.part) }.count
            bytes = block.host.size
        }
    }

    // MARK: JSON

    /// The same as data.
    func json(_ blocks: [ExplainedBlock]) -> JSON {
        .object([
            ("schema", .integer(1)), ("instructions", .integer(total)),
            ("blocks", .array(blocks.map(json))),
        ])
    }

    private func json(_ block: ExplainedBlock) -> JSON {
        var address = block.address
        let guest = block.guest.map { bytes in
            defer { address &+= UInt64(bytes.count) }
            return JSON.object([
                ("address", .string(hexadecimal(address))), ("bytes", .string(hexadecimal(bytes))),
                ("text", .string(text(bytes, at: address, block))),
            ])
        }
        let host = block.host.lines.map { line in
            let text = disassembler.instruction(line.bytes, at: UInt64(line.offset))?.text ?? "?"
            return JSON.object([
                ("offset", .integer(UInt64(line.offset))), ("part", .string(name(line.part))),
                ("bytes", .string(hexadecimal(line.bytes))), ("text", .string(line.annotate(text))),
            ])
        }
        let sizes = Sizes(block)
        return .object([
            ("address", .string(hexadecimal(block.address))),
            ("symbol", .string(symbols?.name(of: block.address))),
            ("physicalAddress", .string(hexadecimal(block.physical))),
            ("user", .boolean(block.isUser)), ("codeWidth", .integer(UInt64(block.codeWidth))),
            ("executions", .integer(block.executions)), ("translations", .integer(UInt64(block.translations))),
            ("blocks", .integer(UInt64(block.blockCount))), ("guestBytes", .integer(UInt64(sizes.guestBytes))),
            ("hostBytes", .integer(UInt64(sizes.bytes))),
            ("hostBytesInLine", .integer(UInt64(sizes.lineBytes))),
            ("hostInstructionsInLine", .integer(UInt64(sizes.lineInstructions))),
            ("linksIn", .array(block.linksIn.map { .string(hexadecimal($0)) })),
            (
                "linksOut",
                .array(
                    block.linksOut.map {
                        .object([("target", .string(hexadecimal($0.target))), ("linked", .boolean($0.isLinked))])
                    })
            ),
            ("guest", .array(guest)),
            (
                "stages",
                .array(
                    block.stages.map {
                        .object([
                            ("name", .string($0.name)), ("operations", .array($0.operations.map { .string($0) })),
                        ])
                    })
            ),
            ("host", .array(host)),
        ])
    }

    private func name(_ part: HostCode.Part) -> String {
        if case .operation(let n) = part { return "operation \(n)" }
        return "\(part)"
    }
}
