// A difference as text: where, both states side by side, memory, and the instructions that led there.

import VirtualCPU

extension Difference {
    /// The report, line by line.
    ///
    /// - Parameters:
    ///   - reference, against: the engines' names.
    ///   - again: the command that runs it again with some options added.
    public func report(reference: String, against: String, again: (String) -> String) -> [String] {
        let against = against == reference ? against + " (checked)" : against
        var lines = ["engines \(reference) and \(against) differ \(place)"]
        if !isExact {
            lines.append(
                "It did not come up again on the way from the last checkpoint: it depends on what an engine keeps beside "
                    + "its state, such as decoded code.")
        }
        if let departure { lines.append("\(against): \(departure.text)") }
        if !history.isEmpty {
            lines += ["", "The last instructions of \(reference); after the one marked they differ:"]
            lines += history.enumerated().map { ($0 == history.count - 1 ? "> " : "  ") + $1 }
        }
        for cpu in cpus {
            lines += ["", "vCPU \(cpu.vcpu)"]
            lines += Self.table(cpu.reference.fields, cpu.against.fields, names: (reference, against))
        }
        if pageCount > 0 {
            lines += ["", "Memory differs in \(pageCount) page\(pageCount == 1 ? "" : "s"), first at"]
            for page in pages {
                let (a, b) = (page.reference, page.against)
                lines.append("* 0x" + hex(page.address, digits: 1))
                lines.append("    " + Self.bytes(a) + "  " + reference)
                lines.append("    " + Self.bytes(b) + "  " + against)
            }
        }
        let from = isExact ? lastSame - min(lastSame, 1000) : lastSame
        lines += ["", "Run it again, every instruction compared from a little before:"]
        lines.append("  " + again("--from-instruction \(from) --grain instruction"))
        return lines
    }

    private var place: String {
        let when = "vCPU \(vcpu), clock \(time) ns, after \(events) accesses to devices"
        return isExact
            ? "after instruction \(firstDifferent) (\(when))"
            : "between instructions \(lastSame) and \(firstDifferent) (\(when))"
    }

    private static func bytes(_ bytes: [UInt8]) -> String { bytes.map { hex($0, digits: 2) }.joined(separator: " ") }

    /// Two columns: what differs is marked, and what a reader needs to find their way is there even if it is the same.
    private static func table(_ a: [StateField], _ b: [StateField], names: (String, String)) -> [String] {
        let rows = zip(a, b).filter { $0 != $1 || $0.isAlwaysShown }
        let nameWidth = (rows.map(\.0.name.count).max() ?? 0) + 2
        let width = max(rows.map(\.0.value.count).max() ?? 0, names.0.count) + 2
        func row(_ mark: String, _ cells: (String, String, String)) -> String {
            mark + cells.0.padded(to: nameWidth) + cells.1.padded(to: width) + cells.2
        }
        return [row("  ", ("", names.0, names.1))]
            + rows.map { row($0 == $1 ? "  " : "* ", ($0.name, $0.value, $1.value)) }
    }
}

extension Departure {
    /// In words.
    var text: String {
        switch self {
        case .question(let expected, let got): "asked the machine: \(got); expected: \(expected)"
        case .end(let expected, let got): "\(got); expected: \(expected)"
        case .message(let address, let accepted):
            "a local APIC \(accepted ? "accepted" : "did not accept") an interrupt message to 0x"
                + hex(address, digits: 1)
        case .failed(let reason): "cannot go on: \(reason)"
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
