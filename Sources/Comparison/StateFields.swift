// A vCPU's state as a list of named values: what is compared, and what a report shows side by side.

import VirtualCPU

/// One value of a vCPU's state, by the manual's name.
struct StateField: Equatable {
    var name: String
    var value: String
    /// Reports show it even where it is the same.
    var isAlwaysShown = false
}

extension CPUState {
    /// Every value, in the order of reports.
    var fields: [StateField] {
        var fields: [StateField] = []
        func add(_ name: String, _ value: some BinaryInteger, digits: Int = 16, shown: Bool = false) {
            fields.append(StateField(name: name, value: hex(value, digits: digits), isAlwaysShown: shown))
        }
        for (name, value) in zip(Self.registerNames, gpr) { add(name, value, shown: true) }
        add("RIP", rip, shown: true)
        fields.append(StateField(name: "RFLAGS", value: hex(rflags, digits: 8) + flagNames, isAlwaysShown: true))
        for (name, segment) in zip(Self.segmentNames, segments) {
            let text =
                hex(segment.selector, digits: 4) + " base " + hex(segment.base, digits: 1) + " limit "
                + hex(segment.limit, digits: 1) + " rights " + hex(segment.attributes, digits: 1)
            fields.append(StateField(name: name, value: text, isAlwaysShown: name == "CS" || name == "SS"))
        }
        for (name, table) in [("GDTR", gdtr), ("IDTR", idtr)] {
            fields.append(
                StateField(name: name, value: hex(table.base, digits: 1) + " limit " + hex(table.limit, digits: 1)))
        }
        for (name, value) in [("CR0", cr0), ("CR2", cr2), ("CR3", cr3), ("CR4", cr4)] { add(name, value, shown: true) }
        for (index, value) in pdptes.enumerated() { add("PDPTE\(index)", value) }
        for (index, value) in debugAddresses.enumerated() { add("DR\(index)", value) }
        for (name, value) in [("DR6", dr6), ("DR7", dr7), ("XCR0", xcr0), ("TSC", tsc)] { add(name, value) }
        for number in msrs.keys.sorted() { add("MSR " + hex(number, digits: 1), msrs[number] ?? 0) }
        addExtended(to: &fields)
        add("FCS", x87CodeSelector, digits: 4)
        add("FDS", x87DataSelector, digits: 4)
        let pending = pendingException.map { "#\($0.vector)" } ?? "none"
        for (name, value) in [
            ("activity", activity.rawValue), ("shadow of STI", "\(shadow.sti)"),
            ("shadow of MOV SS", "\(shadow.movSS)"),
            ("NMIs blocked", "\(shadow.nmi)"), ("NMI pending", "\(nmiPending)"), ("exception pending", pending),
            ("#DB trap pending", "\(pendingDebugTrap)"),
        ] { fields.append(StateField(name: name, value: value)) }
        addLocalAPIC(to: &fields)
        return fields
    }

    /// The XSAVE image by its parts (SDM volume 1, section 13.4).
    private func addExtended(to fields: inout [StateField]) {
        func bytes(_ range: Range<Int>) -> String {
            guard range.upperBound <= xsave.count else { return "missing" }
            return xsave[range].reversed().map { hex($0, digits: 2) }.joined()
        }
        let parts: [(String, Range<Int>)] = [
            ("FCW", 0..<2), ("FSW", 2..<4), ("FTW", 4..<5), ("FOP", 6..<8), ("FIP", 8..<16), ("FDP", 16..<24),
            ("MXCSR", 24..<28), ("MXCSR_MASK", 28..<32),
        ]
        for (name, range) in parts { fields.append(StateField(name: name, value: bytes(range))) }
        for n in 0..<8 { fields.append(StateField(name: "ST\(n)", value: bytes(32 + 16 * n..<42 + 16 * n))) }
        for n in 0..<16 {
            let value = bytes(576 + 16 * n..<592 + 16 * n) + bytes(160 + 16 * n..<176 + 16 * n)
            fields.append(StateField(name: "YMM\(n)", value: value))
        }
        fields.append(StateField(name: "XSTATE_BV", value: bytes(512..<520)))
        let named: [Range<Int>] = parts.map(\.1) + [32..<416, 512..<520, 576..<832]
        let rest = xsave.indices.filter { index in !named.contains { $0.contains(index) } && xsave[index] != 0 }
        fields.append(
            StateField(
                name: "rest of XSAVE",
                value: rest.isEmpty ? "0" : rest.map { "[\($0)]=\(xsave[$0])" }.joined(separator: " ")))
    }

    private func addLocalAPIC(to fields: inout [StateField]) {
        let apic = localAPIC
        func optional(_ value: (some BinaryInteger)?) -> String { value.map { "\($0)" } ?? "none" }
        for (index, value) in apic.registers.enumerated() {
            fields.append(
                StateField(name: "APIC " + hex(index << 4, digits: 3), value: hex(value, digits: 8)))
        }
        for (name, value) in [
            ("APIC ID", "\(apic.id)"), ("APIC base", hex(apic.base, digits: 1)),
            ("APIC timer deadline", optional(apic.timerDeadline)), ("APIC TSC deadline", "\(apic.tscDeadline)"),
            ("APIC LINT0", "\(apic.lint0)"), ("APIC pending errors", hex(apic.pendingErrors, digits: 2)),
            ("APIC pending NMI", "\(apic.pendingNMI)"), ("APIC pending INIT", "\(apic.pendingINIT)"),
            ("APIC pending SIPI", optional(apic.pendingSIPI)), ("APIC pending ExtINT", "\(apic.pendingExtINT)"),
        ] { fields.append(StateField(name: name, value: value)) }
    }

    private var flagNames: String {
        let names: [(UInt64, String)] = [
            (0, "CF"), (2, "PF"), (4, "AF"), (6, "ZF"), (7, "SF"), (8, "TF"), (9, "IF"), (10, "DF"), (11, "OF"),
            (14, "NT"), (16, "RF"), (17, "VM"), (18, "AC"), (19, "VIF"), (20, "VIP"), (21, "ID"),
        ]
        return names.filter { rflags & 1 << $0.0 != 0 }.map { " " + $0.1 }.joined()
    }

    private static let registerNames = [
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
    ]
    private static let segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"]
}

/// A number in hexadecimal, without prefix, with at least so many digits.
func hex(_ value: some BinaryInteger, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
